"""Judges of the induction score, by itself and as a hook.

Shapes:  pattern "batch n_heads seq seq" -> "n_heads", with seq = 1 + 2n.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.interp.heads.induction import induction_score, induction_score_hook
from arena_lib.tests.intro_to_mech_interp.small_models import random_patterns
from arena_lib.transformer.activations.hooks import HookPoint

__test__ = False

KEY = 'hook.ctx["induction_score"]'


def score_cases(generator: torch.Generator) -> list[Case]:
    """Patterns of several examples, of one, and of the shortest string."""
    shapes = {"several examples": (3, 4, 6), "one example": (1, 5, 8), "the shortest string": (4, 3, 2)}
    return [
        Case(
            label=label,
            args=(random_patterns(batch, n_heads, 1 + 2 * n, 1 + 2 * n, generator=generator),),
            axes={"output": "n_heads"},
        )
        for label, (batch, n_heads, n) in shapes.items()
    ]


def score_by_loop(pattern: Tensor) -> Tensor:
    """Reads the entries one by one."""
    n = pattern.shape[-1] // 2
    entries = [pattern[:, :, n + 1 + i, i + 2] for i in range(n)]
    return torch.stack(entries).mean(dim=0).mean(dim=0)


def score_by_examples(pattern: Tensor) -> Tensor:
    """Averages over examples first, and cuts the second copy's queries out before it takes their diagonal."""
    n = (pattern.size(-1) - 1) // 2
    return torch.diagonal(pattern.mean(0)[:, n + 1 :, 2:], 0, 1, 2).mean(-1)


def score_by_mask(pattern: Tensor) -> Tensor:
    """Sums under a mask."""
    seq = pattern.shape[-1]
    n = (seq - 1) // 2
    query = torch.arange(seq)[:, None]
    mask = (torch.arange(seq) == query - n + 1) & (query > n)
    return torch.einsum("bnqk,qk->n", pattern, mask.float()) / (n * pattern.shape[0])


SCORE_MISTAKES = [
    *instead_of(
        "offset=1 - n",
        {
            "offset=-n": (
                "uses attention to the earlier copy itself",
                "an induction head looks at the token after the earlier copy, because it predicts that token; the earlier copy itself is one position before",
            ),
            "offset=2 - n": (
                "uses attention to two tokens after the earlier copy",
                "the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal",
            ),
            "offset=-1 - n": (
                "uses attention to the token before the earlier copy",
                "the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal",
            ),
            "offset=n - 1": (
                "reads a diagonal above the main one",
                "diagonals below the main one have a negative offset; entries above it belong to future keys and are all zero",
            ),
        },
        within="induction_score",
    ),
    *instead_of(
        "dim2=-1)[..., 2:]",
        {
            "dim2=-1)": (
                "uses the whole diagonal",
                "the first two entries of the diagonal don't belong to the second copy: leave them out with [..., 2:]",
            ),
            "dim2=-1)[..., 3:]": ("leaves one entry out", "there are n entries: key 2 is the first of them"),
            "dim2=-1)[..., 1:]": (
                "uses one entry too many",
                "the first query that counts is n + 1, whose key is 2",
            ),
        },
        within="induction_score",
    ),
    Mistake(
        "uses the whole length as n",
        "n = copy_length(pattern.shape[-1])",
        "n = pattern.shape[-1] - 2",
        within="induction_score",
        why="the sequence is the token that begins it, then two copies of n tokens: n = (seq - 1) / 2",
    ),
    *instead_of(
        "stripe.mean(dim=(0, -1))",
        {
            "stripe.mean(dim=(0, 1, -1)).expand(pattern.shape[1])": (
                "averages over the heads too",
                "each head has a score of its own",
            ),
            "stripe.mean(dim=0).amax(dim=-1)": (
                "uses the largest entry",
                "one query is not enough: the score is the mean over the queries",
            ),
            "stripe.mean(dim=-1).sum(dim=0)": (
                "sums over the examples",
                "a score lies between 0 and 1, however many examples there are: take their mean, too",
            ),
            "stripe.mean(dim=0).sum(dim=-1)": (
                "sums over the positions",
                "a score lies between 0 and 1, however long the text is: take the mean",
            ),
            "stripe.mean(dim=-1)": (
                "returns a score for each example",
                "the mean is also over the examples, so that each head has one number",
            ),
            "stripe.mean()": ("returns one number for all heads", "each head has a score of its own"),
            "stripe.sum(dim=(0, -1))": (
                "sums over examples and positions",
                "a score lies between 0 and 1: take the mean",
            ),
            "stripe[0].mean(dim=-1)": ("uses only the first example", "the mean is over all examples"),
        },
        within="induction_score",
    ),
]

test_induction_score = exercise(
    reference=induction_score,
    cases=score_cases,
    observe=outputs,
    accepts=[score_by_loop, score_by_examples, score_by_mask],
    equivalent={"n = copy_length(pattern.shape[-1]) -> n = copy_length(pattern.shape[-2])": "a pattern is square"},
    mistakes=SCORE_MISTAKES,
)


def hook_cases(generator: torch.Generator) -> list[Case]:
    """The patterns of `score_cases`, each at a hook point of a layer of its own."""
    return [
        Case(
            label=case.label,
            given={"pattern": case.args[0], "layer": layer},
            axes={KEY: "n_heads"},
            call="pattern, hook",
        )
        for layer, case in enumerate(score_cases(generator))
    ]


def hook_observations(function: Callable[..., Any], case: Case) -> Observations:
    """What lies in `hook.ctx` after a call, and what goes on through the model."""
    place, pattern = HookPoint(), case.given["pattern"].clone()
    place.name, place.ctx = f"blocks.{case.given['layer']}.attn.hook_pattern", {"from before": 1}
    returned = function(pattern, hook=place)
    goes_on = pattern if returned is None else returned
    score = place.ctx.get("induction_score", f"nothing: hook.ctx holds {sorted(map(str, place.ctx))}")
    return {
        KEY: torch.as_tensor(score).detach() if isinstance(score, Tensor | list) else score,
        "shape of the pattern after the hook": tuple(getattr(goes_on, "shape", ())),
        "the pattern is unchanged after the hook": isinstance(goes_on, Tensor)
        and torch.equal(goes_on, case.given["pattern"]),
        "other entries of hook.ctx are kept": "from before" in place.ctx,
    }


def hook_that_updates(pattern: Tensor, hook: Any) -> Tensor:
    """Returns the pattern itself, and writes by `update`."""
    hook.ctx.update(induction_score=score_by_loop(pattern))
    return pattern


def hook_with_a_list(pattern: Tensor, hook: Any) -> None:
    """Keeps plain numbers."""
    hook.ctx["induction_score"] = [float(score) for score in score_by_mask(pattern)]


def _returns_the_score(pattern: Tensor, hook: Any) -> Tensor:
    hook.ctx["induction_score"] = induction_score(pattern)
    return induction_score(pattern)


def _sets_an_attribute(pattern: Tensor, hook: Any) -> None:
    hook.induction_score = induction_score(pattern)


def _takes_another_key(pattern: Tensor, hook: Any) -> None:
    hook.ctx["score"] = induction_score(pattern)


def _key_is_missing(seen: Sequence[Observations]) -> bool:
    return all(isinstance(observed[KEY], str) for observed in seen)


def _clears(pattern: Tensor, hook: Any) -> None:
    hook.ctx["induction_score"] = induction_score(pattern)
    pattern.zero_()


def _replaces_ctx(pattern: Tensor, hook: Any) -> None:
    hook.ctx = {"induction_score": induction_score(pattern)}


test_induction_score_hook = exercise(
    reference=induction_score_hook,
    cases=hook_cases,
    observe=hook_observations,
    accepts=[hook_that_updates, hook_with_a_list],
    may_change_arguments=True,
    mistakes=[
        Mistake(
            "returns the score",
            function=_returns_the_score,
            why="the tensor that a hook returns replaces the pattern, so this hook must return nothing",
        ),
        Mistake(
            "stores the score outside hook.ctx",
            function=_sets_an_attribute,
            why='hook.ctx is a dictionary: write hook.ctx["induction_score"] = ...',
        ),
        Mistake(
            "stores the score under another key",
            function=_takes_another_key,
            shows=_key_is_missing,
            why='later cells read hook.ctx["induction_score"]',
        ),
        Mistake(
            "changes the pattern",
            function=_clears,
            why="the hook only reads the pattern, so the pattern must stay unchanged",
        ),
        Mistake(
            "deletes what other hooks stored in hook.ctx",
            function=_replaces_ctx,
            why="other hooks may keep something there: add a key, don't replace the dictionary",
        ),
        *SCORE_MISTAKES,
    ],
)
