"""Environments: made by name, stepped without traps, and probes whose answers are known."""

from arena_lib.rl.environments.atari import atari_wrappers
from arena_lib.rl.environments.cartpole import VectorCartPole
from arena_lib.rl.environments.counting import CountingEnv
from arena_lib.rl.environments.making import find_environment, list_environments, make_env, make_vector_env
from arena_lib.rl.environments.minatar import MinAtarEnv
from arena_lib.rl.environments.probes import (
    ContinuousProbe4,
    ContinuousProbe5,
    Probe,
    Probe1,
    Probe2,
    Probe3,
    Probe4,
    Probe5,
    Probe6,
    Probe7,
    Probe8,
)
from arena_lib.rl.environments.spaces import CONTINUOUS, DISCRETE, kind_of_actions, require_actions, require_vectors
from arena_lib.rl.environments.stepping import Episode, Stepper, Transition, get_autoreset_mode, spread_seed

__all__ = [
    "CONTINUOUS",
    "DISCRETE",
    "ContinuousProbe4",
    "ContinuousProbe5",
    "CountingEnv",
    "Episode",
    "MinAtarEnv",
    "Probe",
    "Probe1",
    "Probe2",
    "Probe3",
    "Probe4",
    "Probe5",
    "Probe6",
    "Probe7",
    "Probe8",
    "Stepper",
    "Transition",
    "VectorCartPole",
    "atari_wrappers",
    "find_environment",
    "get_autoreset_mode",
    "kind_of_actions",
    "list_environments",
    "make_env",
    "make_vector_env",
    "require_actions",
    "require_vectors",
    "spread_seed",
]
