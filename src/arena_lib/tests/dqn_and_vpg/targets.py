"""Judges of section 2.2's targets: what action values should be, and how far they are from it.

Shapes:  action values "batch n_actions"; rewards, terminated, targets "batch"
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs_and_gradients, stops_with
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import targets

__test__ = False

BATCH = {"output": "batch", "gradient of next_q": "batch n_actions"}


def steps(generator: torch.Generator, batch: int, n_actions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values of the next state, rewards, and ends that are mixed."""
    values = 3 * torch.randn(batch, n_actions, generator=generator) - 1
    return values, torch.randn(batch, generator=generator), torch.arange(batch) % 3 == 1


def td_target_cases(generator: torch.Generator) -> list[Case]:
    """One discount, a discount for each transition, ends everywhere, one transition."""
    values, rewards, terminated = steps(generator, 7, 3)
    return [
        Case(label="some episodes end", args=(values, rewards, terminated, 0.9), axes=BATCH),
        Case(
            label="a discount for each transition",
            args=(values, rewards, terminated, torch.rand(7, generator=generator)),
            axes=BATCH,
        ),
        Case(label="all episodes end", args=(*steps(generator, 4, 2)[:2], torch.ones(4).bool(), 0.8), axes=BATCH),
        Case(label="one transition", args=(*steps(generator, 1, 5), 0.5), axes=BATCH),
        Case(label="values below zero", args=(-values.abs() - 1, rewards, terminated, 0.9), axes=BATCH),
    ]


def without_gradients_of(*names: str) -> Callable[..., Observations]:
    """Observes results and gradients, those of `names` left out: it doesn't matter whether they flow."""

    def observe(function: Callable[..., Any], case: Case) -> Observations:
        seen = outputs_and_gradients(function, case)
        return {name: value for name, value in seen.items() if name.removeprefix("gradient of ") not in names}

    return observe


def target_by_where(next_q: Tensor, rewards: Tensor, terminated: Tensor, gamma: Any) -> Tensor:
    """Chooses by where, and records nothing."""
    with torch.no_grad():
        best = torch.amax(next_q, dim=1)
        return torch.where(terminated, rewards, rewards + best * gamma)


ENDS = "where an episode terminated nothing follows, so only the reward counts"
DISCOUNT = "what comes a step later counts gamma times as much; the reward itself counts in full"
DETACHED = "the prediction moves towards the target, and not the target towards the prediction"

FIRST_DISCOUNT = Mistake(
    "takes the first transition's discount for all",
    "next_values = ",
    "gamma = torch.as_tensor(gamma).flatten()[0]\n    next_values = ",
    why="gamma may hold a number for each transition",
)
OWN = "the tensors belong to the caller: make new ones, for instance by torch.where"

AFTER_NEXT_VALUES = {
    "gamma * (rewards + next_values) * ~terminated + rewards * terminated": (
        "discounts the reward too, where the episode goes on",
        DISCOUNT,
    ),
    "rewards.add_(gamma * next_values * ~terminated)": ("writes into the rewards", OWN),
    "rewards + gamma * next_values": ("counts what follows a terminated episode", ENDS),
    "rewards + gamma * next_values * terminated": ("counts what follows only where an episode terminated", ENDS),
    "rewards + next_values * ~terminated": ("leaves out the discount", DISCOUNT),
    "gamma * (rewards + next_values * ~terminated)": ("discounts the reward too", DISCOUNT),
    "(rewards + gamma * next_values) * ~terminated": (
        "drops the last reward of an episode",
        "the reward of the step that ends an episode counts like any other",
    ),
    "gamma * next_values * ~terminated": ("leaves out the reward", "a target is the reward and what follows"),
    "rewards - gamma * next_values * ~terminated": (
        "subtracts what follows",
        "a target is the reward and what follows",
    ),
    "(1 - gamma) * rewards + gamma * next_values * ~terminated": (
        "averages the reward and what follows",
        DISCOUNT,
    ),
    "rewards + gamma * next_values * (1 - terminated)": (
        "subtracts a bool tensor from 1",
        "torch's bool tensors can't be subtracted: write ~terminated, or make it a float first",
        "RuntimeError",
    ),
}


def computes_with_a_pair(seen: Sequence[Observations]) -> bool:
    """Whether what max(dim=-1) gives was multiplied, added or chosen as if it were a tensor."""
    texts = (
        "can't multiply sequence by non-int",
        "only integer tensors of a single element",
        "not torch.return_types.max",
        "and 'torch.return_types.max'",
    )
    return any(stops_with(text)(seen) for text in texts)


test_compute_td_target = exercise(
    reference=targets.compute_td_target,
    cases=td_target_cases,
    observe=without_gradients_of("rewards", "gamma"),
    accepts=[target_by_where],
    mistakes=[
        *instead_of(
            "next_q.detach().max(dim=-1).values",
            {
                "next_q.max(dim=-1).values": ("lets a gradient flow into the target", DETACHED),
                "next_q.detach().mean(dim=-1)": (
                    "averages over the actions",
                    "the agent means to take the best action next, so its value counts",
                ),
                "next_q.detach().sum(dim=-1)": ("sums over the actions", "the best action's value counts alone"),
                "next_q.detach().min(dim=-1).values": (
                    "takes the worst action's value",
                    "the agent means to take the best action next, so its value counts",
                ),
                "next_q.detach()[:, 0]": ("takes the first action's value", "the best action's value counts"),
                "next_q.detach().argmax(dim=-1)": (
                    "takes the number of the best action, not its value",
                    "argmax says which action is best; max(dim=-1).values says what it is worth",
                ),
                "next_q.detach().max()": (
                    "takes the largest value of the whole batch",
                    "each transition has a next state of its own: the maximum is over its actions",
                ),
                "next_q.detach().abs().max(dim=-1).values": (
                    "takes the largest absolute value",
                    "a value far below zero is a bad action",
                ),
                "next_q.detach().max(dim=-1).values.clamp_min(0)": (
                    "takes no value below zero",
                    "a state may be worth less than nothing",
                ),
                "next_q.detach().masked_fill_(terminated[:, None], 0).max(dim=-1).values": (
                    "writes into next_q",
                    f"a detached tensor shares its numbers with the one that it was made of; {OWN}",
                ),
                "next_q.detach().max(dim=-1, keepdim=True).values": (
                    "leaves an axis of length 1, so that every value meets every reward",
                    "shapes (batch, 1) and (batch,) broadcast to a table: squeeze the last axis away",
                ),
                "next_q.detach().max(dim=0).values": (
                    "takes the maximum over the transitions",
                    "the best action of each next state is meant: the last axis",
                ),
                "next_q.max(dim=0).values": (
                    "takes the maximum over the transitions",
                    "the best action of each next state is meant: the last axis",
                ),
            },
        ),
        Mistake(
            "takes max without .values",
            "next_q.detach().max(dim=-1).values",
            "next_q.detach().max(dim=-1)",
            why="max(dim=-1) gives two things, the largest values and where they are: write .values, or amax(dim=-1)",
            raises="TypeError",
            shows=computes_with_a_pair,
        ),
        FIRST_DISCOUNT,
        *instead_of("rewards + gamma * next_values * ~terminated", AFTER_NEXT_VALUES),
    ],
)


def double_td_target_cases(generator: torch.Generator) -> list[Case]:
    """Networks that agree on the best action in some rows only; ends; discounts."""
    cases = []
    for label, batch, n_actions, gamma in [
        ("some episodes end", 9, 3, 0.9),
        ("a discount for each transition", 6, 4, torch.rand(6, generator=generator)),
        ("one transition", 1, 5, 0.5),
    ]:
        values, rewards, terminated = steps(generator, batch, n_actions)
        online = torch.randn(batch, n_actions, generator=generator)
        axes = {"output": "batch"}
        cases.append(Case(label=label, args=(online, values, rewards, terminated, gamma), axes=axes))
    return cases


def double_by_one_hot(
    next_q_online: Tensor, next_q_target: Tensor, rewards: Tensor, terminated: Tensor, gamma: Any
) -> Tensor:
    """Picks by a product with ones and zeros."""
    chosen = F.one_hot(next_q_online.argmax(dim=1), next_q_target.shape[1])
    return (rewards + gamma * (chosen * next_q_target).sum(dim=1) * (~terminated).float()).detach()


CHOOSES = "next_q_online chooses the action and next_q_target says what it is worth"

test_compute_double_td_target = exercise(
    reference=targets.compute_double_td_target,
    cases=double_td_target_cases,
    observe=without_gradients_of("rewards", "gamma"),
    accepts=[double_by_one_hot],
    mistakes=[
        *instead_of(
            "next_q_online.argmax(dim=-1, keepdim=True)",
            {
                "next_q_target.argmax(dim=-1, keepdim=True)": (
                    "lets the target network choose too",
                    f"then it is the plain target: {CHOOSES}",
                ),
                "next_q_online.argmin(dim=-1, keepdim=True)": ("chooses the worst action", "the largest value is best"),
                "next_q_online.sum(dim=0).argmax().expand(len(rewards), 1)": (
                    "chooses one action for the whole batch",
                    "each state has its own best action: argmax over the last axis",
                ),
                "next_q_online.abs().argmax(dim=-1, keepdim=True)": (
                    "chooses by the largest absolute value",
                    "a value far below zero is a bad action",
                ),
                "(next_q_online + next_q_target).argmax(dim=-1, keepdim=True)": (
                    "lets both networks choose together",
                    CHOOSES,
                ),
            },
        ),
        *instead_of(
            "next_q_target.detach().gather(-1, chosen).squeeze(-1)",
            {
                "next_q_online.detach().gather(-1, chosen).squeeze(-1)": (
                    "takes the value from the network that chose",
                    f"a network that overrates an action would then believe itself: {CHOOSES}",
                ),
                "next_q_target.gather(-1, chosen).squeeze(-1)": ("lets a gradient flow into the target", DETACHED),
                "torch.minimum(next_q_online, next_q_target).detach().gather(-1, chosen).squeeze(-1)": (
                    "takes the smaller of the two values",
                    f"that is another method (clipped double Q-learning); here {CHOOSES}",
                ),
                "((next_q_online + next_q_target) / 2).detach().gather(-1, chosen).squeeze(-1)": (
                    "averages the two networks' values",
                    CHOOSES,
                ),
                "chosen.squeeze(-1)": (
                    "takes the number of the action, not its value",
                    "argmax says which action; gather picks its value",
                ),
                "torch.minimum(next_q_online, next_q_target).detach().max(dim=-1).values": (
                    "takes the best of the smaller values",
                    f"that is another method; here {CHOOSES}",
                ),
                "next_q_target.detach().masked_fill_(terminated[:, None], 0).gather(-1, chosen).squeeze(-1)": (
                    "writes into next_q_target",
                    f"a detached tensor shares its numbers with the one that it was made of; {OWN}",
                ),
                "next_q_target.detach().gather(-1, chosen)": (
                    "leaves an axis of length 1, so that every value meets every reward",
                    "shapes (batch, 1) and (batch,) broadcast to a table: squeeze the last axis away",
                ),
                "next_q_target.detach()[:, chosen.squeeze(-1)].T": (
                    "takes every state's value of every chosen action",
                    "row i belongs with action i: gather, or an arange beside the actions",
                ),
            },
        ),
        FIRST_DISCOUNT,
        Mistake(
            "swaps the two networks",
            "chosen = next_q_online.argmax(dim=-1, keepdim=True)\n"
            "    next_values = next_q_target.detach().gather(-1, chosen).squeeze(-1)",
            "chosen = next_q_target.argmax(dim=-1, keepdim=True)\n"
            "    next_values = next_q_online.detach().gather(-1, chosen).squeeze(-1)",
            why=CHOOSES,
        ),
        *instead_of("rewards + gamma * next_values * ~terminated", AFTER_NEXT_VALUES),
    ],
)
