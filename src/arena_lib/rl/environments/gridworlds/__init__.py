"""Worlds with finitely many states and known dynamics, to plan in and to act in."""

from arena_lib.rl.environments.gridworlds.drawing import draw_gridworld
from arena_lib.rl.environments.gridworlds.mdp import Environment, MaximizationBias, RandomWalk, TwoLoops
from arena_lib.rl.environments.gridworlds.playing import DiscreteEnviroGym
from arena_lib.rl.environments.gridworlds.worlds import (
    CliffWalking,
    FrozenLake,
    Gridworld,
    Norvig,
    Windy,
)

__all__ = [
    "CliffWalking",
    "DiscreteEnviroGym",
    "Environment",
    "FrozenLake",
    "Gridworld",
    "MaximizationBias",
    "Norvig",
    "RandomWalk",
    "TwoLoops",
    "Windy",
    "draw_gridworld",
]
