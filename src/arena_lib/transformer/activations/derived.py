"""Activations that a forward pass need not make, because what it makes holds them.

Scores and patterns follow from q and k, a norm's scale and normalised input from the residual
stream, the heads' results from z, the neurons' outputs from their inputs. So caching "everything"
keeps references to what the pass made, and the rest is computed when someone looks. It is computed
during the pass after all where a hook sits on it, and where gradients are recorded, so that a
gradient can be taken with respect to it. The heads' results are large: they are computed during the
pass only if a filter names them, and `retain_grad` of others is refused.

Raises:  UnknownNameError for a filter that names no hook; ConfigError for `retain_grad` of a tensor that
         the pass didn't go through.
Source:  own derivation.
Differs: TransformerLens makes them during each pass.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from arena_lib.errors import ConfigError
from arena_lib.transformer.activations.hooks import HookedModel, HookPoint, NamesFilter
from arena_lib.transformer.scores import attention_scores

ON_DEMAND = ("hook_result", "hook_q_input", "hook_k_input", "hook_v_input", "hook_mlp_in")


@dataclass(frozen=True)
class Derivation:
    """How one name follows from others, and which points are made together with it if any of them is."""

    sources: tuple[HookPoint, ...]
    """Points whose tensors `compute` takes, in this order."""
    compute: Callable[..., Tensor]
    """A pure function or a module's method, so that copies of the model use their own."""
    group: tuple[HookPoint, ...]
    """If something is attached to one of these, all are made during the pass."""
    reads_padding: bool = False
    """Whether `compute` takes, after its sources, which keys each query sees (None where nothing is padded)."""


def find_derivations(model: Any) -> dict[str, Derivation]:
    """Every name of the model that follows from others."""
    derivations: dict[str, Derivation] = {}
    for block in model.blocks:
        attn = block.attn
        q, k = getattr(attn, "hook_rot_q", attn.hook_q), getattr(attn, "hook_rot_k", attn.hook_k)
        made_together = (attn.hook_attn_scores, attn.hook_pattern)
        derivations[attn.hook_attn_scores.name] = Derivation((q, k), attention_scores, made_together, True)
        derivations[attn.hook_pattern.name] = Derivation((q, k), attn.pattern, made_together, True)
        derivations[attn.hook_result.name] = Derivation((attn.hook_z,), attn.head_results, (attn.hook_result,))
        if hasattr(block, "mlp"):
            mlp = block.mlp
            inputs = (mlp.hook_pre, mlp.hook_pre_linear) if hasattr(mlp, "hook_pre_linear") else (mlp.hook_pre,)
            derivations[mlp.hook_post.name] = Derivation(inputs, mlp.activate, (mlp.hook_post,))
        derivations |= _derive_norm(block.ln1, block.hook_resid_pre)
        if hasattr(block, "ln2"):
            derivations |= _derive_norm(block.ln2, block.hook_resid_mid, block.hook_mlp_in)
    if len(model.blocks):
        derivations |= _derive_norm(model.ln_final, model.blocks[-1].hook_resid_post)
    return derivations


def _derive_norm(norm: Any, source: HookPoint, *others: HookPoint) -> dict[str, Derivation]:
    """Both points of a norm; with something attached to `others` its input may not be `source`'s tensor."""
    group = (norm.hook_scale, norm.hook_normalized, *others)
    return {
        norm.hook_scale.name: Derivation((source,), norm.scale, group),
        norm.hook_normalized.name: Derivation((source,), norm.normalized, group),
    }


@contextmanager
def record(
    model: Any, names_filter: NamesFilter, stored: dict[str, Tensor], *, all_in_pass: bool = False
) -> Iterator[list[str]]:
    """Let the points that `names_filter` picks, or those they follow from, put their tensors into `stored`.

    Yields the names asked for. With `all_in_pass` nothing is left to be made later.
    """
    wanted = _pick(model, names_filter)
    is_needed_in_pass = all_in_pass or (
        torch.is_grad_enabled() and (names_filter is not None or _records_gradients(model))
    )
    tapped: dict[str, HookPoint] = {}
    for point in wanted:
        rule = None if is_needed_in_pass else model.derivations.get(point.name)
        if rule is not None and all(other.is_idle for other in rule.group):
            tapped.update((source.name, source) for source in rule.sources)
        else:
            tapped[point.name] = point
    before = [(point, point.sink) for point in tapped.values()]
    try:
        for point in tapped.values():
            point.sink, point.is_idle = stored, False
        yield [point.name for point in wanted]
    finally:
        for point, sink in before:
            point.sink = sink
            point.refresh()


def _records_gradients(model: HookedModel) -> bool:
    """Whether a pass makes a graph: for a weight, or for what a hook may put in."""
    hooked = (point for point in model.hook_dict.values() if not point.is_idle)
    return any(weight.requires_grad for weight in model.parameters()) or next(hooked, None) is not None


def refuse_gradient(tensor: Tensor, advice: str) -> Tensor:
    """The tensor, whose `retain_grad` now says that no gradient will come: the pass didn't go through it."""
    if tensor.requires_grad:
        setattr(tensor, "retain_grad", partial(_refuse, advice))  # noqa: B010 -- a method of the class for mypy
    return tensor


def _refuse(advice: str) -> None:
    raise ConfigError(
        f"a gradient needs a tensor that the pass went through: got one that was made from the cache. {advice}"
    )


def _pick(model: HookedModel, names_filter: NamesFilter) -> list[HookPoint]:
    if names_filter is not None:
        return model.match_hooks(names_filter)
    return [point for point in model.hook_dict.values() if not (point.is_idle and point.name.endswith(ON_DEMAND))]
