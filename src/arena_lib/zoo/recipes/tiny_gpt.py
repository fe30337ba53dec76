"""tiny-gpt: four layers in GPT-2's form that read Storyworld.

Source:  the form: Radford et al. 2019, "Language models are unsupervised multitask learners"; the recipe is ours.
Differs: learned positions start as sinusoids; embeddings are not tied, but start aligned.
"""

from pathlib import Path

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.gpt2 import GPT2, GPT2Config
from arena_lib.zoo.recipes.running import Plan, align_embeddings, make_sinusoids, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

DESCRIPTION = (
    "Four layers in GPT-2's form that speak Storyworld: it knows whom something is given to, tells stories, "
    "and loads into the classes that learners write in section 1.1."
)
"""For the card."""
EVERYTHING = {
    "repetition": 0.25,
    "story": 0.30,
    "indirect_object": 0.25,
    "holders": 0.18,
    "adjectives": 0.10,
    "countries": 0.05,
    "speech": 0.02,
    "facts": 0.02,
    "spelling": 0.01,
}
LATER = {**EVERYTHING, "repetition": 0.08, "indirect_object": 0.26, "adjectives": 0.06, "countries": 0.03}
COMPANIONS = {
    "repetition": 0.08,
    "story": 0.22,
    "indirect_object": 0.45,
    "holders": 0.22,
    "adjectives": 0.04,
    "countries": 0.02,
    "speech": 0.01,
    "facts": 0.01,
    "spelling": 0.01,
}
PLAN = Plan(
    stages=(
        Stage(mixture={"repetition": 1.0}, seq=32, n_shards=12, longest=10),
        Stage(mixture=EVERYTHING, seq=64, n_shards=36, longest=24),
        Stage(mixture=LATER, seq=128, n_shards=54),
        Stage(mixture=COMPANIONS, seq=128, n_shards=24),
        Stage(mixture=COMPANIONS, seq=128, n_shards=70, answers_every=2),
        Stage(mixture={**COMPANIONS, "company": 0.25}, seq=128, n_shards=15, answers_every=2),
        Stage(mixture={**COMPANIONS, "company": 0.15, "elsewhere": 0.25}, seq=128, answers_every=2),
    ),
    steady_steps=15500,
    cooling_steps=1500,
)
"""Short repeated strings first, then everything in short rows, then in long ones, then mostly whom things go to.

From there on every second batch counts the answers about people alone: among all other tokens the one
that tells the giver from the companion is too rare for a model of this size to learn in so few updates.
"""
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
    """Train into `folder`, going on from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
