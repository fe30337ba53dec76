"""An agent at a bandit: one run, and the same for many seeds.

Shapes:  rewards, was_best, regret "n_runs n_steps".
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from arena_lib.core.progress import progress
from arena_lib.rl.bandits.agents import BanditAgent
from arena_lib.rl.bandits.choosing import compute_regret
from arena_lib.rl.bandits.testbed import MultiArmedBandit


@dataclass(frozen=True)
class BanditRuns:
    """What happened in many runs, each with arms of its own."""

    rewards: Float[np.ndarray, "n_runs n_steps"]
    was_best: Bool[np.ndarray, "n_runs n_steps"]
    """Whether the step took the arm with the largest mean."""
    regret: Float[np.ndarray, "n_runs n_steps"]


def run_bandits(
    agent: BanditAgent,
    make_bandit: Callable[[], MultiArmedBandit] = MultiArmedBandit,
    *,
    n_runs: int = 200,
    n_steps: int = 1000,
    first_seed: int = 0,
    verbose: bool = False,
) -> BanditRuns:
    """Lets `agent` play `n_runs` bandits from the start, each for `n_steps`.

    Run i has the seed s = first_seed + i: the bandit is reset with 2 * s and the agent with 2 * s + 1, for two
    generators of the same seed would draw the same numbers. Agents compared with one another meet the same arms.
    """
    bandit = make_bandit()
    rewards = np.zeros((n_runs, n_steps))
    actions = np.zeros((n_runs, n_steps), dtype=int)
    best, regret = np.zeros(n_runs, dtype=int), np.zeros((n_runs, n_steps))
    for run in progress(range(n_runs), type(agent).__name__) if verbose else range(n_runs):
        seed = first_seed + run
        bandit.reset(seed=2 * seed)
        agent.reset(2 * seed + 1)
        best[run] = bandit.best_arm
        for step in range(n_steps):
            action = agent.get_action()
            _, reward, _, _, info = bandit.step(action)
            agent.observe(action, reward, info)
            rewards[run, step], actions[run, step] = reward, action
        regret[run] = compute_regret(bandit.means, actions[run])
    return BanditRuns(rewards, actions == best[:, None], regret)
