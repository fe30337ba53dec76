import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.environments.gridworlds.worlds import RIGHT, UP, CliffWalking, FrozenLake, Norvig, Windy


@pytest.mark.parametrize("make", [Norvig, CliffWalking, Windy, FrozenLake])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_world_passes_gymnasium_s_own_check(make):
    check_env(DiscreteEnviroGym(make(), render_mode="rgb_array"), skip_render_check=False)


def test_steps_follow_the_dynamics():
    """Of n draws the share of each outcome is off by 5 standard errors less than once in a million."""
    world, n = DiscreteEnviroGym(Norvig()), 4000
    world.reset(seed=3)
    counts = np.zeros(12)
    for _ in range(n):
        world.state = 2
        world._is_over = False
        counts[world.step(RIGHT)[0]] += 1
    expected = world.env.T[2, RIGHT]
    assert (abs(counts / n - expected) <= 5 * np.sqrt(expected * (1 - expected) / n)).all()


def test_same_seed_same_episode_and_the_stream_goes_on():
    def walk(world, seed):
        states = [world.reset(seed=seed)[0]]
        for _ in range(30):
            state, _, terminated, _, _ = world.step(UP)
            states.append(state)
            if terminated:
                break
        return states

    world = DiscreteEnviroGym(Norvig())
    first, second = walk(world, 5), walk(world, None)
    assert first == walk(DiscreteEnviroGym(Norvig()), 5)
    assert first != second


def test_only_an_end_terminates_and_nothing_truncates():
    world = DiscreteEnviroGym(CliffWalking())
    world.reset(seed=0)
    steps = [world.step(action) for action in [RIGHT, UP, *[RIGHT] * 11, 2]]
    assert [terminated for _, _, terminated, _, _ in steps] == [False] * 13 + [True]
    assert not any(truncated for _, _, _, truncated, _ in steps)
    assert sum(reward for _, reward, *_ in steps) == -100.0 - 13


def test_step_before_reset_or_after_the_end_and_unknown_actions_are_refused():
    world = DiscreteEnviroGym(CliffWalking())
    with pytest.raises(ConfigError, match="reset first"):
        world.step(0)
    world.reset(seed=0)
    with pytest.raises(ConfigError, match="from 0 to 3: got 4"):
        world.step(4)


def test_limit_comes_from_gymnasium():
    world = gym.wrappers.TimeLimit(DiscreteEnviroGym(CliffWalking()), 2)
    world.reset(seed=0)
    assert world.step(UP)[2:4] == (False, False)
    assert world.step(UP)[2:4] == (False, True)


def test_picture_shows_the_agent_where_it_is():
    world = DiscreteEnviroGym(CliffWalking(), render_mode="rgb_array")
    world.reset(seed=0)
    before = world.render()
    world.step(UP)
    assert (before != world.render()).any()
    assert DiscreteEnviroGym(CliffWalking()).render() is None
