"""Inference-time intervention: shift a few heads, those that know the truth best, while the model answers.

A probe on each head's output says which heads tell true statements from false ones. The best of them are
shifted along their own truth direction at every token, by a number of standard deviations of what they
usually say along it. So each head is moved on its own scale, and most of the model is left alone.

    acts = extract_head_outputs(statements, model, tokenizer)
    shifts = find_head_shifts(acts, labels, is_train, n_heads_kept=8)
    hooked(model).run(tokens, make_shift_hooks(shifts, strength=10.0))

Shapes:  statements -> head outputs z "n_statements n_layers n_heads d_head"
Raises:  ConfigError for a model without the hook interface, labels of one class, more heads than there are, or
         no statements on a side of the split; ShapeError for labels that don't fit.
Source:  Li et al. 2023, arXiv:2306.03341, section 3 (equation 2; mass-mean shift, section 4).
Differs: heads are ranked by a difference-of-means classifier instead of logistic regression, since its
         direction is the one that is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import einops
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import Head
from arena_lib.interp.probes.extraction import tokenize
from arena_lib.interp.probes.mean_difference import split_by_label
from arena_lib.transformer.activations.hooks import HookSpec


@dataclass(frozen=True, kw_only=True)
class HeadShift:
    """How one head is to be moved."""

    head: Head
    """(layer, head)."""
    direction: Float[Tensor, " d_head"]
    """From the mean of the false to the mean of the true, of length 1."""
    deviation: float
    """Standard deviation of the head's output along it, over the training statements."""
    accuracy: float
    """Share of held-out statements that the head's own classifier gets right."""


def extract_head_outputs(
    statements: list[str], model: Any, tokenizer: Any, batch_size: int = 16
) -> Float[Tensor, "n_statements n_layers n_heads d_head"]:
    """Every head's output z at each statement's last token, for a model with hooks."""
    if not statements:
        raise ConfigError("extract_head_outputs needs at least one statement: got none. Pass a list of texts.")
    lm = hooked(model)
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    rows = []
    for start in range(0, len(statements), batch_size):
        tokens, mask = tokenize(statements[start : start + batch_size], tokenizer)
        with torch.no_grad():
            _, cache = lm.run_with_cache(tokens.to(lm.device), lambda name: name in names)
        last = (mask.sum(dim=1) - 1).to(lm.device)
        rows.append(torch.stack([cache[name][torch.arange(len(last)), last] for name in names], dim=1))
    return torch.cat(rows)


def find_head_shifts(
    acts: Float[Tensor, "n_statements n_layers n_heads d_head"],
    labels: Int[Tensor, " n_statements"] | Bool[Tensor, " n_statements"],
    is_train: Bool[Tensor, " n_statements"],
    n_heads_kept: int,
) -> list[HeadShift]:
    """The heads that tell held-out statements apart best, with the shift of each, best first.

    Directions, thresholds (halfway between the means) and deviations are those of the training statements.
    """
    _, n_layers, n_heads, _ = acts.shape
    if not 1 <= n_heads_kept <= n_layers * n_heads:
        raise ConfigError(
            f"n_heads_kept must be between 1 and {n_layers * n_heads}, the model's heads: got {n_heads_kept}."
        )
    if not is_train.any() or is_train.all():
        raise ConfigError("is_train must leave statements on both sides: got all of them on one.")
    flat = einops.rearrange(acts, "batch n_layers n_heads d_head -> batch (n_layers n_heads) d_head")
    true, false = split_by_label(flat[is_train].flatten(1), labels[is_train])
    mean_true, mean_false = (rows.mean(dim=0).reshape(flat.shape[1:]) for rows in (true, false))
    direction = torch.nn.functional.normalize(mean_true - mean_false, dim=-1)
    along = einops.einsum(
        flat - (mean_true + mean_false) / 2, direction, "batch head d_head, head d_head -> batch head"
    )
    is_right = (along[~is_train] > 0) == (labels[~is_train] == 1)[:, None]
    accuracy = is_right.double().mean(dim=0)
    best = accuracy.argsort(descending=True, stable=True)[:n_heads_kept].tolist()
    deviation = along[is_train].std(dim=0, correction=0)
    return [
        HeadShift(
            head=divmod(i, n_heads),
            direction=direction[i],
            deviation=deviation[i].item(),
            accuracy=accuracy[i].item(),
        )
        for i in best
    ]


def make_shift_hooks(shifts: Sequence[HeadShift], strength: float) -> list[HookSpec]:
    """Hooks that add `strength` standard deviations of its direction to each head's output, at every token."""
    by_layer: dict[int, list[HeadShift]] = {}
    for shift in shifts:
        by_layer.setdefault(shift.head[0], []).append(shift)

    def make(of_layer: list[HeadShift]) -> Any:
        def add(z: Float[Tensor, "batch seq n_heads d_head"], hook: Any) -> Tensor:
            z = z.clone()
            for shift in of_layer:
                z[:, :, shift.head[1]] += (strength * shift.deviation * shift.direction).to(z)
            return z

        return add

    return [(f"blocks.{layer}.attn.hook_z", make(of_layer)) for layer, of_layer in by_layer.items()]
