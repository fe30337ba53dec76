"""Judges of how well a latent's name fits, section 1.3.3.

Shapes:  counts of any one shape; features "n_tokens n_features", label "n_tokens"
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.saes.truth import scoring
from arena_lib.saes.truth.scoring import Detector, score

__test__ = False

# -- compute_f1 ---------------------------------------------------------------------------------------


def count_cases(generator: torch.Generator) -> list[Case]:
    """Counts of all sizes: single numbers, one for each latent, a table; nothing said, nothing true."""

    def case(label: str, *shape: int) -> Case:
        n_said, n_true = (torch.randint(1, 50, shape, generator=generator) for _ in range(2))
        both = (torch.rand(shape, generator=generator) * torch.minimum(n_said, n_true)).long()
        return Case(label=label, args=(both, n_said, n_true))

    nothing = tuple(torch.tensor(counts) for counts in ([0, 0, 0, 3], [0, 7, 0, 3], [0, 0, 5, 3]))
    return [
        case("one number each"),
        case("a count for each latent", 6),
        case("a table", 3, 5),
        Case(label="nothing said, nothing true, and all right", args=nothing),
    ]


def f1_of_rates(true_positives: Tensor, n_said: Tensor, n_true: Tensor) -> Tensor:
    """The harmonic mean of precision and recall."""
    precision, recall = true_positives / n_said, true_positives / n_true
    return torch.nan_to_num(2 * precision * recall / (precision + recall))


BOTH = "F1 is 2 TP over (said + true): it is high only if precision and recall both are"

test_compute_f1 = exercise(
    reference=scoring.compute_f1,
    cases=count_cases,
    observe=outputs,
    accepts=[f1_of_rates],
    mistakes=[
        *instead_of(
            "2 * true_positives / (n_said + n_true).clamp(min=1)",
            {
                "true_positives / n_said.clamp(min=1)": ("gives the precision", BOTH),
                "true_positives / n_true.clamp(min=1)": ("gives the recall", BOTH),
                "true_positives / (n_said + n_true).clamp(min=1)": ("forgets the 2", BOTH),
                "true_positives / (n_said + n_true - true_positives).clamp(min=1)": (
                    "counts what is right once in the denominator",
                    BOTH,
                ),
                "(true_positives / n_said.clamp(min=1) + true_positives / n_true.clamp(min=1)) / 2": (
                    "takes the plain mean of precision and recall",
                    BOTH,
                ),
                "true_positives / (n_said * n_true).clamp(min=1) ** 0.5": ("takes the geometric mean", BOTH),
                "2 * true_positives / (n_said + n_true)": (
                    "divides 0 by 0",
                    "where nothing is said and nothing is true, F1 is 0",
                ),
                "torch.where(n_said + n_true == 0, 1.0, 2 * true_positives / (n_said + n_true).clamp(min=1))": (
                    "gives 1 where there is nothing to find",
                    "where nothing is said and nothing is true, F1 is 0",
                ),
                "true_positives / torch.maximum(n_said, n_true).clamp(min=1)": (
                    "takes the smaller of precision and recall",
                    BOTH,
                ),
                "2 * true_positives // (n_said + n_true).clamp(min=1)": ("rounds down", "F1 lies between 0 and 1"),
            },
        ),
    ],
    equivalent={
        "return 2 * true_positives / (n_said + n_true).clamp(min=1) -> "
        "return 2 * true_positives / (n_said + n_true).clamp(min=2)": "a sum of 1 comes with a count of 0 that is right"
    },
)

# -- grow_union ---------------------------------------------------------------------------------------


def union_cases(generator: torch.Generator) -> list[Case]:
    """Detectors that complete each other, that repeat each other, that do harm; unions that are cut short."""
    label = torch.rand(60, generator=generator) < 0.4
    parts = torch.randint(0, 4, (60,), generator=generator)
    columns = [label & (parts == part) for part in range(4)]
    columns += [label & (parts < 2), torch.rand(60, generator=generator) < 0.3]
    columns += [label & ((parts == 0) | ((parts == 2) & (torch.arange(60) % 2 == 0)))]
    columns += [label | (torch.rand(60, generator=generator) < 0.2) for _ in range(2)]
    strengths = 1 + torch.rand(60, len(columns), generator=generator)
    features = torch.stack(columns, dim=1) * strengths
    noise = 0.6 * (torch.rand(60, len(columns), generator=generator) < 0.15)
    detectors = [Detector(feature, 0.8) for feature in (4, 2, 3, 0, 1, 5)]
    low = [Detector(feature, 0.0) for feature in (4, 5, 2, 3)]
    repeated = [Detector(4, 0.8), Detector(4, 0.9), Detector(0, 0.8)]
    everywhere = torch.cat([features, torch.ones(60, 1)], dim=1)
    last = [Detector(feature, 0.8) for feature in (2, 6, 5, 0, 3, 4)]
    greedy = [Detector(4, 0.8), Detector(len(columns), 0.5), Detector(2, 0.8), Detector(5, 0.8), Detector(3, 0.8)]
    tainted = [Detector(feature, 0.8) for feature in (5, 7, 8)]
    return [
        Case(label="parts of one label", args=(detectors, features + noise, label, 5)),
        Case(label="a union of two at most", args=(detectors, features + noise, label, 2)),
        Case(label="one alone", args=(detectors, features, label, 1)),
        Case(label="thresholds that let noise through", args=(low, features + noise, label, 4)),
        Case(label="the best comes last", args=(last, features + noise, label, 3)),
        Case(label="whose noise differs", args=(tainted, features, label, 3)),
        Case(label="one that says yes everywhere", args=(greedy, everywhere, label, 4)),
        Case(label="nothing to gain", args=(repeated, features, label, 3)),
    ]


def as_pairs(function: Callable[..., Any], case: Case) -> Observations:
    """Feature and threshold of each detector, in order."""
    return {"detectors": [(d.feature, round(float(d.threshold), 6)) for d in function(*case.args)]}


def union_by_passes(
    candidates: Sequence[Detector], features: Tensor, label: Tensor, largest: int = 5
) -> list[Detector]:
    """Recomputes each union from its members."""

    def reach(chosen: list[Detector]) -> float:
        return score(torch.stack([d.fires(features) for d in chosen]).any(dim=0), label)

    union = [max(candidates, key=lambda candidate: reach([candidate]))]
    while len(union) < largest:
        best = max(candidates, key=lambda candidate: reach([*union, candidate]))
        if reach([*union, best]) <= reach(union):
            return union
        union.append(best)
    return union


def grow_in_turn(
    candidates: Sequence[Detector], features: Tensor, label: Tensor, largest: int = scoring.LARGEST_UNION
) -> list[Detector]:
    """The mistake of going through the candidates once, the best first."""
    union: list[Detector] = []
    says = torch.zeros_like(label)
    for candidate in sorted(candidates, key=lambda candidate: -score(candidate.fires(features), label)):
        joined = says | candidate.fires(features)
        if not union or (len(union) < largest and score(joined, label) > score(says, label)):
            union, says = [*union, candidate], joined
    return union


AS_LONG = "one is added as long as it raises F1, up to `largest`"

test_grow_union = exercise(
    reference=scoring.grow_union,
    cases=union_cases,
    observe=as_pairs,
    accepts=[union_by_passes],
    mistakes=[
        *instead_of(
            "gains = [score(says | fired, label) for fired in fires]",
            {
                "gains = [score(says & fired, label) for fired in fires]": (
                    "joins detectors with and",
                    "a union says yes where at least one of them does",
                ),
                "gains = [score(fired, label) for fired in fires]": (
                    "scores each detector by itself",
                    "the next one is the one that helps the union most",
                ),
                "gains = [float(((says | fired) & label).sum() / label.sum()) for fired in fires]": (
                    "looks at recall alone",
                    "the union's F1 decides, or whatever says yes most often would be added",
                ),
            },
        ),
        *instead_of(
            "if gains[best] <= reached:",
            {
                "if gains[best] < reached:": ("adds what changes nothing", AS_LONG),
                "if gains[best] <= reached + 0.1:": ("stops too early", AS_LONG),
            },
        ),
        Mistake(
            "adds what changes nothing",
            "best = max(range(len(fires)), key=gains.__getitem__)\n        if gains[best] <= reached:",
            "best = max(set(range(len(fires))) - set(chosen), key=gains.__getitem__, default=-1)\n"
            "        if best < 0 or gains[best] < reached:",
            why=AS_LONG,
        ),
        Mistake(
            "takes whatever helps, the best by itself first",
            function=grow_in_turn,
            why="the next one is the one that helps the union most",
        ),
        Mistake("makes unions of one more", "while len(chosen) < largest", "while len(chosen) <= largest", why=AS_LONG),
        Mistake(
            "never joins what it adds",
            "says, reached = says | fires[best], gains[best]",
            "reached = gains[best]",
            why="the union says yes wherever one of its members does",
        ),
        Mistake(
            "begins with the first candidate",
            "max(range(len(fires)), key=alone.__getitem__)",
            "0",
            why="the union begins with the candidate that has the largest F1 by itself",
        ),
    ],
    equivalent={
        "alone = [score(fired, label) for fired in fires] -> alone = [score(label, fired) for fired in fires]": (
            "F1 is the same both ways"
        ),
        "gains = [score(says | fired, label) for fired in fires] -> gains = [score(label, says | fired) for fired in fires]": (
            "F1 is the same both ways"
        ),
    },
)
