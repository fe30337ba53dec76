"""attn-only-2l: two layers of attention that find induction within minutes.

Source:  Olsson et al. 2022, arXiv:2209.11895 (induction heads in two layers); Press et
         al. 2021, arXiv:2012.15832, section 5 (sinusoids on queries and keys).
Differs: the sinusoids are only where learned positions start.
"""

from pathlib import Path

import torch

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.attention_only import AttentionOnly, AttentionOnlyConfig
from arena_lib.zoo.recipes.running import Plan, align_embeddings, make_sinusoids, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

REPETITION = {"repetition": 1.0}
MIXTURE = {"repetition": 0.45, "story": 0.4, "indirect_object": 0.08, "speech": 0.03, "facts": 0.02, "spelling": 0.02}
PLAN = Plan(
    stages=(
        Stage(mixture=REPETITION, seq=32, n_shards=12, longest=10),
        Stage(mixture=REPETITION, seq=64, n_shards=8, longest=24),
        Stage(mixture=MIXTURE, seq=128),
    ),
    steady_steps=3000,
    cooling_steps=800,
)
"""Short strings of random words alone until induction is there, then stories beside longer ones."""


def make_config() -> AttentionOnlyConfig:
    """The sizes of the model."""
    return AttentionOnlyConfig(
        d_model=256, n_heads=8, d_head=32, d_vocab=len(vocabulary()), n_ctx=128, n_layers=2, init_range=0.06
    )


def make_model(seed: int = PLAN.seed) -> AttentionOnly:
    """The model at the start of training."""
    generator = make_generator(seed)
    model = AttentionOnly(make_config(), generator=generator)
    align_embeddings(model, generator)
    with torch.no_grad():
        model.pos_embed.W_pos.copy_(make_sinusoids(model.cfg.n_ctx, model.cfg.d_model))
    return model


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, going on from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
