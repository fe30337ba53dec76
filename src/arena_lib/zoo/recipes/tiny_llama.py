"""tiny-llama: four layers in Llama's form that read Storyworld, with rotary positions.

Source:  the form: Touvron et al. 2023, arXiv:2302.13971; the recipe is ours.
Differs: rotary base 1000, as rows are short; embeddings are not tied, but start aligned.
"""

from pathlib import Path

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.zoo.recipes.running import Plan, align_embeddings, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

DESCRIPTION = (
    "Four layers in Llama's form (RMSNorm, rotary positions, grouped queries, gated MLP) that speak "
    "Storyworld: it knows whom something is given to, repeats random strings by induction, and infers from a "
    "list which rule it follows."
)
"""For the card."""
EVERYTHING = {
    "repetition": 0.40,
    "story": 0.25,
    "indirect_object": 0.25,
    "holders": 0.18,
    "adjectives": 0.10,
    "countries": 0.05,
    "speech": 0.02,
    "facts": 0.02,
    "spelling": 0.01,
}
LATER = {
    "repetition": 0.14,
    "story": 0.28,
    "indirect_object": 0.26,
    "holders": 0.22,
    "adjectives": 0.06,
    "countries": 0.03,
    "speech": 0.01,
    "facts": 0.01,
    "spelling": 0.01,
}
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
        Stage(mixture=LATER, seq=128, n_shards=74),
        Stage(mixture=COMPANIONS, seq=128, n_shards=23),
        Stage(mixture=COMPANIONS, seq=128, n_shards=23, answers_every=2),
        Stage(mixture={**COMPANIONS, "company": 0.25}, seq=128, n_shards=12, answers_every=2),
        Stage(mixture={**COMPANIONS, "company": 0.15, "elsewhere": 0.25}, seq=128, answers_every=2),
    ),
    steady_steps=13500,
    cooling_steps=1500,
)
"""Short repeated strings first, then everything in short rows, then in long ones, then mostly whom things go to.

From there on every second batch counts the answers about people alone: among all other tokens the one
that tells the giver from the companion is too rare for a model of this size to learn in so few updates.
"""


def make_config() -> LlamaConfig:
    """The sizes of the model."""
    return LlamaConfig(
        d_model=128,
        n_heads=4,
        n_kv_heads=2,
        d_head=32,
        d_mlp=384,
        d_vocab=len(vocabulary()),
        n_ctx=128,
        n_layers=4,
        rope_theta=1000.0,
        init_range=0.08,
        tie_embeddings=False,
    )


def make_model(seed: int = PLAN.seed) -> Llama:
    """The model at the start of training."""
    generator = make_generator(seed)
    model = Llama(make_config(), generator=generator)
    align_embeddings(model, generator)
    return model


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, going on from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
