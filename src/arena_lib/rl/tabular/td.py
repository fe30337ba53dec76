"""Learning from each step: SARSA, expected SARSA, Q-learning and double Q-learning.

All move Q[s, a] towards a target: the reward, plus the discounted value of what follows. They differ in that value.

Shapes:  Q "n_states n_actions".
Source:  Sutton and Barto 2018, sections 6.4 to 6.7, equations 6.7 (SARSA), 6.8 (Q-learning), 6.9 (expected SARSA),
         6.10 (double Q-learning).
Differs: an episode that is cut off keeps the value of its last state; only termination makes it 0.
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float

from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.tabular.agents import DEFAULT_CONFIG, AgentConfig, EpsilonGreedy, Experience


class QLearning(EpsilonGreedy):
    """Learns the value of acting in the best way, whatever it does itself.

    `observe` moves one entry of `self.Q`, that of `exp.obs` and `exp.act`, by `self.config.lr` times the error
    target - Q[obs, act]. The target is the reward plus `self.gamma` times the largest Q of `exp.new_obs`; where the
    episode has terminated nothing follows, and the target is the reward alone.
    """

    def observe(self, exp: Experience) -> None:
        """One update of `self.Q`, in place."""
        following = 0.0 if exp.terminated else self.Q[exp.new_obs].max()
        target = exp.reward + self.gamma * following
        self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])


class SARSA(EpsilonGreedy):
    """Learns the value of acting as it does itself, its random actions included.

    Its name is its experience: state, action, reward, state, action. `observe` is as in Q-learning, but what
    follows has the value of the action that will really be taken: Q[new_obs, new_act]. Where the episode has
    terminated nothing follows. Only `exp.terminated` says so: `exp.new_act` may be any action then, and is not used.
    The last step of an episode that is cut off at `max_steps` looks like any other: it is no end.

    The class says `chooses_ahead = True`: then `run_episode` chooses the next action before it calls `observe`, and hands
    it over as `exp.new_act`. Actions are numbered from 0.
    """

    chooses_ahead: ClassVar[bool] = True

    def observe(self, exp: Experience) -> None:
        """One update of `self.Q`, in place."""
        following = 0.0 if exp.terminated else self.Q[exp.new_obs, exp.new_act]
        target = exp.reward + self.gamma * following
        self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])


class ExpectedSARSA(EpsilonGreedy):
    """Learns what SARSA learns, without the noise of the next action: it takes the mean over it.

    `observe` is as in SARSA, but what follows has the mean value of an epsilon-greedy choice in `exp.new_obs`:
    (1 - epsilon) times the largest Q there, plus epsilon times the mean of all Q there. `self.config.epsilon` is
    epsilon. Where the episode has terminated nothing follows. `exp.new_act` isn't needed, so `chooses_ahead` may stay False.
    """

    def observe(self, exp: Experience) -> None:
        """One update of `self.Q`, in place."""
        epsilon, values = self.config.epsilon, self.Q[exp.new_obs]
        following = 0.0 if exp.terminated else (1 - epsilon) * values.max() + epsilon * values.mean()
        target = exp.reward + self.gamma * following
        self.Q[exp.obs, exp.act] += self.config.lr * (target - self.Q[exp.obs, exp.act])


class DoubleQLearning(EpsilonGreedy):
    """Two tables that learn from different steps: one says which action is best, the other what it is worth.

    `self.tables` is "2 n_states n_actions". For each step `observe` first draws which table learns:
    `learner = int(self.rng.integers(2))`. The learner's own values choose the best action in `exp.new_obs` (of equal ones
    the first), and what follows has the value that the *other* table gives to that action. Where the episode has
    terminated nothing follows. Then one entry of the learner's table, that for `exp.obs` and `exp.act`, moves by
    `self.config.lr` times the error: the target minus this same entry. The other table stays.

    The agent acts on `self.Q`. After each step it is the mean of both tables: change its entry in place, or make it anew.
    """

    def __init__(
        self, env: DiscreteEnviroGym, config: AgentConfig = DEFAULT_CONFIG, gamma: float = 0.99, seed: int = 0
    ) -> None:
        super().__init__(env, config, gamma, seed)
        self.tables: Float[np.ndarray, "2 n_states n_actions"] = np.stack([self.Q, self.Q])

    def observe(self, exp: Experience) -> None:
        """One update of one of the tables, in place, and the mean of both in `self.Q`."""
        learner = int(self.rng.integers(2))
        own, other = self.tables[learner], self.tables[1 - learner]
        following = 0.0 if exp.terminated else other[exp.new_obs, own[exp.new_obs].argmax()]
        target = exp.reward + self.gamma * following
        own[exp.obs, exp.act] += self.config.lr * (target - own[exp.obs, exp.act])
        self.Q[exp.obs, exp.act] = self.tables[:, exp.obs, exp.act].mean()
