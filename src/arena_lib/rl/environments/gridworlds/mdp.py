"""Markov decision processes with finitely many states, whose dynamics are known.

Shapes:  T "n_states n_actions n_states", R the same.
Raises:  ConfigError for dynamics that are no probabilities, or that lead outside the states.
Source:  Sutton and Barto 2018, sections 3.1 to 3.3.
Differs: nothing follows a terminal state, so its rows of T are zero. All values there are 0, for gamma = 1 too.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

from arena_lib.errors import ConfigError

Outcomes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""What may follow an action: the next states (integers), their rewards and their probabilities, as many of each."""


class Environment:
    """A Markov decision process: a subclass says in `dynamics` what may follow each action, and the rest is made from it.

    `T[s, a, s2]` is the probability that action a in state s leads to state s2, and `R[s, a, s2]` the mean
    reward of that transition (0 where it can't happen). Rows of `T` that belong to terminal states are zero.
    """

    T: Float[np.ndarray, "n_states n_actions n_states"]
    R: Float[np.ndarray, "n_states n_actions n_states"]

    def __init__(self, n_states: int, n_actions: int, start: int = 0, terminal: Sequence[int] = ()) -> None:
        self.n_states, self.n_actions, self.start = n_states, n_actions, start
        self.terminal: Int[np.ndarray, " n_terminal"] = np.array(sorted(terminal), dtype=np.int64)
        self._ends = frozenset(terminal)
        self.T, self.R = self._tabulate()

    def dynamics(self, state: int, action: int) -> Outcomes:
        """What may follow `action` in `state`, which isn't terminal: next states, rewards, probabilities."""
        raise NotImplementedError

    def is_terminal(self, state: int) -> bool:
        """Whether the episode ends on entering `state`."""
        return state in self._ends

    @property
    def rows(self) -> list[str]:
        """The map that pictures show, a letter for each state: here all states in one row."""
        letters = ["G" if self.is_terminal(state) else "." for state in range(self.n_states)]
        letters[self.start] = "S"
        return ["".join(letters)]

    def _has_dynamics(self, state: int) -> bool:
        """Whether anything follows a state: not so for a terminal one."""
        return not self.is_terminal(state)

    def _tabulate(self) -> tuple[np.ndarray, np.ndarray]:
        """T and R. Where outcomes of one action share a successor, R holds their mean reward."""
        T = np.zeros((self.n_states, self.n_actions, self.n_states))
        weighted = np.zeros_like(T)
        for state in filter(self._has_dynamics, range(self.n_states)):
            for action in range(self.n_actions):
                outcomes = self._checked(state, action)
                for successor, reward, probability in zip(*outcomes, strict=True):
                    T[state, action, successor] += probability
                    weighted[state, action, successor] += probability * reward
        return T, np.divide(weighted, T, out=np.zeros_like(T), where=T > 0)

    def _checked(self, state: int, action: int) -> Outcomes:
        states, rewards, probabilities = (np.asarray(part) for part in self.dynamics(state, action))
        where = f"of state {state} and action {action}"
        if not states.shape == rewards.shape == probabilities.shape or states.ndim != 1:
            raise ConfigError(
                f"dynamics must give as many states as rewards and probabilities: got shapes {states.shape}, "
                f"{rewards.shape} and {probabilities.shape} {where}. Return three arrays of one axis."
            )
        if states.dtype.kind != "i" or ((states < 0) | (states >= self.n_states)).any():
            raise ConfigError(
                f"dynamics must lead to states from 0 to {self.n_states - 1}: got {states.tolist()} {where}."
            )
        if (probabilities < 0).any() or abs(probabilities.sum() - 1) > 1e-8:
            raise ConfigError(
                f"probabilities must be at least 0 and sum to 1: got {probabilities.tolist()} {where}. Scale them."
            )
        return states, rewards, probabilities


class TwoLoops(Environment):
    """Two ways round: action 0 pays 1 at once and then 0, action 1 pays 0 at once and then 2; both come back.

    Which is better depends on gamma alone: 1 against 2 gamma. Source: Sutton and Barto 2018, exercise 3.22.
    """

    def __init__(self) -> None:
        super().__init__(n_states=3, n_actions=2)

    def dynamics(self, state: int, action: int) -> Outcomes:
        """From the start to state 1 or 2 by choice, and back from there whatever is chosen."""
        if state == self.start:
            successor, reward = (1, 1.0) if action == 0 else (2, 0.0)
        else:
            successor, reward = self.start, 0.0 if state == 1 else 2.0
        return np.array([successor]), np.array([reward]), np.array([1.0])


class RandomWalk(Environment):
    """`n` states in a row between two ends; one action, which goes left or right by chance.

    The left end pays -1, the right end +1, all else 0. The walk begins in the middle. With gamma = 1 the value of the
    i-th of n states is -1 + 2 i / (n + 1). Source: Sutton and Barto 2018, example 7.1 (n = 19).
    """

    def __init__(self, n: int = 19) -> None:
        super().__init__(n_states=n + 2, n_actions=1, start=(n + 1) // 2, terminal=[0, n + 1])

    def dynamics(self, state: int, action: int) -> Outcomes:
        """One step to the left or to the right, with equal chances."""
        right_end = self.n_states - 1
        rewards = np.array([-1.0 if state == 1 else 0.0, 1.0 if state + 1 == right_end else 0.0])
        return np.array([state - 1, state + 1]), rewards, np.array([0.5, 0.5])


class MaximizationBias(Environment):
    """From A (0) to the left, where rewards vary much and lose 0.1 in the mean, or to the right, where all ends at 0.

    Ten actions: in A the even ones go left to B (1), the odd ones right to the end (2). In B each action ends the
    episode with a reward spread like a normal one of mean -0.1 and deviation 1 (21 equally likely values).
    A maximum over noisy estimates makes B look good. Source: Sutton and Barto 2018, example 6.7.
    """

    def __init__(self) -> None:
        draws = np.array([NormalDist().inv_cdf((i + 0.5) / 21) for i in range(21)])
        self._rewards = -0.1 + draws / draws.std()
        super().__init__(n_states=3, n_actions=10, terminal=[2])

    def dynamics(self, state: int, action: int) -> Outcomes:
        """Left or right in A; in B one of the rewards."""
        if state == self.start:
            return np.array([1 if action % 2 == 0 else 2]), np.array([0.0]), np.array([1.0])
        n = len(self._rewards)
        return np.full(n, 2), self._rewards, np.full(n, 1 / n)
