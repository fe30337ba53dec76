"""tiny-llama: four layers in Llama's form that read Storyworld, with rotary positions.

Source:  the form: Touvron et al. 2023, arXiv:2302.13971; the recipe is ours.
Differs: rotary base 1000, as rows are short; embeddings are not tied, but start aligned.
"""

from dataclasses import replace
from pathlib import Path

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.llama import Llama, LlamaConfig
from arena_lib.zoo.recipes.reading import PLAN as READING
from arena_lib.zoo.recipes.running import align_embeddings, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

DESCRIPTION = (
    "Four layers in Llama's form (RMSNorm, rotary positions, grouped queries, gated MLP) that speak "
    "Storyworld: it knows whom something is given to, repeats random strings by induction, and infers from a "
    "list which rule it follows."
)
"""For the card."""
LISTS = {
    "repetition": 0.11,
    "story": 0.15,
    "indirect_object": 0.25,
    "nicknames": 0.03,
    "company": 0.06,
    "holders": 0.11,
    "adjectives": 0.24,
    "countries": 0.02,
    "speech": 0.01,
    "facts": 0.01,
    "spelling": 0.01,
}
PLAN = replace(
    READING,
    stages=(
        *READING.stages[:-1],
        replace(READING.stages[-1], n_shards=78),
        Stage(mixture=LISTS, seq=128, answers_every=3),
    ),
    steady_steps=39_500,
)
"""As tiny-gpt, and then more lists: with rotary positions opposites were still confused with repetitions."""


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
    """Train into `folder`, resuming from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
