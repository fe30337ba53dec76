"""Which spaces an algorithm can take, said before it starts.

Raises:  ConfigError for a space that the algorithm can't take.
"""

import gymnasium as gym

from arena_lib.errors import ConfigError

DISCRETE, CONTINUOUS = "discrete", "continuous"
TAKEN_BY = {DISCRETE: "DQN, VPG and PPO take those", CONTINUOUS: "PPO for continuous actions takes those"}
"""For each kind of action space which algorithms can take it."""


def require_actions(envs: gym.vector.VectorEnv, kind: str, algorithm: str) -> None:
    """Raise unless the actions of `envs` are of this kind: DISCRETE counts from 0, CONTINUOUS is a bounded vector."""
    space = envs.single_action_space
    found = kind_of_actions(space)
    if found == kind:
        return
    advice = f"{TAKEN_BY[found]}." if found in TAKEN_BY else "No algorithm here takes it: wrap the environment."
    raise ConfigError(f"{algorithm} must have {kind} actions: {space} is {found}. {advice}")


def kind_of_actions(space: gym.Space) -> str:
    """Say what actions these are: DISCRETE, CONTINUOUS, or in words why they are neither.

    >>> kind_of_actions(gym.spaces.Discrete(4))
    'discrete'
    """
    if isinstance(space, gym.spaces.Discrete):
        return DISCRETE if space.start == 0 else f"counted from {space.start} and not from 0"
    if isinstance(space, gym.spaces.Box):
        if len(space.shape) != 1:
            return f"an array of {len(space.shape)} axes and not a vector"
        return CONTINUOUS if space.is_bounded() else "without bounds"
    return f"a {type(space).__name__} space"


def require_vectors(envs: gym.vector.VectorEnv, algorithm: str) -> int:
    """Return how many numbers an observation has, and raise unless it's a vector of them."""
    space = envs.single_observation_space
    if isinstance(space, gym.spaces.Box) and len(space.shape) == 1:
        return int(space.shape[0])
    raise ConfigError(
        f"{algorithm} with a network for vectors must have observations of one axis: got {space}. "
        "For pictures use a convolutional network; for anything else gymnasium.wrappers.FlattenObservation."
    )
