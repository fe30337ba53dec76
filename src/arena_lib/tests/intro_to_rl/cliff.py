"""Judge of the cliff's dynamics."""

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.rl.environments.gridworlds import worlds
from arena_lib.rl.environments.gridworlds.mdp import Outcomes
from arena_lib.tests.intro_to_rl.dynamics import dynamics_case, outcomes

__test__ = False


def cliff_cases(generator: torch.Generator) -> list[Case]:
    """Onto the cliff from above and from the start, beside it, at edges, onto the goal."""

    def case(label: str, state: int, action: int) -> Case:
        return dynamics_case("CliffWalking", label, state, action)

    return [
        case("from the start onto the cliff", 36, 1),
        case("from above onto the cliff", 30, 2),
        case("along the edge", 27, 1),
        case("onto the goal", 35, 2),
        case("back to the start", 24, 2),
        case("against the edge", 0, 3),
        case("against the right edge", 23, 1),
        case("up", 30, 0),
    ]


class CliffByPlaces(worlds.CliffWalking):
    """By numbers instead of letters; rewards are integers."""

    def dynamics(self, state: int, action: int) -> Outcomes:
        successor = self.move(state, action)
        has_fallen = 36 < successor < 47
        return np.array([self.start if has_fallen else successor]), np.array([-100 if has_fallen else -1]), np.ones(1)


test_cliff_walking = exercise(
    reference=worlds.CliffWalking,
    cases=cliff_cases,
    observe=outcomes,
    keep=["__init__"],
    accepts=[CliffByPlaces],
    mistakes=[
        *instead_of(
            "successor, reward = self.start, -100.0",
            {
                "reward = -100.0": ("leaves one on the cliff", "who falls is back at the start"),
                "successor, reward = 0, -100.0": (
                    "puts one in state 0",
                    "who falls is back at self.start, which is not state 0",
                ),
                "successor, reward = self.start, -10.0": ("charges too little for a fall", "a fall pays -100"),
                "successor = self.start": ("charges a fall like a step", "a fall pays -100"),
                "successor, reward = self.start, -101.0": (
                    "adds the step to the fall",
                    "a fall pays -100 instead of -1",
                ),
                "successor, reward = state, -100.0": (
                    "stays where one fell from",
                    "who falls is back at self.start",
                ),
                "successor, reward = self.start, 100.0": ("rewards the fall", "a fall pays -100: it is a loss"),
            },
        ),
        *instead_of(
            "self.move(state, action), -1.0",
            {
                'self.move(state, action), 0.0 if self.letter(self.move(state, action)) == "G" else -1.0': (
                    "pays nothing for reaching the goal",
                    "every step pays -1, the last one too",
                ),
                'self.move(state, action), 1.0 if self.letter(self.move(state, action)) == "G" else -1.0': (
                    "pays for reaching the goal",
                    "every step pays -1, the last one too",
                ),
                "self.move(state, (action + 1) % 4), -1.0": (
                    "turns to the right",
                    "a step goes where self.move(state, action) says",
                ),
                "self.move(state, action), 0.0": ("makes steps free", "every step pays -1, so short ways are better"),
                "self.move(state, action), 1.0": ("rewards every step", "every step pays -1, so short ways are better"),
                "self.move(state, action), -1.0 * (self.move(state, action) != state)": (
                    "makes steps against the edge free",
                    "every step pays -1, also one that leads nowhere",
                ),
                "state + (-12, 1, 12, -1)[action], -1.0": (
                    "goes through the edges",
                    "self.move stays where the edge is",
                ),
            },
        ),
        *instead_of(
            'self.letter(successor) == "C"',
            {
                'self.letter(successor) in "CG"': (
                    "takes the goal for a cell of the cliff",
                    "only cells with the letter C are the cliff",
                ),
                'self.letter(successor) in "SC"': (
                    "takes the start for a cell of the cliff",
                    "only cells with the letter C are the cliff",
                ),
                "successor == self.start + 1": (
                    "knows one cell of the cliff",
                    'every cell where self.letter(successor) is "C" is the cliff',
                ),
            },
        ),
        *instead_of(
            "np.array([successor])",
            {
                "np.array([float(successor)])": (
                    "gives the state as a float",
                    "states are whole numbers, for arrays are indexed with them",
                ),
            },
        ),
        *instead_of(
            '        if self.letter(successor) == "C":\n            successor, reward = self.start, -100.0\n',
            {"": ("forgets the cliff", "who steps on the cliff gets -100 and is back at the start")},
        ),
        *instead_of(
            "np.array([1.0])",
            {
                "np.array([0.25])": (
                    "gives the chance of the action",
                    "the action is given: what follows is certain",
                ),
            },
        ),
    ],
)
