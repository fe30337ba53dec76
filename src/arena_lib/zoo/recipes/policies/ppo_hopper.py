"""ppo-hopper: a leg that learns to hop, in a million steps.

Source:  Erez et al. 2011 (the task, as MuJoCo and gymnasium have it); Schulman et al. 2017, arXiv:1707.06347, table 3
         (settings for MuJoCo, which are the study `ppo-hopper`'s).
"""

from pathlib import Path
from typing import Any

from arena_lib.rl.ppo.continuous import PPOContinuousConfig, PPOTrainerCts
from arena_lib.zoo.recipes.policies.running import run_recipe

DESCRIPTION = (
    "PPO for continuous actions in MuJoCo's Hopper-v5: two small perceptrons, eleven normalised numbers in, three "
    "torques out. It hops."
)
"""For the card."""
SETTINGS: dict[str, Any] = {"env_id": "Hopper-v5"}
"""All others are the paper's, the defaults of PPOContinuousConfig: a million steps."""
CONFIG = PPOContinuousConfig(seed=0, **SETTINGS)


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return what the finished policy reaches."""
    return run_recipe(PPOTrainerCts, CONFIG, folder, steps=steps, device=device, resume=resume)
