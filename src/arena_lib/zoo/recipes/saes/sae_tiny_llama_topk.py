"""sae-tiny-llama-topk: 1,024 latents after layer 2 of tiny-llama, 8 of them active at a time.

It takes two and a half minutes on one core.

Source:  Gao et al. 2024, arXiv:2406.04093 (TopK with the auxiliary loss); the settings are ours.
"""

from pathlib import Path

from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.zoo.recipes.saes.running import SAERecipe, run_recipe

DESCRIPTION = (
    "A TopK autoencoder with 1,024 latents for the residual stream after layer 2 of tiny-llama, where 8 latents stand for "
    "the 128 numbers of each token."
)
"""For the card."""
RECIPE = SAERecipe(
    model="tiny-llama",
    hook="blocks.2.hook_resid_post",
    variant="topk",
    d_sae=1024,
    settings={"k": 8},
    training=SAETrainingConfig(n_steps=3000, log_every=50),
)


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return what the finished autoencoder reaches."""
    return run_recipe(RECIPE, folder, steps=steps, device=device, resume=resume)
