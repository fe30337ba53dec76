import gymnasium as gym
import numpy as np
import pytest

from arena_lib.errors import MissingDependencyError
from arena_lib.rl.environments import atari, make_env
from arena_lib.rl.environments.atari import FireFirst, LifeIsEpisode, atari_wrappers


@pytest.fixture(scope="module")
def breakout():
    env = make_env("BreakoutNoFrameskip-v4", wrappers=atari_wrappers())
    yield env
    env.close()


def test_pictures_are_four_grey_ones_of_84(breakout):
    obs, _ = breakout.reset(seed=0)
    assert np.shape(obs) == (4, 84, 84)
    assert np.asarray(obs).dtype == np.uint8
    assert breakout.observation_space.contains(obs)


def test_a_lost_life_terminates_and_the_game_goes_on(breakout):
    breakout.reset(seed=0)
    lives = []
    for _ in range(3):
        is_over = False
        while not is_over:
            _, reward, terminated, truncated, _ = breakout.step(0)
            assert reward in (-1.0, 0.0, 1.0)
            is_over = terminated or truncated
        lives.append(breakout.unwrapped.ale.lives())
        breakout.reset()
    assert lives == [4, 3, 2]


def test_a_seed_begins_a_new_game(breakout):
    breakout.reset(seed=0)
    while not breakout.step(0)[2]:
        pass
    breakout.reset(seed=1)
    assert breakout.unwrapped.ale.lives() == 5


def test_evaluation_changes_neither_rewards_nor_ends():
    env = make_env("BreakoutNoFrameskip-v4", wrappers=atari_wrappers(is_training=False))
    kinds = []
    while isinstance(env, gym.Wrapper):
        kinds.append(type(env))
        env = env.env
    assert FireFirst in kinds
    assert LifeIsEpisode not in kinds
    assert gym.wrappers.TransformReward not in kinds


def test_a_game_without_the_button_is_left_alone():
    class Silent(gym.Wrapper):
        def get_action_meanings(self):
            return ["NOOP"]

        @property
        def unwrapped(self):
            return self

    env = FireFirst(Silent(gym.make("CartPole-v1")))
    assert np.array_equal(env.reset(seed=3)[0], gym.make("CartPole-v1").reset(seed=3)[0])


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(atari, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="'opencv-python-headless'"):
        atari_wrappers()
