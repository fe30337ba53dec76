"""tiny-gpt: four layers in GPT-2's form that read Storyworld.

Source:  the form: Radford et al. 2019, "Language models are unsupervised multitask learners"; the recipe is ours.
Differs: learned positions start as sinusoids; embeddings are not tied, but start aligned.
"""

from pathlib import Path

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.zoo.recipes.reading import PLAN
from arena_lib.zoo.recipes.running import align_embeddings, make_sinusoids, run_recipe

DESCRIPTION = (
    "Four layers in GPT-2's form that speak Storyworld: it knows whom something is given to, tells stories, "
    "and loads into the classes that learners write in section 1.1."
)
"""For the card."""
POSITION_SCALE = 0.3


def make_config() -> GPT2Config:
    """The sizes of the model."""
    return GPT2Config(
        d_model=128, n_heads=4, d_head=32, d_mlp=512, d_vocab=len(vocabulary()), n_ctx=128, n_layers=4, init_range=0.08
    )


def make_model(seed: int = PLAN.seed) -> GPT2:
    """The model at the start of training."""
    generator = make_generator(seed)
    model = GPT2(make_config(), generator=generator)
    align_embeddings(model, generator)
    with torch.no_grad():
        model.pos_embed.W_pos.copy_(POSITION_SCALE * make_sinusoids(model.cfg.n_ctx, model.cfg.d_model))
    return model


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
