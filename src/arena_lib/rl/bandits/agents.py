"""Bandit agents: how to earn much while finding out what is worth it.

Shapes:  averages, counts, preferences "n_actions".
Source:  Sutton and Barto 2018, sections 2.2 (epsilon-greedy), 2.6 (optimistic initial values), 2.7 (upper confidence
         bounds, equation 2.10), 2.8 (gradient bandit); Russo et al. 2018, arXiv:1707.02038 (Thompson sampling).
"""

from typing import Any

import numpy as np

from arena_lib.rl.bandits.choosing import (
    epsilon_greedy_action,
    gradient_bandit_step,
    thompson_action,
    update_average,
)


class BanditAgent:
    """An agent that chooses among arms, and may learn from what they pay."""

    def __init__(self, n_arms: int, seed: int = 0) -> None:
        self.n_arms = n_arms
        self.reset(seed)

    def get_action(self) -> int:
        """The arm to take, from 0 to n_arms - 1."""
        raise NotImplementedError

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        """Learns from the reward of an arm; an agent that doesn't learn leaves it as it is."""

    def reset(self, seed: int) -> None:
        """Forgets everything, and begins its random numbers anew from `seed`."""
        self.rng = np.random.default_rng(seed)


class RandomAgent(BanditAgent):
    """Takes every arm with the same chance.

    `get_action()` takes no arguments and gives Python's int (`int(...)`, not numpy's np.int64) from 0 to
    `self.n_arms` - 1. It is drawn by one call of `self.rng.integers`; nothing else is drawn.
    """

    def get_action(self) -> int:
        """Any arm."""
        return int(self.rng.integers(self.n_arms))


class RewardAveraging(BanditAgent):
    """Averages the rewards of each arm, takes the best average, and with probability epsilon any arm.

    `reset(seed)` makes what the agent knows: `self.rng` is `np.random.default_rng(seed)`, and `self.averages` and
    `self.counts` are numpy arrays with one entry for each arm. Averages are floats, each equal to `self.optimism` at
    first (also where that is a whole number); counts are integers, each 0. `get_action` gives an int: it chooses with
    `epsilon_greedy_action` from the averages, `self.epsilon` and `self.rng`. `observe` takes the reward into the
    arm's average with `update_average`. (The first reward of an arm replaces its optimism altogether, for then n is 1.)
    """

    def __init__(self, n_arms: int, seed: int = 0, epsilon: float = 0.1, optimism: float = 0.0) -> None:
        self.epsilon, self.optimism = epsilon, optimism
        super().__init__(n_arms, seed)

    def get_action(self) -> int:
        """The arm with the best average, or with probability epsilon any."""
        return epsilon_greedy_action(self.averages, self.epsilon, self.rng)

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        """One more reward for the arm's average; `info` isn't looked at."""
        update_average(self.averages, self.counts, action, reward)

    def reset(self, seed: int) -> None:
        """Forgets all rewards, and begins its random numbers anew from `seed`."""
        super().reset(seed)
        self.averages = np.full(self.n_arms, self.optimism, dtype=float)
        self.counts = np.zeros(self.n_arms, dtype=int)


class ConstantStepAveraging(RewardAveraging):
    """As reward averaging, but each reward moves the arm's value by a constant share `lr` of the difference.

    So optimism fades slowly, and an arm must disappoint several times before it is given up.
    """

    def __init__(
        self, n_arms: int, seed: int = 0, epsilon: float = 0.1, optimism: float = 0.0, lr: float = 0.1
    ) -> None:
        self.lr = lr
        super().__init__(n_arms, seed, epsilon, optimism)

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        """A step of constant size towards the reward."""
        self.averages[action] += self.lr * (reward - self.averages[action])


class CheatyMcCheater(BanditAgent):
    """Takes the arm that the last `info` named as the best, `info["best_arm"]`.

    `reset(seed)` forgets it: before the first `observe` after a reset the agent takes arm 0. Nothing is drawn at random,
    so `reset` may call `super().reset(seed)`, which makes `self.rng`, or leave it out.
    """

    def get_action(self) -> int:
        """The best arm, as far as it has been told."""
        return self.best_arm

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        """Reads which arm is the best; action and reward don't matter."""
        self.best_arm = info["best_arm"]

    def reset(self, seed: int) -> None:
        """Forgets what it has been told."""
        super().reset(seed)
        self.best_arm = 0


class UCBActionSelection(RewardAveraging):
    """Takes the arm that may be the best: its average plus a bonus for how little is known of it.

    Averages and counts are kept as in `RewardAveraging`; nothing is drawn at random. `get_action` gives an int: first of
    all the first arm that has never been taken, if there is one. Otherwise the arm with the largest

        averages[a] + c * sqrt(ln(t) / counts[a])

    (the first of equal ones), where t is the sum of `self.counts`: the number of rewards seen so far, without the one
    to come. Nothing else is read, and nothing is changed.
    """

    def __init__(self, n_arms: int, seed: int = 0, c: float = 2.0) -> None:
        self.c = c
        super().__init__(n_arms, seed, epsilon=0.0)

    def get_action(self) -> int:
        """An arm never taken, or the one with the largest upper bound."""
        if (self.counts == 0).any():
            return int((self.counts == 0).argmax())
        bonus = np.sqrt(np.log(self.counts.sum()) / self.counts)
        return int((self.averages + self.c * bonus).argmax())


class GradientBandit(BanditAgent):
    """Draws arms from the softmax of learned preferences; the baseline is the average of all rewards before."""

    preferences: np.ndarray
    average: np.ndarray
    n_seen: np.ndarray

    def __init__(self, n_arms: int, seed: int = 0, lr: float = 0.1, use_baseline: bool = True) -> None:
        self.lr, self.use_baseline = lr, use_baseline
        super().__init__(n_arms, seed)

    def get_action(self) -> int:
        """An arm drawn from the softmax: Gumbel noise makes the largest of sums such a draw."""
        return int((self.preferences + self.rng.gumbel(size=self.n_arms)).argmax())

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        """One gradient step."""
        baseline = self.average[0] if self.use_baseline else 0.0
        self.preferences = gradient_bandit_step(self.preferences, action, reward, baseline, self.lr)
        update_average(self.average, self.n_seen, 0, reward)

    def reset(self, seed: int) -> None:
        """All arms are equally likely again."""
        super().reset(seed)
        self.preferences = np.zeros(self.n_arms)
        self.average, self.n_seen = np.zeros(1), np.zeros(1, dtype=int)


class ThompsonSampling(BanditAgent):
    """For arms that win or lose: draws a likely chance of winning for each arm, and takes the best draw."""

    def get_action(self) -> int:
        """The arm with the best draw."""
        return thompson_action(self.n_wins, self.n_losses, self.rng)

    def observe(self, action: int, reward: float, info: dict[str, Any]) -> None:
        """Counts a win (a reward above 0) or a loss."""
        counts = self.n_wins if reward > 0 else self.n_losses
        counts[action] += 1

    def reset(self, seed: int) -> None:
        """No arm has won or lost yet."""
        super().reset(seed)
        self.n_wins, self.n_losses = np.zeros(self.n_arms, dtype=int), np.zeros(self.n_arms, dtype=int)
