import torch

from arena_lib.rl.ppo.policies import load_policy
from arena_lib.rl.training import make_config, make_trainer
from arena_lib.zoo.recipes.policies import ppo_cartpole


def test_the_recipe_is_what_arena_rl_train_does_with_its_settings(tmp_path):
    steps = ppo_cartpole.CONFIG.batch_size
    ppo_cartpole.train(tmp_path, steps=steps)
    trainer = make_trainer("ppo", make_config("ppo", {**ppo_cartpole.SETTINGS, "seed": 0, "total_timesteps": steps}))
    trainer.train()
    policy = load_policy(tmp_path / "model")
    assert all(
        torch.equal(weight, policy.actor.state_dict()[name]) for name, weight in trainer.actor.state_dict().items()
    )
