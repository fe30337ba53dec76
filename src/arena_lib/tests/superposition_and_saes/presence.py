"""Judges of which features are present, section 1.5.4."""

from collections.abc import Callable, Sequence
from typing import Any

import einops
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


def pair_case(generator: torch.Generator, label: str, batch: int, probabilities: list[list[float]]) -> Case:
    """Draws for pairs, whose probabilities are given for each instance."""
    given = torch.tensor(probabilities)
    return Case(label=label, args=(torch.rand(batch, len(given), given.shape[1] // 2, generator=generator), given))


def correlated_cases(generator: torch.Generator) -> list[Case]:
    """Pairs that differ from each other and between instances, one pair, draws of exactly the probability."""
    edges = torch.tensor([[0.5, 0.5, 0.0, 0.0, 1.0, 1.0]])
    on_the_edge = torch.tensor([[[0.5, 0.0, 0.999]], [[0.25, 0.3, 0.0]]])
    two = [[0.1, 0.1, 0.8, 0.8, 0.45, 0.45], [0.6, 0.6, 0.3, 0.3, 0.95, 0.95]]
    return [
        pair_case(generator, "three pairs in two instances", 13, two),
        pair_case(generator, "one pair", 9, [[0.4, 0.4], [0.7, 0.7], [0.2, 0.2]]),
        Case(label="draws of exactly the probability, and probabilities 0 and 1", args=(on_the_edge, edges)),
    ]


def correlated_by_repeating(draws: Tensor, feature_probability: Tensor) -> Tensor:
    """Gives each feature its pair's draw."""
    return draws.repeat_interleave(2, dim=-1) < feature_probability


def correlated_by_stacking(draws: Tensor, feature_probability: Tensor) -> Tensor:
    """Stacks both features on an axis of their own."""
    pairs = draws < feature_probability[:, 1::2]
    return torch.stack([pairs, pairs], dim=-1).flatten(-2)


PAIR = "features 2k and 2k + 1 are pair k, so the two stand side by side"
ONE_PROBABILITY = "pair k has the probability of its features, 2k and 2k + 1"
TOGETHER = "both features of a pair are present, or neither"

test_correlated_presence = exercise(
    reference=features.correlated_presence,
    cases=correlated_cases,
    observe=twice,
    accepts=[correlated_by_repeating, correlated_by_stacking],
    mistakes=[
        *instead_of(
            "draws < feature_probability[:, ::2]",
            {
                "draws <= feature_probability[:, ::2]": (
                    "counts a draw of exactly the probability",
                    "a pair is present where its draw is below the probability: with <= a probability of 0 could be present",
                ),
                "draws >= feature_probability[:, ::2]": (
                    "says which pairs are absent",
                    "a pair is present where its draw is below the probability",
                ),
                "draws < feature_probability[:, : draws.shape[-1]]": (
                    "gives pair k the probability of feature k",
                    ONE_PROBABILITY,
                ),
                "draws < feature_probability[:, draws.shape[-1] :]": (
                    "gives the pairs the probabilities of the second half of the features",
                    ONE_PROBABILITY,
                ),
                "draws < feature_probability[:, ::2] ** 2": (
                    "multiplies the probabilities of both features",
                    "the two are not independent: the pair as a whole is present with probability p",
                ),
                "draws < 2 * feature_probability[:, ::2]": (
                    "doubles the probability",
                    "each of the two is present with probability p, and they are present together: so is the pair",
                ),
                "draws < feature_probability[:1, ::2]": ("uses the first instance's probabilities for all", OWN),
            },
        ),
        *instead_of(
            "(n_pairs 2)",
            {
                "(2 n_pairs)": ("puts all first features before all second ones", PAIR),
            },
        ),
        *instead_of(
            'return einops.repeat(is_pair_present, "batch n_inst n_pairs -> batch n_inst (n_pairs 2)")',
            {
                "return torch.stack([is_pair_present, ~is_pair_present], dim=-1).flatten(-2)": (
                    "makes exactly one of the two present",
                    TOGETHER,
                ),
                "return torch.stack([is_pair_present, torch.zeros_like(is_pair_present)], dim=-1).flatten(-2)": (
                    "leaves the second feature of each pair out",
                    TOGETHER,
                ),
                "return is_pair_present.repeat_interleave(2, dim=-1).float()": (
                    "returns numbers",
                    "the result says yes or no",
                ),
            },
        ),
        Mistake(
            "draws again for the second feature",
            'return einops.repeat(is_pair_present, "batch n_inst n_pairs -> batch n_inst (n_pairs 2)")',
            "second = torch.rand_like(draws) < feature_probability[:, 1::2]\n"
            "    return torch.stack([is_pair_present, second], dim=-1).flatten(-2)",
            why=TOGETHER,
            shows=draws_anew,
        ),
    ],
)


def anticorrelated_cases(generator: torch.Generator) -> list[Case]:
    """Equal and unequal probabilities, pairs of which one is always present, draws that just meet the bounds."""
    unequal = [[0.1, 0.3, 0.6, 0.2, 0.5, 0.45], [0.3, 0.7, 0.05, 0.6, 0.4, 0.1]]
    edges = torch.tensor([[0.25, 0.25, 0.5, 0.5, 0.0, 0.75]])
    on_the_edge = torch.tensor([[[0.25, 0.5, 0.0]], [[0.5, 0.0, 0.75]], [[0.0, 0.999, 0.5]]])
    return [
        pair_case(generator, "three pairs in two instances", 17, unequal),
        pair_case(generator, "one pair, of which one is always present", 9, [[0.5, 0.5], [0.2, 0.8]]),
        Case(label="draws that just meet a bound", args=(on_the_edge, edges)),
    ]


def anticorrelated_by_counting(draws: Tensor, feature_probability: Tensor) -> Tensor:
    """Asks in which of three parts of [0, 1) each draw lies."""
    pairs = einops.rearrange(feature_probability, "n_inst (n_pairs two) -> n_inst n_pairs two", two=2)
    part = (draws[..., None] >= pairs.cumsum(dim=-1)).sum(dim=-1)
    return torch.stack([part == 0, part == 1], dim=-1).flatten(-2)


def anticorrelated_by_assignment(draws: Tensor, feature_probability: Tensor) -> Tensor:
    """Writes both halves into an empty result."""
    result = torch.zeros(*draws.shape[:2], 2 * draws.shape[2], dtype=torch.bool)
    result[..., ::2] = draws < feature_probability[:, ::2]
    below_both = draws < feature_probability[:, ::2] + feature_probability[:, 1::2]
    result[..., 1::2] = below_both & ~result[..., ::2]
    return result


NEVER_BOTH = "never both: the second begins where the first ends, at p"
OWN_WIDTH = "the second has the probability q, so it's present between p and p + q"

test_anticorrelated_presence = exercise(
    reference=features.anticorrelated_presence,
    cases=anticorrelated_cases,
    observe=twice,
    accepts=[anticorrelated_by_counting, anticorrelated_by_assignment],
    mistakes=[
        *instead_of(
            "(draws >= first) & (draws < first + second)",
            {
                "draws < second": ("lets both be present", NEVER_BOTH),
                "draws < first + second": ("makes the second present wherever the first is", NEVER_BOTH),
                "draws >= first": (
                    "makes one of the two always present",
                    "where the draw is p + q or more, neither is present",
                ),
                "(draws >= first) & (draws < second)": ("ends the second at q", OWN_WIDTH),
                "(draws >= first) & (draws < 2 * first)": ("gives the second the probability of the first", OWN_WIDTH),
                "(draws > first) & (draws < first + second)": (
                    "leaves out a draw of exactly p",
                    "p <= draw: the lower bound belongs to the second",
                ),
                "(draws >= first) & (draws <= first + second)": (
                    "takes in a draw of exactly p + q",
                    "draw < p + q: the upper bound is left out",
                ),
                "draws >= 1 - second": (
                    "puts the second at the upper end",
                    "present between p and p + q: that it's as likely elsewhere doesn't help, for the draws are given",
                ),
            },
        ),
        *instead_of(
            "is_first = draws < first",
            {
                "is_first = draws <= first": (
                    "counts a draw of exactly p for the first",
                    "draw < p: at p the second begins",
                ),
                "is_first = draws < first / 2": (
                    "halves the first's probability",
                    "each feature keeps its own probability",
                ),
            },
        ),
        *instead_of(
            "(n_pairs two)",
            {
                "(two n_pairs)": ("puts all first features before all second ones", PAIR),
            },
        ),
        *instead_of(
            "[is_first, is_second]",
            {
                "[is_second, is_first]": (
                    "swaps the two of a pair",
                    "the first of the pair has the lower part, draw < p",
                ),
                "[is_first.float(), is_second.float()]": ("returns numbers", "the result says yes or no"),
            },
        ),
        *instead_of(
            "feature_probability[:, ::2], feature_probability[:, 1::2]",
            {
                "feature_probability[:, : draws.shape[-1]], feature_probability[:, draws.shape[-1] :]": (
                    "takes the first half of the probabilities for the first features",
                    PAIR,
                ),
                "feature_probability[:1, ::2], feature_probability[:1, 1::2]": (
                    "uses the first instance's probabilities for all",
                    OWN,
                ),
            },
        ),
        Mistake(
            "draws again for the second feature",
            "is_second = (draws >= first) & (draws < first + second)",
            "is_second = ~is_first & (torch.rand_like(draws) < second / (1 - first))",
            why="one draw decides about the pair",
            shows=draws_anew,
        ),
    ],
)


def sparse_cases(generator: torch.Generator) -> list[Case]:
    """Few and many present features, magnitudes of both signs, none present at all."""

    def case(label: str, batch: int, n_inst: int, n_feats: int, share: float) -> Case:
        is_present = torch.rand(batch, n_inst, n_feats, generator=generator) < share
        return Case(label=label, args=(is_present, torch.randn(batch, n_inst, n_feats, generator=generator)))

    return [
        case("some are present", 6, 2, 5, 0.4),
        case("most are present", 4, 3, 7, 0.9),
        case("none is present", 3, 2, 4, 0.0),
        case("one instance", 5, 1, 6, 0.5),
    ]


def sparse_by_product(is_present: Tensor, magnitudes: Tensor) -> Tensor:
    """Multiplies by 1 or 0."""
    return magnitudes * is_present


def sparse_by_filling(is_present: Tensor, magnitudes: Tensor) -> Tensor:
    """Fills a copy."""
    return magnitudes.masked_fill(~is_present, 0.0)


test_sparse_features = exercise(
    reference=features.sparse_features,
    cases=sparse_cases,
    accepts=[sparse_by_product, sparse_by_filling],
    mistakes=[
        *instead_of(
            "torch.where(is_present, magnitudes, 0.0)",
            {
                "torch.where(is_present, 0.0, magnitudes)": (
                    "keeps the absent features",
                    "where is_present says yes the magnitude stays, elsewhere it's 0",
                ),
                "is_present.to(magnitudes.dtype)": (
                    "gives every present feature 1",
                    "a present feature has its own magnitude",
                ),
                "magnitudes.masked_fill_(~is_present, 0.0)": (
                    "writes into the magnitudes",
                    "the result is a new tensor; both arguments stay as they are",
                ),
                "torch.where(is_present, magnitudes, torch.nan)": (
                    "marks absent features with NaN",
                    "an absent feature is exactly 0",
                ),
                "torch.where(is_present[:1], magnitudes, 0.0)": (
                    "uses the first example's features for all",
                    "each example has features of its own",
                ),
                "torch.where(is_present, magnitudes[:1], 0.0)": (
                    "gives all examples the first one's magnitudes",
                    "each example has magnitudes of its own",
                ),
                "torch.where(is_present.any(dim=-1, keepdim=True), magnitudes, 0.0)": (
                    "keeps all features of an example in which one is present",
                    "each feature is present or absent by itself",
                ),
                "torch.where(is_present, magnitudes.abs(), 0.0)": (
                    "drops the sign",
                    "a present feature keeps its magnitude as it is",
                ),
            },
        ),
    ],
)
