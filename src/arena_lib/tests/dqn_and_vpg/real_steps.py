"""Judge of section 2.2's filter: which steps a memory keeps.

Shapes:  transitions "n_envs"
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Unfit, exercise, instead_of
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.rl.dqn import replay
from arena_lib.rl.environments.stepping import Transition
from arena_lib.tests.dqn_and_vpg.arguments import names_of_changed

__test__ = False

KEPT = {
    "obs": "obs",
    "actions": "actions",
    "rewards": "rewards",
    "terminated": "transition.terminated[real]",
    "next_obs": "transition.next_obs[real]",
}
"""The five results by their names, and how the reference writes them."""
AXES = {name: "transition d_obs" if name in ("obs", "next_obs") else "transition" for name in KEPT}


def keep_real_steps_cases(generator: torch.Generator) -> list[Case]:
    """Phantoms among real steps, none, only phantoms; terminated and truncated differ."""
    yes, no = True, False
    masks = {
        "a phantom among real steps": ([yes, no, yes, yes], [no, no, yes, no], [no, no, no, yes]),
        "no phantoms": ([yes, yes, yes], [yes, no, no], [no, yes, no]),
        "two phantoms": ([no, yes, no, yes, yes], [no, no, no, yes, no], [no, yes, no, no, no]),
        "one environment": ([yes], [no], [yes]),
        "only phantoms": ([no, no], [no, no], [no, no]),
        "an end that is also cut": ([yes, no, yes], [yes, no, no], [yes, no, no]),
    }
    cases = []
    for label, (is_real, terminated, truncated) in masks.items():
        n_envs = len(is_real)
        obs, next_obs = torch.randn(2, n_envs, 3, generator=generator).numpy()
        rewards = torch.randn(n_envs, generator=generator).numpy().astype(np.float64)
        actions = np.arange(n_envs) + 4
        flags = np.array(terminated), np.array(truncated), np.array(is_real)
        transition = Transition(obs, actions, rewards, next_obs, *flags)
        cases.append(Case(label=label, args=(transition,), call="transition", axes=AXES))
    return cases


def keep_by_indices(transition: Transition) -> Any:
    """Takes the indices of what is real."""
    kept = [i for i, is_real in enumerate(transition.is_real) if is_real]
    names = ["obs", "actions", "rewards", "terminated", "next_obs"]
    return tuple(np.take(getattr(transition, name), kept, axis=0) for name in names)


def real_steps_seen(function: Callable[..., Any], case: Case) -> Observations:
    """The five arrays by their names, and which fields of the transition were written into."""
    fields = {name: value.copy() for name, value in vars(case.args[0]).items()}
    results = function(Transition(**fields))
    if not isinstance(results, tuple | list) or len(results) != len(KEPT):
        got = f"{len(results)} results" if isinstance(results, tuple | list) else type(results).__name__
        raise Unfit(f"It must return five arrays, ({', '.join(KEPT)}): got {got}.")
    return dict(zip(KEPT, results, strict=True)) | {CHANGED: names_of_changed(fields, vars(case.args[0]))}


def swapped(first: str, second: str) -> str:
    """The reference's last line with two of the five in each other's place."""
    order = {first: second, second: first}
    return f"return {', '.join(KEPT[order.get(name, name)] for name in KEPT)}"


ORDER = f"the order is {', '.join(KEPT)}"
REAL = "in a phantom step nothing happens: the environment only starts a new episode"

test_keep_real_steps = exercise(
    reference=replay.keep_real_steps,
    cases=keep_real_steps_cases,
    observe=real_steps_seen,
    accepts=[keep_by_indices],
    mistakes=[
        *instead_of(
            "real = transition.is_real",
            {
                "real = np.ones_like(transition.is_real)": ("keeps phantom steps", REAL),
                "real = ~transition.is_real": ("keeps the phantom steps and drops the others", REAL),
                "real = transition.is_real.astype(int)": (
                    "takes the mask for row numbers",
                    "a boolean mask keeps the rows where it is True; made whole numbers, it picks rows 0 and 1",
                ),
                "real = ~transition.terminated": (
                    "drops the steps that terminated, and keeps phantom steps",
                    f"a step that terminated is real, and is_real says which steps are phantoms; {REAL}",
                ),
                "real = ~transition.truncated": (
                    "drops the steps that were truncated, and keeps phantom steps",
                    f"a truncated step is real, and is_real says which steps are phantoms; {REAL}",
                ),
                "real = transition.is_real & ~transition.done": (
                    "drops the last step of each episode",
                    "the last step is real: its reward is often the one that matters",
                ),
                "real = transition.is_real & ~transition.truncated": (
                    "drops steps that were truncated",
                    "a truncated step happened like any other, and its next_obs still has a value",
                ),
                "real = ~transition.done": (
                    "drops the last step of each episode, and keeps phantom steps",
                    f"the last step is real, and is_real says which steps are phantoms; {REAL}",
                ),
                "real = np.arange(len(transition.is_real)) < transition.is_real.sum()": (
                    "takes the first rows, as many as there are real ones",
                    "is_real says which rows are real: use it as a mask",
                ),
                "real = np.full_like(transition.is_real, transition.is_real.all())": (
                    "drops the steps of all environments where one is a phantom",
                    "each environment has phantom steps of its own: the others' steps are kept",
                ),
                "real = np.ones_like(transition.is_real)\n    transition = Transition(*(\n"
                "        np.where(transition.is_real.reshape(-1, *[1] * (x.ndim - 1)), x, 0).astype(x.dtype)\n"
                "        for x in vars(transition).values()\n    ))": (
                    "leaves phantom steps in as zeros",
                    f"they are left out, so that the arrays get shorter; {REAL}",
                ),
                "real = transition.is_real\n    transition.rewards[~real] = 0": (
                    "writes into the transition",
                    "the transition belongs to the caller: take what is real, and leave the rest",
                ),
            },
        ),
        *instead_of(
            "transition.terminated[real]",
            {
                "transition.done[real]": (
                    "takes truncation for termination",
                    "a truncated episode would have gone on: only termination makes what follows worth nothing",
                ),
                "transition.truncated[real]": (
                    "stores truncated in place of terminated",
                    "a target needs to know where nothing follows: terminated",
                ),
                "(transition.terminated & ~transition.truncated)[real]": (
                    "takes an end that is also cut for none",
                    "where an episode terminated nothing follows, also if the time was up in the same step",
                ),
                "~transition.terminated[real]": (
                    "turns terminated round",
                    "terminated is True where the episode ended",
                ),
            },
        ),
        *instead_of(
            "transition.next_obs[real]",
            {
                "obs": ("stores the same observation twice", "next_obs is what the step led to"),
                "np.where(transition.terminated[real, None], 0, transition.next_obs[real])": (
                    "empties next_obs where an episode terminated",
                    "next_obs is what the step led to; that nothing follows is said by terminated",
                ),
            },
        ),
        *instead_of(
            "return obs, actions, rewards, transition.terminated[real], transition.next_obs[real]",
            {
                "return obs, actions, rewards, transition.terminated[real], transition.truncated[real],"
                " transition.next_obs[real]": (
                    "returns a sixth thing, for instance truncated",
                    f"five arrays are asked for: {', '.join(KEPT)}",
                ),
                **{
                    swapped(*pair): (f"swaps {pair[0]} and {pair[1]}", ORDER)
                    for pair in itertools.combinations(KEPT, 2)
                },
                "return transition": (
                    "returns the transition itself",
                    f"five arrays are asked for: {', '.join(KEPT)}, each without the rows of phantom steps",
                ),
                "return obs, actions, rewards, transition.is_real[real], transition.next_obs[real]": (
                    "returns is_real in place of terminated",
                    "a target needs to know where nothing follows: terminated",
                ),
                "return obs, actions, rewards, transition.terminated[real], transition.next_obs": (
                    "leaves phantom steps in next_obs",
                    "the rows of all five belong together",
                ),
                "return obs, actions, rewards, transition.terminated, transition.next_obs[real]": (
                    "leaves phantom steps in terminated",
                    "the rows of all five belong together",
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
