"""Judge of the losses that theory gives for two features in one dimension, section 1.5.4."""

import torch
from torch import Tensor

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.saes.superposition import geometry

__test__ = False


def two_feature_cases(generator: torch.Generator) -> list[Case]:
    """A grid, single numbers, features that are always present and never."""
    p, importance = torch.rand(4, 1, generator=generator), 3 * torch.rand(1, 5, generator=generator)
    pairs = torch.rand(2, 7, generator=generator)
    return [
        Case(label="a grid of probabilities and importances", args=(p, importance)),
        Case(label="pairs of both", args=(pairs[0], 10 * pairs[1])),
        Case(label="one of each", args=(torch.tensor(0.3), torch.tensor(0.6))),
        Case(label="never present, and always", args=(torch.tensor([0.0, 1.0]), torch.tensor(2.0))),
    ]


def two_losses_by_moments(feature_probability: Tensor, importance: Tensor) -> Tensor:
    """The variance as mean square less squared mean, the error of sharing as an integral over both."""
    p, importance = torch.broadcast_tensors(feature_probability, importance)
    mean_square, mean = p / 3, p / 2
    lost = mean_square - mean**2
    both = p * p * (1 / 3 - 1 / 6)
    return torch.cat([(importance * lost)[..., None], lost[..., None], (both + importance * both)[..., None]], dim=-1)


MEAN = "the best constant is its mean p / 2, which takes p^2 / 4 off its mean square p / 3"
MINE = "whoever is left out makes the error, weighed by its own importance"
BOTH = "both features err, each with its own importance: 1 + importance in all"

test_two_feature_losses = exercise(
    reference=geometry.two_feature_losses,
    cases=two_feature_cases,
    accepts=[two_losses_by_moments],
    mistakes=[
        *instead_of(
            "feature_probability / 3 - feature_probability.pow(2) / 4",
            {
                "feature_probability / 3": ("gives what is left out as 0", MEAN),
                "feature_probability / 3 + feature_probability.pow(2) / 4": ("adds the squared mean", MEAN),
                "feature_probability / 3 - feature_probability / 4": ("forgets to square the mean", MEAN),
                "torch.full_like(feature_probability, 1 / 12)": (
                    "takes the variance of a feature that is present",
                    "it's absent most of the time: the mean square over all examples is p / 3",
                ),
                "feature_probability / 3 - feature_probability.pow(2) / 2": ("halves the mean after squaring it", MEAN),
            },
        ),
        *instead_of(
            "(1 + importance) * feature_probability.pow(2) / 6",
            {
                "feature_probability.pow(2) / 6": ("counts the error of one feature alone in superposition", BOTH),
                "importance * feature_probability.pow(2) / 6": (
                    "counts the error of the second feature alone in superposition",
                    BOTH,
                ),
                "(1 + importance) * feature_probability / 6": (
                    "counts every example in superposition",
                    "an error is made only where both are present, in a share p^2 of the examples",
                ),
                "(1 + importance) * feature_probability.pow(2) / 3": (
                    "takes the mean square of a feature for the error in superposition",
                    "the smaller of the two is lost: the mean of its square is 1/6",
                ),
                "(1 + importance) * feature_probability.pow(2) / 9": (
                    "squares the mean of the smaller one",
                    "the mean of its square is 1/6; 1/9 is the square of its mean",
                ),
                "(1 + importance) / 2 * feature_probability.pow(2) / 6": (
                    "takes the mean over both features in superposition",
                    "all three losses are sums over both features",
                ),
            },
        ),
        *instead_of(
            "torch.broadcast_tensors(importance * variance, variance, shared)",
            {
                "torch.broadcast_tensors(variance, importance * variance, shared)": (
                    "weighs the error by the feature that is represented",
                    MINE,
                ),
                "torch.broadcast_tensors(shared, importance * variance, variance)": (
                    "puts superposition first",
                    "the order is: only the first, only the second, superposition",
                ),
                "torch.broadcast_tensors(variance, variance, shared)": ("leaves the importance out", MINE),
                "torch.broadcast_tensors((1 + importance) * variance, (1 + importance) * variance, shared)": (
                    "counts the error of both features where one is represented",
                    "a feature with the dimension to itself comes out as it went in",
                ),
            },
        ),
        *instead_of(
            "dim=-1)",
            {"dim=0)": ("puts the three losses on the first axis", "they are on the last axis, after all others")},
        ),
    ],
)
