"""attn-only-2l: two layers of attention that find induction within minutes.

Source:  Olsson et al. 2022, arXiv:2209.11895 (induction heads in two layers); Press et
         al. 2021, arXiv:2012.15832, section 5 (sinusoids on queries and keys).
Differs: the sinusoids are evenly spaced and only where learned positions start; heads of
         the first layer start looking one token back, half of the circuit, as two layers
         alone have few ways to find both halves at once.
"""

import math
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.core.seeds import make_generator
from arena_lib.storyworld import vocabulary
from arena_lib.transformer.fast.attention_only import Attention, AttentionOnly, AttentionOnlyConfig
from arena_lib.zoo.recipes.running import Plan, align_embeddings, run_recipe
from arena_lib.zoo.recipes.story_batches import Stage

MIXTURE = {"repetition": 0.6, "story": 0.3, "indirect_object": 0.06, "speech": 0.03, "facts": 0.02, "spelling": 0.01}
PLAN = Plan(
    stages=(
        Stage(mixture={"repetition": 1.0}, seq=32, n_shards=10, longest=10),
        Stage(mixture=MIXTURE, seq=64, n_shards=20, longest=24),
        Stage(mixture=MIXTURE, seq=128),
    ),
    steady_steps=4000,
    cooling_steps=1000,
)
"""Short strings of random words first, then stories beside longer ones."""


def make_config() -> AttentionOnlyConfig:
    """The sizes of the model."""
    return AttentionOnlyConfig(
        d_model=256, n_heads=8, d_head=32, d_vocab=len(vocabulary()), n_ctx=128, n_layers=2, init_range=0.06
    )


def make_model(seed: int = PLAN.seed) -> AttentionOnly:
    """The model at the start of training."""
    generator = make_generator(seed)
    model = AttentionOnly(make_config(), generator=generator)
    align_embeddings(model, generator, scale=0.1)
    waves, step = make_waves(model.cfg.n_ctx, model.cfg.d_model)
    first = cast(Attention, model.blocks[0].attn)
    d_q = model.cfg.n_heads * model.cfg.d_head
    with torch.no_grad():
        model.pos_embed.W_pos.copy_(waves)
        first.W_QKV[:, d_q : 2 * d_q] = step @ first.W_QKV[:, :d_q]
    return model


def make_waves(n_ctx: int, d_model: int) -> tuple[Float[Tensor, "n_ctx d_model"], Float[Tensor, "d_model d_model"]]:
    """Positions as sines and cosines of evenly spaced frequencies, and the rotation that takes each to the next.

    Evenly spaced, waves of different positions are all but orthogonal. With W_K = step W_Q the keys
    of a position match the queries of the next: heads begin by looking, softly, one token back.
    """
    frequencies = math.pi * (torch.arange(d_model // 2) + 0.5) / (d_model // 2)
    angles = torch.arange(n_ctx)[:, None] * frequencies
    cos, sin = frequencies.cos().diag(), frequencies.sin().diag()
    step = torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
    return torch.cat([angles.sin(), angles.cos()], dim=-1), step


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, going on from a checkpoint there, and return the finished model's figures."""
    return run_recipe(make_model().to(device), PLAN, folder, steps=steps, resume=resume)
