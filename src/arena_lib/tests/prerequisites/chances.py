"""Judges of a derivative by two calls, of entropy, and of draws from a distribution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.fundamentals.puzzles import probabilities
from arena_lib.tests.prerequisites.tensors import calls, floats

__test__ = False

N_DRAWS = 60_000
"""Draws of which the frequencies are looked at: two right solutions differ by 0.02 less than once in a billion times."""


def cube(x: float) -> float:
    """A curve that is steeper on the right."""
    return x**3


def kink(x: float) -> float:
    """A slope of 1 on the left of 0, and of 3 on the right."""
    return abs(x) + 2 * x


def slope_cases(generator: torch.Generator) -> list[Case]:
    """Curves with other slopes on the left and right, several steps, and the step that is the default."""
    return calls(
        {
            "a cube": (cube, 2.0, 0.5),
            "exp with a small step": (math.exp, 0.5, 1e-3),
            "a kink": (kink, 0.25, 1.0),
            "the default step": (cube, 1.5),
        }
    )


DIFFERENCE = "(function(x + step) - function(x - step)) / (2 * step)"

test_numerical_derivative = exercise(
    reference=probabilities.numerical_derivative,
    cases=slope_cases,
    tolerance={"output": Tolerance(rtol=1e-6, atol=1e-9)},
    accepts=[
        lambda function, x, step=1e-4: 0.5 * ((function(x + step) - function(x - step)) / step),
        lambda function, x, step=1e-4: (function(x - step) - function(x + step)) / (-2 * step),
    ],
    mistakes=[
        *instead_of(
            DIFFERENCE,
            {
                "(function(x + step) - function(x)) / step": (
                    "steps to the right only",
                    "with a step to both sides the error is far smaller",
                ),
                "(function(x) - function(x - step)) / step": (
                    "steps to the left only",
                    "with a step to both sides the error is far smaller",
                ),
                "(function(x + step) - function(x - step)) / step": (
                    "divides by one step",
                    "from x - step to x + step it is two steps",
                ),
                "(function(x + step) - function(x - step)) / 2 * step": (
                    "multiplies by the step",
                    "a product and a quotient go from left to right: put 2 * step in brackets",
                ),
                "(function(x - step) - function(x + step)) / (2 * step)": (
                    "turns the sign",
                    "a curve that rises has a slope above 0",
                ),
                "function(x + step) - function(x - step)": ("does not divide", "a slope is a change for each step"),
            },
        ),
    ],
)


def probs_cases(generator: torch.Generator) -> list[Case]:
    """Uneven and even rows, zeros, a certain row, one class."""
    return calls(
        {
            "uneven": (floats(generator, 3, 4).softmax(dim=1),),
            "as many rows as columns": (floats(generator, 3, 3).softmax(dim=1),),
            "even": (torch.full((2, 5), 0.2),),
            "with zeros": (torch.tensor([[0.5, 0.0, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]]),),
            "one class": (torch.ones(2, 1),),
        },
        "batch",
    )


LOGS = "torch.where(probs > 0, probs, 1.0).log()"

test_entropy = exercise(
    reference=probabilities.entropy,
    cases=probs_cases,
    accepts=[
        lambda probs: torch.special.entr(probs).sum(dim=1),
        lambda probs: -torch.xlogy(probs, probs).sum(-1),
        lambda probs: -(probs * probs.log()).nan_to_num(0.0).sum(dim=1),
    ],
    mistakes=[
        Mistake(
            "takes a softmax of the probabilities",
            function=lambda probs: probabilities.entropy(probs.softmax(dim=1)),
            why="probs are probabilities already: they sum to one",
        ),
        Mistake(
            "gives NaN where a probability is 0",
            LOGS,
            "probs.log()",
            why="0 * log(0) is 0 * -inf, which is NaN: such an entry adds nothing",
        ),
        *instead_of(
            LOGS,
            {
                f"{LOGS[:-6]}.log2()": ("measures in bits", "nats are asked for: the natural logarithm"),
                f"{LOGS[:-6]}.log10()": (
                    "takes the logarithm to base 10",
                    "nats are asked for: the natural logarithm, torch.log",
                ),
                "(probs + 0.01).log()": (
                    "adds a small number to every probability",
                    "only a probability of 0 needs care: the others stay as they are",
                ),
            },
        ),
        *instead_of(
            "(-probs * logs).sum(dim=1)",
            {
                "(probs * logs).sum(dim=1)": ("forgets the minus sign", "an entropy is never below 0"),
                "(-probs * logs).sum(dim=0)": ("sums over the rows", "each row has an entropy: sum over dim=1"),
                "(-probs * logs).mean(dim=1)": ("takes the mean", "the terms are added: they are weighted already"),
                "-logs.mean(dim=1)": ("weights all alike", "each logarithm is weighted by its probability"),
                "(-probs * logs).sum(dim=1).exp()": ("takes exp", "the entropy itself is asked for"),
                "-logs.sum(dim=1)": ("weights all alike", "each logarithm is weighted by its probability"),
                "-probs.clamp(min=1e-12).log().sum(dim=1)": (
                    "weights all alike",
                    "each logarithm is weighted by its probability",
                ),
                "(-probs * logs).sum()": ("sums over everything", "each row has an entropy: sum over dim=1"),
            },
        ),
    ],
    equivalent={
        "logs = torch.where(probs > 0, probs, 1.0).log() -> logs = torch.where(probs > 0, probs, 2.0).log()": (
            "the logarithm is multiplied by 0, whatever it is"
        )
    },
)


def distributions_cases(generator: torch.Generator) -> list[Case]:
    """Uneven chances, impossible numbers at the ends and in the middle, certainty, and few draws."""
    chances = {
        "uneven": [0.1, 0.6, 0.3],
        "some impossible": [0.0, 0.25, 0.0, 0.75, 0.0],
        "certain": [0.0, 1.0],
    }
    cases = [
        Case(label=label, given={"probs": torch.tensor(probs), "n": N_DRAWS}, call=f"torch.tensor({probs}), {N_DRAWS}")
        for label, probs in chances.items()
    ]
    return [*cases, Case(label="one draw", given={"probs": torch.tensor([0.5, 0.5]), "n": 1}, call="probs, 1")]


def frequencies(function: Callable[..., Any], case: Case) -> dict[str, Any]:
    """How often each number is drawn, whether it can be repeated, and whether the draws depend on one another."""
    probs, n = case.given["probs"], case.given["n"]
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(function(probs.clone(), n))
    first, again, other = drawn
    shares = torch.bincount(first.long().clamp(min=0).flatten(), minlength=len(probs)) / first.numel()
    seen = {
        "shape": tuple(first.shape),
        "dtype": first.dtype,
        "equal seeds give equal draws": torch.equal(first, again),
    }
    if n == 1:
        return seen
    return seen | {
        "shares": shares,
        "impossible numbers": int((probs == 0)[: len(shares)][first.long().clamp(0, len(probs) - 1)].sum()),
        "share of equal neighbours": (first[1:] == first[:-1]).float().mean(),
        "other seeds give other draws": not torch.equal(first, other),
    }


def drawn_by_numpy(probs: Tensor, n: int) -> Tensor:
    """Whatever torch.manual_seed was given."""
    chances = probs.double().numpy()
    return torch.from_numpy(np.random.default_rng().choice(len(chances), n, p=chances / chances.sum()))


DRAW = "torch.searchsorted(edges, torch.rand(n), right=True)"
ON_AN_EDGE = "a draw that is equal to an edge hardly ever comes"

test_sample_distribution = exercise(
    reference=probabilities.sample_distribution,
    cases=distributions_cases,
    observe=frequencies,
    tolerance={
        "shares": Tolerance(rtol=0.0, atol=0.02),
        "share of equal neighbours": Tolerance(rtol=0.0, atol=0.02),
    },
    accepts=[
        lambda probs, n: torch.multinomial(probs, n, replacement=True),
        lambda probs, n: torch.distributions.Categorical(probs).sample((n,)),
        lambda probs, n: (torch.rand(n)[:, None] >= probs.cumsum(0)[:-1]).sum(dim=1),
    ],
    mistakes=[
        *instead_of(
            DRAW,
            {
                "torch.randint(len(probs), (n,))": ("draws all numbers alike", "number i has the probability probs[i]"),
                "torch.searchsorted(probs[:-1], torch.rand(n), right=True)": (
                    "compares with the probabilities themselves",
                    "number i belongs to the piece of length probs[i] between 0 and 1: compare with their running sums",
                ),
                "torch.searchsorted(edges, torch.rand(n).sort().values, right=True)": (
                    "sorts the draws",
                    "each draw is independent of the one before",
                ),
                "torch.searchsorted(edges, torch.rand(1), right=True).expand(n).clone()": (
                    "draws once for all",
                    "each of the n numbers is drawn by itself",
                ),
                "torch.searchsorted(edges, torch.rand(n, generator=torch.Generator().manual_seed(0)), right=True)": (
                    "draws the same in every call",
                    "the draws come from torch's global generator",
                ),
                "probs.argmax().expand(n).clone()": ("takes the likeliest", "each number is drawn at random"),
                "torch.searchsorted(edges, (torch.arange(n) + 0.5) / n, right=True)": (
                    "shares the numbers out in order",
                    "each number is drawn at random: torch.rand",
                ),
                "torch.searchsorted(edges, torch.rand(n), right=True) + 1": (
                    "counts from 1",
                    "the first number is 0: number i has the probability probs[i]",
                ),
                "torch.multinomial(probs.softmax(0), n, replacement=True)": (
                    "takes a softmax of the probabilities",
                    "probs are probabilities already: they sum to one",
                ),
                "(torch.rand(n)[:, None] > probs).sum(dim=1).clamp(max=len(probs) - 1)": (
                    "compares with the probabilities themselves",
                    "number i belongs to the piece of length probs[i] between 0 and 1: compare with their running sums",
                ),
                "torch.multinomial(probs, n)": (
                    "draws without replacement",
                    "a number may come again: replacement=True",
                    "RuntimeError",
                ),
                "torch.searchsorted(edges, torch.rand(n), right=True).float()": (
                    "returns floats",
                    "the numbers are whole: int64",
                ),
                "torch.searchsorted(edges, torch.randn(n).sigmoid(), right=True)": (
                    "draws numbers that aren't even between 0 and 1",
                    "torch.rand gives each place between 0 and 1 the same chance, torch.randn doesn't",
                ),
            },
        ),
        Mistake(
            "draws from another generator than torch's",
            function=drawn_by_numpy,
            why="the draws come from torch's global generator: torch.rand, or torch.multinomial",
            shows=lambda seen: not all(case.get("equal seeds give equal draws", True) for case in seen),
        ),
    ],
    equivalent={
        "edges = probs.cumsum(dim=0)[:-1] -> edges = probs.cumsum(dim=-1)[:-1]": "there is one axis, the first and the last",
        f"return {DRAW} -> return {DRAW.replace(', right=True', '')}": ON_AN_EDGE,
        f"return {DRAW} -> return {DRAW.replace('True', 'False')}": ON_AN_EDGE,
    },
)
