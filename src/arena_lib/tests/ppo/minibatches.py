"""Judge of dealing a batch into minibatches, section 2.3."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.rl.ppo import rollout

__test__ = False

DEALS = [
    ("sizes that divide", 12, 4, 0),
    ("sizes that don't divide", 13, 5, 1),
    ("one minibatch", 7, 7, 2),
    ("minibatches of one", 3, 1, 3),
]
"""A label, batch_size, minibatch_size and a seed."""


def dealing_cases(generator: torch.Generator) -> list[Case]:
    """Sizes that divide and that don't."""
    return [
        Case(label=label, call=f"rng, {batch_size}, {size}", given={"sizes": (batch_size, size), "seed": seed})
        for label, batch_size, size, seed in DEALS
    ]


def dealt(function: Callable[..., Any], case: Case) -> Observations:
    """The minibatches of two calls with the same generator."""
    rng = np.random.default_rng(case.given["seed"])
    calls = [function(rng, *case.given["sizes"]) for _ in range(2)]
    if not all(isinstance(call, list) for call in calls):
        raise Unfit(f"The result must be a list of arrays: got {type(calls[0]).__name__}.")
    return {
        f"call {i + 1}": [torch.as_tensor(np.asarray(idx).astype(np.int64)) for idx in call]
        for i, call in enumerate(calls)
    }


def deal_by_slices(rng: np.random.Generator, batch_size: int, minibatch_size: int) -> list[np.ndarray]:
    """Cuts the order piece by piece."""
    order = rng.permutation(batch_size)
    starts = range(0, batch_size - minibatch_size + 1, minibatch_size)
    return [order[start : start + minibatch_size] for start in starts]


WHOLE = "order = rng.permutation(batch_size)[: n_minibatches * minibatch_size]\n    return list(order.reshape("
CUT = "[: n_minibatches * minibatch_size]\n    return list(order.reshape(n_minibatches, minibatch_size))"


def has_twice(seen: Sequence[Observations]) -> bool:
    """Whether a number comes in two minibatches of a call, while none comes twice in one minibatch."""
    minibatches = [[idx.tolist() for idx in call] for case in seen for call in case.values()]
    within = any(len(set(idx)) < len(idx) for call in minibatches for idx in call)
    return not within and any(len(set().union(*call)) < sum(map(len, call)) for call in minibatches)


def is_another_order(seen: Sequence[Observations]) -> bool:
    """Whether all sizes are right and no number comes twice, but the numbers are others than rng.permutation gives."""
    for (_, batch_size, size, seed), case in zip(DEALS, seen, strict=True):
        rng = np.random.default_rng(seed)
        for call in case.values():
            numbers = torch.cat(call).tolist()
            is_dealt = [len(idx) for idx in call] == [size] * (batch_size // size) and len(set(numbers)) == len(numbers)
            if not is_dealt or not set(numbers) <= set(range(batch_size)):
                return False
            if numbers == rng.permutation(batch_size)[: len(numbers)].tolist() and batch_size > 3:
                return False
    return True


test_get_minibatch_indices = exercise(
    reference=rollout.get_minibatch_indices,
    cases=dealing_cases,
    observe=dealt,
    accepts=[deal_by_slices],
    mistakes=[
        *instead_of(
            "rng.permutation(batch_size)",
            {
                "np.arange(batch_size)": (
                    "does not shuffle",
                    "neighbouring steps are alike: shuffled, each minibatch speaks for the whole rollout",
                ),
                "rng.integers(0, batch_size, batch_size)": (
                    "draws with replacement",
                    "each step comes exactly once in an epoch",
                ),
                "np.random.permutation(batch_size)": (
                    "shuffles by numpy's global generator",
                    "rng is there so that a run can be repeated: use it alone",
                ),
                "np.random.default_rng(0).permutation(batch_size)": (
                    "makes a generator of its own",
                    "the given one is used, so that each call shuffles anew",
                ),
            },
        ),
        *instead_of(
            "list(order.reshape(n_minibatches, minibatch_size))",
            {
                "list(order.reshape(minibatch_size, n_minibatches).T)": (
                    "deals by turns",
                    "the first minibatch_size numbers are the first minibatch",
                ),
                "order.reshape(n_minibatches, minibatch_size)": (
                    "returns one array",
                    "a list of arrays is asked for, one for each minibatch",
                ),
                "list(order.reshape(n_minibatches, minibatch_size))[:1]": (
                    "gives one minibatch only",
                    "every step is learned from: batch_size // minibatch_size minibatches",
                ),
                "list(np.sort(order.reshape(n_minibatches, minibatch_size)))": (
                    "sorts within each minibatch",
                    "the numbers stay in the order of the permutation",
                ),
            },
        ),
        *instead_of(
            CUT,
            {
                "\n    return [order[i : i + minibatch_size] for i in range(0, batch_size, minibatch_size)]": (
                    "keeps a smaller last minibatch",
                    "all minibatches have the same size: what is left over is dealt to nobody",
                ),
                "\n    return [order[i : i + minibatch_size] for i in range(0, batch_size - minibatch_size, minibatch_size)]": (
                    "leaves out the last minibatch where the sizes divide",
                    "there are batch_size // minibatch_size minibatches",
                ),
                "[: n_minibatches * minibatch_size]\n    return list(order.reshape(minibatch_size, n_minibatches))": (
                    "swaps the number of minibatches and their size",
                    "there are batch_size // minibatch_size minibatches of minibatch_size numbers",
                ),
                "\n    return np.array_split(order, n_minibatches)": (
                    "spreads what is left over among the minibatches",
                    "each minibatch has minibatch_size numbers: what is left over is dealt to nobody",
                ),
                "[batch_size - n_minibatches * minibatch_size :]\n"
                "    return list(order.reshape(n_minibatches, minibatch_size))": (
                    "leaves out the first numbers instead of the last",
                    "the first minibatch_size numbers of the permutation are the first minibatch",
                ),
                "\n    return list(np.resize(order, (-(-batch_size // minibatch_size), minibatch_size)))": (
                    "fills the last minibatch up with numbers that have been dealt",
                    "no number comes twice: what is left over is dealt to nobody",
                ),
                "\n    return [order[i::n_minibatches] for i in range(n_minibatches)]": (
                    "deals by turns, what is left over too",
                    "the first minibatch_size numbers are the first minibatch; what is left over is dealt to nobody",
                ),
            },
        ),
        *instead_of(
            WHOLE,
            {
                "order = np.arange(n_minibatches * minibatch_size).reshape("
                "n_minibatches, minibatch_size)[rng.permutation(n_minibatches)]\n    return list(order.reshape(": (
                    "cuts first, and shuffles the pieces",
                    "neighbouring steps are alike: shuffle all numbers first, so that no minibatch is a stretch of them",
                ),
                "order = rng.permutation(n_minibatches * minibatch_size)\n    return list(order.reshape(": (
                    "shuffles only as many numbers as it deals",
                    "all numbers below batch_size are shuffled, so that each of them may be left over",
                ),
            },
        ),
        Mistake(
            "shuffles anew for each minibatch",
            WHOLE,
            "order = np.stack([rng.permutation(batch_size)[:minibatch_size] for _ in range(n_minibatches)])\n"
            "    return list(order.reshape(",
            shows=has_twice,
            why="one shuffle serves all minibatches of a call: else a number comes twice, and another never",
        ),
        Mistake(
            "shuffles in another way than rng.permutation(batch_size)",
            WHOLE,
            "order = rng.choice(batch_size, n_minibatches * minibatch_size, replace=False)\n    return list(order.reshape(",
            shows=is_another_order,
            why="one call of rng.permutation(batch_size) gives the order in which the numbers are dealt",
        ),
    ],
)
