"""Many seeds of a tabular agent, and what they earn.

Shapes:  returns "n_seeds n_episodes".
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from arena_lib.rl.environments.gridworlds.mdp import Environment
from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.tabular.agents import DEFAULT_CONFIG, Agent, AgentConfig

AgentMaker = Callable[[DiscreteEnviroGym, AgentConfig, float, int], Agent]
"""An agent's class, or what else makes one from a world, settings, gamma and a seed."""


def train_agents(
    make_agent: AgentMaker,
    make_world: Callable[[], Environment],
    *,
    config: AgentConfig = DEFAULT_CONFIG,
    gamma: float = 0.99,
    n_episodes: int = 500,
    n_seeds: int = 10,
) -> tuple[list[Agent], Float[np.ndarray, "n_seeds n_episodes"]]:
    """Trained agents, one for each seed, and the undiscounted return of each of their episodes.

    World and agent of a seed draw from streams of their own: 2 * seed and 2 * seed + 1.
    """
    agents, returns = [], np.zeros((n_seeds, n_episodes))
    for seed in range(n_seeds):
        world = DiscreteEnviroGym(make_world())
        agent = make_agent(world, config, gamma, 2 * seed + 1)
        for episode in range(n_episodes):
            returns[seed, episode] = sum(agent.run_episode(seed=2 * seed if episode == 0 else None))
        agents.append(agent)
    return agents, returns


def greedy_path(
    env: Environment, policy: Int[np.ndarray, " n_states"], max_steps: int = 100, seed: int = 0
) -> list[int]:
    """The states that one episode under `policy` goes through, the start first; cut off after `max_steps`."""
    world = DiscreteEnviroGym(env)
    state, _ = world.reset(seed=seed)
    path = [state]
    while not env.is_terminal(state) and len(path) <= max_steps:
        state, *_ = world.step(int(policy[state]))
        path.append(state)
    return path
