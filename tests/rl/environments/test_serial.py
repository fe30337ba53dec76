"""Against gymnasium's SyncVectorEnv, step by step."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from arena_lib.rl.environments import CountingEnv, make_env
from arena_lib.rl.environments.serial import SerialVectorEnv


class Informed(CountingEnv):
    """Counts, and says so in its infos."""

    def step(self, action):
        obs, *rest, info = super().step(action)
        return obs, *rest, {**info, "count": int(obs[0]), "is_even": bool(obs[0] % 2 == 0)}


WORLDS = {
    "CartPole": lambda: make_env("CartPole-v1"),
    "Pendulum": lambda: make_env("Pendulum-v1"),
    "FrozenLake": lambda: make_env("FrozenLake-v1"),
    "infos": lambda: Informed((2, 5)),
}


def assert_same(ours, theirs):
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            assert_same(ours[name], theirs[name])
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
    else:
        np.testing.assert_array_equal(ours, theirs)
        assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_every_step_gives_what_gymnasiums_gives(make, mode):
    ours, theirs = (cls([make] * 3, autoreset_mode=mode) for cls in (SerialVectorEnv, SyncVectorEnv))
    assert_same(ours.reset(seed=4)[0], theirs.reset(seed=4)[0])
    ours.action_space.seed(0)
    n_ends = 0
    for _ in range(210):
        actions = ours.action_space.sample()
        mine, other = ours.step(actions), theirs.step(actions)
        for a, b in zip(mine, other, strict=True):
            assert_same(a, b)
        done = mine[2] | mine[3]
        n_ends += int(done.sum())
        if mode is AutoresetMode.DISABLED and done.any():
            assert_same(*(envs.reset(options={"reset_mask": done.copy()})[0] for envs in (ours, theirs)))
    assert n_ends >= 3


def test_what_was_returned_is_never_written_over():
    envs = SerialVectorEnv([lambda: CountingEnv((3,))] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    envs.reset(seed=0)
    steps = [envs.step(np.zeros(2, np.int64)) for _ in range(5)]
    assert [float(obs[0, 0]) for obs, *_ in steps] == [1, 2, 3, 100, 101]
    assert [bool(done[0]) for _, _, *ends, _ in steps for done in [ends[0] | ends[1]]] == [
        False,
        False,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("obs", "error"),
    [(np.zeros(3, np.float32), ValueError), (np.array([1j]), TypeError)],
    ids=["another shape", "another kind of number"],
)
def test_observations_that_were_not_declared_are_an_error(obs, error):
    class Wrong(CountingEnv):
        def step(self, action):
            return obs, *super().step(action)[1:]

    envs = SerialVectorEnv([Wrong], autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    with pytest.raises(error):
        envs.step(np.zeros(1, np.int64))


def test_other_kinds_of_observations_go_gymnasiums_way():
    make = lambda: gym.wrappers.TimeAwareObservation(make_env("CartPole-v1"), flatten=False)  # noqa: E731
    envs = SerialVectorEnv([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    obs, *_ = envs.step(np.zeros(2, np.int64))
    assert obs["obs"].shape == (2, 4)
