"""Judge of section 2.2's exploration: the actions that are chosen.

Shapes:  obs "n_envs *obs_shape" -> actions "n_envs"
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of, stops_with
from arena_lib.checking.observing import Observations
from arena_lib.rl.dqn import exploration
from arena_lib.tests.dqn_and_vpg.arguments import dtype_of

__test__ = False

DRAWN = "what rng has drawn"
AS_ASKED = "rng.random(n_envs), then rng.integers(n_actions, size=n_envs)"


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
        "dtype of the actions": dtype_of(output),
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


BOTH_DRAWS = (
    "explores = rng.random(envs.num_envs) < epsilon\n    random_actions = rng.integers(n_actions, size=envs.num_envs)"
)
AT_EACH_CALL = "rng draws as many numbers at each call, whoever explores; so equal seeds give equal runs"

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
                "np.full(envs.num_envs, rng.random() < epsilon)": (
                    "decides once for all environments",
                    "each environment decides for itself: draw n_envs numbers",
                ),
                "np.full(envs.num_envs, rng.random(envs.num_envs)[0] < epsilon)": (
                    "lets the first number decide for all environments",
                    "each environment decides for itself, by its own number",
                ),
            },
        ),
        Mistake(
            "asks the space of all environments how many actions there are",
            "envs.single_action_space.n",
            "envs.action_space.n",
            why="that space holds one action of each environment: envs.single_action_space is that of one",
            raises="AttributeError",
        ),
        Mistake(
            "decides without rng",
            "rng.random(envs.num_envs) < epsilon",
            "np.random.random(envs.num_envs) < epsilon",
            why="all random choices come from rng, or runs with equal seeds would differ",
            shows=lambda seen: all(case.get(DRAWN) == "only rng.integers(n_actions, size=n_envs)" for case in seen),
        ),
        Mistake(
            "draws nothing where epsilon is 0",
            "explores = rng.random(envs.num_envs) < epsilon",
            "if epsilon <= 0:\n        return greedy_actions(q_network, obs)\n"
            "    explores = rng.random(envs.num_envs) < epsilon",
            why=AT_EACH_CALL,
        ),
        *instead_of(
            "random_actions = rng.integers(n_actions, size=envs.num_envs)",
            {
                "random_actions = np.full(envs.num_envs, rng.integers(n_actions))": (
                    "draws one random action for all environments",
                    "each environment that explores gets a random action of its own",
                ),
                "random_actions = rng.integers(n_actions + 1, size=envs.num_envs)": (
                    "draws an action that doesn't exist",
                    "rng.integers(n) draws from 0 to n - 1",
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
                    AT_EACH_CALL,
                ),
            },
        ),
        *instead_of(
            BOTH_DRAWS,
            {
                "draws = [(rng.random() < epsilon, rng.integers(n_actions)) for _ in range(envs.num_envs)]\n"
                "    explores, random_actions = np.array(draws, dtype=np.int64).T\n"
                "    explores = explores.astype(bool)": (
                    "draws in turns, environment by environment",
                    "the docstring says the order: first all numbers that decide, then all random actions",
                ),
                "draws = [\n        (1, rng.integers(n_actions)) if rng.random() < epsilon else (0, 0)\n"
                "        for _ in range(envs.num_envs)\n    ]\n"
                "    explores, random_actions = np.array(draws, dtype=np.int64).T\n"
                "    explores = explores.astype(bool)": (
                    "draws environment by environment, and a random action only where it is needed",
                    AT_EACH_CALL,
                ),
            },
        ),
        Mistake(
            "decides once for all environments, and draws random actions only where it needs them",
            BOTH_DRAWS,
            "if rng.random() < epsilon:\n        return rng.integers(n_actions, size=envs.num_envs)\n"
            "    return greedy_actions(q_network, obs)\n    explores = random_actions = 0",
            why=f"each environment decides for itself, and {AT_EACH_CALL}",
        ),
        Mistake(
            "draws nothing with the rng that it is given",
            BOTH_DRAWS,
            BOTH_DRAWS.replace("rng.", "np.random.default_rng(0)."),
            why="all random choices come from rng, or runs with equal seeds would differ",
            shows=lambda seen: all(case.get(DRAWN) == "nothing" for case in seen),
        ),
        Mistake(
            "draws the random actions first",
            BOTH_DRAWS,
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
                "random_actions if explores else greedy_actions(q_network, obs)": (
                    "decides for all environments with one `if`",
                    "each environment decides for itself: np.where takes an array of decisions",
                ),
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
                "np.where(~explores, random_actions, greedy_actions(q_network, obs))": (
                    "explores with probability 1 - epsilon",
                    "a number from 0 to 1 is below epsilon with probability epsilon: then the action is random",
                ),
                "np.where(explores, random_actions, greedy_actions(q_network, obs)).astype(np.int32)": (
                    "returns int32",
                    "the docstring asks for int64",
                ),
                "np.where(explores, random_actions, greedy_actions(q_network, obs)).astype(np.float64)": (
                    "returns floats",
                    "an action is a whole number: int64",
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
        *instead_of(
            "torch.as_tensor(obs, dtype=torch.float32)",
            {
                "obs": (
                    "hands the network a numpy array",
                    "q_network takes a float32 tensor: torch.as_tensor(obs, dtype=torch.float32) makes one",
                    "TypeError",
                ),
            },
            within="greedy_actions",
        ),
        Mistake(
            "leaves the observations in their own number type",
            "torch.as_tensor(obs, dtype=torch.float32)",
            "torch.as_tensor(obs)",
            within="greedy_actions",
            why="obs may be of any number type, and q_network takes float32",
        ),
        *instead_of(
            "q_values.argmax(dim=-1).numpy()",
            {
                "q_values.max(dim=-1).values.numpy()": (
                    "takes the largest value, not the action that has it",
                    "an action is a place in the row: argmax gives it, max gives what stands there",
                ),
                "q_values.max(dim=-1)": (
                    "takes both things that max returns",
                    "max along an axis returns values and places; argmax gives the places alone, which are the actions",
                ),
                "q_values.max().numpy()": (
                    "takes the largest value of the whole table",
                    "each environment takes the action that is best in its row: argmax over the last axis",
                ),
                "q_values.argmax().expand(len(obs)).numpy()": (
                    "searches the whole table for one largest value",
                    "each environment takes its best action: argmax over the last axis",
                ),
            },
            within="greedy_actions",
        ),
        Mistake(
            "searches over the environments",
            "q_values.argmax(dim=-1)",
            "q_values.argmax(dim=0)",
            within="greedy_actions",
            why="each environment takes its best action: argmax over the last axis",
            shows=stops_with("axis is 4 but size of corresponding boolean axis is 9"),
        ),
    ],
)
