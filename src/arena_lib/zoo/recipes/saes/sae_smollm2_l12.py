"""sae-smollm2-l12: 4,608 latents after layer 12 of SmolLM2, 32 of them active at a time.

It needs `arena zoo fetch smollm2` and `arena zoo fetch sae-probes`. The activations of a row's first token, and of the
token that stands between texts, are a hundred times as long as any other, so both are left out.

Source:  Gao et al. 2024, arXiv:2406.04093 (TopK with the auxiliary loss); Sun et al. 2024, arXiv:2402.17762 (activations
         of unusual size at a first token); the settings are ours.
"""

from pathlib import Path

from arena_lib.saes.training.config import SAETrainingConfig
from arena_lib.saes.training.store import StoreConfig
from arena_lib.zoo.recipes.saes.running import SAERecipe, run_recipe

DESCRIPTION = (
    "A TopK autoencoder with 4,608 latents for the residual stream after layer 12 of SmolLM2, where 32 latents stand for the "
    "576 numbers of each token. It is trained on your machine, on the texts of sae-probes: few and short, so it is a "
    "small autoencoder to learn with, not one to do research on."
)
"""For the card."""
END_OF_TEXT = 0
"""The token <|endoftext|> of SmolLM2."""
RECIPE = SAERecipe(
    model="smollm2",
    hook="blocks.12.hook_resid_post",
    variant="topk",
    d_sae=4608,
    settings={"k": 32},
    training=SAETrainingConfig(n_steps=400, warmup=20, dead_window=60, log_every=20, checkpoint_every=100),
    store=StoreConfig(skip_first=True, skip_tokens=(END_OF_TEXT,)),
    texts=(
        "truth-science",
        "truth-misconceptions",
        "truth-commonsense",
        "places",
        "historical-figures",
        "sentiment",
        "spam",
        "grammar",
    ),
    evaluation_rows=32,
)


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return what the finished autoencoder reaches."""
    return run_recipe(RECIPE, folder, steps=steps, device=device, resume=resume)
