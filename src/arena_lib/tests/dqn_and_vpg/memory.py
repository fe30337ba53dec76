"""Judges of section 2.2's memory: which rows are written, and which are read.

Shapes:  rows "batch"
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import replay
from arena_lib.tests.dqn_and_vpg.arguments import dtype_of

__test__ = False

USED = "the generator has drawn"
SEED = 5
"""Of the generator that draws rows."""


def ring_rows_cases(generator: torch.Generator) -> list[Case]:
    """Before the end, over it, after many rounds, all rows at once, none."""
    calls = {
        "the first rows": (0, 3, 7),
        "further on": (2, 4, 7),
        "up to the last row": (4, 3, 7),
        "over the end": (5, 4, 7),
        "after many rounds": (123, 5, 11),
        "all rows at once": (9, 6, 6),
        "one row": (13, 1, 6),
        "no new ones": (8, 0, 6),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def rows_one_by_one(n_added: int, n_new: int, buffer_size: int) -> np.ndarray:
    """Goes on from row to row."""
    rows, row = [], n_added % buffer_size
    for _ in range(n_new):
        rows.append(row)
        row = 0 if row == buffer_size - 1 else row + 1
    return np.array(rows, dtype=np.int64)


def rows_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The rows, and their dtype."""
    output = function(*case.args)
    return {"output": output, "dtype of the rows": dtype_of(output)}


ROUND = "after the last row, buffer_size - 1, comes row 0 again"

test_ring_rows = exercise(
    reference=replay.ring_rows,
    cases=ring_rows_cases,
    observe=rows_seen,
    accepts=[rows_one_by_one],
    mistakes=[
        *instead_of(
            "(n_added + np.arange(n_new))",
            {
                "np.arange(n_new)": (
                    "begins at row 0 every time",
                    "the first new row comes after those that were filled before",
                ),
                "(n_added + 1 + np.arange(n_new))": (
                    "leaves out a row",
                    "rows are counted from 0: after n_added transitions the next goes into row n_added, taken round",
                ),
                "(n_added - 1 + np.arange(n_new))": (
                    "writes over the newest row",
                    "rows are counted from 0: after n_added transitions the next goes into row n_added, taken round",
                ),
                "(n_added + np.arange(n_new))[::-1]": (
                    "gives the rows in reverse order",
                    "the first transition's row comes first",
                ),
                "(n_added - np.arange(n_new))": (
                    "counts backwards",
                    "each new transition goes into the row after the one before",
                ),
                "(n_added - n_new + np.arange(n_new))": (
                    "gives the rows that were written last",
                    "n_added transitions lie there before: the new ones come after them",
                ),
                "(min(n_added, buffer_size) + np.arange(n_new))": (
                    "begins at row 0 at each call once the buffer is full",
                    "n_added counts on, so that each call begins where the one before ended",
                ),
                "(n_added + np.arange(n_new + 1))": (
                    "gives a row too many",
                    "each of the n_new transitions gets one row",
                ),
                "(n_added + np.arange(n_new, dtype=np.int32)).astype(np.int32)": (
                    "counts in int32",
                    "the docstring asks for int64",
                ),
                "(n_added + np.arange(n_new, dtype=np.float64))": (
                    "counts in floats",
                    "rows are whole numbers: int64",
                ),
            },
        ),
        *instead_of(
            " % buffer_size",
            {
                "": ("runs past the end", ROUND),
                " % (buffer_size - 1)": (
                    "never uses the last row",
                    "there are buffer_size rows, from 0 to buffer_size - 1",
                ),
                " % (buffer_size + 1)": (
                    "uses a row too many",
                    "there are buffer_size rows, from 0 to buffer_size - 1",
                ),
            },
        ),
        *instead_of(
            "(n_added + np.arange(n_new)) % buffer_size",
            {
                "n_added % buffer_size + np.arange(n_new)": ("goes round only before it begins", ROUND),
                "(rows := n_added + np.arange(n_new)) - buffer_size * (rows >= buffer_size)": (
                    "goes round once only",
                    "n_added counts all transitions, so the ring may have been filled many times",
                ),
                "np.minimum(n_added + np.arange(n_new), buffer_size - 1)": (
                    "stays in the last row once it is full",
                    ROUND,
                ),
                "np.minimum(n_added % buffer_size + np.arange(n_new), buffer_size - 1)": (
                    "stays in the last row to the end of a call",
                    ROUND,
                ),
                "(rows := n_added % buffer_size + np.arange(n_new)) - (buffer_size - 1) * (rows >= buffer_size)": (
                    "begins again at row 1",
                    ROUND,
                ),
                "n_added % buffer_size * (n_added % buffer_size + n_new <= buffer_size) + np.arange(n_new)": (
                    "begins at row 0 where the new ones don't fit before the end",
                    "those that fit go into the last rows, and the others begin at row 0",
                ),
                "np.sort((n_added + np.arange(n_new)) % buffer_size)": (
                    "sorts the rows",
                    "the first transition's row comes first, also where it is the last row",
                ),
                "np.sort((n_added + np.arange(n_new)) % (buffer_size - 1))": (
                    "never uses the last row, and sorts the rows",
                    "there are buffer_size rows, and the first transition's row comes first",
                ),
                "((n_added + np.arange(n_new)) % buffer_size).tolist()": (
                    "returns a list",
                    "a numpy array of whole numbers is asked for",
                ),
                "torch.from_numpy((n_added + np.arange(n_new)) % buffer_size)": (
                    "returns a tensor",
                    "a numpy array of whole numbers is asked for",
                ),
            },
        ),
    ],
)


def sample_rows_cases(generator: torch.Generator) -> list[Case]:
    """A buffer that isn't full, is just full, and has been full for long; batches smaller and larger than it."""
    calls = {
        "a buffer that isn't full": (5, 40, 50),
        "a buffer that is just full": (9, 30, 9),
        "a buffer that was filled many times": (1234, 60, 8),
        "a small batch": (300, 4, 200),
        "two transitions": (2, 12, 100),
    }
    return [
        Case(
            label=label,
            call=f"{', '.join(map(str, args))}, generator",
            given={"args": args},
            axes={"output": "draw"},
        )
        for label, args in calls.items()
    ]


def rows_drawn(function: Callable[..., Any], case: Case) -> Observations:
    """The rows that a seeded generator gives, and whether it was used."""
    generator = torch.Generator().manual_seed(SEED)
    before = generator.get_state()
    torch.manual_seed(6)
    output = function(*case.given["args"], generator)
    return {"output": output, USED: not torch.equal(before, generator.get_state())}


def rows_by_length(n_added: int, batch_size: int, buffer_size: int, generator: torch.Generator) -> Tensor:
    """Counts what is stored first."""
    n_stored = n_added if n_added < buffer_size else buffer_size
    return torch.randint(low=0, high=n_stored, size=[batch_size], generator=generator)


def without_generator(seen: Any) -> bool:
    """Whether a call left its generator as it was."""
    return any(case.get(USED) is False for case in seen)


test_sample_rows = exercise(
    reference=replay.sample_rows,
    cases=sample_rows_cases,
    observe=rows_drawn,
    accepts=[rows_by_length],
    mistakes=[
        *instead_of(
            "min(n_added, buffer_size)",
            {
                "buffer_size": (
                    "draws rows that are still empty",
                    "before the buffer is full only n_added rows hold a transition",
                ),
                "n_added": (
                    "draws rows that don't exist",
                    "however many transitions were stored, there are only buffer_size rows",
                ),
                "max(n_added, buffer_size)": (
                    "takes the larger of the two numbers",
                    "as many rows hold a transition as were stored, and at most buffer_size",
                ),
                "min(n_added, buffer_size) - 1": (
                    "never draws the last row",
                    "torch.randint(n, ...) draws from 0 to n - 1 already",
                ),
                "(n_added % buffer_size or buffer_size)": (
                    "draws only from the rows that were written since the last round",
                    "once the buffer was full every row holds a transition",
                ),
                "1, min(n_added, buffer_size)": ("never draws row 0", "rows are counted from 0"),
                "min(n_added, buffer_size) + 1": (
                    "draws a row too many",
                    "torch.randint(n, ...) draws from 0 to n - 1, and n rows hold a transition",
                ),
            },
        ),
        *instead_of(
            "return torch.randint(min(n_added, buffer_size), (batch_size,), generator=generator)",
            {
                "return torch.randperm(min(n_added, buffer_size), generator=generator)[:batch_size]": (
                    "draws without replacement",
                    "each draw is independent: a row may come twice, and a batch may be larger than the buffer",
                ),
                "return torch.randint(min(n_added, buffer_size), (1,), generator=generator).expand(batch_size)": (
                    "draws one row for the whole batch",
                    "each place of the batch gets a draw of its own",
                ),
                "return torch.arange(min(n_added, buffer_size))[-batch_size:]": (
                    "takes the last rows",
                    "random rows break up what follows each other; that is what the memory is for",
                ),
                "return (torch.randint(min(n_added, buffer_size), (1,), generator=generator)"
                " + torch.arange(batch_size)) % min(n_added, buffer_size)": (
                    "takes rows that follow each other, from a random one on",
                    "each place of the batch gets a draw of its own; transitions in a row are alike",
                ),
                "return torch.randint(\n        min(n_added, buffer_size), (min(batch_size, n_added, buffer_size),),"
                " generator=generator\n    )": (
                    "draws at most as many rows as are stored",
                    "a batch may be larger than the buffer: a row may come twice",
                ),
                "return torch.randint(min(n_added, buffer_size), (batch_size,), generator=generator).tolist()": (
                    "returns a list",
                    "a tensor is asked for",
                ),
                "return torch.randint(min(n_added, buffer_size), (batch_size, 1), generator=generator)": (
                    "leaves an axis of length 1",
                    "the result has one axis, batch_size",
                ),
                "return torch.randint(min(n_added, buffer_size), (batch_size,), generator=generator).sort().values": (
                    "sorts the rows",
                    "the rows stay as they were drawn",
                ),
                "return torch.randint(min(n_added, buffer_size), (batch_size,), generator=generator).float()": (
                    "returns floats",
                    "rows are whole numbers",
                ),
                "return (min(n_added, buffer_size) * torch.rand(batch_size, generator=generator)).long()": (
                    "draws floats and cuts them",
                    "the rows are drawn by one torch.randint, so that equal generators give equal batches",
                ),
            },
        ),
        Mistake(
            "ignores the generator",
            "(batch_size,), generator=generator)",
            "(batch_size,))",
            why="the same generator state must give the same batch",
            shows=without_generator,
        ),
    ],
)
