"""Judges of section 2.2's exploration: how often, and what.

Shapes:  obs "n_envs *obs_shape" -> actions "n_envs"
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import exploration

__test__ = False

DRAWN = "what rng has drawn"
AS_ASKED = "rng.random(n_envs), then rng.integers(n_actions, size=n_envs)"


def linear_schedule_cases(generator: torch.Generator) -> list[Case]:
    """The start, the way, the end and what follows, for two schedules."""
    runs = {
        "from 1 to 0.1 over half of 200 steps": ((1.0, 0.1, 0.5, 200), [0, 1, 37, 99, 100, 101, 200, 900]),
        "from 0.8 to 0.02 over a quarter of 1000 steps": ((0.8, 0.02, 0.25, 1000), [0, 125, 249, 250, 600]),
        "over the whole run": ((1.0, 0.3, 1.0, 50), [10, 50, 51]),
    }
    return [
        Case(label=f"{label}, step {step}", args=(step, *run)) for label, (run, steps) in runs.items() for step in steps
    ]


def schedule_by_slope(
    current_step: int, start_e: float, end_e: float, exploration_fraction: float, total_timesteps: int
) -> float:
    """Falls by a slope and stops at the end."""
    slope = (end_e - start_e) / (exploration_fraction * total_timesteps)
    return max(end_e, start_e + slope * current_step)


def returned(function: Callable[..., Any], case: Case) -> Observations:
    """What a call returns."""
    return {"output": function(*case.args)}


LINE = "epsilon falls in a straight line from start_e to end_e"

test_linear_schedule = exercise(
    reference=exploration.linear_schedule,
    cases=linear_schedule_cases,
    observe=returned,
    accepts=[schedule_by_slope],
    mistakes=[
        *instead_of(
            "min(current_step / (exploration_fraction * total_timesteps), 1.0)",
            {
                "current_step / (exploration_fraction * total_timesteps)": (
                    "never stops falling",
                    "once it has reached end_e it stays there; else it would become negative",
                ),
                "min(current_step / total_timesteps, 1.0)": (
                    "falls over the whole run",
                    "it reaches end_e after the share exploration_fraction of the run",
                ),
                "min(current_step * exploration_fraction / total_timesteps, 1.0)": (
                    "multiplies by exploration_fraction",
                    "a smaller fraction means a faster fall: divide by it",
                ),
                "float(current_step >= exploration_fraction * total_timesteps)": (
                    "jumps from start_e to end_e",
                    LINE,
                ),
                "(current_step / (exploration_fraction * total_timesteps)) % 1.0": (
                    "begins again when it has reached the end",
                    "once it has reached end_e it stays there",
                ),
            },
        ),
        *instead_of(
            "start_e + share_done * (end_e - start_e)",
            {
                "end_e + share_done * (start_e - end_e)": (
                    "runs from end_e to start_e",
                    "at step 0 it is start_e: an agent that knows nothing should try everything",
                ),
                "start_e * (1 - share_done)": ("falls to zero", "it falls to end_e, and some exploration stays"),
                "max(start_e * (1 - share_done), end_e)": (
                    "falls towards zero and stops at end_e",
                    "the line leads to end_e itself, so it falls more slowly",
                ),
                "start_e * (end_e / start_e) ** share_done": (
                    "falls by equal factors",
                    "a straight line loses the same amount at each step",
                ),
                "start_e - share_done * end_e": (
                    "falls by end_e",
                    "from start_e to end_e it falls by their difference",
                ),
            },
        ),
    ],
)


class SmallEnvs(gym.vector.VectorEnv):
    """Environments that only say how many they are, and how many actions they have."""

    def __init__(self, n_envs: int, n_actions: int) -> None:
        self.num_envs = n_envs
        self.single_action_space = gym.spaces.Discrete(n_actions)
        self.action_space = gym.spaces.MultiDiscrete([n_actions] * n_envs, seed=2)


class LinearValues(nn.Module):
    """Action values by one matrix; counts the calls that recorded gradients."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights.clone())
        self.n_calls_with_gradient = 0

    def forward(self, obs: Tensor) -> Tensor:
        self.n_calls_with_gradient += torch.is_grad_enabled()
        return obs @ self.weights


def epsilon_greedy_policy_cases(generator: torch.Generator) -> list[Case]:
    """Always, never and now and then at random; one environment; observations of other number types."""
    cases = [
        ("half of the time at random", 9, 4, 0.5, np.float32),
        ("never at random", 7, 3, 0.0, np.float32),
        ("always at random", 7, 5, 1.0, np.float32),
        ("seldom at random, float64", 12, 3, 0.2, np.float64),
        ("one environment", 1, 4, 0.9, np.float32),
        ("whole numbers as observations", 8, 6, 0.4, np.int64),
    ]
    return [
        Case(
            label=label,
            call=f"envs, q_network, rng, obs, {epsilon}",
            given={
                "n_envs": n_envs,
                "n_actions": n_actions,
                "epsilon": epsilon,
                "obs": (3 * torch.randn(n_envs, 2, generator=generator)).numpy().astype(dtype),
                "weights": torch.randn(2, n_actions, generator=generator),
            },
            axes={"output": "n_envs"},
        )
        for label, n_envs, n_actions, epsilon, dtype in cases
    ]


def actions_chosen(function: Callable[..., Any], case: Case) -> Observations:
    """The actions, whether gradients were recorded, what rng has drawn, and that observations are as they were."""
    n_envs, n_actions = case.given["n_envs"], case.given["n_actions"]
    q_network, rng, obs = LinearValues(case.given["weights"]), np.random.default_rng(4), case.given["obs"].copy()
    output = function(SmallEnvs(n_envs, n_actions), q_network, rng, obs, case.given["epsilon"])
    return {
        "output": output,
        DRAWN: name_of_draws(rng, n_envs, n_actions),
        "calls of q_network that recorded gradients": q_network.n_calls_with_gradient,
        "obs is as it was": bool((obs == case.given["obs"]).all()),
    }


def name_of_draws(rng: np.random.Generator, n_envs: int, n_actions: int) -> str:
    """In words what a generator that began with seed 4 has drawn."""
    draws: dict[str, list[Callable[[np.random.Generator], Any]]] = {
        "nothing": [],
        "only rng.random(n_envs)": [lambda g: g.random(n_envs)],
        "only rng.integers(n_actions, size=n_envs)": [lambda g: g.integers(n_actions, size=n_envs)],
        AS_ASKED: [lambda g: g.random(n_envs), lambda g: g.integers(n_actions, size=n_envs)],
    }
    for words, calls in draws.items():
        other = np.random.default_rng(4)
        for call in calls:
            call(other)
        if other.bit_generator.state == rng.bit_generator.state:
            return words
    return "something else"


def policy_one_by_one(envs: Any, q_network: Any, rng: Any, obs: Any, epsilon: float) -> np.ndarray:
    """Asks for each environment by itself, after the draws."""
    uniform, random_actions = rng.random(len(obs)), rng.integers(envs.single_action_space.n, size=len(obs))
    with torch.inference_mode():
        best = [int(q_network(torch.from_numpy(row[None]).float())[0].argmax()) for row in obs]
    return np.array([r if u < epsilon else b for u, r, b in zip(uniform, random_actions, best, strict=True)])


test_epsilon_greedy_policy = exercise(
    reference=exploration.epsilon_greedy_policy,
    cases=epsilon_greedy_policy_cases,
    observe=actions_chosen,
    accepts=[policy_one_by_one],
    equivalent={
        "explores = rng.random(envs.num_envs) < epsilon -> explores = rng.random(envs.num_envs) <= epsilon": (
            "a draw is equal to epsilon once in 1e16 times"
        )
    },
    mistakes=[
        *instead_of(
            "rng.random(envs.num_envs) < epsilon",
            {
                "rng.random(envs.num_envs) > epsilon": (
                    "explores with probability 1 - epsilon",
                    "a number from 0 to 1 is below epsilon with probability epsilon: then the action is random",
                ),
                "np.full(envs.num_envs, rng.random() < epsilon)": (
                    "decides once for all environments",
                    "each environment decides for itself: draw n_envs numbers",
                ),
            },
        ),
        *instead_of(
            "random_actions = rng.integers(n_actions, size=envs.num_envs)",
            {
                "random_actions = np.full(envs.num_envs, rng.integers(n_actions))": (
                    "draws one random action for all environments",
                    "each environment that explores gets a random action of its own",
                ),
                "random_actions = rng.integers(n_actions - 1, size=envs.num_envs)": (
                    "never draws the last action",
                    "rng.integers(n) draws from 0 to n - 1",
                ),
                "random_actions = rng.integers(0, 2, size=envs.num_envs)": (
                    "draws among two actions only",
                    "there are envs.single_action_space.n actions",
                ),
                "random_actions = np.zeros(envs.num_envs, dtype=np.int64)\n"
                "    random_actions[explores] = rng.integers(n_actions, size=int(explores.sum()))": (
                    "draws random actions only where they are needed",
                    "rng draws as many numbers at each call, whoever explores; so equal seeds give equal runs",
                ),
            },
        ),
        Mistake(
            "draws the random actions first",
            "explores = rng.random(envs.num_envs) < epsilon\n"
            "    random_actions = rng.integers(n_actions, size=envs.num_envs)",
            "random_actions = rng.integers(n_actions, size=envs.num_envs)\n"
            "    explores = rng.random(envs.num_envs) < epsilon",
            why="the docstring says the order: first the numbers that decide, then the random actions",
        ),
        Mistake(
            "draws random actions without rng",
            "random_actions = rng.integers(n_actions, size=envs.num_envs)",
            "random_actions = envs.action_space.sample()",
            why="all random choices come from rng, or runs with equal seeds would differ",
            shows=lambda seen: all(case.get(DRAWN) == "only rng.random(n_envs)" for case in seen),
        ),
        *instead_of(
            "np.where(explores, random_actions, greedy_actions(q_network, obs))",
            {
                "random_actions": (
                    "always acts at random",
                    "where an environment doesn't explore it takes the action with the largest value",
                ),
                "greedy_actions(q_network, obs)": (
                    "never explores",
                    "with probability epsilon the action is a random one",
                ),
                "np.where(explores, random_actions, greedy_actions(lambda x: -q_network(x), obs))": (
                    "takes the action with the smallest value",
                    "the action with the largest value is the one that promises most",
                ),
                "torch.as_tensor(np.where(explores, random_actions, greedy_actions(q_network, obs)))": (
                    "returns a tensor",
                    "environments take numpy arrays",
                ),
                "np.where(explores, random_actions, greedy_actions(lambda x: q_network(x)[:1].expand(len(x), -1), obs))": (
                    "takes the first environment's best action for all",
                    "each environment has its own observation, so its own best action",
                ),
            },
        ),
        Mistake(
            "records gradients",
            "torch.no_grad()",
            "torch.enable_grad()",
            within="greedy_actions",
            why="nothing is learnt while acting: torch.no_grad() saves time and memory",
        ),
    ],
)
