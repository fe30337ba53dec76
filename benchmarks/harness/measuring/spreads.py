"""Statistics of times: spreads, ratios of pairs, and how far two figures are apart.

Raises:  ValueError for fewer than two values, or sides of different lengths.
Source:  benchmarks/README.md, "How it is measured", point 3; quantiles by linear interpolation (Hyndman and Fan's type 7).
"""

from collections.abc import Sequence
from statistics import median, quantiles

from benchmarks.harness.record import Spread


def compute_spread(values: Sequence[float]) -> Spread:
    """The median, and the range from the 10th to the 90th percentile.

    >>> compute_spread([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0])
    Spread(median=6.0, low=2.0, high=10.0)
    """
    if len(values) < 2:
        raise ValueError(f"a spread needs two values or more: got {len(values)}. Time more runs.")
    deciles = quantiles(values, n=10, method="inclusive")
    return Spread(median(values), deciles[0], deciles[-1])


def compute_ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Of each pair: their time over ours, above 1 where ours is faster."""
    return [their / our for our, their in zip(ours, theirs, strict=True)]


def relative_difference(one: float, other: float) -> float:
    """By what fraction the larger exceeds the smaller, whichever comes first.

    >>> relative_difference(4.0, 5.0), relative_difference(5.0, 4.0)
    (0.25, 0.25)
    """
    return abs(one - other) / min(one, other)
