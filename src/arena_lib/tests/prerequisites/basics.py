"""Judges of Python in small steps: a comprehension, a generator, a class, a dataclass."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.fundamentals.puzzles import python_basics
from arena_lib.tests.prerequisites.tensors import calls

__test__ = False


def texts_cases(generator: torch.Generator) -> list[Case]:
    """Capital letters, line ends, words within words, nothing at all."""
    return calls(
        {
            "words that come again": ("the cat and the dog and the bird",),
            "capital letters": ("To be or not to BE",),
            "several spaces and lines": ("  one two\n\ntwo   one\tone ",),
            "a word within a word": ("a banana a ban",),
            "no words": ("",),
        }
    )


def counts(function: Callable[..., Any], case: Case) -> dict[str, Any]:
    """The dictionary, and the order of its words."""
    counted = function(*case.args)
    if not isinstance(counted, dict):
        raise Unfit(f"count_words must return a dictionary: got {type(counted).__name__}. Write {{word: number}}.")
    return {"output": dict(counted), "words in order": list(counted)}


test_count_words = exercise(
    reference=python_basics.count_words,
    cases=texts_cases,
    observe=counts,
    accepts=[
        lambda text: dict(Counter(text.lower().split())),
        lambda text: {word: text.lower().split().count(word) for word in dict.fromkeys(text.lower().split())},
    ],
    mistakes=[
        *instead_of(
            "text.lower().split()",
            {
                "text.split()": ("tells capital letters from small ones", "capital letters count as small ones"),
                'text.lower().split(" ")': (
                    "splits at every single space",
                    "split() without an argument splits at any run of spaces and line ends",
                ),
                "text.upper().split()": ("makes all letters capital", "the words are in small letters"),
                "list(text.lower())": ("counts letters", "words are what spaces separate"),
            },
        ),
        *instead_of(
            "words.count(word) for word in words",
            {
                "text.lower().count(word) for word in words": (
                    "counts a word within other words",
                    "the list's count compares whole words, the text's count doesn't",
                ),
                "words.count(word) for word in sorted(words)": (
                    "sorts the words",
                    "the words come in the order in which they first appear",
                ),
                "1 for word in words": ("counts each word once", "how often each occurs is asked for"),
                "words.count(word) / len(words) for word in words": ("gives shares", "counts are whole numbers"),
            },
        ),
    ],
)


class Watched(list[int]):
    """A list that counts how many of its items were read."""

    n_read = 0

    def __getitem__(self, index: Any) -> Any:
        self.n_read += len(range(*index.indices(len(self)))) if isinstance(index, slice) else 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[int]:
        for item in super().__iter__():
            self.n_read += 1
            yield item


def items_cases(generator: torch.Generator) -> list[Case]:
    """A shorter last piece, pieces that fit, one piece, no items, pieces of one."""
    return calls(
        {
            "a shorter last piece": ([5, 6, 7, 8, 9], 2),
            "pieces that fit": ([1, 2, 3, 4, 5, 6], 3),
            "fewer than a piece": ([4, 2], 5),
            "no items": ([], 3),
            "pieces of one": ([3, 1], 1),
        }
    )


def pieces(function: Callable[..., Any], case: Case) -> dict[str, Any]:
    """All pieces, and how far it has read when the first one is there."""
    items, size = Watched(case.args[0]), case.args[1]
    made = function(items, size)
    n_before = items.n_read
    if not isinstance(made, Iterator):
        raise Unfit(
            f"in_batches must give its pieces one at a time: got {type(made).__name__}. Write yield, not return."
        )
    first = [list(piece) for piece in itertools.islice(made, 1)]
    return {
        "items read before a piece is asked for": n_before,
        "the first piece reads no further than it must": items.n_read <= size + 1,
        "pieces": first + [list(piece) for piece in made],
    }


def by_appending(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Item by item."""
    piece: list[int] = []
    for item in items:
        piece.append(item)
        if len(piece) == size:
            yield piece
            piece = []
    if piece:
        yield piece


def by_index(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """With a loop that counts by hand."""
    start = 0
    while start < len(items):
        yield items[start : start + size]
        start += size


test_in_batches = exercise(
    reference=python_basics.in_batches,
    cases=items_cases,
    observe=pieces,
    accepts=[by_index, by_appending, lambda items, size: (items[i : i + size] for i in range(0, len(items), size))],
    mistakes=[
        *instead_of(
            "range(0, len(items), size)",
            {
                "range(0, len(items) - size + 1, size)": (
                    "drops the last, shorter piece",
                    "the last piece may be shorter, and comes too",
                ),
                "range(0, len(items))": ("moves on by one item", "the next piece begins `size` items later"),
                "range(0, len(items) + 1, size)": ("may end with an empty piece", "a piece has at least one item"),
                "range(0, min(size, len(items)), size)": ("stops after the first piece", "all items come"),
                "[*range(0, len(items), size)][::-1]": ("begins at the end", "the pieces come in order"),
            },
        ),
        *instead_of(
            "items[start : start + size]",
            {
                "items[start : start + size + 1]": (
                    "takes one item too many",
                    "a slice [a : b] has b - a items: the end isn't included",
                ),
                "items[start:size]": ("ends at `size`", "the end of the slice is start + size"),
            },
        ),
        Mistake(
            "makes a list of all pieces",
            "    for start in range(0, len(items), size):\n        yield items[start : start + size]",
            "    return iter([items[start : start + size] for start in range(0, len(items), size)])",
            why="a generator cuts a piece when it is asked for: use yield",
        ),
    ],
)


def numbers_cases(generator: torch.Generator) -> list[Case]:
    """Numbers of both signs, one, many equal ones."""
    numbers = {"both signs": [1.0, 4.0, -2.5, 0.5], "one number": [3.0], "large numbers": [1e6, 1e6 + 1, 0.0]}
    return [
        Case(label=label, given={"numbers": n}, call=f"RunningMean(), then add each of {n}")
        for label, n in numbers.items()
    ]


def two_lives(cls: Any, case: Case) -> dict[str, Any]:
    """The means while numbers are added, beside a second instance that gets others."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class RunningMean itself: got {type(cls).__name__}.")
    mean, other = cls(), cls()
    seen: dict[str, Any] = {"mean before the first": mean.mean, "length before the first": len(mean)}
    returned, means = [], []
    for number in case.given["numbers"]:
        returned.append(mean.add(number))
        other.add(7.0)
        means.append(mean.mean)
    return seen | {
        "means": means,
        "length": len(mean),
        "add returns nothing": returned == [None] * len(returned),
        "mean of another instance": other.mean,
        "length of another instance": len(other),
    }


class MeanByUpdate(python_basics.RunningMean):
    """Moves the mean by a part of the difference."""

    def __init__(self) -> None:
        self.current, self.count = 0.0, 0

    def add(self, number: float) -> None:
        self.count += 1
        self.current += (number - self.current) / self.count

    @property
    def mean(self) -> float:
        return self.current

    def __len__(self) -> int:
        return self.count


class MeanOfList(python_basics.RunningMean):
    """Keeps every number."""

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def add(self, number: float) -> None:
        self.numbers.append(number)

    @property
    def mean(self) -> float:
        return sum(self.numbers) / len(self.numbers) if self.numbers else 0.0

    def __len__(self) -> int:
        return len(self.numbers)


class SharedMean(python_basics.RunningMean):
    """Keeps the numbers in the class."""

    numbers: list[float] = []  # noqa: RUF012

    def __init__(self) -> None:
        pass

    def add(self, number: float) -> None:
        self.numbers.append(number)

    @property
    def mean(self) -> float:
        return sum(self.numbers) / len(self.numbers) if self.numbers else 0.0

    def __len__(self) -> int:
        return len(self.numbers)


test_running_mean = exercise(
    reference=python_basics.RunningMean,
    cases=numbers_cases,
    observe=two_lives,
    accepts=[MeanByUpdate, MeanOfList],
    mistakes=[
        *instead_of(
            "self.total += number",
            {
                "self.total = number": ("keeps the last number only", "the sum of all numbers so far counts: +="),
                "self.total += abs(number)": ("drops the sign", "the numbers are added as they are"),
            },
        ),
        *instead_of(
            "self.total / self.n if self.n else 0.0",
            {
                "self.total": ("returns the sum", "the mean is the sum divided by how many there were"),
                "self.total / (self.n + 1)": ("divides by one too many", "n counts every number that was added"),
            },
        ),
        Mistake("counts two for each number", "self.n += 1", "self.n += 2", why="one number is added"),
        Mistake(
            "shares the numbers between instances",
            function=SharedMean,
            why="what stands in the class is one for all instances: make it in __init__, on self",
            shows=lambda seen: any(case.get("mean of another instance") != 7.0 for case in seen if "means" in case),
        ),
    ],
)


def schedules_cases(generator: torch.Generator) -> list[Case]:
    """A last batch that is smaller, batches that fit, one batch, the default of one epoch."""
    runs = {
        "a smaller last batch": (10, 4, 5),
        "most of a last batch": (11, 4, 2),
        "batches that fit": (12, 3, 2),
        "fewer examples than a batch": (3, 8, 4),
        "one batch": (6, 6, 7),
    }
    cases = [
        Case(
            label=label,
            given={"n_examples": n, "batch_size": size, "n_epochs": epochs},
            call=f"n_examples={n}, batch_size={size}, n_epochs={epochs}",
        )
        for label, (n, size, epochs) in runs.items()
    ]
    return [
        *cases,
        Case(label="one epoch", given={"n_examples": 9, "batch_size": 2}, call="n_examples=9, batch_size=2"),
    ]


def steps(cls: Any, case: Case) -> dict[str, Any]:
    """Both properties."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class Schedule itself: got {type(cls).__name__}.")
    schedule = cls(**case.given)
    return {"steps_per_epoch": schedule.steps_per_epoch, "n_steps": schedule.n_steps}


class ScheduleByMath(python_basics.Schedule):
    """With a remainder."""

    @property
    def steps_per_epoch(self) -> int:
        return self.n_examples // self.batch_size + (self.n_examples % self.batch_size > 0)


class ScheduleByRange(python_basics.Schedule):
    """Counts where batches begin."""

    @property
    def steps_per_epoch(self) -> int:
        return len(range(0, self.n_examples, self.batch_size))

    @property
    def n_steps(self) -> int:
        return sum(self.steps_per_epoch for _ in range(self.n_epochs))


test_schedule = exercise(
    reference=python_basics.Schedule,
    cases=schedules_cases,
    observe=steps,
    keep=["__post_init__"],
    accepts=[ScheduleByMath, ScheduleByRange],
    mistakes=[
        *instead_of(
            "-(-self.n_examples // self.batch_size)",
            {
                "self.n_examples // self.batch_size": (
                    "drops the smaller last batch",
                    "every example is seen: a last, smaller batch is a step too",
                ),
                "self.n_examples // self.batch_size + 1": (
                    "always adds a batch",
                    "where the batches fit exactly, none is left over",
                ),
                "self.n_examples / self.batch_size": ("returns a fraction", "a number of steps is whole: //"),
                "round(self.n_examples / self.batch_size)": ("rounds to the nearest", "any remainder needs a step"),
            },
        ),
        *instead_of(
            "self.steps_per_epoch * self.n_epochs",
            {
                "self.steps_per_epoch": ("counts one epoch", "n_steps is for all epochs together"),
                "-(-self.n_examples * self.n_epochs // self.batch_size)": (
                    "lets batches reach into the next epoch",
                    "each epoch ends with a smaller batch of its own",
                ),
                "self.steps_per_epoch + self.n_epochs": ("adds the epochs", "each epoch has as many steps"),
            },
        ),
    ],
)
