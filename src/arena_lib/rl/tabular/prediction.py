"""The value of a policy from its episodes: n-step TD with a table, and its error on the random walk.

Shapes:  values "n_states"; errors "n_episodes".
Source:  Sutton and Barto 2018, section 7.1 (n-step TD), example 7.1 and figure 7.2 (the random walk of 19 states).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from arena_lib.rl.environments.gridworlds.mdp import RandomWalk
from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym


def play_only_action(world: DiscreteEnviroGym) -> tuple[list[int], list[float]]:
    """One episode in a world with a single action, from where its random numbers are: states and rewards."""
    state, _ = world.reset()
    states, rewards, is_over = [state], [], False
    while not is_over:
        state, reward, is_over, _, _ = world.step(0)
        states.append(state)
        rewards.append(reward)
    return states, rewards


def n_step_td_update(
    V: Float[np.ndarray, " n_states"],
    states: Sequence[int],
    rewards: Sequence[float],
    *,
    n: int,
    lr: float,
    gamma: float,
) -> None:
    """Learns from one terminated episode, step after step in its order: `V` changes in place.

    The update of a step sees what those of earlier steps have changed, as it does if one learns while acting.
    """
    n_steps = len(rewards)
    for t in range(n_steps):
        m = min(n, n_steps - t)
        target = sum(gamma**k * rewards[t + k] for k in range(m))
        if t + m < n_steps:
            target += gamma**m * V[states[t + m]]
        V[states[t]] += lr * (target - V[states[t]])


def random_walk_error(
    *, n: int, lr: float, n_states: int = 19, n_episodes: int = 10, n_runs: int = 100
) -> Float[np.ndarray, " n_runs"]:
    """The root mean squared error over the states of a random walk, averaged over the first episodes of each run.

    Run i draws its episodes from seed i, whatever n and lr are, so that settings are compared on the same episodes.
    """
    truth = -1 + 2 * np.arange(1, n_states + 1) / (n_states + 1)
    errors = np.zeros((n_runs, n_episodes))
    for run in range(n_runs):
        world = DiscreteEnviroGym(RandomWalk(n_states))
        world.reset(seed=run)
        V = np.zeros(n_states + 2)
        for episode in range(n_episodes):
            n_step_td_update(V, *play_only_action(world), n=n, lr=lr, gamma=1.0)
            errors[run, episode] = np.sqrt(((V[1:-1] - truth) ** 2).mean())
    return errors.mean(axis=1)
