"""Judges of section 2.2's improvements: replay by priority.

Shapes:  priorities "n_stored"; rows, weights "batch"
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.checking.reports.calls import value_text
from arena_lib.rl.dqn import prioritized
from arena_lib.tests.dqn_and_vpg.arguments import dtype_of, names_of_changed
from arena_lib.tests.dqn_and_vpg.memory import SEED, rows_drawn, without_generator

__test__ = False

DRAWS = {"output": "draw"}


def compute_priorities_cases(generator: torch.Generator) -> list[Case]:
    """Errors of both signs, of size zero, and several exponents."""
    errors = 2 * torch.randn(7, generator=generator)
    axes = {"output": "batch"}
    return [
        Case(label="errors of both signs", args=(errors, 0.6, 0.01), axes=axes),
        Case(label="an error of zero", args=(torch.tensor([0.0, -3.0, 0.5]), 0.7, 0.2), axes=axes),
        Case(label="alpha 1", args=(errors, 1.0, 0.1), axes=axes),
        Case(label="alpha 0", args=(errors, 0.0, 0.1), axes=axes),
        Case(label="one error", args=(errors[:1], 0.5, 0.3), axes=axes),
    ]


test_compute_priorities = exercise(
    reference=prioritized.compute_priorities,
    cases=compute_priorities_cases,
    observe=outputs,
    accepts=[lambda td_errors, alpha, eps: torch.exp(alpha * torch.log(torch.sqrt(td_errors * td_errors) + eps))],
    mistakes=[
        *instead_of(
            "(td_errors.abs() + eps)",
            {
                "(td_errors + eps).abs()": (
                    "adds eps before it takes the absolute value",
                    "an error of -eps would get the priority 0",
                ),
                "td_errors.abs()": (
                    "leaves out eps",
                    "a transition without any error would never be drawn again",
                ),
                "td_errors.abs().clamp(min=eps)": (
                    "takes eps for the smallest size",
                    "eps is added to the size of every error",
                ),
                "(td_errors.abs() - eps).clamp_min(0)": ("subtracts eps", "eps is added to the size of the error"),
                "td_errors.square()": (
                    "squares the errors and leaves out eps",
                    "the size of an error counts as it is, and eps is added to it",
                ),
                "td_errors.clamp_min(0).add(eps)": (
                    "gives negative errors no priority",
                    "an error of either sign says that there is something to learn",
                ),
                "(td_errors + eps)": (
                    "leaves out the absolute value",
                    "the sign doesn't matter, and a power of a number below zero is no number",
                ),
                "(td_errors.square() + eps)": ("squares the errors", "the size of an error counts as it is"),
                "(td_errors.abs_() + eps)": (
                    "writes into the errors",
                    "abs_ writes in place, and the errors belong to the caller: abs",
                ),
            },
        ),
        *instead_of(
            " ** alpha",
            {
                "": ("leaves out alpha", "the power says how much more often surprising transitions come"),
                " * alpha": ("multiplies by alpha", "alpha is an exponent"),
                " ** (1 - alpha)": (
                    "takes 1 - alpha as the exponent",
                    "with alpha 0 all are alike, with 1 the priority grows as the error does",
                ),
                " ** -alpha": ("gives surprising transitions a smaller priority", "a larger error comes more often"),
                ".pow(alpha).softmax(dim=0)": (
                    "takes a softmax",
                    "a priority is a number for itself; who draws divides by the sum",
                ),
                ".div((td_errors.abs() + eps).max()) ** alpha": (
                    "divides by the largest",
                    "a priority is a number for itself; who draws divides by the sum",
                ),
                ".sqrt()": ("always takes the root", "the exponent alpha is an argument"),
                ".pow(alpha).log().softmax(dim=0)": (
                    "divides by the sum",
                    "a priority is a number for itself; who draws divides by the sum of all that are stored",
                ),
            },
        ),
        Mistake(
            "adds eps after the power",
            "(td_errors.abs() + eps) ** alpha",
            "td_errors.abs() ** alpha + eps",
            why="eps is added to the size of the error, and the power is taken of the sum",
        ),
    ],
)


def sample_by_priority_cases(generator: torch.Generator) -> list[Case]:
    """Priorities in no order, zeros among them, one that outweighs all, one row; points that lie just on an end.

    With one draw the point is u times the sum, so a sum of 4 and an end at 4 * u meet it exactly in any precision.
    """
    u = torch.rand(1, generator=torch.Generator().manual_seed(SEED))
    rows = {
        "priorities in no order": (torch.rand(9, generator=generator) + 0.05, 30),
        "zeros first, last and between": (torch.tensor([0.0, 2.0, 0.0, 0.0, 1.0, 3.0, 0.0]), 24),
        "one outweighs all": (torch.tensor([0.5, 0.5, 40.0, 0.5, 0.5]), 12),
        "one row": (torch.tensor([0.3]), 5),
        "one draw": (torch.tensor([1.0, 2.0, 3.0]), 1),
        "large priorities": (100 * torch.rand(6, generator=generator) + 1, 20),
        "a point just where a row's piece ends": (torch.cat([4 * u, 4 - 4 * u]), 1),
        "a point just where rows of priority 0 lie": (torch.cat([4 * u, torch.zeros(2), 4 - 4 * u]), 1),
    }
    return [
        Case(label=label, call=f"{value_text(args[0])}, {args[1]}, generator", given={"args": args}, axes=DRAWS)
        for label, args in rows.items()
    ]


def rows_by_priority(function: Callable[..., Any], case: Case) -> Observations:
    """The rows that a seeded generator gives, whether it was used, the rows' dtype and the priorities afterwards."""
    priorities, batch_size = case.given["args"]
    passed = priorities.clone()
    seen = rows_drawn(function, replace(case, given={"args": (passed, batch_size)}))
    changed = names_of_changed({"priorities": passed}, {"priorities": priorities})
    return seen | {"dtype of the rows": dtype_of(seen["output"]), CHANGED: changed}


def rows_by_search(priorities: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Walks along the line for each point."""
    u = torch.rand(batch_size, generator=generator)
    rows = []
    for k in range(batch_size):
        point, sums = (k + u[k]) / batch_size * priorities.sum(), priorities.cumsum(0)
        rows.append(int((sums <= point).sum()))
    return torch.tensor(rows)


PARTS = "there is one point in each of batch_size equal parts of the line"

test_sample_by_priority = exercise(
    reference=prioritized.sample_by_priority,
    cases=sample_by_priority_cases,
    observe=rows_by_priority,
    accepts=[rows_by_search],
    equivalent={
        "sums = priorities.cumsum(dim=0)": "there is one axis",
        "return rows.clamp(max=len(priorities) - 1)": "a point is beyond the end only by rounding",
    },
    mistakes=[
        *instead_of(
            "(torch.arange(batch_size) + torch.rand(batch_size, generator=generator)) / batch_size",
            {
                "torch.rand(batch_size, generator=generator)": ("draws points from the whole line", PARTS),
                "(torch.arange(batch_size) + torch.rand(1, generator=generator)) / batch_size": (
                    "draws one number for all parts",
                    "each part gets a draw of its own",
                ),
                "(torch.arange(batch_size) + 0.5 + 0 * torch.rand(batch_size, generator=generator)) / batch_size": (
                    "takes the middle of each part",
                    "the point in a part is chosen at random",
                ),
                "torch.arange(batch_size) + torch.rand(batch_size, generator=generator)": (
                    "doesn't divide by the number of parts",
                    "the parts lie on the line from 0 to the sum of all priorities",
                ),
                "(torch.arange(batch_size) + 1 + torch.rand(batch_size, generator=generator)) / (batch_size + 1)": (
                    "leaves out the first part",
                    "the first part begins at 0",
                ),
                "(torch.arange(batch_size) + 1 + torch.rand(batch_size, generator=generator)) / batch_size": (
                    "counts the parts from 1",
                    "the first part begins at 0, so k runs from 0 to batch_size - 1",
                ),
                "(torch.arange(batch_size) + torch.rand(batch_size, generator=generator)) / len(priorities)": (
                    "cuts the line into as many parts as there are rows",
                    "there are batch_size parts, one for each draw",
                ),
                "torch.arange(batch_size) / batch_size + torch.rand(batch_size, generator=generator)": (
                    "lets the points leave their parts",
                    "u is divided by batch_size too: a part is only that long",
                ),
            },
        ),
        *instead_of(
            "torch.searchsorted(sums, shares * sums[-1], right=True)",
            {
                "torch.searchsorted(sums, shares * sums[-1])": (
                    "gives a point just on an end to the row that ends there",
                    "the sum with the row itself must be above the point: right=True; else a row of priority 0 may come",
                ),
                "torch.searchsorted(sums, shares, right=True)": (
                    "takes the line for one of length 1",
                    "the line is as long as the sum of all priorities: multiply, or divide the sums by it",
                ),
                "torch.searchsorted(sums, shares * len(priorities), right=True)": (
                    "takes the line for one of length n_stored",
                    "the line is as long as the sum of all priorities",
                ),
                "torch.searchsorted(sums, shares * sums[-1], right=True) + 1": (
                    "takes the row after the one it found",
                    "rows are counted from 0",
                ),
                "(torch.searchsorted(sums, shares * sums[-1], right=True) - 1).clamp(min=0)": (
                    "takes the row before the one it found",
                    "the sum with a row itself must be above the point",
                ),
                "(shares * len(priorities)).long()": (
                    "draws all rows with equal probability",
                    "a row's piece of the line is as long as its priority",
                ),
            },
        ),
        *instead_of(
            "priorities.cumsum(dim=0)",
            {
                "priorities.sort().values.cumsum(dim=0)": (
                    "sorts the priorities",
                    "after sorting, a place on the line no longer belongs to its row",
                ),
                "priorities.square().cumsum(dim=0)": (
                    "draws by the squares of the priorities",
                    "the probability is in proportion to the priority itself, and not to its square",
                ),
                "priorities.flip(0).cumsum(dim=0)": (
                    "lays the priorities from the last to the first",
                    "row 0 lies first on the line",
                ),
                "priorities.softmax(dim=0).cumsum(dim=0)": (
                    "draws by a softmax of the priorities",
                    "a row's piece of the line is as long as its priority itself",
                ),
                "priorities.cumsum_(dim=0)": (
                    "writes into the priorities",
                    "cumsum_ writes in place, and the priorities belong to the caller: cumsum",
                ),
            },
        ),
        *instead_of(
            "return rows.clamp(max=len(priorities) - 1)",
            {
                "return rows.clamp(max=len(priorities) - 1).int()": (
                    "returns int32",
                    "the docstring asks for an int64 tensor",
                ),
                "return rows.clamp(max=len(priorities) - 1).unique()": (
                    "returns each row once",
                    "a row may come twice: there is one row for each of batch_size points",
                ),
                "return rows.clamp(max=len(priorities) - 1)[torch.randperm(batch_size, generator=generator)]": (
                    "shuffles the rows",
                    "the rows stand in the order of the points",
                ),
                "return priorities[rows.clamp(max=len(priorities) - 1)]": (
                    "returns the priorities of the rows",
                    "the rows themselves are asked for",
                ),
            },
        ),
        Mistake(
            "draws with torch.multinomial",
            "    shares = (torch.arange(batch_size) + torch.rand(batch_size, generator=generator)) / batch_size\n"
            "    rows = torch.searchsorted(sums, shares * sums[-1], right=True)\n",
            "    rows = torch.multinomial(priorities, batch_size, replacement=True, generator=generator)\n",
            why=f"then draws are independent of each other; here {PARTS}",
        ),
        Mistake(
            "ignores the generator",
            "torch.rand(batch_size, generator=generator)",
            "torch.rand(batch_size)",
            why="the same generator state must give the same batch",
            shows=without_generator,
        ),
    ],
)


def compute_replay_weights_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes of memory and exponents."""
    probabilities = torch.rand(6, generator=generator) / 10 + 0.01
    axes = {"output": "batch"}
    return [
        Case(label="beta 0.4", args=(probabilities, 0.4), axes=axes),
        Case(label="beta 1", args=(probabilities, 1.0), axes=axes),
        Case(label="beta 0", args=(probabilities, 0.0), axes=axes),
        Case(label="one transition", args=(probabilities[:1], 0.7), axes=axes),
    ]


def weights_from_the_rarest(probabilities: Tensor, beta: float) -> Tensor:
    """The rarest transition has the largest weight, so nothing else is needed."""
    return (probabilities.min() / probabilities).pow(beta)


test_compute_replay_weights = exercise(
    reference=prioritized.compute_replay_weights,
    cases=compute_replay_weights_cases,
    observe=outputs,
    accepts=[weights_from_the_rarest],
    mistakes=[
        *instead_of(
            "probabilities**-beta",
            {
                "probabilities**beta": (
                    "gives more weight to what is drawn more often",
                    "what comes more often must count less each time",
                ),
                "probabilities**-1": ("ignores beta", "beta says how far the draw is made up for"),
                "probabilities ** -(1 - beta)": (
                    "takes 1 - beta as the exponent",
                    "with beta 1 the draw is made up for in full",
                ),
                "-beta * probabilities": ("multiplies by beta", "beta is an exponent"),
                "(1 - probabilities) ** beta": (
                    "takes 1 - probability for the inverse",
                    "a transition that is drawn twice as often counts half: 1 / probability",
                ),
                "probabilities.pow_(-beta)": (
                    "writes into the probabilities",
                    "pow_ writes in place, and the probabilities belong to the caller",
                ),
            },
        ),
        *instead_of(
            "weights / weights.max()",
            {
                "weights": ("doesn't divide by the largest", "the largest weight of a batch is 1, so no step grows"),
                "weights / weights.sum()": (
                    "divides by the sum",
                    "dividing by the largest keeps the largest step as large as it was",
                ),
                "weights / weights.mean()": ("divides by the mean", "the largest weight of a batch is 1"),
                "weights / weights.min()": ("divides by the smallest", "the largest weight of a batch is 1"),
                "(weights / weights.max()).clamp(max=0.5)": ("cuts the weights off", "weights from 0 to 1 are right"),
                "weights * len(probabilities) ** -beta": (
                    "divides by the number of transitions, and not by the largest weight",
                    "the largest weight of a batch is 1; in that division the number cancels",
                ),
                "(weights / weights.max()) ** beta": (
                    "takes the power beta twice",
                    "the power is taken once, before the division",
                ),
                "weights / probabilities.max()": (
                    "divides by the largest probability",
                    "the largest weight of the batch is that of the rarest transition",
                ),
                "1 - weights / weights.max()": (
                    "subtracts the weights from 1",
                    "the rarest transition has the largest weight, 1",
                ),
            },
        ),
    ],
)
