"""Judge of the moments that normalise observations, section 2.3."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import normalization
from arena_lib.rl.ppo.normalization import Moments

__test__ = False


def moments_cases(generator: torch.Generator) -> list[Case]:
    """Small and large parts, one row, and nothing but zeros before."""
    rng = np.random.default_rng(0)
    cases = []
    for label, n, m, d in [("more before than new", 9, 4, 3), ("one new row", 5, 1, 2), ("much new", 2, 30, 4)]:
        before, batch = rng.normal(2.0, 3.0, (n, d)), rng.normal(-1.0, 0.5, (m, d))
        given = {"moments": Moments(before.mean(0), before.var(0), float(n)), "batch": batch}
        cases.append(Case(label=label, call="moments, batch", given=given))
    return cases


def moments_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The new moments, and what became of the old ones."""
    before = case.given["moments"]
    kept = before.mean, before.variance, case.given["batch"]
    old, batch = Moments(before.mean.copy(), before.variance.copy(), before.count), case.given["batch"].copy()
    new = function(old, batch)
    if not all(hasattr(new, name) for name in ("mean", "variance", "count")):
        raise Unfit(f"The result must be Moments: got {type(new).__name__}.")
    same = all(np.array_equal(a, b) for a, b in zip(kept, (old.mean, old.variance, batch), strict=True))
    return {
        "mean": torch.as_tensor(np.asarray(new.mean)),
        "variance": torch.as_tensor(np.asarray(new.variance)),
        "count": float(new.count),
        "the arguments are as they were": same,
    }


def moments_by_squares(moments: Moments, batch: np.ndarray) -> Moments:
    """Through the mean of the squares."""
    count = moments.count + len(batch)
    mean = (moments.mean * moments.count + batch.sum(0)) / count
    squares = ((moments.variance + moments.mean**2) * moments.count + (batch**2).sum(0)) / count
    return Moments(mean, squares - mean**2, count)


test_update_moments = exercise(
    reference=normalization.update_moments,
    cases=moments_cases,
    observe=moments_seen,
    accepts=[moments_by_squares],
    mistakes=[
        *instead_of(
            "mean = moments.mean + delta * m / (n + m)",
            {
                "mean = moments.mean + delta / 2": ("weighs old and new alike", "each part counts by its rows"),
                "mean = moments.mean + delta * n / (n + m)": ("swaps the weights", "the new rows are m of n + m"),
                "mean = batch.mean(axis=0)": ("forgets what was before", "the mean is over everything seen"),
                "mean = moments.mean + delta / (n + m)": (
                    "counts the new rows as one",
                    "each of the m new rows moves the mean",
                ),
                "mean = moments.mean - delta * m / (n + m)": (
                    "moves the mean away from the new rows",
                    "delta is the mean of the batch minus the mean before, and is added",
                ),
                "mean = moments.mean\n    mean += delta * m / (n + m)": (
                    "adds to the old mean in place",
                    "moments stays as it is: moments.mean + x is a new array, and += writes into the old one",
                ),
            },
        ),
        *instead_of(
            "within + delta**2 * n * m / (n + m) ** 2",
            {
                "within": ("forgets the distance of the means", "two parts that lie apart spread more than either"),
                "within + delta**2 * n * m / (n + m)": ("divides by n + m once", "it's divided by its square"),
                "within + delta * n * m / (n + m) ** 2": ("forgets to square delta", "a variance is made of squares"),
                "within - delta**2 * n * m / (n + m) ** 2": (
                    "subtracts the distance of the means",
                    "two parts that lie apart spread more than either",
                ),
                "within + (delta * n * m / (n + m)) ** 2": (
                    "squares the weights together with delta",
                    "only delta and the sum n + m are squared",
                ),
                "within + delta**2 * m / (n + m)": (
                    "leaves a factor out of the distance of the means",
                    "it's delta^2 times both shares, n / (n + m) and m / (n + m)",
                ),
                "within + (batch.mean(axis=0) - mean) ** 2 * n * m / (n + m) ** 2": (
                    "measures delta from the new mean",
                    "delta is the distance from the mean before",
                ),
                "np.sqrt(within + delta**2 * n * m / (n + m) ** 2)": (
                    "returns the standard deviation",
                    "Moments holds the variance",
                ),
            },
        ),
        *instead_of(
            "(n * moments.variance + m * batch.var(axis=0)) / (n + m)",
            {
                "(m * moments.variance + n * batch.var(axis=0)) / (n + m)": (
                    "swaps the weights of the variances",
                    "the variance before stands for n rows, that of the batch for m",
                ),
                "(moments.variance + batch.var(axis=0)) / 2": (
                    "weighs both variances alike",
                    "each part counts by its rows",
                ),
                "((n - 1) * moments.variance + m * batch.var(axis=0)) / (n + m)": (
                    "weighs the old variance by the count minus one",
                    "a variance here is divided by the count, so it counts n times",
                ),
                "(moments.variance + m * batch.var(axis=0)) / (n + m)": (
                    "counts the old variance once",
                    "the variance before stands for n rows",
                ),
                "n * moments.variance + m * batch.var(axis=0)": (
                    "forgets to divide by the count",
                    "a variance is a mean: divide by n + m",
                ),
            },
        ),
        Mistake(
            "takes one mean for all entries",
            "delta = batch.mean(axis=0)",
            "delta = batch.mean()",
            why="each entry has a mean of its own",
        ),
        *instead_of(
            "batch.var(axis=0)",
            {
                "batch.std(axis=0)": ("takes the standard deviation", "variances are averaged"),
                "batch.var()": ("takes one variance for all entries", "each entry has a variance of its own"),
                "batch.var(axis=0, ddof=1)": (
                    "divides by the count minus one",
                    "a variance here is the mean squared distance: it's divided by the count",
                ),
            },
        ),
        *instead_of(
            "len(batch)",
            {
                "1": ("counts batches instead of rows", "each row of the batch is one observation"),
                "batch.size": ("counts numbers instead of rows", "each row of the batch is one observation"),
            },
        ),
        *instead_of(
            ", n + m)",
            {
                ", float(m))": ("returns the count of the batch", "the result's count is n + m"),
                ", n)": ("returns the old count", "the result's count is n + m"),
                ", n + 1)": ("adds one to the count", "the batch has m rows: the result's count is n + m"),
            },
        ),
    ],
)
