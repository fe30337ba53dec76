"""ppo-cartpole: a pole balanced on a cart, learned in 100,000 steps.

Source:  Barto et al. 1983 (the task); Schulman et al. 2017, arXiv:1707.06347 (the algorithm); the settings are those of
         the study `ppo-cartpole`.
"""

from pathlib import Path
from typing import Any

from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from arena_lib.zoo.recipes.policies.running import run_recipe

DESCRIPTION = (
    "PPO in CartPole-v1: two small perceptrons, four numbers in, two actions out. It balances the pole to the end of "
    "every episode, and trains again within a minute."
)
"""For the card."""
SETTINGS: dict[str, Any] = {
    "env_id": "CartPole-v1",
    "total_timesteps": 100_000,
    "n_envs": 8,
    "n_steps": 32,
    "n_minibatches": 1,
    "n_epochs": 20,
    "lr": 1e-3,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "ent_coef": 0.0,
}
CONFIG = PPOConfig(seed=0, **SETTINGS)


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return what the finished policy reaches."""
    return run_recipe(PPOTrainer, CONFIG, folder, steps=steps, device=device, resume=resume)
