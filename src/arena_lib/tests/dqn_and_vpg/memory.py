"""Judges of section 2.2's memory: which rows, and what goes into them.

Shapes:  rows "batch"; transitions "n_envs"
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import replay
from arena_lib.rl.environments.stepping import Transition
from arena_lib.tests.dqn_and_vpg.acting import returned

__test__ = False

USED = "the generator has drawn"


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
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def rows_one_by_one(n_added: int, n_new: int, buffer_size: int) -> np.ndarray:
    """Goes on from row to row."""
    rows, row = [], n_added % buffer_size
    for _ in range(n_new):
        rows.append(row)
        row = 0 if row == buffer_size - 1 else row + 1
    return np.array(rows, dtype=np.int64)


ROUND = "after the last row, buffer_size - 1, comes row 0 again"

test_ring_rows = exercise(
    reference=replay.ring_rows,
    cases=ring_rows_cases,
    observe=returned,
    accepts=[rows_one_by_one],
    mistakes=instead_of(
        "(n_added + np.arange(n_new)) % buffer_size",
        {
            "n_added + np.arange(n_new)": ("runs past the end", ROUND),
            "n_added % buffer_size + np.arange(n_new)": ("goes round only before it begins", ROUND),
            "np.minimum(n_added + np.arange(n_new), buffer_size - 1)": ("stays in the last row once it is full", ROUND),
            "np.arange(n_new) % buffer_size": (
                "begins at row 0 every time",
                "the first new row comes after those that were filled before",
            ),
            "(n_added + 1 + np.arange(n_new)) % buffer_size": (
                "leaves out a row",
                "rows are counted from 0: after n_added transitions the next goes into row n_added, taken round",
            ),
            "(n_added + np.arange(n_new)) % (buffer_size - 1)": (
                "never uses the last row",
                "there are buffer_size rows, from 0 to buffer_size - 1",
            ),
            "(n_added + np.arange(n_new)) % (buffer_size + 1)": (
                "uses a row too many",
                "there are buffer_size rows, from 0 to buffer_size - 1",
            ),
            "(n_added - 1 + np.arange(n_new)) % buffer_size": (
                "writes over the newest row",
                "rows are counted from 0: after n_added transitions the next goes into row n_added, taken round",
            ),
            "(n_added + np.arange(n_new))[::-1] % buffer_size": (
                "gives the rows in reverse order",
                "the first transition's row comes first",
            ),
            "((n_added + np.arange(n_new)) % buffer_size).tolist()": (
                "returns a list",
                "a numpy array of whole numbers is asked for",
            ),
        },
    ),
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
            axes={"output": "batch_size"},
        )
        for label, args in calls.items()
    ]


def rows_drawn(function: Callable[..., Any], case: Case) -> Observations:
    """The rows that a seeded generator gives, and whether it was used."""
    generator = torch.Generator().manual_seed(5)
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


def keep_real_steps_cases(generator: torch.Generator) -> list[Case]:
    """Phantoms among real steps, none, only phantoms; terminated and truncated differ."""
    yes, no = True, False
    masks = {
        "a phantom among real steps": ([yes, no, yes, yes], [no, no, yes, no], [no, no, no, yes]),
        "no phantoms": ([yes, yes, yes], [yes, no, no], [no, yes, no]),
        "two phantoms": ([no, yes, no, yes, yes], [no, no, no, yes, no], [no, yes, no, no, no]),
        "one environment": ([yes], [no], [yes]),
        "only phantoms": ([no, no], [no, no], [no, no]),
    }
    cases = []
    for label, (is_real, terminated, truncated) in masks.items():
        n_envs = len(is_real)
        obs, next_obs = torch.randn(2, n_envs, 3, generator=generator).numpy()
        rewards = torch.randn(n_envs, generator=generator).numpy().astype(np.float64)
        actions = np.arange(n_envs) + 4
        flags = np.array(terminated), np.array(truncated), np.array(is_real)
        transition = Transition(obs, actions, rewards, next_obs, *flags)
        cases.append(Case(label=label, args=(transition,), call="transition"))
    return cases


def keep_by_indices(transition: Transition) -> Any:
    """Takes the indices of what is real."""
    kept = [i for i, is_real in enumerate(transition.is_real) if is_real]
    names = ["obs", "actions", "rewards", "terminated", "next_obs"]
    return tuple(np.take(getattr(transition, name), kept, axis=0) for name in names)


REAL = "in a phantom step nothing happens: the environment only starts a new episode"

test_keep_real_steps = exercise(
    reference=replay.keep_real_steps,
    cases=keep_real_steps_cases,
    observe=returned,
    accepts=[keep_by_indices],
    mistakes=[
        *instead_of(
            "real = transition.is_real",
            {
                "real = np.ones_like(transition.is_real)": ("keeps phantom steps", REAL),
                "real = ~transition.is_real": ("keeps the phantom steps and drops the others", REAL),
                "real = transition.is_real & ~transition.done": (
                    "drops the last step of each episode",
                    "the last step is real: its reward is often the one that matters",
                ),
                "real = transition.is_real & ~transition.truncated": (
                    "drops steps that were truncated",
                    "a truncated step happened like any other, and its next_obs still has a value",
                ),
            },
        ),
        *instead_of(
            "return obs, actions, rewards, transition.terminated[real], transition.next_obs[real]",
            {
                "return obs, actions, rewards, transition.done[real], transition.next_obs[real]": (
                    "takes truncation for termination",
                    "a truncated episode would have gone on: only termination makes what follows worth nothing",
                ),
                "return obs, actions, rewards, transition.truncated[real], transition.next_obs[real]": (
                    "stores truncated in place of terminated",
                    "a target needs to know where nothing follows: terminated",
                ),
                "return obs, actions, rewards, ~transition.terminated[real], transition.next_obs[real]": (
                    "turns terminated round",
                    "terminated is True where the episode ended",
                ),
                "return obs, actions, rewards, transition.terminated[real], obs": (
                    "stores the same observation twice",
                    "next_obs is what the step led to",
                ),
                "return obs, actions, rewards, transition.next_obs[real], transition.terminated[real]": (
                    "swaps terminated and next_obs",
                    "the order is obs, actions, rewards, terminated, next_obs",
                ),
                "return obs, rewards, actions, transition.terminated[real], transition.next_obs[real]": (
                    "swaps actions and rewards",
                    "the order is obs, actions, rewards, terminated, next_obs",
                ),
                "return obs, actions, rewards, transition.terminated, transition.next_obs": (
                    "leaves phantom steps in some of the five",
                    "the rows of all five belong together",
                ),
                "return transition.obs, transition.actions, rewards, transition.terminated[real], transition.next_obs[real]": (
                    "leaves phantom steps in obs and actions",
                    "the rows of all five belong together",
                ),
            },
        ),
    ],
)
