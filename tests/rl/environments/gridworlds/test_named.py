import pytest

from arena_lib.rl.environments.gridworlds import DiscreteEnviroGym
from arena_lib.rl.environments.making import GRIDWORLDS, make_env, make_vector_env


@pytest.mark.parametrize("env_id", sorted(GRIDWORLDS))
def test_every_gridworld_is_made_by_its_id_and_draws_itself(env_id):
    env = make_env(env_id, render_mode="rgb_array")
    assert isinstance(env.unwrapped, DiscreteEnviroGym)
    assert env_id == f"arena/{type(env.unwrapped.env).__name__}-v0"
    env.reset(seed=0)
    assert env.render().shape == (48 * len(env.unwrapped.env.rows), 48 * len(env.unwrapped.env.rows[0]), 3)


def test_worlds_without_an_end_of_their_own_have_a_limit():
    env = make_env("arena/CliffWalking-v0")
    env.reset(seed=0)
    steps = [env.step(0) for _ in range(1000)]
    assert [truncated for *_, truncated, _ in steps] == [False] * 999 + [True]


def test_gridworlds_step_together():
    envs = make_vector_env("arena/FrozenLake-v0", 3)
    observations, _ = envs.reset(seed=0)
    assert observations.tolist() == [0, 0, 0]
