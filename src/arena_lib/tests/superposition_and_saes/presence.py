"""Judges of which features are present, section 1.5.4."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.saes.superposition import features

__test__ = False

AGAIN = "a second call with equal arguments gives the same"


def twice(function: Callable[..., Any], case: Case) -> Observations:
    """The result, and whether it comes again."""
    seen, again = outputs(function, case), outputs(function, case)["output"]
    both = isinstance(seen["output"], Tensor) and isinstance(again, Tensor) and seen["output"].shape == again.shape
    return seen | {AGAIN: both and torch.equal(seen["output"], again)}


def draws_anew(seen: Sequence[Observations]) -> bool:
    """Whether results come from other draws than those of the arguments."""
    return any(observed[AGAIN] is False for observed in seen)


def independent_cases(generator: torch.Generator) -> list[Case]:
    """Probabilities that differ by feature and instance, draws that just meet them, never and always."""

    def case(label: str, batch: int, n_inst: int, n_feats: int, probability: Tensor | None = None) -> Case:
        draws = torch.rand(batch, n_inst, n_feats, generator=generator)
        given = torch.rand(n_inst, n_feats, generator=generator) if probability is None else probability
        return Case(label=label, args=(draws, given))

    edges = torch.tensor([[0.0, 1.0, 0.25, 0.5]])
    on_the_edge = torch.tensor([[[0.0, 0.0, 0.25, 0.75]], [[0.5, 0.999, 0.2, 0.5]], [[0.1, 0.5, 0.3, 0.49]]])
    return [
        case("many examples", 11, 3, 5),
        case("one instance", 7, 1, 4),
        case("one example, one feature", 1, 2, 1),
        Case(label="draws of exactly the probability, and probabilities 0 and 1", args=(on_the_edge, edges)),
    ]


def present_by_difference(draws: Tensor, feature_probability: Tensor) -> Tensor:
    """Asks what is left of the probability."""
    return (feature_probability - draws) > 0


def present_by_loop(draws: Tensor, feature_probability: Tensor) -> Tensor:
    """Goes through the instances."""
    return torch.stack([draws[:, i].lt(p) for i, p in enumerate(feature_probability)], dim=1)


OWN = "each feature of each instance has a probability of its own"

test_independent_presence = exercise(
    reference=features.independent_presence,
    cases=independent_cases,
    observe=twice,
    accepts=[present_by_difference, present_by_loop],
    mistakes=[
        *instead_of(
            "draws < feature_probability",
            {
                "draws <= feature_probability": (
                    "counts a draw of exactly the probability",
                    "a draw lies in [0, 1), so it must be below: with <= a probability of 0 could be present",
                ),
                "draws > feature_probability": (
                    "makes a feature present with probability 1 - p",
                    "p is how often a feature is present: a small p gives few present features",
                ),
                "draws >= feature_probability": (
                    "says which features are absent",
                    "p is how often a feature is present, so it's present where the draw is below p",
                ),
                "(draws < feature_probability).float()": (
                    "returns numbers",
                    "the result says yes or no: leave the comparison as it is",
                ),
                "draws < feature_probability[:1]": ("uses the first instance's probabilities for all", OWN),
                "draws < feature_probability[:, :1]": ("uses the first feature's probability for all", OWN),
                "draws[:, :, :1] < feature_probability": (
                    "shares one draw among all features",
                    "each feature has a draw of its own, so that each is present independently of the others",
                ),
                "draws[:, :1] < feature_probability": (
                    "shares the draws among all instances",
                    "each instance sees examples of its own",
                ),
            },
        ),
        Mistake(
            "draws numbers of its own",
            "draws < feature_probability",
            "torch.rand_like(draws) < feature_probability",
            why="the draws are given, so that equal ones give equal examples",
            shows=draws_anew,
        ),
    ],
)
