from arena_lib.rl.ppo.policies import PPOPolicyCts, load_policy
from arena_lib.zoo.recipes.policies import ppo_hopper


def test_a_shortened_recipe_writes_a_policy_with_its_moments(tmp_path):
    steps = ppo_hopper.CONFIG.batch_size
    ppo_hopper.train(tmp_path, steps=steps)
    policy = load_policy(tmp_path / "model")
    assert isinstance(policy, PPOPolicyCts)
    assert (policy.env_id, policy.config.low, policy.config.high) == ("Hopper-v5", (-1.0,) * 3, (1.0,) * 3)
    assert policy.config.obs_moments.count > steps
