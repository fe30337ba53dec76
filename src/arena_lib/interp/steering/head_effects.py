"""Function vectors by hooks, on every model that `hooked` takes; faster than the traces of `function_vectors.py`.

Prompts are tokens of equal length here. Each layer is resumed from the residual stream that enters it, all
its heads as one batch, and after the last attention only the last position goes on.

Shapes:  tokens "batch seq" -> mean z "n_layers n_heads d_head", effects "n_layers n_heads", vector "d_model".
Raises:  UnknownNameError for a layer or head that isn't there; ShapeError for answers that don't fit the prompts;
         TokenError for an answer as text that isn't one token.
Source:  Todd et al. 2023, arXiv:2310.15213, sections 2.2 to 2.4.
Differs: as in `function_vectors.py`; the two are held equal by a test.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import einops
import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ShapeError
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import Answers, Head
from arena_lib.transformer.activations.hooks import HookSpec
from arena_lib.wording import counted


def compute_mean_z(model: Any, tokens: Int[Tensor, "batch seq"]) -> Float[Tensor, "n_layers n_heads d_head"]:
    """Each head's z at the last position, averaged over the prompts."""
    lm = hooked(model)
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(lm.n_layers)]
    with torch.no_grad():
        _, cache = lm.run_with_cache(tokens, names)
    return torch.stack([cache[name][:, -1].mean(dim=0) for name in names])


@torch.no_grad()
def compute_answer_logprobs(
    model: Any, tokens: Int[Tensor, "batch seq"], answers: Answers, fwd_hooks: Iterable[HookSpec] = ()
) -> Float[Tensor, " batch"]:
    """The log-probability, in nats, of each prompt's answer after its last token, with these hooks attached."""
    lm = hooked(model)
    ids = lm.answer_ids(answers, len(tokens))
    check_answers(tokens, ids)
    return _pick(lm.run(tokens, fwd_hooks), ids)


@torch.no_grad()
def compute_head_effects(
    model: Any,
    corrupted_tokens: Int[Tensor, "batch seq"],
    answers: Answers,
    mean_z: Float[Tensor, "n_layers n_heads d_head"],
    *,
    layers: Sequence[int] | None = None,
) -> Float[Tensor, "n_chosen n_heads"]:
    """For each head the mean gain in the answer's log-probability when its z at the last position becomes its mean."""
    lm = hooked(model)
    ids = lm.answer_ids(answers, len(corrupted_tokens))
    check_answers(corrupted_tokens, ids)
    chosen = [lm.check_layer(layer) for layer in (range(lm.n_layers) if layers is None else layers)]
    logits, cache = lm.run_with_cache(corrupted_tokens, [f"blocks.{layer}.hook_resid_pre" for layer in chosen])
    before = _pick(logits, ids)
    effects = []
    for layer in chosen:
        resid = einops.repeat(cache["resid_pre", layer], "batch ... -> (head batch) ...", head=lm.n_heads)

        def set_one_head_each(z: Tensor, hook: Any, layer: int = layer) -> Tensor:
            by_head = einops.rearrange(z.clone(), "(changed batch) ... -> changed batch ...", changed=lm.n_heads)
            for head in range(lm.n_heads):
                by_head[head, :, -1, head] = mean_z[layer, head]
            return by_head.flatten(0, 1)

        hooks: list[HookSpec] = [(f"blocks.{layer}.attn.hook_z", set_one_head_each), (lm.last_meeting, _keep_last)]
        after = _pick(lm.run(resid, hooks, start_at_layer=layer), ids.repeat(lm.n_heads))
        effects.append(after.unflatten(0, (lm.n_heads, -1)).sub(before).mean(dim=-1))
    return torch.stack(effects)


def compute_function_vector(
    model: Any, mean_z: Float[Tensor, "n_layers n_heads d_head"], heads: Iterable[Head]
) -> Float[Tensor, " d_model"]:
    """The sum of what these heads write on average."""
    lm = hooked(model)
    written = [mean_z[layer, head] @ lm.W_O(layer)[head] for layer, head in lm.check_heads(heads)]
    return torch.stack(written).sum(dim=0).detach()


def add_at_last(layer: int, vector: Float[Tensor, " d_model"], coefficient: float = 1.0) -> HookSpec:
    """A hook that adds the vector to what leaves a layer, at the last position."""

    def add(resid: Tensor, hook: Any) -> Tensor:
        return torch.cat([resid[:, :-1], resid[:, -1:] + coefficient * vector], dim=1)

    return f"blocks.{layer}.hook_resid_post", add


def best_heads(effects: Float[Tensor, "n_layers n_heads"], n: int) -> list[Head]:
    """The `n` heads of the largest effects, the best first.

    >>> best_heads(torch.tensor([[0.1, 0.5], [0.9, -2.0]]), 2)
    [(1, 0), (0, 1)]
    """
    n_heads = effects.shape[1]
    return [(int(i) // n_heads, int(i) % n_heads) for i in effects.flatten().argsort(descending=True)[:n]]


def _keep_last(resid: Tensor, hook: Any) -> Tensor:
    return resid[:, -1:]


def _pick(logits: Float[Tensor, "batch seq d_vocab"], answers: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    logprobs = at_least_float32(logits[:, -1]).log_softmax(dim=-1)
    return logprobs.gather(-1, answers[:, None])[:, 0]


def check_answers(tokens: Int[Tensor, "batch seq"], answers: Int[Tensor, " n_answers"]) -> None:
    """There must be one answer for each prompt."""
    if len(tokens) != len(answers):
        raise ShapeError(
            f"each prompt must have one answer: got {counted(len(tokens), 'prompt')} and {counted(len(answers), 'answer')}. "
            "Take both from the same data set."
        )
