"""attn-only-2l: two layers of attention that find induction within minutes.

Source:  Olsson et al. 2022, arXiv:2209.11895 (induction heads in two layers); Press et
         al. 2021, arXiv:2012.15832, section 5 (positions on queries and keys).
Differs: embeddings start large and everything else small, and unlike in the other recipes W_U
         does not start aligned: with it both layers learn at once to copy any earlier word, and
         then the first has no heads left to look one token back.
"""

from pathlib import Path

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.zoo.recipes.running import Plan, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

DESCRIPTION = (
    "Two layers of attention alone, positions on queries and keys only. Its heads repeat random strings by "
    "induction: the smallest model in which a circuit of two heads can be taken apart."
)
"""For the card."""
MIXTURE = {"repetition": 0.5, "story": 0.4, "indirect_object": 0.06, "speech": 0.03, "facts": 0.02, "spelling": 0.01}
PLAN = Plan(
    stages=(
        Stage(mixture={"repetition": 1.0}, seq=64, n_shards=10, longest=32),
        Stage(mixture=MIXTURE, seq=128),
    ),
    steady_steps=1000,
    cooling_steps=250,
    batch_tokens=4096,
)
"""Strings of random words alone until induction is there, then stories beside longer ones."""
EMBEDDING_STD = 0.5
"""Of token and position embeddings at the start."""


def make_config() -> AttentionOnlyConfig:
    """The sizes of the model."""
    return AttentionOnlyConfig(d_model=256, n_heads=8, d_head=32, d_vocab=len(vocabulary()), n_ctx=128, n_layers=2)


def make_model(seed: int = PLAN.seed) -> AttentionOnly:
    """The model at the start of training."""
    generator = make_generator(seed)
    model = AttentionOnly(make_config(), generator=generator)
    with torch.no_grad():
        model.embed.W_E.normal_(0.0, EMBEDDING_STD, generator=generator)
        model.pos_embed.W_pos.normal_(0.0, EMBEDDING_STD, generator=generator)
    return model


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, going on from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
