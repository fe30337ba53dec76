"""Gridworlds of the textbooks: Norvig's grid, cliff walking, the windy grid, the frozen lake.

A gridworld is drawn as a map of letters: S start, `.` free, # wall, G a good end, X a bad end, C cliff. States are
numbered row by row from the upper left. Actions are 0 up, 1 right, 2 down, 3 left.

Source:  Russell and Norvig 2020, section 16.1 (their grid); Sutton and Barto 2018, examples 6.5 (wind) and 6.6
         (cliff); gymnasium's FrozenLake (the lake's map).
Differs: gymnasium's FrozenLake numbers its actions from the left: 0 left, 1 down, 2 right, 3 up.
"""

from collections.abc import Sequence

import numpy as np

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds.mdp import Environment, Outcomes

UP, RIGHT, DOWN, LEFT = range(4)
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Row and column by which each action moves."""
LETTERS = "S.#GXC"


class Gridworld(Environment):
    """A grid in which one walks up, right, down and left; a subclass says in `dynamics` what walking leads to."""

    def __init__(self, rows: Sequence[str]) -> None:
        self._rows = list(rows)
        self.height, self.width = len(self._rows), len(self._rows[0])
        letters = "".join(self._rows)
        if len(letters) != self.height * self.width or set(letters) - set(LETTERS) or letters.count("S") != 1:
            raise ConfigError(
                f"a map must have rows of one length, of the letters {LETTERS}, with one S: got {self._rows}."
            )
        self.walls = frozenset(state for state, letter in enumerate(letters) if letter == "#")
        terminal = [state for state, letter in enumerate(letters) if letter in "GX"]
        super().__init__(len(letters), 4, start=letters.index("S"), terminal=terminal)

    @property
    def rows(self) -> list[str]:
        """The map, a letter for each state."""
        return self._rows

    def letter(self, state: int) -> str:
        """What the map shows at a state: "G" for a good end."""
        return self._rows[state // self.width][state % self.width]

    def move(self, state: int, action: int) -> int:
        """The state one step from `state` in the direction of `action`; `state` itself where a wall or the edge is."""
        row, column = state // self.width + STEPS[action][0], state % self.width + STEPS[action][1]
        if not (0 <= row < self.height and 0 <= column < self.width):
            return state
        successor = row * self.width + column
        return state if successor in self.walls else successor

    def _has_dynamics(self, state: int) -> bool:
        return not self.is_terminal(state) and state not in self.walls


class Norvig(Gridworld):
    """Russell and Norvig's grid of 3 rows and 4 columns: a good end (+1), a bad one (-1), a wall, and slippery ground.

    `dynamics(state, action)` says what may follow: three outcomes, as arrays of integer states, rewards and
    probabilities. With probability 0.8 one step in the direction of `action`, with 0.1 each one step
    at right angles to it, to either side; `self.move(state, direction)` gives where a step leads. Directions are
    numbered clockwise: 0 up, 1 right, 2 down, 3 left. The reward belongs to the state that is entered
    (or stayed in): +1 where `self.letter(successor)` is "G", -1 where it is "X", else `self.penalty`. So a step
    against a wall or the edge, which leads nowhere, costs the penalty too. There are always three outcomes, in this order: the
    direction itself, the one to its right (clockwise), the one to its left. Two may be the same state.
    """

    def __init__(self, penalty: float = -0.04) -> None:
        self.penalty = penalty
        super().__init__(["...G", ".#.X", "S..."])

    def dynamics(self, state: int, action: int) -> Outcomes:
        """What may follow `action` in `state`, neither a wall nor terminal: next states, rewards, probabilities."""
        directions = (action, (action + 1) % 4, (action - 1) % 4)
        states = [self.move(state, direction) for direction in directions]
        payments = {"G": 1.0, "X": -1.0}
        rewards = [payments.get(self.letter(successor), self.penalty) for successor in states]
        return np.array(states), np.array(rewards), np.array([0.8, 0.1, 0.1])


class CliffWalking(Gridworld):
    """A grid of 4 rows and 12 columns whose lowest row is a cliff between the start and the goal.

    `dynamics(state, action)` gives the one thing that follows, as three arrays of one entry: next state (an integer),
    reward, and probability 1 (these two may be floats or integers). A step goes where `self.move(state, action)` says,
    and pays -1. A step onto a cliff cell, where `self.letter(successor)` is "C", pays -100 instead and leads back to
    `self.start`. The episode goes on; only the goal ends it.
    """

    def __init__(self) -> None:
        super().__init__(["............", "............", "............", "SCCCCCCCCCCG"])

    def dynamics(self, state: int, action: int) -> Outcomes:
        """What follows `action` in `state`, which isn't the goal: next state, reward, probability."""
        successor, reward = self.move(state, action), -1.0
        if self.letter(successor) == "C":
            successor, reward = self.start, -100.0
        return np.array([successor]), np.array([reward]), np.array([1.0])


class Windy(Gridworld):
    """A grid of 7 rows and 10 columns with an upward wind in its middle columns; each step pays -1.

    The wind of the column that one leaves carries one up, as far as there is room. The best way has 15 steps.
    """

    WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)

    def __init__(self) -> None:
        rows = ["." * 10] * 7
        rows[3] = "S......G.."
        super().__init__(rows)

    def dynamics(self, state: int, action: int) -> Outcomes:
        """One step and the wind."""
        successor = self.move(state, action)
        for _ in range(self.WIND[state % self.width]):
            successor = self.move(successor, UP)
        return np.array([successor]), np.array([-1.0]), np.array([1.0])


class FrozenLake(Gridworld):
    """A frozen lake of 4 rows and 4 columns with holes: only the goal pays (1), and the ice is slippery.

    A step goes where it is meant to, or to either side of that, with equal chances; with `is_slippery` off always
    where it is meant to.
    """

    def __init__(self, is_slippery: bool = True) -> None:
        self.is_slippery = is_slippery
        super().__init__(["S...", ".X.X", "...X", "X..G"])

    def dynamics(self, state: int, action: int) -> Outcomes:
        """Three equally likely steps, or one."""
        directions = (action, (action + 1) % 4, (action - 1) % 4) if self.is_slippery else (action,)
        states = [self.move(state, direction) for direction in directions]
        rewards = [float(self.letter(successor) == "G") for successor in states]
        return np.array(states), np.array(rewards), np.full(len(states), 1 / len(states))
