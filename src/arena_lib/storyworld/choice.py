"""Seeded choices that are the same on every Python: all of them rest on `random()`.

Raises:  nothing; an empty list is our own mistake.
"""

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Chooser:
    """A stream of choices; two with the same seeds give the same stream."""

    def __init__(self, *seeds: int | str) -> None:
        # A string seed is hashed by SHA-512, so neighbouring integers give unrelated streams.
        self._random = random.Random("/".join(map(str, seeds))).random

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[int(self._random() * len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different positions of `options` in random order."""
        pool = list(options)
        for i in range(count):
            j = i + int(self._random() * (len(pool) - i))
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:count]

    def weighted(self, weights: Mapping[T, float | int]) -> T:
        """One key, as likely as its weight."""
        mark = self._random() * sum(weights.values())
        for key, weight in weights.items():
            mark -= weight
            if mark < 0:
                return key
        return key
