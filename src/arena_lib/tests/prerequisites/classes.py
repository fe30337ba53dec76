"""Judges of Python in small steps: a class and a dataclass."""

import pickle
from typing import Any

import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.fundamentals.puzzles import python_basics

__test__ = False


def numbers_cases(generator: torch.Generator) -> list[Case]:
    """Numbers of both signs, one, many equal ones."""
    numbers = {"both signs": [1.0, 4.0, -2.5, 0.5], "one number": [3.0], "large numbers": [1e6, 1e6 + 1, 0.0]}
    return [
        Case(label=label, given={"numbers": n}, call=f"RunningMean(), then add each of {n}")
        for label, n in numbers.items()
    ]


def keeps_numbers(cls: Any) -> bool:
    """Whether what an instance holds grows with the numbers, by a byte or more for each."""
    sizes = []
    for n_numbers in (2, 302):
        instance = cls()
        for number in range(n_numbers):
            instance.add(float(number))
        sizes.append(len(pickle.dumps(getattr(instance, "__dict__", {}))))
    return bool(sizes[1] >= sizes[0] + 300)


def two_lives(cls: Any, case: Case) -> dict[str, Any]:
    """The means while numbers are added, beside a second instance that gets others; a third is new afterwards."""
    if not isinstance(cls, type):
        raise Unfit(f"This test takes the class RunningMean itself: got {type(cls).__name__}.")
    mean, other = cls(), cls()
    if callable(mean.mean):
        raise Unfit("mean must be read like a value, without brackets: got a method. Write @property above its def.")
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
        "mean and length of a new instance": (cls().mean, len(cls())),
        "keeps the numbers": keeps_numbers(cls),
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


class MeanOfTwo(python_basics.RunningMean):
    """The mean of the new number and the mean before it."""

    def __init__(self) -> None:
        self.current, self.count = 0.0, 0

    def add(self, number: float) -> None:
        self.current = number if self.count == 0 else (self.current + number) / 2
        self.count += 1

    @property
    def mean(self) -> float:
        return self.current

    def __len__(self) -> int:
        return self.count


class MeanOfTwoFromZero(MeanOfTwo):
    """The same, where the mean before the first number counts too."""

    def add(self, number: float) -> None:
        self.current, self.count = (self.current + number) / 2, self.count + 1


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
    accepts=[MeanByUpdate],
    mistakes=[
        *instead_of(
            "self.total += number",
            {
                "self.total = number": ("keeps the last number only", "the sum of all numbers so far counts: +="),
                "self.total += abs(number)": ("drops the sign", "the numbers are added as they are"),
                "self.total += int(number)": ("drops what follows the point", "the numbers are added as they are"),
            },
        ),
        *instead_of(
            "self.total / self.n if self.n else 0.0",
            {
                "self.total": ("returns the sum", "the mean is the sum divided by how many there were"),
                "self.total / (self.n + 1)": ("divides by one too many", "n counts every number that was added"),
                "self.total // self.n if self.n else 0.0": ("rounds the mean down", "a mean is a fraction: /, not //"),
                "self.total / self.n": (
                    "divides by 0 before the first number",
                    "mean is 0.0 as long as there are no numbers",
                    "ZeroDivisionError",
                ),
            },
        ),
        *instead_of(
            "self.n += 1",
            {
                "self.n += 2": ("counts two for each number", "one number is added"),
                "self.n += 1\n        return self.mean": (
                    "returns something from add",
                    "add only takes the number in: who wants the mean asks for mean",
                ),
            },
        ),
        *(
            Mistake(
                "takes the mean of the old mean and the new number",
                function=wrong,
                why="the old mean stands for all numbers before: move it by (number - mean) / n",
            )
            for wrong in (MeanOfTwo, MeanOfTwoFromZero)
        ),
        Mistake(
            "keeps all the numbers",
            function=MeanOfList,
            why="their sum and how many there were are enough, and don't grow",
            shows=lambda seen: any(case.get("keeps the numbers") for case in seen),
        ),
        Mistake(
            "shares the numbers between instances",
            function=SharedMean,
            why="what stands in the class is one for all instances: make it in __init__, on self",
            shows=lambda seen: any(case["mean and length of a new instance"] != (0.0, 0) for case in seen),
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
