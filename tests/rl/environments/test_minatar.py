import builtins

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from arena_lib.errors import MissingDependencyError
from arena_lib.rl.environments import make_env, minatar
from arena_lib.rl.environments.minatar import GAMES, PIXELS, load_game

EVERY_GAME = pytest.mark.parametrize("name", GAMES)


def play_by_hand(game, actions, seed):
    """The package's own rules: sticky actions with its random state, which the game shares."""
    env = load_game(game).Env(ramping=True)
    random = env.random = np.random.RandomState(seed)
    env.reset()
    last, allowed = 0, env.minimal_action_set()
    for action in actions:
        if random.rand() >= 0.1:
            last = allowed[action]
        reward, is_over = env.act(last)
        yield env.state(), reward, is_over
        if is_over:
            return


@EVERY_GAME
def test_a_game_is_played_by_the_rules(name):
    env = make_env(f"MinAtar/{name}-v1")
    actions = np.random.default_rng(1).integers(env.action_space.n, size=300)
    for _ in range(2):  # the second time shows that nothing survives a reset
        env.reset(seed=5)
        for action, (state, reward, is_over) in zip(actions, play_by_hand(GAMES[name], actions, 5), strict=False):
            obs, got, terminated, truncated, _ = env.step(action)
            assert np.array_equal(obs, np.moveaxis(state, -1, 0))
            assert (got, terminated, truncated) == (reward, is_over, False)


@EVERY_GAME
def test_it_keeps_gymnasiums_contract(name):
    check_env(make_env(f"MinAtar/{name}-v1").unwrapped, skip_render_check=True)


def test_versions_differ_in_their_actions():
    assert make_env("MinAtar/Breakout-v0").action_space.n == 6
    assert make_env("MinAtar/Breakout-v1").action_space.n == 3


def test_an_episode_is_truncated_after_five_thousand_steps():
    assert make_env("MinAtar/Freeway-v1").spec.max_episode_steps == 5000


def test_the_last_action_does_not_survive_a_reset():
    env = make_env("MinAtar/Breakout-v1").unwrapped
    env.reset(seed=0)
    env.step(2)
    env.reset()
    assert env._last_action == 0


def test_a_picture_shows_each_plane_in_its_colour():
    env = make_env("MinAtar/Breakout-v1", render_mode="rgb_array")
    env.reset(seed=0)
    obs, *_ = env.step(0)
    picture = env.render()
    assert picture.shape == (10 * PIXELS, 10 * PIXELS, 3)
    row, column = np.argwhere(obs[3])[0]  # a brick
    assert (picture[row * PIXELS, column * PIXELS] == minatar.PALETTE[3]).all()
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 5


def test_loading_a_game_loads_no_plotting(monkeypatch):
    load_game.cache_clear()
    true_import = builtins.__import__

    def refuse(name, *rest):
        assert name.split(".")[0] not in {"matplotlib", "seaborn"}
        return true_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    load_game("asterix")


def test_without_the_package_the_extra_is_named(monkeypatch):
    load_game.cache_clear()
    monkeypatch.setattr(minatar, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"'minatar'.*arena-lib\[rl\]"):
        make_env("MinAtar/Breakout-v1")
