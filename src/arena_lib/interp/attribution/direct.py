"""Direct logit attribution on any model: how much each part adds to an answer's logit, or to a difference of two.

What leaves the last block is the sum of what all parts wrote. The final norm divides it by a scale, which
depends on the whole; with the scale held at its value in this run the rest is linear, and the parts' shares
sum to the logit. A share says what a part writes itself, not what later parts make of it.

Shapes:  answers "batch", or texts; stacks "component batch seq d_model"; values "component batch".
Raises:  ShapeError for answers that aren't one for each prompt, or a position outside; TokenError for an answer
         outside the vocabulary; UnknownNameError for a head that is not there; what `interp.models` raises.
Source:  Elhage et al. 2021, "A mathematical framework for transformer circuits"; Wang et al. 2022,
         arXiv:2211.00593, section 3 (logit differences); the frozen scale as in TransformerLens.
Differs: nothing is folded: gains and biases are in, and what no part wrote (biases of the heads' outputs, of the final
         norm and of the unembedding) is listed as well, so the values sum to the logits exactly.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from arena_lib.core.device import at_least_float32
from arena_lib.errors import ConfigError, ShapeError, TokenError
from arena_lib.interp.assumptions import Assumption
from arena_lib.interp.hooking import hooked
from arena_lib.interp.models import Answers, Head, HookedLM
from arena_lib.wording import counted


@dataclass(frozen=True)
class Attribution:
    """What each part adds to the answers' logits."""

    labels: list[str]
    """"embed", "L0H1" (a head), "L0 attn", "L0 mlp", "L0 bias" (of the heads' outputs), "final bias"."""
    values: Float[Tensor, "component batch"]

    @property
    def total(self) -> Float[Tensor, " batch"]:
        """The logits, or differences of logits, that the parts sum to."""
        return self.values.sum(dim=0)


def residual_names(lm: HookedLM, *, by_head: bool) -> list[str]:
    """The activations that `residual_stack` reads."""
    names = ["blocks.0.hook_resid_pre"]
    for layer in range(lm.n_layers):
        names.append(f"blocks.{layer}.hook_attn_out")
        names += [f"blocks.{layer}.attn.hook_z"] * by_head + [f"blocks.{layer}.hook_mlp_out"] * lm.has_mlp
    return names


def residual_stack(
    model: Any, cache: Any, *, by_head: bool = False
) -> tuple[Float[Tensor, "component batch seq d_model"], list[str]]:
    """What adds up to the stream that leaves the last block, and what each part is called; `cache` maps hook names.

    First what enters block 0 (embeddings), then for each layer its attention, or with `by_head` each head
    and what the heads' biases add, and its MLP.
    """
    lm = hooked(model)
    lm.require(Assumption.STREAM)
    parts, labels = [cache["blocks.0.hook_resid_pre"]], ["embed"]
    for layer in range(lm.n_layers):
        attn_out = cache[f"blocks.{layer}.hook_attn_out"]
        if by_head:
            results = torch.einsum("bsnh,nhm->nbsm", cache[f"blocks.{layer}.attn.hook_z"], lm.W_O(layer))
            parts += [*results, attn_out - results.sum(dim=0)]
            labels += [f"L{layer}H{head}" for head in range(lm.n_heads)] + [f"L{layer} bias"]
        else:
            parts.append(attn_out)
            labels.append(f"L{layer} attn")
        if lm.has_mlp:
            parts.append(cache[f"blocks.{layer}.hook_mlp_out"])
            labels.append(f"L{layer} mlp")
    return torch.stack(parts), labels


def accumulated_residual(model: Any, cache: Any) -> tuple[Float[Tensor, "component batch seq d_model"], list[str]]:
    """The stream as it enters each block, and as it leaves the last."""
    lm = hooked(model)
    stack = [cache[f"blocks.{layer}.hook_resid_pre"] for layer in range(lm.n_layers)]
    stack.append(cache[f"blocks.{lm.n_layers - 1}.hook_resid_post"])
    return torch.stack(stack), [f"into L{layer}" for layer in range(lm.n_layers)] + ["final"]


def scale_by_final_norm(
    model: Any, parts: Float[Tensor, "component *any d_model"], resid: Float[Tensor, "*any d_model"]
) -> Float[Tensor, "component *any d_model"]:
    """Each part as the final norm scales it when its scale is the one of `resid`.

    The parts of `resid` then sum to the norm of `resid`, its bias apart.
    """
    gain, is_centred = hooked(model).gain(None)
    wide = [at_least_float32(part) for part in (parts, resid)]
    scaled = [part - part.mean(dim=-1, keepdim=True) if is_centred else part for part in wide]
    whole = hooked(model).final_norm(resid) - hooked(model).final_norm(torch.zeros_like(resid))
    length = (whole * scaled[1] * gain).sum(dim=-1, keepdim=True)
    return scaled[0] * gain * length / (scaled[1] * gain).pow(2).sum(dim=-1, keepdim=True)


def unembedding_directions(
    model: Any, answers: Int[Tensor, "..."], wrong: Int[Tensor, "..."] | None = None
) -> Float[Tensor, "batch d_model"]:
    """The column of W_U of each answer, less that of its wrong answer if there is one."""
    lm = hooked(model)
    for ids in (answers, wrong):
        if ids is not None and len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < lm.d_vocab:
            raise TokenError(
                f"answers must be token ids from 0 to {lm.d_vocab - 1}: got {ids.tolist()}. Use model.to_single_token."
            )
    W_U = lm.W_U.T
    return W_U[answers] if wrong is None else W_U[answers] - W_U[wrong]


@torch.no_grad()
def direct_logit_attribution(
    model: Any,
    tokens: Int[Tensor, "batch seq"],
    answers: Answers,
    wrong: Answers | None = None,
    *,
    position: int = -1,
    by: str = "head",
) -> Attribution:
    """How much each part adds, at one position, to the logit of each prompt's answer (less that of the wrong one).

    Answers are token ids or texts of one token, one for each prompt, or one text for all of them: " Jack".
    """
    if by not in ("head", "layer"):
        raise ConfigError(f"parts must be taken by 'head' or by 'layer': got {by!r}. Choose one of the two.")
    lm = hooked(model)
    answers, wrong = _read_answers(lm, tokens, answers, wrong)
    columns = lm.find_columns(tokens.shape, position)
    rows = torch.arange(len(tokens), device=lm.device)
    names = residual_names(lm, by_head=by == "head")
    _, cache = lm.run_with_cache(tokens, names)
    stack, labels = residual_stack(lm, cache, by_head=by == "head")
    stack = stack[:, rows, columns]
    directions = unembedding_directions(lm, answers, wrong)
    values = (scale_by_final_norm(lm, stack, stack.sum(dim=0)) * directions).sum(dim=-1)
    final_bias = _logits_of(lm.unembed(torch.zeros_like(stack[0])[:, None])[:, 0], answers, wrong)
    return Attribution([*labels, "final bias"], torch.cat([values, final_bias[None]]))


@torch.no_grad()
def attribute_head_by_source(
    model: Any,
    tokens: Int[Tensor, "batch seq"],
    head: Head,
    answers: Answers,
    wrong: Answers | None = None,
    *,
    position: int = -1,
) -> Float[Tensor, "batch seq"]:
    """One head's share, split by the position it was brought from: pattern times value, each through W_O and W_U.

    The sum over positions is the head's entry in `direct_logit_attribution`.
    """
    lm = hooked(model)
    (layer, head_idx), *_ = lm.check_heads([head])
    answers, wrong = _read_answers(lm, tokens, answers, wrong)
    lm.require(Assumption.VALUES)
    columns = lm.find_columns(tokens.shape, position)
    rows = torch.arange(len(tokens), device=lm.device)
    last = f"blocks.{lm.n_layers - 1}.hook_resid_post"
    names = [f"blocks.{layer}.attn.hook_{name}" for name in ("pattern", "v")]
    _, cache = lm.run_with_cache(tokens, [*names, last])
    pattern, v = cache[names[0]][rows, head_idx, columns], lm.repeat_kv(cache[names[1]], axis=2)[:, :, head_idx]
    brought = torch.einsum("bk,bkh,hm->kbm", pattern, v, lm.W_O(layer)[head_idx])
    scaled = scale_by_final_norm(lm, brought, cache[last][rows, columns])
    return (scaled * unembedding_directions(lm, answers, wrong)).sum(dim=-1).T


def _logits_of(
    logits: Float[Tensor, "batch d_vocab"], answers: Tensor, wrong: Tensor | None
) -> Float[Tensor, " batch"]:
    rows = torch.arange(len(answers), device=logits.device)
    right = logits[rows, answers]
    return right if wrong is None else right - logits[rows, wrong]


def _read_answers(
    lm: HookedLM, tokens: Tensor, answers: Answers, wrong: Answers | None
) -> tuple[Tensor, Tensor | None]:
    """Both as token ids, one for each prompt."""
    right = lm.answer_ids(answers, len(tokens))
    other = None if wrong is None else lm.answer_ids(wrong, len(tokens))
    for name, ids in (("answers", right), ("wrong answers", other)):
        if ids is not None and ids.shape != tokens.shape[:1]:
            raise ShapeError(
                f"{name} must be one token for each of {counted(tokens.shape[0], 'prompt')}: got shape {tuple(ids.shape)}. "
                "An answer of several tokens can't be attributed at once; take its first."
            )
    return right, other
