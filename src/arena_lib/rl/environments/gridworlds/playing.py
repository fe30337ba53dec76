"""A Markov decision process to act in: a gymnasium environment that draws what follows, and renders as a picture.

Raises:  ConfigError for an action that isn't there, or a step after the end.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from arena_lib.errors import ConfigError
from arena_lib.rl.environments.gridworlds.drawing import draw_gridworld
from arena_lib.rl.environments.gridworlds.mdp import Environment


class DiscreteEnviroGym(gym.Env[Any, Any]):
    """Acting in an `Environment`: observations are its states, whole numbers.

    `env` is the process itself; only an agent that cheats looks at it. An episode ends by termination alone: wrap it
    in gymnasium's TimeLimit for a limit.

    >>> from arena_lib.rl.environments.gridworlds.worlds import CliffWalking
    >>> world = DiscreteEnviroGym(CliffWalking())
    >>> world.reset(seed=0), world.step(1)  # one step into the cliff, and back at the start
    ((36, {}), (36, -100.0, False, False, {}))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, env: Environment, render_mode: str | None = None) -> None:
        self.env, self.render_mode = env, render_mode
        self.observation_space = gym.spaces.Discrete(env.n_states)
        self.action_space = gym.spaces.Discrete(env.n_actions)
        self.state = env.start
        self._is_over = True
        self._outcomes: dict[tuple[int, int], tuple[list[int], list[float], np.ndarray]] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Back to the start."""
        super().reset(seed=seed)
        self.state, self._is_over = self.env.start, False
        return self.state, {}

    def step(self, action: int | np.integer) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """One action: the next state, its reward, and whether the episode has ended there; one number is drawn."""
        if self._is_over:
            raise ConfigError("step must not be called once the episode has ended: call reset first.")
        if not 0 <= action < self.env.n_actions:
            raise ConfigError(f"an action must be from 0 to {self.env.n_actions - 1}: got {action}.")
        states, rewards, cumulative = self._look_up(self.state, int(action))
        chosen = int(np.searchsorted(cumulative, self.np_random.random(), side="right"))
        self.state = states[chosen]
        self._is_over = self.env.is_terminal(self.state)
        return self.state, rewards[chosen], self._is_over, False, {}

    def render(self) -> np.ndarray | None:
        """The map with the agent on it."""
        return draw_gridworld(self.env.rows, state=self.state) if self.render_mode == "rgb_array" else None

    def _look_up(self, state: int, action: int) -> tuple[list[int], list[float], np.ndarray]:
        """The outcomes with their cumulative probabilities, asked of `dynamics` once."""
        if (state, action) not in self._outcomes:
            states, rewards, probabilities = self.env.dynamics(state, action)
            cumulative = np.cumsum(probabilities)
            cumulative[-1] = np.inf  # whatever rounding left, the last outcome takes the rest
            self._outcomes[state, action] = [int(s) for s in states], [float(r) for r in rewards], cumulative
        return self._outcomes[state, action]
