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
SECOND = f"{KEY} after a second run"


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


STRIPE = "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., 2:]"
COPY_ITSELF = (
    "uses attention to the earlier copy itself",
    "an induction head looks at the token after the earlier copy, because it predicts that token; the earlier copy itself is one position before",
)
N_MINUS_1_BELOW = "the entries [n + 1 + i, i + 2] lie n - 1 below the diagonal"
TWO_PAST, ONE_BEFORE = (
    ("uses attention to two tokens after the earlier copy", N_MINUS_1_BELOW),
    ("uses attention to the token before the earlier copy", N_MINUS_1_BELOW),
)
WHOLE_LENGTH = (
    "uses the whole length as n",
    "the sequence is the token that begins it, then two copies of n tokens: n = (seq - 1) / 2",
)
SCORE_MISTAKES = [
    *instead_of(
        STRIPE,
        {
            "pattern.diagonal(offset=-n, dim1=-2, dim2=-1)[..., 1:]": COPY_ITSELF,
            "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)": (
                "uses the whole diagonal",
                "the first two entries of the diagonal don't belong to the second copy: leave them out with [..., 2:]",
            ),
            "pattern.diagonal(offset=-n, dim1=-2, dim2=-1)[..., 2:]": COPY_ITSELF,
            "pattern.diagonal(offset=-n, dim1=-2, dim2=-1)": COPY_ITSELF,
            "pattern.diagonal(offset=2 - n, dim1=-2, dim2=-1)[..., 3:]": TWO_PAST,
            "pattern.diagonal(offset=2 - n, dim1=-2, dim2=-1)[..., 2:]": TWO_PAST,
            "pattern.diagonal(offset=-1 - n, dim1=-2, dim2=-1)": ONE_BEFORE,
            "pattern.diagonal(offset=-1 - n, dim1=-2, dim2=-1)[..., 2:]": ONE_BEFORE,
            "pattern.diagonal(offset=n - 1, dim1=-2, dim2=-1)[..., 2:]": (
                "reads a diagonal above the main one",
                "diagonals below the main one have a negative offset; entries above it belong to future keys and are all zero",
            ),
            "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., 3:]": (
                "leaves one entry out",
                "there are n entries: key 2 is the first of them",
            ),
            "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., 2:-1]": (
                "leaves the last query out",
                "there are n entries, and the last query of the second copy has one of them",
            ),
            "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., 1:]": (
                "uses one entry too many",
                "the first query that counts is n + 1, whose key is 2",
            ),
            "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., :-2]": (
                "leaves out the last two entries, not the first two",
                "the first two entries, with keys 0 and 1, don't belong to the second copy: [..., 2:]",
            ),
            "pattern.diagonal(offset=1 - n, dim1=-2, dim2=-1)[..., 1:-1]": (
                "forgets the token at the start",
                "query n + i and key i + 1 hold the copies only without the token that begins the text: "
                "with it they are n + 1 + i and i + 2",
            ),
            "pattern.diagonal(offset=2 - n, dim1=-2, dim2=-1)[..., 2:-1]": (
                "uses the query before",
                "the second copy begins at position n + 1: query n still holds the first copy's last token",
            ),
            "pattern[..., n + 1 :, 2 : n + 2].flatten(-2)": (
                "uses the mean over all pairs of both copies",
                "each query of the second copy has one key that counts: a diagonal, not a block",
            ),
        },
        within="induction_score",
    ),
    *instead_of(
        "n = copy_length(pattern.shape[-1])",
        {"n = pattern.shape[-1] - 1": WHOLE_LENGTH, "n = pattern.shape[-1] - 2": WHOLE_LENGTH},
        within="induction_score",
    ),
    *instead_of(
        "stripe.mean(dim=(0, -1))",
        {
            "stripe.sum(dim=-1).mean(dim=0) / pattern.shape[-1]": (
                "divides by the number of positions",
                "n entries were added up: divide by n, not by 1 + 2n",
            ),
            "stripe.sum(dim=-1).mean(dim=0) / (n + 2)": (
                "divides by the length of the whole diagonal",
                "n of its n + 2 entries count: divide by n",
            ),
            "stripe.sum(dim=-1).mean(dim=0) / (n - 1)": (
                "divides by n - 1",
                "there are n entries, for i = 0 to n - 1: divide by n",
            ),
            "stripe.mean(dim=0).median(dim=-1).values": ("uses the median of the entries", "the score is their mean"),
            "stripe.median(dim=-1).values.mean(dim=0)": ("uses the median of the entries", "the score is their mean"),
            "stripe.amax(dim=-1).mean(dim=0)": (
                "uses the largest entry",
                "one query is not enough: the score is the mean over the queries",
            ),
            "stripe.mean(dim=-1).amax(dim=0)": (
                "uses the example with the largest score",
                "the mean is over all examples",
            ),
            "stripe[-1].mean(dim=-1)": ("looks at the last example only", "the mean is over all examples"),
            "stripe.mean(dim=(1, -1))": (
                "averages over the heads in place of the examples",
                "the first axis is the examples, the second the heads: one number for each head",
            ),
            "(stripe == pattern[..., -stripe.shape[-1] :, :].amax(dim=-1)).double().mean(dim=(0, -1)).to(pattern)": (
                "counts the queries whose largest entry is there",
                "the score is the mean of the attention itself, however much goes elsewhere",
            ),
            "stripe.double().mean(dim=(0, -1))": (
                "returns another dtype than the pattern's",
                "the scores have the pattern's dtype: make new tensors with dtype=pattern.dtype",
            ),
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
    mistakes=[
        *SCORE_MISTAKES,
        Mistake(
            "returns a list",
            function=lambda pattern: induction_score(pattern).tolist(),
            why="the scores of all heads are one tensor",
        ),
    ],
)


def hook_cases(generator: torch.Generator) -> list[Case]:
    """The patterns of `score_cases`, each at a hook point of a layer of its own."""
    return [
        Case(
            label=case.label,
            given={"pattern": case.args[0], "layer": layer},
            axes={KEY: "n_heads", SECOND: "n_heads"},
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
    seen = {
        KEY: _score_in(place),
        "shape of the pattern after the hook": tuple(getattr(goes_on, "shape", ())),
        "the pattern is unchanged after the hook": isinstance(goes_on, Tensor)
        and torch.equal(goes_on, case.given["pattern"]),
        "other entries of hook.ctx are kept": "from before" in place.ctx,
    }
    function(case.given["pattern"].flip(1), hook=place)
    return seen | {SECOND: _score_in(place)}


def _score_in(place: HookPoint) -> Any:
    """What a hook has left under the key that later cells read."""
    score = place.ctx.get("induction_score", f"nothing: hook.ctx holds {sorted(map(str, place.ctx))}")
    if isinstance(score, list) and all(isinstance(entry, float) for entry in score):
        return torch.tensor(score)
    return score.detach() if isinstance(score, Tensor) else score


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


def _writes_with(write: Callable[[Any, Tensor], None]) -> Callable[..., None]:
    """The mistake of writing the score into `hook.ctx` in another way."""

    def hooked(pattern: Tensor, hook: Any) -> None:
        write(hook, induction_score(pattern))

    return hooked


def _keeps_the_stripe(pattern: Tensor, hook: Any) -> None:
    hook.ctx["induction_score"] = pattern.diagonal(1 - pattern.shape[-1] // 2, -2, -1)[..., 2:]


def _keeps_the_pattern(pattern: Tensor, hook: Any) -> None:
    hook.ctx["induction_score"] = pattern


def _clears(pattern: Tensor, hook: Any) -> None:
    hook.ctx["induction_score"] = induction_score(pattern)
    pattern.zero_()


def _replaces_ctx(pattern: Tensor, hook: Any) -> None:
    hook.ctx = {"induction_score": induction_score(pattern)}


OTHER_WAYS_TO_WRITE = [
    Mistake(name, function=_writes_with(write), why=why)
    for name, write, why in (
        (
            "keeps the score of an earlier run",
            lambda hook, score: hook.ctx.setdefault("induction_score", score),
            'setdefault writes only where nothing lies yet: hook.ctx["induction_score"] = ... replaces what is there',
        ),
        (
            "adds the score to that of an earlier run",
            lambda hook, score: hook.ctx.update(induction_score=hook.ctx.get("induction_score", 0) + score),
            "the place of a hook is the same in the next run: replace what lies there",
        ),
        (
            "collects the scores of all runs in a list",
            lambda hook, score: hook.ctx.setdefault("induction_score", []).append(score),
            "later cells read one score for each head: replace what lies there",
        ),
        (
            "keeps a dictionary of scores by head",
            lambda hook, score: hook.ctx.update(induction_score=dict(enumerate(score.tolist()))),
            "later cells stack the scores of all layers: a tensor with one entry for each head",
        ),
        (
            "keeps a dictionary of scores by layer",
            lambda hook, score: hook.ctx.update(induction_score={hook.layer(): score}),
            "each layer's place has a hook.ctx of its own: the layer is no part of what lies in it",
        ),
        (
            "looks at one layer only",
            lambda hook, score: hook.ctx.update(induction_score=score) if hook.layer() == 1 else None,
            "the hook may be put into any layer, and leaves a score in each",
        ),
    )
]

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
        *OTHER_WAYS_TO_WRITE,
        Mistake(
            "keeps the whole pattern",
            function=_keeps_the_pattern,
            why="one number for each head is enough: induction_score(pattern); whole patterns would fill the memory",
        ),
        Mistake(
            "keeps the entries, not their mean",
            function=_keeps_the_stripe,
            why="the score is one number for each head: the mean over examples and entries",
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
