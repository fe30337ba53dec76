"""Shaped carts: what they pay, and when they end."""

import numpy as np
import pytest

from arena_lib.rl.environments.making import make_env
from arena_lib.rl.environments.shaping import MAX_SPIN, EasyCart, ProgressCart, SpinCart


def at(env, position=0.0, velocity=0.0, angle=0.0, spin=0.0):
    env.reset(seed=0)
    env.state = np.array([position, velocity, angle, spin])
    return env


def test_easy_cart_pays_most_in_the_middle():
    _, reward, terminated, _, _ = at(EasyCart()).step(1)
    assert reward == pytest.approx(1.0, abs=0.01)
    assert not terminated
    obs, reward, _, _, _ = at(EasyCart(), position=-1.2, angle=0.1).step(0)
    assert reward == pytest.approx(1 - abs(obs[0]) / 4.8 - abs(obs[2]) / (2 * 12 * np.pi / 180), abs=1e-6)
    _, reward, terminated, _, _ = at(EasyCart(), position=2.5, angle=0.5).step(1)
    assert reward == 0.0
    assert terminated


def test_spin_cart_goes_on_when_the_pole_falls_and_ends_at_the_edge():
    env = at(SpinCart(), angle=2.0, spin=-4.0)
    for _ in range(3):
        obs, reward, terminated, _, _ = env.step(1)
        assert reward == pytest.approx(min(abs(obs[3]), MAX_SPIN) / MAX_SPIN)
        assert not terminated
    assert at(SpinCart(), spin=50.0).step(0)[1] == 1.0
    _, reward, terminated, _, _ = at(SpinCart(), position=-2.5, spin=4.0).step(0)
    assert (reward, terminated) == (0.0, True)


def test_progress_cart_pays_for_the_way_back_and_forgets_the_way_out():
    assert at(ProgressCart(), angle=0.1, spin=-1.0).step(0)[1] == pytest.approx(50 * 0.02, rel=1e-3)
    assert at(ProgressCart(), angle=0.1, spin=1.0).step(0)[1] == 0.0


def test_shaped_carts_end_after_500_steps():
    env = make_env("arena/SpinCart-v0")
    env.reset(seed=0)
    for t in range(500):
        _, _, terminated, truncated, _ = env.step(t % 2)
        assert not terminated
    assert truncated
