"""Judges of the causal masks, without a cache and with one, and of attention.

Shapes:  attention scores "batch n_heads seq_q seq_k"; residual stream "batch seq d_model".
"""

from collections.abc import Callable
from typing import Any

import einops
import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import (
    Case,
    Mistake,
    exercise,
    module_case,
    module_outputs_and_gradients,
    outputs_and_gradients,
)
from arena_lib.checking.adapting import method_or_function
from arena_lib.checking.modules import build_module
from arena_lib.checking.observing import Observations
from arena_lib.transformer import lesson
from arena_lib.transformer.kv_cache import cached_causal_mask

__test__ = False

SCORES = "batch n_heads seq_q seq_k"
RESIDUAL = "batch seq d_model"
CFG = lesson.Config(d_model=7, d_vocab=11, n_ctx=9, n_layers=1, n_heads=3, d_head=4, d_mlp=8)


def causal_mask_cases(generator: torch.Generator) -> list[Case]:
    """Scores of uneven sizes, a single position, and double precision."""

    def scores(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return 3 * torch.randn(shape, generator=generator, dtype=dtype)

    return [
        Case(label="several sequences and heads", args=(scores(2, 3, 5, 5),), axes={"output": SCORES}),
        Case(label="a single position", args=(scores(2, 3, 1, 1),), axes={"output": SCORES}),
        Case(label="in double precision", args=(scores(1, 2, 4, 4, dtype=torch.float64),), axes={"output": SCORES}),
    ]


def masked_scores(function: Callable[..., Any], case: Case) -> Observations:
    """The scores, where any future entry that softmax turns into exactly 0 counts as -inf; and their gradient."""
    return outputs_and_gradients(lambda scores: hidden_as_minus_infinity(function(scores)), case)


def hidden_as_minus_infinity(scores: Any, n_before: int = 0) -> Any:
    """-inf, -1e9 and the dtype's least number all hide a key: what counts is the pattern.

    `n_before` keys come before the first query's own position.
    """
    if not isinstance(scores, Tensor) or scores.ndim < 2 or not scores.is_floating_point():
        return scores
    is_future = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=n_before + 1)
    return torch.where(is_future & (scores.softmax(dim=-1) == 0), -torch.inf, scores)


def hides_every_future_key(seen: Observations, case: Case) -> str | None:
    """Hides every future key."""
    leaked = (seen["output"] != -torch.inf) & torch.ones_like(seen["output"], dtype=torch.bool).triu(diagonal=1)
    if not leaked.any():
        return None
    *_, seq_q, seq_k = (int(i) for i in leaked.nonzero()[0])
    score = f"{seen['output'][leaked][0]:.4g}"
    return (
        f"The query at position {seq_q} must not see the key at position {seq_k}: its score is {score}. Set it to -inf."
    )


def causal_mask_by_addition(attn_scores: Tensor) -> Tensor:
    """Adds a matrix that is -inf above the diagonal and zero elsewhere."""
    seq = attn_scores.shape[-1]
    return attn_scores + torch.full((seq, seq), -torch.inf, dtype=attn_scores.dtype, device=attn_scores.device).triu(1)


def causal_mask_by_large_number(attn_scores: Tensor) -> Tensor:
    """Compares positions, and hides with -1e5, in place."""
    position = torch.arange(attn_scores.shape[-1], device=attn_scores.device)
    return attn_scores.masked_fill_(position[None, :] > position[:, None], -1e5)


test_causal_mask = exercise(
    reference=lesson.causal_mask,
    cases=causal_mask_cases,
    observe=masked_scores,
    properties=[hides_every_future_key],
    accepts=[causal_mask_by_addition, causal_mask_by_large_number],
    adapt=method_or_function(
        "apply_causal_mask",
        build=lambda cls: cls(CFG),
        stand_in={"IGNORE": torch.tensor(-torch.inf), "cfg": CFG},
    ),
    may_change_arguments=True,
    mistakes=[
        Mistake(
            "hides the present too",
            "diagonal=1",
            "diagonal=0",
            why="a token may look at itself, so the diagonal stays; here the first query sees nothing at all",
        ),
        Mistake(
            "lets the next token through",
            "diagonal=1",
            "diagonal=2",
            why="the key right after the query is already the future: it is the very token to be predicted",
        ),
        Mistake(
            "hides the past instead of the future",
            "masked_fill(is_future, ",
            "masked_fill(is_future.T, ",
            why="rows are queries and columns are keys: the future is where the column is larger than the row",
        ),
        Mistake(
            "hides everything but the future",
            "masked_fill(is_future, ",
            "masked_fill(~is_future, ",
            why="what the mask marks is filled with -inf, so it must mark the future",
        ),
        Mistake(
            "hides nothing",
            "attn_scores.masked_fill(is_future, -torch.inf)",
            "attn_scores.clone()",
            why="masked_fill gives a new tensor, which must be returned; masked_fill_ changes the one that is there",
        ),
        Mistake(
            "sets the future to zero",
            "-torch.inf",
            "0.0",
            why="a score of 0 is an ordinary score: softmax turns it into exp(0) = 1 before it normalises",
        ),
        Mistake(
            "sets the future to plus infinity",
            "-torch.inf",
            "torch.inf",
            why="softmax turns -inf into 0, but +inf into NaN",
        ),
    ],
)


def cached_mask_cases(generator: torch.Generator) -> list[Case]:
    """As many queries as keys, one query, a few queries at the end, and a single position."""
    sizes = {
        "queries at the end of the keys": (2, 5),
        "as many queries as keys": (4, 4),
        "one query": (1, 6),
        "a single position": (1, 1),
    }
    return [
        Case(label=label, args=(torch.randn(2, 3, *size, generator=generator),), axes={"output": SCORES})
        for label, size in sizes.items()
    ]


def cached_mask_scores(function: Any, case: Case) -> Observations:
    """The scores, where -inf and other numbers that softmax turns into exactly 0 count alike."""
    return outputs_and_gradients(lambda scores: _cached_hidden(function(scores)), case)


def _cached_hidden(scores: Any) -> Any:
    if not isinstance(scores, Tensor) or scores.ndim < 2 or scores.shape[-1] < scores.shape[-2]:
        return scores
    return hidden_as_minus_infinity(scores, n_before=scores.shape[-1] - scores.shape[-2])


def cached_mask_by_positions(attn_scores: Tensor) -> Tensor:
    """Compares the positions of queries and keys."""
    seq_q, seq_k = attn_scores.shape[-2:]
    q, k = torch.arange(seq_k - seq_q, seq_k), torch.arange(seq_k)
    return torch.where(k[None, :] <= q[:, None], attn_scores, torch.finfo(attn_scores.dtype).min)


test_cached_causal_mask = exercise(
    reference=cached_causal_mask,
    cases=cached_mask_cases,
    observe=cached_mask_scores,
    accepts=[cached_mask_by_positions],
    may_change_arguments=True,
    mistakes=[
        Mistake(
            "takes the queries for the first positions",
            "diagonal=seq_k - seq_q + 1",
            "diagonal=1",
            why="the queries are the newest tokens: they stand at the end of the keys, not at the start",
        ),
        Mistake(
            "hides the present too",
            "diagonal=seq_k - seq_q + 1",
            "diagonal=seq_k - seq_q",
            why="each query may look at its own position",
        ),
        Mistake(
            "hides nothing",
            "attn_scores.masked_fill(is_future, -torch.inf)",
            "attn_scores.clone()",
            why="when several new tokens are read at once, the earlier ones must not see the later",
        ),
        Mistake(
            "sets the future to zero",
            "-torch.inf",
            "0.0",
            why="softmax turns a score of 0 into exp(0) = 1 before it normalises",
        ),
    ],
)


def attention_cases(generator: torch.Generator) -> list[Case]:
    """Several sequences, one position (where the pattern is all ones), and one long sequence."""
    shapes = {"several sequences": (2, 5), "a single position": (2, 1), "one longer sequence": (1, CFG.n_ctx)}
    return [
        module_case(
            label, lesson.Attention, CFG, (torch.randn(*shape, CFG.d_model, generator=generator),), RESIDUAL, generator
        )
        for label, shape in shapes.items()
    ]


def looks_at_no_later_position(seen: Observations, case: Case) -> str | None:
    """Makes no output depend on a later position."""
    return seen["leak from the future"] or None


def attention_observations(cls: Any, case: Case) -> Observations:
    """Outputs and gradients, and whether changing the last position moves an earlier output."""
    seen = module_outputs_and_gradients(cls, case)
    return seen | {"leak from the future": _leak(build_module(cls, case), case.args[0])}


def _leak(module: Any, x: Tensor) -> str:
    """Says which output moves when only the last position of the input does."""
    changed = x.clone()
    changed[:, -1] += 1
    with torch.no_grad():
        before, after = module(x.clone()), module(changed)
    if not isinstance(before, Tensor) or before.ndim != 3 or before.shape[1] < 2:
        return ""
    moved = ((before - after).abs() > 1e-5)[:, :-1].any(dim=-1).nonzero()
    if not len(moved):
        return ""
    return f"The output at position {int(moved[0, 1])} must not depend on later ones: it moved when only position {x.shape[1] - 1} did."


class AttentionByTorch(lesson.Attention):
    """Lets torch's own attention do the middle part, on heads laid out before positions."""

    def forward(self, normalized_resid_pre: Tensor) -> Tensor:
        def project(weight: Tensor, bias: Tensor) -> Tensor:
            return torch.einsum("bsm,nmh->bnsh", normalized_resid_pre, weight) + bias[:, None]

        q, k = project(self.W_Q, self.b_Q), project(self.W_K, self.b_K)
        z = F.scaled_dot_product_attention(q, k, project(self.W_V, self.b_V), is_causal=True)
        return torch.einsum("bnsh,nhm->bsm", z, self.W_O) + self.b_O


class AttentionHeadByHead(lesson.Attention):
    """Loops over heads, and scales the queries rather than the scores."""

    def forward(self, normalized_resid_pre: Tensor) -> Tensor:
        x, seq = normalized_resid_pre, normalized_resid_pre.shape[1]
        hidden = torch.ones(seq, seq, dtype=torch.bool, device=x.device).triu(1)
        out = self.b_O.expand_as(x).clone()
        for head in range(self.cfg.n_heads):
            q = (x @ self.W_Q[head] + self.b_Q[head]) * self.cfg.d_head**-0.5
            k = x @ self.W_K[head] + self.b_K[head]
            v = x @ self.W_V[head] + self.b_V[head]
            scores = einops.einsum(q, k, "batch q h, batch k h -> batch q k").masked_fill(hidden, -1e9)
            out = out + scores.softmax(-1) @ v @ self.W_O[head]
        return out


class AttentionWithoutBiases(lesson.Attention):
    """The mistake of leaving b_Q, b_K and b_V out."""

    def forward(self, normalized_resid_pre: Tensor) -> Tensor:
        q, k, v = (torch.einsum("bsm,nmh->bnsh", normalized_resid_pre, W) for W in (self.W_Q, self.W_K, self.W_V))
        pattern = self.apply_causal_mask(q @ k.mT / self.cfg.d_head**0.5).softmax(dim=-1)
        return torch.einsum("bnsh,nhm->bsm", pattern @ v, self.W_O) + self.b_O


test_attention = exercise(
    reference=lesson.Attention,
    cases=attention_cases,
    observe=attention_observations,
    properties=[looks_at_no_later_position],
    keep=["__init__", "apply_causal_mask"],
    accepts=[AttentionByTorch, AttentionHeadByHead],
    mistakes=[
        Mistake(
            "does not scale the scores",
            " / self.cfg.d_head**0.5",
            "",
            why="a dot product of d_head terms grows with the root of d_head, and softmax would saturate",
        ),
        Mistake(
            "divides the scores by d_head, not by its root",
            "**0.5",
            "",
            why="the spread of a sum of d_head terms is the root of d_head",
        ),
        Mistake(
            "scales by the root of d_model",
            "self.cfg.d_head**0.5",
            "self.cfg.d_model**0.5",
            why="each head's dot product has d_head terms, not d_model",
        ),
        Mistake(
            "leaves the causal mask out",
            "self.apply_causal_mask(einops.einsum(q, k, dot) / self.cfg.d_head**0.5)",
            "einops.einsum(q, k, dot) / self.cfg.d_head**0.5",
            why="a position could read the very token it has to predict",
        ),
        Mistake(
            "takes the softmax over the queries",
            "dim=-1",
            "dim=-2",
            why="each query shares out one unit of attention among its keys: the rows sum to one",
        ),
        Mistake(
            "swaps queries and keys",
            "einops.einsum(q, k, dot)",
            "einops.einsum(k, q, dot)",
            why="rows of the scores belong to queries, columns to keys",
        ),
        Mistake(
            "uses the keys as values",
            "v = einops.einsum(x, self.W_V, project) + self.b_V",
            "v = k",
            why="where to look and what to bring back are different questions, with weights of their own",
        ),
        Mistake(
            "forgets the biases of queries, keys and values",
            function=AttentionWithoutBiases,
            why="each projection has a bias: x W_Q + b_Q, and likewise for k and v",
        ),
        Mistake("forgets b_Q", " + self.b_Q", "", why="queries have a bias: x W_Q + b_Q"),
        Mistake("forgets b_V", " + self.b_V", "", why="values have a bias: x W_V + b_V"),
        Mistake("forgets b_O", " + self.b_O", "", why="the output has a bias, once for all heads"),
        Mistake(
            "adds b_O once for each head",
            "+ self.b_O",
            "+ self.cfg.n_heads * self.b_O",
            why="the heads are summed first, and the bias is added to the sum",
        ),
    ],
)
