import pytest
from gymnasium.utils.env_checker import check_env

from arena_lib.errors import ConfigError
from arena_lib.rl.environments import CountingEnv, make_env


def test_it_counts_and_ends_in_two_ways_by_turns():
    env = CountingEnv((1, 2))
    assert env.reset(seed=0)[0] == [0]
    assert env.step(0)[:4] == ([1], 1.0, True, False)
    assert env.reset()[0] == [100]
    assert env.step(1)[:4] == ([101], 1.0, False, False)
    assert env.step(1)[:4] == ([102], 1.0, False, True)
    assert env.reset()[0] == [200]
    assert env.reset(seed=0)[0] == [0]


@pytest.mark.parametrize("is_continuous", [False, True])
def test_it_keeps_gymnasiums_contract(is_continuous):
    env = CountingEnv(is_continuous=is_continuous)
    check_env(make_env(lambda: env), skip_render_check=True)


@pytest.mark.parametrize("lengths", [(), (0,), (3, 100)])
def test_lengths_that_would_not_show_are_refused(lengths):
    with pytest.raises(ConfigError, match="lengths must be one or more numbers from 1 to 99"):
        CountingEnv(lengths)
