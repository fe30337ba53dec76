"""Probe environments: each is so small that what a right agent must learn in it is known.

If an agent fails in one, the fault is in the part that this probe needs and those before it don't.

    Probe1  one action, one step, reward 1                           the value of a constant
    Probe2  one action, one step, reward = observation               the value depends on the observation
    Probe3  one action, two steps, reward 1 at the second            the discount
    Probe4  two actions, one step, reward -1 or 1                    the action that pays is preferred
    Probe5  two actions, one step, reward 1 if the action fits       the policy depends on the observation
    Probe6  two actions, one step, reward 10 x observation +- 1      the advantage, not the reward, drives the policy
    Probe7  one action, one step, reward 1, ends in one of two ways  a truncated state keeps its value
    Probe8  two actions, the first of two steps decides, pays later  credit over two steps
    ContinuousProbe4, ContinuousProbe5                               the same with one number as action

Observations are one float; those that begin an episode are drawn from the environment's seeded generator.

Source:  the idea is Andy L. Jones's, "Debugging RL, Without the Agonizing Pain" (2021); Pardo et al. 2018,
         arXiv:1712.00378 (Probe7).
Differs: Probe6, Probe7, Probe8 and the continuous ones are our own.
"""

from typing import Any

import gymnasium as gym
import numpy as np

Answers = dict[float, float]
"""For each observation a number."""


class Probe(gym.Env):
    """What all probes share: one float as observation, and answers that are known.

    A subclass sets `starts` (the first observations, drawn evenly), and writes `transition`, `values` and, where
    there is a choice, `best_actions`.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # gymnasium's own form
    starts: tuple[float, ...] = (0.0,)
    n_actions = 1

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(-2.0, 2.0, (1,), np.float32)
        self.action_space: gym.Space = gym.spaces.Discrete(self.n_actions)
        self.state = 0.0

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """Return (next observation, reward, terminated, truncated)."""
        raise NotImplementedError

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """The value of each observation under the best policy."""
        raise NotImplementedError

    @classmethod
    def best_actions(cls) -> Answers:
        """The best action for each observation where there is a choice."""
        return {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a first observation."""
        super().reset(seed=seed)
        self.state = self.starts[int(self.np_random.integers(len(self.starts)))]
        return self._obs(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do one action."""
        self.state, reward, terminated, truncated = self.transition(self.state, action)
        return self._obs(), float(reward), terminated, truncated, {}

    def _obs(self) -> np.ndarray:
        return np.array([self.state], dtype=np.float32)


class Probe1(Probe):
    """One action, one step, reward 1: is a constant value learnt?"""

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End with reward 1."""
        return state, 1.0, True, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """1."""
        return {0.0: 1.0}


class Probe2(Probe):
    """One action, one step, the reward is the observation, -1 or 1: does the value depend on the observation?"""

    starts = (-1.0, 1.0)

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End with the observation as reward."""
        return state, state, True, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """The observation."""
        return {-1.0: -1.0, 1.0: 1.0}


class Probe3(Probe):
    """One action, two steps with the observations 0 and 1, reward 1 at the second: is the discount right?"""

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """From 0 to 1, and from 1 to the end with reward 1."""
        return 1.0, state, state == 1.0, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """Gamma at the first step, 1 at the second."""
        return {0.0: gamma, 1.0: 1.0}


class Probe4(Probe):
    """Two actions, one step, reward -1 for action 0 and 1 for action 1: is the better action preferred?"""

    n_actions = 2

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End with what the action pays."""
        return state, 2.0 * action - 1.0, True, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """1: action 1 is taken."""
        return {0.0: 1.0}

    @classmethod
    def best_actions(cls) -> Answers:
        """Action 1."""
        return {0.0: 1.0}


class Probe5(Probe):
    """Two actions, one step, reward 1 if the action fits the observation (0 to -1, 1 to 1), else -1."""

    starts = (-1.0, 1.0)
    n_actions = 2

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End with 1 if the action fits, else -1."""
        return state, state * (2.0 * action - 1.0), True, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """1: the action that fits is taken."""
        return {-1.0: 1.0, 1.0: 1.0}

    @classmethod
    def best_actions(cls) -> Answers:
        """The one that fits."""
        return {-1.0: 0.0, 1.0: 1.0}


class Probe6(Probe):
    """Two actions, one step, reward 10 x observation plus 1 for action 1 and minus 1 for action 0.

    What is paid depends mostly on the observation, which the agent doesn't choose. Only the advantage, the reward
    less the value of the observation, says that action 1 is better.
    """

    starts = (-1.0, 1.0)
    n_actions = 2

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End with ten times the observation, and a little for the action."""
        return state, 10.0 * state + 2.0 * action - 1.0, True, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """Ten times the observation, plus 1."""
        return {-1.0: -9.0, 1.0: 11.0}

    @classmethod
    def best_actions(cls) -> Answers:
        """Action 1, whatever is observed."""
        return {-1.0: 1.0, 1.0: 1.0}


class Probe7(Probe):
    """One action, one step, reward 1; the episode terminates where 1 is observed, and is truncated where -1 is.

    Where it is truncated the same observation would have gone on for ever, so its value is 1 / (1 - gamma). An agent
    that takes truncation for termination learns 1; one that takes the next episode's observation for the true
    one learns something between.
    """

    starts = (-1.0, 1.0)

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End with reward 1, by termination at 1 and by truncation at -1."""
        return state, 1.0, state == 1.0, state == -1.0

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """1 where it terminates, the sum of all powers of gamma where it is truncated."""
        return {-1.0: 1.0 / (1.0 - gamma), 1.0: 1.0}


class Probe8(Probe):
    """Two actions, two steps: the first action leads to -1 or 1, and the second step pays that, whatever is done."""

    n_actions = 2

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """Choose the second observation, then end with it as reward."""
        return (2.0 * action - 1.0, 0.0, False, False) if state == 0.0 else (state, state, True, False)

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """Gamma at first, then the observation."""
        return {0.0: gamma, -1.0: -1.0, 1.0: 1.0}

    @classmethod
    def best_actions(cls) -> Answers:
        """Action 1 at first; afterwards no action matters."""
        return {0.0: 1.0}


class ContinuousProbe4(Probe):
    """One number as action, one step, reward -(action - 0.5)^2: does the policy find the best number?"""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def transition(self, state: float, action: Any) -> tuple[float, float, bool, bool]:
        """End; the further from the best number, the less."""
        return state, -float((action[0] - self.best_actions()[state]) ** 2), True, False

    @classmethod
    def values(cls, gamma: float) -> Answers:
        """0: the best number is chosen."""
        return dict.fromkeys(cls.starts, 0.0)

    @classmethod
    def best_actions(cls) -> Answers:
        """0.5."""
        return {0.0: 0.5}


class ContinuousProbe5(ContinuousProbe4):
    """One number as action, one step, reward -(action - observation / 2)^2: does it depend on the observation?"""

    starts = (-1.0, 1.0)

    @classmethod
    def best_actions(cls) -> Answers:
        """Half the observation."""
        return {-1.0: -0.5, 1.0: 0.5}
