from arena_lib.rl.ppo.policies import load_policy
from arena_lib.zoo.recipes.policies import ppo_minatar_breakout


def test_a_shortened_recipe_writes_a_policy_for_pictures(tmp_path):
    figures = ppo_minatar_breakout.train(tmp_path, steps=ppo_minatar_breakout.CONFIG.batch_size)
    policy = load_policy(tmp_path / "model")
    assert policy.env_id == "MinAtar/Breakout-v1"
    assert (policy.config.obs_shape, policy.config.n_actions) == ((4, 10, 10), 3)
    assert 0 <= figures["random_mean_return"] < 3
