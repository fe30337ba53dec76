"""Scores over seeds: a mean that no single lucky seed decides, and how sure one can be of it.

Ten seeds are few. The mean follows the luckiest, the median forgets half of them. The interquartile mean leaves out
the best and the worst quarter, and the bootstrap says how much it would vary with other seeds.

Shapes:  scores "n_seeds" or "n_seeds n_tasks"; curves "n_seeds n_points"
Raises:  ShapeError for other shapes; ConfigError for no seeds.
Source:  Agarwal et al. 2021, arXiv:2108.13264, section 4.3 (interquartile mean) and section 4.1 (stratified bootstrap,
         percentile intervals).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arena_lib.errors import ConfigError, ShapeError

N_RESAMPLES = 2_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Band:
    """A curve with its interval."""

    center: np.ndarray
    """The interquartile mean at each point."""
    low: np.ndarray
    high: np.ndarray


def interquartile_mean(scores: Sequence[float] | np.ndarray) -> float:
    """The mean of the middle half of all scores; a quarter of them, rounded down, is left out at each end.

    Failures may be minus infinity: as long as they are less than a quarter they count as the worst, and no more.

    >>> interquartile_mean([0.0, 10.0, 11.0, 12.0, 100.0])
    11.0
    """
    return float(_mean_of_middle(_with_seeds(scores).reshape(1, -1))[0])


def bootstrap_interval(
    scores: Sequence[float] | np.ndarray,
    *,
    n_resamples: int = N_RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[float, float]:
    """The interval of the interquartile mean (low, high): what it is for other draws of as many seeds.

    Seeds are drawn with replacement `n_resamples` times, for each task apart; the interval holds the middle
    `confidence` of the interquartile means.
    """
    table = _with_seeds(scores)
    table = table[:, None] if table.ndim == 1 else table
    n_seeds, n_tasks = table.shape
    generator = np.random.default_rng(seed)
    drawn = generator.integers(n_seeds, size=(n_resamples, n_seeds, n_tasks))
    resampled = np.take_along_axis(table[None], drawn, axis=1).reshape(n_resamples, -1)
    outside = (1 - confidence) / 2
    low, high = np.quantile(_mean_of_middle(resampled), [outside, 1 - outside], method="nearest")
    return float(low), float(high)


def compute_band(curves: np.ndarray, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Band:
    """The interquartile mean of "n_seeds n_points" at each point, with its interval.

    Whole seeds are drawn, so that neighbouring points of the band belong together.
    """
    table = _with_seeds(curves)
    if table.ndim != 2:
        raise ShapeError(f"curves must have the axes n_seeds and n_points: got {table.shape}. Give one row a seed.")
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(table), size=(n_resamples, len(table)))
    means = np.stack([_mean_of_middle(table[:, point][drawn]) for point in range(table.shape[1])], axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return Band(_mean_of_middle(table.T), low, high)


def sample_curve(
    episodes: Sequence[tuple[int, float, int]], steps: Sequence[int] | np.ndarray, *, n_recent: int = 20
) -> np.ndarray:
    """The mean return of the last `n_recent` episodes that had ended by each of `steps`; NaN before the first ended.

    `episodes` are those of a `TrainingRun`: step, return, length.
    """
    ends = np.array([step for step, _, _ in episodes])
    sums = np.concatenate([[0.0], np.cumsum([total for _, total, _ in episodes])])
    n_ended = np.searchsorted(ends, np.asarray(steps), side="right")
    n_before = np.maximum(n_ended - n_recent, 0)
    n_counted = n_ended - n_before
    return np.where(n_counted > 0, (sums[n_ended] - sums[n_before]) / np.maximum(n_counted, 1), np.nan)


def _mean_of_middle(rows: np.ndarray) -> np.ndarray:
    """The interquartile mean of each row."""
    n_left_out = rows.shape[1] // 4
    ordered = np.sort(rows, axis=1)
    return ordered[:, n_left_out : rows.shape[1] - n_left_out].mean(axis=1)


def _with_seeds(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim not in (1, 2):
        raise ShapeError(f"scores must have the axes n_seeds, or n_seeds and n_tasks: got {table.shape}.")
    if not table.size:
        raise ConfigError("scores must be of at least one seed: got none. Train some.")
    return table
