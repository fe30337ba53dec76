"""What Python the course needs, in four small pieces: a comprehension, a generator, a class, a dataclass.

Raises:  ConfigError for a size or a number that cannot work.
Source:  own examples; the words are those of Python's own tutorial, chapters 5 and 9.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from arena_lib.core.configs import check_sizes
from arena_lib.errors import ConfigError


def count_words(text: str) -> dict[str, int]:
    """How often each word occurs, in the order in which the words first appear.

    Words are what spaces and line ends separate; capital letters count as small ones.

    >>> count_words("The cat and the dog")
    {'the': 2, 'cat': 1, 'and': 1, 'dog': 1}
    """
    words = text.lower().split()
    return {word: words.count(word) for word in words}


def in_batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Gives the items in pieces of `size`, one piece at a time, in order; the last piece may be shorter.

    It is a generator: nothing is cut before it is asked for. The pieces of a list are lists.

    >>> list(in_batches([5, 6, 7, 8, 9], size=2))
    [[5, 6], [7, 8], [9]]
    """
    check_size(size)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def check_size(size: int) -> None:
    """ConfigError unless a piece of this size has room for something."""
    if size < 1:
        raise ConfigError(f"size must be at least 1: got {size}. Pass the number of items in a batch.")


class RunningMean:
    """The mean of all numbers so far, without keeping them.

    `add(number)` takes the next number and returns nothing. `mean` is the mean of the numbers added so far, 0.0 before
    the first. `len(...)` is how many there were. Each instance counts for itself.

    >>> mean = RunningMean()
    >>> mean.add(1.0)
    >>> mean.add(4.0)
    >>> mean.mean, len(mean)
    (2.5, 2)
    """

    def __init__(self) -> None:
        """Nothing has been added yet."""
        self.total, self.n = 0.0, 0

    def add(self, number: float) -> None:
        """Takes the next number."""
        self.total += number
        self.n += 1

    @property
    def mean(self) -> float:
        """The mean so far."""
        return self.total / self.n if self.n else 0.0

    def __len__(self) -> int:
        """How many numbers there were."""
        return self.n


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long a training run is: how many steps, for so many examples and epochs.

    Two properties are worked out from the fields, both whole numbers. `steps_per_epoch` is how many batches it takes to
    see every example once; the last batch may be smaller. `n_steps` is that for all epochs together.

    >>> schedule = Schedule(n_examples=10, batch_size=4, n_epochs=5)
    >>> schedule.steps_per_epoch, schedule.n_steps
    (3, 15)
    """

    n_examples: int
    batch_size: int
    n_epochs: int = 1

    def __post_init__(self) -> None:
        """ConfigError unless each field is a whole number of at least 1."""
        check_sizes(self, "n_examples", "batch_size", "n_epochs")

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every example comes once."""
        return -(-self.n_examples // self.batch_size)

    @property
    def n_steps(self) -> int:
        """Batches of all epochs."""
        return self.steps_per_epoch * self.n_epochs
