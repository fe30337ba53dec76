"""attn-only-2l: two layers of attention that find induction within minutes.

Left alone, both layers learn at once to copy any earlier word; then the first has no heads left
to look one token back, and induction is not found for a long time. So the first layer starts with
heads that look one token back, and for the first updates only the rest of the model is trained.

Source:  Olsson et al. 2022, arXiv:2209.11895 (induction heads in two layers); Press et
         al. 2021, arXiv:2012.15832, section 5 (sinusoids on queries and keys).
Differs: the sinusoids are evenly spaced and only where learned positions start.
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
from arena_lib.zoo.recipes.running import Plan, align_embeddings, run_recipe, train_steadily
from arena_lib.zoo.recipes.story_batches import Stage

DESCRIPTION = (
    "Two layers of attention alone, positions on queries and keys only. Its heads repeat random strings by "
    "induction: the smallest model in which a circuit of two heads can be taken apart. "
    "The first layer was set up to look one token back and held so for its first 2000 updates: that head was given, "
    "the induction head was learned."
)
"""For the card."""
STRINGS = Stage(mixture={"repetition": 1.0}, seq=64, longest=24)
MIXTURE = {"repetition": 0.5, "story": 0.4, "indirect_object": 0.06, "speech": 0.03, "facts": 0.02, "spelling": 0.01}
FROZEN_PLAN = Plan(stages=(STRINGS,), steady_steps=2000, cooling_steps=1, seed=1)
"""Strings of random words while the first layer is as it started."""
PLAN = Plan(stages=(Stage(mixture=MIXTURE, seq=128),), steady_steps=1500, cooling_steps=500)
"""Stories beside longer strings, all weights trained."""
FROZEN_FOLDER = "frozen"
WAVE_SIZE = 1.5
"""Amplitude of the positions at the start: so large that heads of the first layer look at one token."""


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
        model.pos_embed.W_pos.copy_(WAVE_SIZE * waves)
        first.W_QKV[:, d_q : 2 * d_q] = step @ first.W_QKV[:, :d_q]
    return model


def make_waves(n_ctx: int, d_model: int) -> tuple[Float[Tensor, "n_ctx d_model"], Float[Tensor, "d_model d_model"]]:
    """Positions as sines and cosines of evenly spaced frequencies, and the rotation that takes each to the next.

    Evenly spaced, waves of different positions are all but orthogonal. With W_K = step W_Q the keys
    of a position match the queries of the next.
    """
    frequencies = math.pi * (torch.arange(d_model // 2) + 0.5) / (d_model // 2)
    angles = torch.arange(n_ctx)[:, None] * frequencies
    cos, sin = frequencies.cos().diag(), frequencies.sin().diag()
    step = torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
    return torch.cat([angles.sin(), angles.cos()], dim=-1), step


def freeze_first_layer(model: AttentionOnly, *, is_frozen: bool) -> None:
    """Hold the first layer and the positions as they are, or let them be trained."""
    for parameter in (*model.blocks[0].parameters(), *model.pos_embed.parameters()):
        parameter.requires_grad_(not is_frozen)


def train(folder: Path | str, steps: int | None = None, device: str = "cpu", resume: bool = True) -> dict[str, float]:
    """Train into `folder`, resuming from a checkpoint there, and return the finished model's figures."""
    model = make_model().to(device)
    train_frozen(model, Path(folder), steps=steps, resume=resume)
    return run_recipe(model, PLAN, folder, steps=steps, resume=resume)


def train_frozen(model: AttentionOnly, folder: Path, *, steps: int | None = None, resume: bool = True) -> None:
    """The first part of the run: all but the first layer."""
    freeze_first_layer(model, is_frozen=True)
    plan = FROZEN_PLAN if steps is None else FROZEN_PLAN.shortened(steps)
    train_steadily(model, plan, folder / FROZEN_FOLDER, resume=resume)
    freeze_first_layer(model, is_frozen=False)
