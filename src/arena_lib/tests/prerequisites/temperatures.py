"""Judges of temperatures by week: averages, differences, and differences over the spread."""

from collections.abc import Callable

import einops
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.fundamentals.puzzles import broadcasting
from arena_lib.tests.prerequisites.tensors import calls, floats

__test__ = False


def temps_cases(generator: torch.Generator) -> list[Case]:
    """Three weeks, one week, seven weeks, and a winter below 0."""
    weeks = {"three weeks": (3, 20), "one week": (1, 15), "seven weeks": (7, 10), "a winter": (2, -9)}
    return calls({label: (around + 2 * floats(generator, 7 * n),) for label, (n, around) in weeks.items()})


WEEKS = '"(week day) -> week", "mean", day=DAYS'
OF_EACH_WEEK = "a week is seven neighbours: (week day), with day last"

test_temperatures_average = exercise(
    reference=broadcasting.temperatures_average,
    cases=temps_cases,
    accepts=[
        lambda temps: temps.reshape(-1, 7).mean(dim=1),
        lambda temps: torch.stack([week.mean() for week in temps.split(7)]),
    ],
    mistakes=[
        *instead_of(
            WEEKS,
            {
                '"(day week) -> week", "mean", day=DAYS': ("averages days of different weeks", OF_EACH_WEEK),
                '"(week day) -> week", "sum", day=DAYS': ("adds instead of averaging", "a mean is the sum over 7"),
                '"(week day) -> week", "max", day=DAYS': ("takes the hottest day", "the mean of the week is asked for"),
                '"(week day) -> day", "mean", day=DAYS': (
                    "averages over the weeks",
                    "there is one mean for each week: the week stays, the day goes",
                ),
            },
        ),
        Mistake(
            "takes the middle day",
            f"einops.reduce(temps, {WEEKS})",
            "temps[DAYS // 2 :: DAYS]",
            why="all seven days count alike",
        ),
    ],
)


def days_cases(generator: torch.Generator) -> list[Case]:
    """As for the averages."""
    return temps_cases(generator)


def by_other_days(compare: Callable[[Tensor, int], Tensor]) -> list[Mistake]:
    """What compares each day with others than its week's; `compare` compares along an axis."""
    return [
        Mistake(
            "compares with the same day of other weeks",
            function=lambda temps: compare(temps.reshape(-1, 7), 0).flatten(),
            why="a day is compared with the seven days of its own week: the axis of the days, dim=1",
        ),
        Mistake(
            "puts days of different weeks together",
            function=lambda temps: compare(temps.reshape(7, -1), 0).flatten(),
            why=OF_EACH_WEEK,
        ),
    ]


def differences_by_loop(temps: Tensor) -> Tensor:
    """Week by week."""
    return torch.cat([week - week.mean() for week in temps.split(7)])


test_temperatures_differences = exercise(
    reference=broadcasting.temperatures_differences,
    cases=days_cases,
    accepts=[
        differences_by_loop,
        lambda temps: (temps.reshape(-1, 7) - temps.reshape(-1, 7).mean(1, keepdim=True)).flatten(),
    ],
    mistakes=[
        *instead_of(
            'temps - einops.repeat(temperatures_average(temps), "week -> (week day)", day=DAYS)',
            {
                'temps - einops.repeat(temperatures_average(temps), "week -> (day week)", day=DAYS)': (
                    "gives each day another week's mean",
                    "a week's mean belongs to seven neighbours: (week day), with day last",
                ),
                'einops.repeat(temperatures_average(temps), "week -> (week day)", day=DAYS) - temps': (
                    "subtracts the other way round",
                    "a day that is warmer than its week has a difference above 0",
                ),
                "temps - temps.mean()": ("subtracts the mean of all days", "each week has a mean of its own"),
                'einops.repeat(temperatures_average(temps), "week -> (week day)", day=DAYS)': (
                    "returns the means",
                    "each day less its week's mean is asked for",
                ),
                'temps.sub_(einops.repeat(temperatures_average(temps), "week -> (week day)", day=DAYS))': (
                    "changes the temperatures themselves",
                    "the caller's tensor stays as it is: x - y makes a new one",
                ),
            },
        ),
        *by_other_days(lambda days, dim: days - days.mean(dim, keepdim=True)),
    ],
)


def normalised_by_rows(temps: Tensor) -> Tensor:
    """With the days of a week in a row."""
    weeks = einops.rearrange(temps, "(week day) -> week day", day=7)
    scaled = (weeks - weeks.mean(1, keepdim=True)) / weeks.std(1, keepdim=True)
    return einops.rearrange(scaled, "week day -> (week day)")


def scaled_in_place(temps: Tensor) -> Tensor:
    """Writes into a view of the argument."""
    weeks = temps.view(-1, 7)
    weeks -= weeks.mean(dim=1, keepdim=True)
    weeks /= weeks.std(dim=1, keepdim=True)
    return weeks.flatten()


test_temperatures_normalized = exercise(
    reference=broadcasting.temperatures_normalized,
    cases=days_cases,
    accepts=[
        normalised_by_rows,
        lambda temps: torch.cat([(week - week.mean()) / week.std() for week in temps.split(7)]),
    ],
    mistakes=[
        *instead_of(
            "weeks.std(dim=1)",
            {
                "weeks.std(dim=1, unbiased=False)": ("divides by 7 in the spread", "torch's own std divides by 6"),
                "weeks.var(dim=1)": ("divides by the variance", "the standard deviation is the variance's root"),
                "weeks.std().expand(len(weeks))": ("takes the spread of all days", "each week has its own spread"),
                "weeks.max(dim=1).values": ("divides by the hottest day", "it is divided by the standard deviation"),
            },
        ),
        *instead_of(
            "temperatures_differences(temps)",
            {
                "temps": ("does not subtract the mean", "the difference from the week's mean is divided"),
                "(temps - temps.mean())": ("subtracts the mean of all days", "each week has a mean of its own"),
            },
        ),
        Mistake(
            "gives each day another week's spread",
            '"week -> (week day)"',
            '"week -> (day week)"',
            why="a week's spread belongs to seven neighbours: (week day), with day last",
        ),
        Mistake(
            "changes the temperatures themselves",
            function=scaled_in_place,
            why="the caller's tensor stays as it is: x - y makes a new one",
            shows=changes_an_argument,
        ),
        *by_other_days(lambda days, dim: (days - days.mean(dim, keepdim=True)) / days.std(dim, keepdim=True)),
    ],
)
