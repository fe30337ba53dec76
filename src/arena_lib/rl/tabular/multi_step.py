"""Learning from several steps at once: n-step returns, and SARSA(lambda) with eligibility traces.

Shapes:  rewards "n_steps", values "n_steps+1" -> returns "n_steps"; Q and traces "n_states n_actions".
Source:  Sutton and Barto 2018, equation 7.1 (n-step return), section 7.2 (n-step SARSA), section 12.7 (SARSA(lambda)).
Differs: traces are tables, so the trace of section 12.7 is one entry for each state and action (accumulating).
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.tabular.agents import DEFAULT_CONFIG, AgentConfig, EpsilonGreedy, Experience


def n_step_returns(
    rewards: Float[np.ndarray, " n_steps"], values: Float[np.ndarray, " n_states_seen"], gamma: float, n: int
) -> Float[np.ndarray, " n_steps"]:
    """The n-step return of each step of one episode: n rewards, and then the value of where one is.

    `rewards[t]` followed step t. `values` has one entry more: `values[t]` is the value of the state in which step t was
    taken, and the last entry that of the state in which the episode stopped (0 if it terminated there).

        returns[t] = rewards[t] + gamma * rewards[t+1] + ... + gamma^(m-1) * rewards[t+m-1] + gamma^m * values[t+m]

    where m is n, or the number of steps that are left if they are fewer. `n` is at least 1. The arrays that are given
    stay as they were.

    >>> n_step_returns(np.array([1.0, 0.0, 2.0]), np.array([5.0, 6.0, 7.0, 0.0]), gamma=0.5, n=2)
    array([2.75, 1.  , 2.  ])
    """
    n_steps = len(rewards)
    returns = np.empty(n_steps)
    for t in range(n_steps):
        m = min(n, n_steps - t)
        discounts = gamma ** np.arange(m)
        returns[t] = (discounts * rewards[t : t + m]).sum() + gamma**m * values[t + m]
    return returns


class NStepSARSA(EpsilonGreedy):
    """SARSA whose target is an n-step return; each state and action learns once n further steps have been seen."""

    chooses_ahead: ClassVar[bool] = True

    def start_episode(self) -> None:
        """No step of the new episode has been seen yet."""
        self._waiting: list[Experience] = []

    def observe(self, exp: Experience) -> None:
        """The step n - 1 before this one learns; at the end all that still wait."""
        self._waiting.append(exp)
        if len(self._waiting) == self.config.n or exp.terminated:
            following = 0.0 if exp.terminated else self.Q[exp.new_obs, exp.new_act]
            while self._waiting:
                rewards = np.array([step.reward for step in self._waiting])
                values = np.array([*(self.Q[step.obs, step.act] for step in self._waiting), following])
                (first, *self._waiting) = self._waiting
                target = n_step_returns(rewards, values, self.gamma, len(rewards))[0]
                self.Q[first.obs, first.act] += self.config.lr * (target - self.Q[first.obs, first.act])
                if not exp.terminated:
                    break


class SARSA_lambda(EpsilonGreedy):
    """SARSA in which each step also teaches the steps before it, the less the longer ago they were.

    `self.traces` is "n_states n_actions": how much each entry of `self.Q` has to do with what happens now.
    `start_episode` sets all traces to 0. `observe` does, in this order,

        error = reward + gamma * Q[new_obs, new_act] - Q[obs, act]     (reward - Q[obs, act] if it has terminated)
        traces[obs, act] += 1
        Q += lr * error * traces          (every entry)
        traces *= gamma * lambda          (every entry)

    with `self.gamma`, `self.config.lr` and `self.config.lambda_`. Traces are cleared in `start_episode` alone, for an
    episode may be cut off without an end. With lambda 0 it is SARSA.
    """

    chooses_ahead: ClassVar[bool] = True

    def __init__(
        self, env: DiscreteEnviroGym, config: AgentConfig = DEFAULT_CONFIG, gamma: float = 0.99, seed: int = 0
    ) -> None:
        super().__init__(env, config, gamma, seed)
        self.traces: Float[np.ndarray, "n_states n_actions"] = np.zeros_like(self.Q)

    def start_episode(self) -> None:
        """All traces are 0 again; `self.Q` stays."""
        self.traces[:] = 0.0

    def observe(self, exp: Experience) -> None:
        """One update of all of `self.Q` and of `self.traces`, in place."""
        following = 0.0 if exp.terminated else self.Q[exp.new_obs, exp.new_act]
        error = exp.reward + self.gamma * following - self.Q[exp.obs, exp.act]
        self.traces[exp.obs, exp.act] += 1
        self.Q += self.config.lr * error * self.traces
        self.traces *= self.gamma * self.config.lambda_
