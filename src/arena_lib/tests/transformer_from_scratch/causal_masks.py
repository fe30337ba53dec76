"""Judges of the causal masks, without a cache and with one.

Shapes:  attention scores "batch n_heads seq_q seq_k".
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients
from arena_lib.checking.adapting import method_or_function
from arena_lib.checking.observing import Observations
from arena_lib.tests.transformer_from_scratch.small_models import GPT2
from arena_lib.transformer import lesson
from arena_lib.transformer.kv_cache import cached_causal_mask

__test__ = False

SCORES = "batch n_heads seq_q seq_k"
AXES = {"output": SCORES, "gradient of attn_scores": SCORES}


def random_scores(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scores of either sign; every other key's are exactly zero, and those of the first key are large."""
    scores = 3 * torch.randn(shape, generator=generator, dtype=dtype)
    scores[..., 1::2] = 0
    scores[..., 0] = scores[..., 0].sign() * 100
    return scores


def causal_mask_cases(generator: torch.Generator) -> list[Case]:
    """Scores of uneven sizes, some exactly zero and some large; a single position, and double precision."""
    return [
        Case(label="several sequences and heads", args=(random_scores(generator, 2, 3, 5, 5),), axes=AXES),
        Case(label="a single position", args=(random_scores(generator, 2, 3, 1, 1),), axes=AXES),
        Case(
            label="in double precision",
            args=(random_scores(generator, 1, 2, 4, 4, dtype=torch.float64),),
            axes=AXES,
        ),
        Case(
            label="in bfloat16",
            args=(random_scores(generator, 2, 1, 3, 3, dtype=torch.bfloat16),),
            axes=AXES,
        ),
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
        f"The query at position {seq_q} must not see the key at position {seq_k}: the score there is {score}, not -inf."
    )


def causal_mask_by_addition(attn_scores: Tensor) -> Tensor:
    """Adds a matrix that is -inf above the diagonal and zero elsewhere."""
    seq = attn_scores.shape[-1]
    return attn_scores + torch.full((seq, seq), -torch.inf, dtype=attn_scores.dtype, device=attn_scores.device).triu(1)


def causal_mask_by_large_number(attn_scores: Tensor) -> Tensor:
    """Compares positions, and hides with -1e5, in place."""
    position = torch.arange(attn_scores.shape[-1], device=attn_scores.device)
    return attn_scores.masked_fill_(position[None, :] > position[:, None], -1e5)


def fills_with_a_finite_number(seen: Sequence[Observations]) -> bool:
    """Whether all future scores have become one negative number that softmax doesn't turn into 0."""
    scores: Tensor = seen[0]["output"]
    is_future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(scores.shape[-1] - scores.shape[-2] + 1)
    leaked = scores[is_future.expand_as(scores) & (scores != -torch.inf)]
    return bool((leaked == leaked[0]).all() and leaked[0] < 0)


def _future_and_visible(seen: Sequence[Observations]) -> tuple[Tensor, Tensor]:
    """The scores of the first case that should be hidden, and the others."""
    scores: Tensor = seen[0]["output"]
    is_future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(scores.shape[-1] - scores.shape[-2] + 1)
    return scores[is_future.expand_as(scores)], scores[~is_future.expand_as(scores)]


def spoils_every_visible_score(seen: Sequence[Observations]) -> bool:
    """Whether all scores that should stay have become NaN."""
    return bool(_future_and_visible(seen)[1].isnan().all())


def sets_future_to_zero(seen: Sequence[Observations]) -> bool:
    """Whether all future scores are 0, and no others but those that were."""
    future, visible = _future_and_visible(seen)
    return bool((future == 0).all() and visible.isfinite().all() and visible.any())


def hides_the_present(seen: Sequence[Observations]) -> bool:
    """Whether the diagonal is hidden as well as the future, and nothing else."""
    scores: Tensor = seen[0]["output"]
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(scores.shape[-1] - scores.shape[-2])
    return bool(((scores == -torch.inf) == hidden).all() and not scores.isnan().any())


def _dtype(seen: Observations) -> torch.dtype | None:
    return getattr(seen.get("output"), "dtype", None)


FILLS = "attn_scores.masked_fill(is_future, -torch.inf)"
WRONG_FILLS = (
    Mistake(
        "sets the future to zero",
        "-torch.inf",
        "0.0",
        why="a score of 0 is an ordinary score: softmax turns it into exp(0) = 1",
        shows=sets_future_to_zero,
    ),
    *instead_of(
        "-torch.inf",
        {
            "torch.inf": ("sets the future to plus infinity", "softmax turns -inf into 0, but +inf into NaN"),
        },
    ),
    *instead_of(
        FILLS,
        {
            "attn_scores.clone()": (
                "hides nothing",
                "masked_fill gives a new tensor, which must be returned; masked_fill_ changes the one that is there",
            ),
            "attn_scores.masked_fill(attn_scores.masked_fill(is_future, 0) == 0, -torch.inf)": (
                "hides every visible score that is exactly 0",
                "where a score lies decides whether it is hidden, not its value: make the mask from positions",
            ),
            "attn_scores.masked_fill((attn_scores != 0) & is_future, -torch.inf)": (
                "lets future scores of exactly 0 through",
                "where a score lies decides whether it is hidden, not its value: make the mask from positions",
            ),
            "attn_scores.masked_fill(is_future.float(), -torch.inf)": (
                "hands masked_fill a mask of numbers",
                "masked_fill takes a boolean mask: compare the numbers (mask == 1), or make it with dtype=torch.bool",
                "RuntimeError",
            ),
            "attn_scores * -torch.inf * is_future": (
                "multiplies the scores by the mask",
                "a product with 0 or -inf leaves no score as it was: fill with masked_fill or torch.where",
            ),
            "attn_scores.masked_fill(is_future, -torch.inf).softmax(dim=-1)": (
                "applies the softmax to the scores too",
                "the result is the masked scores: softmax comes afterwards",
            ),
            "attn_scores.detach().masked_fill(is_future, -torch.inf)": (
                "cuts the gradient",
                "queries and keys learn through the scores that stay visible",
            ),
            "attn_scores.softmax(dim=-1).masked_fill(is_future, 0.0)": (
                "hides the future after the softmax",
                "future keys have taken their share by then: masked scores are asked for, and softmax comes afterwards",
            ),
            "is_future.expand(attn_scores.shape)": (
                "returns the mask, not the scores",
                "the scores are asked for, those of the future set to -inf",
            ),
            "torch.cat([attn_scores[:, :1].masked_fill(is_future, -torch.inf), attn_scores[:, 1:]], dim=1)": (
                "masks the first head only",
                "every sequence and every head gets the same mask, which broadcasts over both axes",
            ),
            "torch.cat([attn_scores[:1].masked_fill(is_future, -torch.inf), attn_scores[1:]])": (
                "masks the first sequence only",
                "every sequence and every head gets the same mask, which broadcasts over both axes",
            ),
        },
    ),
    Mistake(
        "multiplies the mask by -inf",
        FILLS,
        "attn_scores + is_future * -torch.inf",
        why="0 * -inf is NaN, so that every visible score is spoilt: fill with masked_fill or torch.where",
        shows=spoils_every_visible_score,
    ),
    Mistake(
        "returns float32 whatever the dtype of the scores",
        FILLS,
        "attn_scores.float().masked_fill(is_future, -torch.inf)",
        why="the result has the dtype of the scores: a mask made of numbers needs it too",
        shows=lambda seen: {_dtype(case) for case in seen} == {torch.float32},
    ),
    Mistake(
        "hides the future with a number that is not low enough",
        FILLS,
        "attn_scores.masked_fill(is_future, -3.0)",
        why="where all scores are low, softmax gives such a number a share that isn't 0: fill with -inf",
        shows=fills_with_a_finite_number,
    ),
)

test_causal_mask = exercise(
    reference=lesson.causal_mask,
    cases=causal_mask_cases,
    observe=masked_scores,
    properties=[hides_every_future_key],
    accepts=[causal_mask_by_addition, causal_mask_by_large_number],
    adapt=method_or_function(
        "apply_causal_mask",
        build=lambda cls: cls(GPT2),
        stand_in={"IGNORE": torch.tensor(-torch.inf), "cfg": GPT2},
    ),
    may_change_arguments=True,
    mistakes=[
        Mistake(
            "hides the present too",
            "diagonal=1",
            "diagonal=0",
            why="a token may look at itself, so the diagonal stays visible",
            shows=hides_the_present,
        ),
        *instead_of(
            "attn_scores.shape[-2:]",
            {
                "attn_scores.shape[:2]": (
                    "makes a mask of the size of batch and n_heads",
                    "the mask lies over queries and keys: the last two axes, attn_scores.shape[-2:]",
                ),
            },
        ),
        *instead_of(
            "diagonal=1",
            {
                "diagonal=2": (
                    "lets the next token through",
                    "the key right after the query is already the future: it is the very token to be predicted",
                ),
            },
        ),
        *instead_of(
            "masked_fill(is_future, ",
            {
                "masked_fill(is_future.T, ": (
                    "hides the past instead of the future",
                    "rows are queries and columns are keys: the future is where the column is larger than the row",
                ),
                "masked_fill(~is_future, ": (
                    "hides everything but the future",
                    "what the mask marks is filled with -inf, so it must mark the future",
                ),
            },
        ),
        *WRONG_FILLS,
    ],
    equivalent={
        "torch.ones(seq_q, seq_k, dtype=torch.bool, device=attn_scores.device) -> "
        "torch.ones(seq_k, seq_q, dtype=torch.bool, device=attn_scores.device)": "there are as many queries as keys"
    },
)


def cached_mask_cases(generator: torch.Generator) -> list[Case]:
    """As many queries as keys, one query, a few queries at the end, a single position, and double precision."""
    sizes = {
        "as many queries as keys": (4, 4),
        "one query": (1, 6),
        "queries at the end of the keys": (2, 5),
        "a single position": (1, 1),
    }
    cases = [
        Case(label=label, args=(random_scores(generator, 2, 3, *size),), axes=AXES) for label, size in sizes.items()
    ]
    in_double = random_scores(generator, 1, 2, 2, 3, dtype=torch.float64)
    return [*cases, Case(label="in double precision", args=(in_double,), axes=AXES)]


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
        *instead_of(
            "diagonal=seq_k - seq_q + 1",
            {
                "diagonal=1": (
                    "treats the queries as the first positions",
                    "the queries are the newest tokens: they stand at the end of the keys, not at the start",
                ),
                "diagonal=seq_k - seq_q": ("hides the present too", "each query may look at its own position"),
                "diagonal=seq_k - seq_q + 2": (
                    "lets the next token through",
                    "query i stands at position seq_k - seq_q + i, and sees no key after that one",
                ),
                "diagonal=seq_q - seq_k + 1": (
                    "moves the diagonal the wrong way",
                    "seq_k - seq_q keys come before the first query, and it sees them all: the diagonal moves right",
                ),
                "diagonal=1 if seq_q > 1 else seq_k": (
                    "treats several queries as the first positions",
                    "a few new tokens at the end of a cache see the whole cache, as one new token does",
                ),
                "diagonal=1 if seq_q == seq_k else seq_k": (
                    "hides nothing when there are more keys than queries",
                    "when several new tokens follow a cache, the earlier ones must not see the later",
                ),
            },
        ),
        Mistake(
            "hides the past instead of the future",
            "masked_fill(is_future, ",
            "masked_fill(every_pair.tril(seq_k - seq_q - 1), ",
            why="rows are queries and columns are keys: the future is to the right of the query's own position",
        ),
        *WRONG_FILLS,
    ],
)
