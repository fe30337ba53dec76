"""What tabular agents share: experience, settings, the loop over an episode. And an agent that knows the answer.

Shapes:  Q "n_states n_actions".
Raises:  ConfigError for settings that cannot work.
Source:  Sutton and Barto 2018, sections 2.2 (epsilon-greedy) and 6.4 (the loop).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from arena_lib.errors import ConfigError
from arena_lib.rl.bandits.choosing import epsilon_greedy_action
from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.tabular.planning import find_optimal_policy


@dataclass(frozen=True)
class Experience:
    """One step: what was seen, what was done, what came of it."""

    obs: int
    act: int
    reward: float
    new_obs: int
    terminated: bool
    """Whether the episode ended there: then nothing follows `new_obs`, and it is worth 0."""
    new_act: int | None = None
    """The action chosen for `new_obs`, which will be taken there unless the episode has terminated.

    None where the agent doesn't choose it before it learns.
    """


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """How a tabular agent learns."""

    epsilon: float = 0.1
    """The share of actions taken at random."""
    lr: float = 0.05
    """The learning rate: the share of each error by which a value moves."""
    optimism: float = 0.0
    """The value that every action has at first."""
    lambda_: float = 0.9
    """How fast eligibility fades, from 0 (only the last step learns) to 1; for SARSA(lambda)."""
    n: int = 4
    """Steps in a return; for n-step SARSA."""

    def __post_init__(self) -> None:
        for name in ("epsilon", "lr", "lambda_"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be from 0 to 1: got {getattr(self, name)}.")
        if self.n < 1:
            raise ConfigError(f"n must be at least 1: got {self.n}. Pass 1 for ordinary SARSA.")


DEFAULT_CONFIG = AgentConfig()
"""The settings of an agent that is given none."""


class Agent:
    """An agent that acts in a world with numbered states, learns from each step, or doesn't."""

    chooses_ahead: ClassVar[bool] = False
    """Whether the next action is chosen before the agent learns from a step; then `observe` is told."""

    def __init__(
        self, env: DiscreteEnviroGym, config: AgentConfig = DEFAULT_CONFIG, gamma: float = 0.99, seed: int = 0
    ) -> None:
        self.env, self.config, self.gamma = env, config, gamma
        self.n_states, self.n_actions = env.env.n_states, env.env.n_actions
        self.rng = np.random.default_rng(seed)

    def get_action(self, obs: int) -> int:
        """The action to take in the state `obs`."""
        raise NotImplementedError

    def observe(self, exp: Experience) -> None:
        """Learns from one step; an agent that doesn't learn leaves it as it is."""

    def start_episode(self) -> None:
        """Forgets what belongs to the episode before."""

    def run_episode(self, seed: int | None = None, max_steps: int = 1000) -> list[float]:
        """Plays one episode, learns from each step, and returns the rewards.

        A `seed` begins the world's random numbers anew; without one they go on. An episode that reaches
        `max_steps` is cut off there, which is no end: its last state keeps its value.
        """
        obs, _ = self.env.reset(seed=seed)
        self.start_episode()
        rewards: list[float] = []
        act = self.get_action(obs)
        while True:
            new_obs, reward, terminated, _, _ = self.env.step(act)
            rewards.append(reward)
            ahead = self.get_action(new_obs) if self.chooses_ahead else None
            self.observe(Experience(obs, act, reward, new_obs, terminated, ahead))
            if terminated or len(rewards) == max_steps:
                return rewards
            obs, act = new_obs, self.get_action(new_obs) if ahead is None else ahead


class RandomWalker(Agent):
    """Takes every action with the same chance."""

    def get_action(self, obs: int) -> int:
        """Any action."""
        return int(self.rng.integers(self.n_actions))


class Cheater(Agent):
    """Looks at the world's dynamics, plans before its first step, and then follows the best policy.

    The world is `env.env`, an `Environment`. `find_optimal_policy` finds its best policy, which is found once,
    for this agent's `gamma`. `get_action` gives the policy's action in `obs`, as an int.
    """

    def __init__(
        self, env: DiscreteEnviroGym, config: AgentConfig = DEFAULT_CONFIG, gamma: float = 0.99, seed: int = 0
    ) -> None:
        super().__init__(env, config, gamma, seed)
        self.pi = find_optimal_policy(env.env, gamma)

    def get_action(self, obs: int) -> int:
        """The best action in `obs`."""
        return int(self.pi[obs])


class EpsilonGreedy(Agent):
    """Keeps a value for each state and action in `self.Q`, and mostly takes the best; a subclass learns them."""

    def __init__(
        self, env: DiscreteEnviroGym, config: AgentConfig = DEFAULT_CONFIG, gamma: float = 0.99, seed: int = 0
    ) -> None:
        super().__init__(env, config, gamma, seed)
        self.Q: Float[np.ndarray, "n_states n_actions"] = np.full((self.n_states, self.n_actions), config.optimism)

    def get_action(self, obs: int) -> int:
        """The action with the largest value in `obs`, or with probability epsilon any."""
        return epsilon_greedy_action(self.Q[obs], self.config.epsilon, self.rng)
