"""Judge of the dynamics of Norvig's slippery grid."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, Unfit, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.gridworlds import worlds
from arena_lib.rl.environments.gridworlds.mdp import Outcomes
from arena_lib.tests.intro_to_rl.watching import require_class

__test__ = False


def outcomes(cls: Any, case: Case) -> Observations:
    """The next states in their order, and for each state its probability and its mean reward."""
    require_class(cls, "of the world")
    untabulated: Any = type(cls.__name__, (cls,), {"_tabulate": lambda self: (None, None)})
    world = untabulated(**case.given["world"])
    listed = world.dynamics(*case.given["step"])
    if not (isinstance(listed, tuple | list) and len(listed) == 3):
        raise Unfit(f"dynamics must return (states, rewards, probabilities): got {type(listed).__name__}.")
    states, rewards, probabilities = (np.atleast_1d(np.asarray(part)) for part in listed)
    if not len(states) == len(rewards) == len(probabilities):
        raise Unfit(
            f"dynamics must return as many states as rewards and probabilities: got {len(states)}, {len(rewards)} "
            f"and {len(probabilities)}."
        )
    chance, weighted = np.zeros(world.n_states), np.zeros(world.n_states)
    for state, reward, probability in zip(states, rewards, probabilities, strict=True):
        chance[int(state)] += probability
        weighted[int(state)] += probability * reward
    mean = np.divide(weighted, chance, out=np.zeros_like(chance), where=chance > 0)
    return {
        "whole numbers": states.dtype.kind in "iu",
        "probability of each state": chance,
        "reward at each": mean,
        ORDER: [int(state) for state in states],
    }


ORDER = "states in their order"
AXES = {"probability of each state": "n_states", "reward at each": "n_states"}


def dynamics_case(name: str, label: str, state: int, action: int, **world: float) -> Case:
    """One call of `dynamics` in a world that is made with these arguments."""
    made = ", ".join(f"{key}={value}" for key, value in world.items())
    call = f"{name}({made}).dynamics(state={state}, action={action})"
    return Case(label=label, given={"world": world, "step": (state, action)}, axes=AXES, call=call)


def norvig_cases(generator: torch.Generator) -> list[Case]:
    """Open ground, edges, beside the wall, beside both ends, each direction, another penalty."""

    def case(label: str, state: int, action: int, **world: float) -> Case:
        return dynamics_case("Norvig", label, state, action, **world)

    return [
        case("right, towards the good end", 2, 1),
        case("up, beside the bad end", 6, 0),
        case("down, in a corner", 8, 2),
        case("left, beside the wall", 6, 3),
        case("left, at the edge", 4, 3),
        case("right, beside the bad end", 6, 1),
        case("up, below the bad end", 11, 0),
        case("down, from the bad end's neighbour", 10, 2),
        case("another penalty", 0, 1, penalty=-2.0),
        case("a reward for each step", 9, 0, penalty=0.5),
    ]


class NorvigByFilling(worlds.Norvig):
    """Fills arrays, one outcome after the other."""

    def dynamics(self, state: int, action: int) -> Outcomes:
        states, rewards, probabilities = np.zeros(3, dtype=np.int32), np.full(3, float(self.penalty)), np.full(3, 0.1)
        probabilities[0] = 1 - 0.2
        for i, turn in enumerate((0, 1, 3)):
            states[i] = self.move(state, (action + turn) % 4)
            letter = self.letter(int(states[i]))
            if letter in "GX":
                rewards[i] = 1.0 if letter == "G" else -1.0
        return states, rewards, probabilities


class NorvigByMerging(worlds.Norvig):
    """Gives each state once."""

    def dynamics(self, state: int, action: int) -> Outcomes:
        """The outcomes, those of one state together."""
        states, rewards, probabilities = super().dynamics(state, action)
        unlike = np.array(list(dict.fromkeys(states.tolist())))
        chances = [probabilities[states == successor].sum() for successor in unlike]
        return unlike, np.array([rewards[states == successor][0] for successor in unlike]), np.array(chances)


class NorvigByNumber(worlds.Norvig):
    """Gives the outcomes in the order of their directions' numbers."""

    def dynamics(self, state: int, action: int) -> Outcomes:
        """The outcomes in another order."""
        order = np.argsort([action, (action + 1) % 4, (action - 1) % 4])
        states, rewards, probabilities = (part[order] for part in super().dynamics(state, action))
        return states, rewards, probabilities


def differs_in_order(seen: Sequence[Observations]) -> bool:
    """Whether three outcomes are right in each case but for their order."""
    right = [outcomes(worlds.Norvig, case) for case in norvig_cases(torch.Generator())]
    return all(
        np.allclose(observed[name], expected[name])
        for observed, expected in zip(seen, right, strict=True)
        for name in AXES
    ) and all(len(observed[ORDER]) == 3 for observed in seen)


test_norvig = exercise(
    reference=worlds.Norvig,
    cases=norvig_cases,
    observe=outcomes,
    keep=["__init__"],
    accepts=[NorvigByFilling],
    equivalent={
        "directions = (action, (action + 1) % 4, (action - 1) % 4) -> directions = (action, (action + 1) % 4, action - 1)": (
            "the index -1 is the last direction too"
        )
    },
    mistakes=[
        *instead_of(
            "(action, (action + 1) % 4, (action - 1) % 4)",
            {
                "(action, (action + 2) % 4, (action - 1) % 4)": (
                    "slips backwards instead of to the right",
                    "both slips are at right angles to the action",
                ),
                "(action, (action + 1) % 4, (action + 1) % 4)": (
                    "slips to the right alone",
                    "one slips to either side, with 0.1 each",
                ),
                "(action, (action - 1) % 4, (action - 1) % 4)": (
                    "slips to the left alone",
                    "one slips to either side, with 0.1 each",
                ),
                "(action, (action + 1) % 4, (action + 2) % 4)": (
                    "slips backwards instead of to the left",
                    "both slips are at right angles to the action",
                ),
                "(action, (action - 1) % 4, (action + 1) % 4)": (
                    "lists the left side before the right",
                    "the order is: the direction itself, the one to its right (clockwise), the one to its left",
                ),
                "((action + 1) % 4, action, (action - 1) % 4)": (
                    "lists the right side before the direction itself",
                    "the order is: the direction itself, the one to its right (clockwise), the one to its left",
                ),
                "(action, action, action)": (
                    "never leaves its direction",
                    "with 0.1 each one slips to either side",
                ),
                "(action, action + 1, action - 1)": (
                    "counts directions past 3",
                    "directions go round: after 3 comes 0 again, so take the remainder by 4",
                ),
                "(action, 1, 3)": (
                    "always slips right and left on the map",
                    "the sides are those of the direction in which one walks",
                ),
            },
        ),
        *instead_of(
            "np.array([0.8, 0.1, 0.1])",
            {
                "np.array([1.0, 0.0, 0.0])": ("never slips", "with 0.1 each one slips to either side"),
                "np.array([0.8, 0.1, 0.0])": (
                    "leaves out a side",
                    "one slips to either side, with 0.1 each",
                ),
                "np.array([0.6, 0.2, 0.2])": (
                    "slips too often",
                    "with 0.8 one goes where one wants to, with 0.1 each to either side",
                ),
                "np.array([0.1, 0.8, 0.1])": (
                    "gives the large probability to a slip",
                    "with 0.8 one goes where one wants to",
                ),
                "np.array([0.8, 0.2, 0.2])": ("gives 0.2 to each side", "probabilities sum to 1: 0.8, 0.1 and 0.1"),
                "np.full(3, 1 / 3)": (
                    "makes all three equally likely",
                    "with 0.8 one goes where one wants to, with 0.1 each to either side",
                ),
            },
        ),
        *instead_of(
            "self.letter(successor)",
            {
                "self.letter(state)": (
                    "pays for the state that is left",
                    "the reward belongs to the state that is entered",
                ),
                "self.letter(states[0])": (
                    "pays all outcomes like the first",
                    "each outcome has the reward of its own state",
                ),
            },
        ),
        *instead_of(
            '{"G": 1.0, "X": -1.0}',
            {
                '{"G": 1.0 + self.penalty, "X": -1.0 + self.penalty}': (
                    "charges the penalty at the ends too",
                    "entering an end pays +1 or -1, and nothing else",
                ),
                '{"X": -1.0}': ("forgets the good end", "entering the good end pays +1"),
                '{"G": -1.0, "X": 1.0}': ("swaps the ends", "the good end pays +1, the bad one -1"),
                '{"G": 1.0}': ("forgets the bad end", "entering the bad end pays -1"),
                '{"G": 1.0, "X": 1.0}': ("pays for the bad end", "entering the bad end pays -1"),
            },
        ),
        *instead_of(
            "self.penalty)",
            {
                "-0.04)": ("ignores the penalty that was given", "all other states pay self.penalty"),
                "self.penalty if successor != state else 0.0)": (
                    "pays nothing where one bumps and stays",
                    "the state that one stays in counts as entered: it pays self.penalty too",
                ),
                "self.penalty * 2 if successor == state else self.penalty)": (
                    "charges twice where one bumps and stays",
                    "the state that one stays in counts as entered: it pays self.penalty, once",
                ),
                "-self.penalty)": (
                    "subtracts the penalty",
                    "the reward of other states is self.penalty, as it is",
                ),
                "0.0)": ("pays nothing for other states", "all other states pay self.penalty"),
                "-abs(self.penalty))": (
                    "turns the sign of the penalty",
                    "the reward of other states is self.penalty, as it is",
                ),
            },
        ),
        *instead_of(
            "return np.array(states), np.array(rewards), np.array([0.8, 0.1, 0.1])",
            {
                "return np.array(states), np.array(rewards) * np.array([0.8, 0.1, 0.1]), np.array([0.8, 0.1, 0.1])": (
                    "weights the rewards with the probabilities",
                    "each outcome has its own reward as it is: the probabilities stand beside it",
                ),
                "return np.array(states), np.full(3, np.dot(rewards, [0.8, 0.1, 0.1])), np.array([0.8, 0.1, 0.1])": (
                    "pays every outcome the mean reward",
                    "each outcome has the reward of its own state",
                ),
                "return np.array(states, dtype=float), np.array(rewards), np.array([0.8, 0.1, 0.1])": (
                    "gives states as floats",
                    "states are whole numbers, for arrays are indexed with them",
                ),
            },
        ),
        *instead_of(
            "[self.move(state, direction) for direction in directions]",
            {
                "[self.move(self.start, direction) for direction in directions]": (
                    "always walks from the start",
                    "the step begins in `state`",
                ),
                "[self.move(self.move(state, directions[0]), d) if d != action else self.move(state, d)"
                " for d in directions]": (
                    "slips after the step",
                    "a slip takes the place of the step that was meant",
                ),
                "[self.move(self.move(state, action), direction) for direction in directions]": (
                    "moves twice when it slips",
                    "a slip takes the place of the step that was meant",
                ),
                "[state + (-4, 1, 4, -1)[direction % 4] for direction in directions]": (
                    "goes through walls and edges",
                    "self.move stays where a wall or the edge is",
                ),
            },
        ),
        Mistake(
            "lists each state once",
            function=NorvigByMerging,
            why="there are always three outcomes, also where two are the same state",
        ),
        Mistake(
            "lists the outcomes in another order",
            function=NorvigByNumber,
            why="the order is: the direction itself, the one to its right (clockwise), the one to its left",
            shows=differs_in_order,
        ),
    ],
)
