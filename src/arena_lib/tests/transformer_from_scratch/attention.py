"""Judges of the attention exercises of section 1.1.

Shapes:  attention scores "batch n_heads seq_q seq_k"; residual stream "batch seq d_model".
Raises:  see `arena_lib.checking`.
Source:  own design.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, outputs_and_gradients
from arena_lib.checking.adapting import method_or_function
from arena_lib.checking.observing import Observations
from arena_lib.transformer import lesson

__test__ = False

SCORES = "batch n_heads seq_q seq_k"


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


def hidden_as_minus_infinity(scores: Any) -> Any:
    """-inf, -1e9 and the dtype's least number all hide a key: what counts is the pattern."""
    if not isinstance(scores, Tensor) or scores.ndim < 2 or not scores.is_floating_point():
        return scores
    is_future = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
    return torch.where(is_future & (scores.softmax(dim=-1) == 0), -torch.inf, scores)


def hides_every_future_key(seen: Observations, case: Case) -> str | None:
    """hides every future key"""
    leaked = (seen["output"] != -torch.inf) & torch.ones_like(seen["output"], dtype=torch.bool).triu(diagonal=1)
    if not leaked.any():
        return None
    *_, seq_q, seq_k = (int(i) for i in leaked.nonzero()[0])
    return f"The query at position {seq_q} must not see the key at position {seq_k}: its score is {seen['output'][leaked][0]:.4g}, and softmax leaves it some weight. Set it to -inf."


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
        build=lambda cls: cls(lesson.Config(d_model=8, n_heads=2, d_head=4, d_mlp=8, n_ctx=8, d_vocab=11, n_layers=1)),
        stand_in={"IGNORE": torch.tensor(-torch.inf)},
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
