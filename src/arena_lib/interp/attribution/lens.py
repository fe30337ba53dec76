"""The logit lens: what the model would say if it stopped after each layer.

The final norm and the unembedding are applied to the stream as it enters each block. In many models the
answer takes shape gradually, and this shows where; it shows nothing that is written in another form.

Shapes:  logits "layer batch d_vocab", one layer more than the model has blocks: the last is the output.
Raises:  ShapeError for a position outside, or targets that aren't one for each prompt.
Source:  nostalgebraist 2020, "Interpreting GPT: the logit lens"; Belrose et al. 2023, arXiv:2303.08112, section 2.
Differs: no translator is trained: the plain lens.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ShapeError
from arena_lib.interp.attribution.direct import accumulated_residual
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import Answers
from arena_lib.wording import counted


@dataclass(frozen=True)
class TargetByLayer:
    """How a target token stands in each layer's lens."""

    labels: list[str]
    """"into L0" ... "final"."""
    logprobs: Float[Tensor, "layer batch"]
    """In nats."""
    ranks: Int[Tensor, "layer batch"]
    """How many tokens have a larger logit: 0 for the likeliest."""


@torch.no_grad()
def logit_lens(
    model: Any, tokens: Int[Tensor, "batch seq"], *, position: int = -1
) -> tuple[Float[Tensor, "layer batch d_vocab"], list[str]]:
    """Logits at one position from the stream as it enters each block, and as it leaves the last; and labels."""
    lm = hooked(model)
    columns = lm.find_columns(tokens.shape, position)
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(lm.n_layers)]
    _, cache = lm.run_with_cache(tokens, [*names, f"blocks.{lm.n_layers - 1}.hook_resid_post"])
    stack, labels = accumulated_residual(lm, cache)
    return lm.unembed(stack[:, torch.arange(len(tokens), device=lm.device), columns]), labels


@torch.no_grad()
def track_target(
    model: Any, tokens: Int[Tensor, "batch seq"], targets: Answers, *, position: int = -1
) -> TargetByLayer:
    """Log-probability and rank of each prompt's target, ids or texts, in the logit lens of every layer."""
    ids = hooked(model).answer_ids(targets, len(tokens))
    if ids.shape != tokens.shape[:1]:
        raise ShapeError(
            f"targets must be one token for each of {counted(tokens.shape[0], 'prompt')}: got shape {tuple(ids.shape)}. "
            "Give one token id for each prompt."
        )
    logits, labels = logit_lens(model, tokens, position=position)
    logits = at_least_float32(logits)
    own = logits.gather(-1, ids.expand(len(labels), -1)[..., None])
    return TargetByLayer(
        labels=labels,
        logprobs=(own - logits.logsumexp(dim=-1, keepdim=True))[..., 0],
        ranks=(logits > own).sum(dim=-1),
    )
