"""How good a policy is: whole episodes on seeds of their own, apart from training.

Shapes:  a policy maps observations "n_envs *obs_shape" to actions "n_envs *action_shape"; the number of environments
         falls as episodes end.
Raises:  ConfigError for no episodes; EnvError for an episode that doesn't end; ShapeError for a policy that gives
         another number of actions.
Source:  Henderson et al. 2018, arXiv:1709.06560 (evaluation apart from training).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from arena_lib.core.seeds import check_seed
from arena_lib.errors import ConfigError, EnvError, ShapeError
from arena_lib.rl.environments.making import Maker, Wrapper, make_env
from arena_lib.rl.environments.stepping import spread_seed

Policy = Callable[[np.ndarray], np.ndarray]
"""From the observations of several environments to one action for each."""

EVALUATION_SEED = 20_000
"""Far from the small seeds that people train with, so that nothing is evaluated on the episodes it was trained on."""
MAX_STEPS = 100_000
"""After so many steps an episode counts as one that never ends."""


@dataclass(frozen=True)
class Evaluation:
    """What a policy reached, episode by episode."""

    returns: tuple[float, ...]
    """The sum of each episode's rewards, without discount."""
    lengths: tuple[int, ...]
    """The environment steps of each episode."""

    @property
    def mean(self) -> float:
        """The mean return."""
        return float(np.mean(self.returns))


def make_random_policy(env_id: str | Maker, seed: int = 0) -> Policy:
    """A policy that looks at nothing, to compare others with: each action is drawn from the environment's space.

    >>> make_random_policy("CartPole-v1")(np.zeros((3, 4))).shape
    (3,)
    """
    env = make_env(env_id)
    space = env.action_space
    env.close()
    space.seed(check_seed(seed))
    return lambda obs: np.stack([space.sample() for _ in obs])


def evaluate(
    policy: Policy,
    env_id: str | Maker,
    *,
    n_episodes: int = 20,
    seed: int = EVALUATION_SEED,
    wrappers: Sequence[Wrapper] = (),
) -> Evaluation:
    """Play `n_episodes`, each in an environment with a seed of its own, side by side.

    Each environment plays exactly one episode: to take the first that end would favour short ones.

    >>> evaluate(lambda obs: np.ones(len(obs), dtype=int), "arena/Probe4-v0", n_episodes=3).returns
    (1.0, 1.0, 1.0)
    """
    if n_episodes < 1:
        raise ConfigError(f"n_episodes must be at least 1: got {n_episodes}. Leave it out for 20.")
    envs = [make_env(env_id, wrappers=wrappers) for _ in range(n_episodes)]
    obs = [env.reset(seed=env_seed)[0] for env, env_seed in zip(envs, spread_seed(seed, n_episodes), strict=True)]
    returns, lengths = [0.0] * n_episodes, [0] * n_episodes
    going = list(range(n_episodes))
    while going:
        actions = policy(np.stack([obs[idx] for idx in going]))
        if len(actions) != len(going):
            raise ShapeError(
                f"a policy must give one action for each of {len(going)} observations: got {len(actions)}. "
                "Its first axis is that of the observations."
            )
        still_going = []
        for idx, action in zip(going, actions, strict=True):
            obs[idx], reward, terminated, truncated, _ = envs[idx].step(action)
            returns[idx] += float(reward)
            lengths[idx] += 1
            if not (terminated or truncated):
                still_going.append(idx)
        going = still_going
        if going and lengths[going[0]] >= MAX_STEPS:
            raise EnvError(
                f"an episode must end: {env_id} went on for {MAX_STEPS} steps. "
                "Pass wrappers=[lambda env: gymnasium.wrappers.TimeLimit(env, 1000)]."
            )
    for env in envs:
        env.close()
    return Evaluation(tuple(returns), tuple(lengths))
