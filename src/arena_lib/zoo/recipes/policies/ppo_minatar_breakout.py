"""ppo-minatar-breakout: Breakout from small pictures, learned in 150,000 steps.

Source:  Young and Tian 2019, arXiv:1903.03176 (the game and the network); Schulman et al. 2017, arXiv:1707.06347 (the
         algorithm); the settings are those of the study `ppo-minatar-breakout`.
"""

from pathlib import Path
from typing import Any

from arena_lib.rl.ppo.discrete import PPOConfig, PPOTrainer
from arena_lib.zoo.recipes.policies.running import run_recipe

DESCRIPTION = (
    "PPO in MinAtar's Breakout: a convolution and two linear layers see a 10 x 10 picture with a plane for each kind of "
    "thing, and choose among three actions. It plays far better than chance, and far from perfectly: it has seen 150,000 "
    "steps, where MinAtar's paper trains for five million frames."
)
"""For the card."""
SETTINGS: dict[str, Any] = {
    "env_id": "MinAtar/Breakout-v1",
    "total_timesteps": 150_000,
    "n_envs": 8,
    "n_steps": 128,
    "n_minibatches": 8,
    "n_epochs": 4,
    "lr": 1e-3,
}
CONFIG = PPOConfig(seed=0, **SETTINGS)


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return what the finished policy reaches."""
    return run_recipe(PPOTrainer, CONFIG, folder, steps=steps, device=device, resume=resume)
