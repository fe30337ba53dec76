"""Judges of value iteration, and of the agent that follows the best policy."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.gridworlds import (
    CliffWalking,
    DiscreteEnviroGym,
    Environment,
    FrozenLake,
    Norvig,
    TwoLoops,
)
from arena_lib.rl.tabular import agents, planning
from arena_lib.tests.intro_to_rl.stopping import goes_on_too_long, stops_too_early
from arena_lib.tests.intro_to_rl.watching import (
    TYPES,
    Scattered,
    lowest_of_ties,
    plain,
    require_class,
    result,
    types_of,
)

__test__ = False

AXES = {"output": "n_states"}


def iteration_cases(generator: torch.Generator) -> list[Case]:
    """Worlds with and without chance; where it stops."""
    return [
        Case(label="two loops", args=(TwoLoops(), 0.6), axes=AXES),
        Case(label="a world of chance", args=(Scattered(0), 0.8), axes=AXES),
        Case(label="the cliff, without discounting", args=(CliffWalking(), 1.0), axes=AXES),
        Case(label="the gamma it has by itself", args=(Norvig(),), axes=AXES),
        Case(label="stops after one sweep", args=(Scattered(4), 0.9, 1e-8, 1), axes=AXES),
        Case(label="stops after three sweeps", args=(Scattered(4), 0.9, 1e-8, 3), axes=AXES),
        Case(label="no sweep at all", args=(Scattered(4), 0.9, 1e-8, 0), axes=AXES),
        Case(label="stops early", args=(FrozenLake(), 0.9, 0.02), axes=AXES),
        Case(label="stops early where values only fall", args=(CliffWalking(), 0.9, 0.5), axes=AXES),
        Case(label="a change of just eps", args=(CliffWalking(), 1.0, 1.0), axes=AXES),
    ]


def iterate_by_loops(
    env: Environment, gamma: float = 0.99, eps: float = 1e-8, max_iterations: int = 10_000
) -> np.ndarray:
    """State by state, each from the old values."""
    V, change = np.zeros(env.n_states), np.inf
    while max_iterations > 0 and change >= eps:
        new = np.array(
            [max(env.T[s, a] @ (env.R[s, a] + gamma * V) for a in range(env.n_actions)) for s in range(len(V))]
        )
        change, V, max_iterations = abs(new - V).max(), new, max_iterations - 1
    return V


def within_one_sweep(
    env: Environment, gamma: float = 0.99, eps: float = 1e-8, max_iterations: int = 10_000
) -> np.ndarray:
    """Overwrites values while it sweeps."""
    V = np.zeros(env.n_states)
    for _ in range(max_iterations):
        before = V.copy()
        for s in range(env.n_states):
            V[s] = (env.T[s] * (env.R[s] + gamma * V)).sum(axis=1).max()
        if abs(V - before).max() < eps:
            break
    return V


def until_policy_is_the_same(
    env: Environment, gamma: float = 0.99, eps: float = 1e-8, max_iterations: int = 10_000
) -> np.ndarray:
    """Looks at the policy instead of the values."""
    V, pi = np.zeros(env.n_states), None
    for _ in range(max_iterations):
        Q = planning.compute_action_values(env, V, gamma)
        V, old, pi = Q.max(axis=1), pi, Q.argmax(axis=1)
        if old is not None and (old == pi).all():
            break
    return V


test_value_iteration = exercise(
    reference=planning.value_iteration,
    cases=iteration_cases,
    observe=result,
    accepts=[iterate_by_loops],
    mistakes=[
        *instead_of(
            "range(max_iterations)",
            {
                "range(10_000)": ("ignores max_iterations", "after max_iterations sweeps it stops"),
                "range(max_iterations + 1)": (
                    "makes one sweep too many",
                    "max_iterations is the largest number of sweeps",
                ),
                "range(1, max_iterations)": (
                    "makes one sweep too few",
                    "max_iterations is the largest number of sweeps",
                ),
            },
        ),
        *instead_of(
            "np.abs(V - before).max() < eps",
            {
                "np.abs(V - before).max() <= eps": (
                    "stops at a change of just eps",
                    "it goes on as long as a value has changed by eps or more",
                ),
                "np.abs(V - before).sum() < eps": (
                    "adds up the changes",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "np.linalg.norm(V - before) < eps": (
                    "takes the length of the change",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "abs(V - before)[env.start] < eps": (
                    "looks at the start alone",
                    "no value of any state may have changed by eps or more",
                ),
                "(before - V).max() < eps": (
                    "looks only for values that fall",
                    "values that rise have changed too",
                ),
                "(V - before).max() < eps": ("forgets the absolute value", "values that fall have changed too"),
                "np.abs(V - before).mean() < eps": (
                    "averages the changes",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "np.abs(V - before).min() < eps": (
                    "stops when one value has settled",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "False": ("never stops before max_iterations", "it stops once no value changes by eps or more"),
                "np.abs(V - before).max() < 1e-8": ("ignores eps", "how small a change must be is the argument eps"),
            },
        ),
        *instead_of(
            "compute_action_values(env, before, gamma).max(axis=1)",
            {
                "compute_action_values(env, before, gamma).mean(axis=1)": (
                    "averages over the actions",
                    "the best policy takes the best action: take the maximum",
                ),
                "compute_action_values(env, before, gamma).min(axis=1)": (
                    "takes the worst action",
                    "the best policy takes the best action: take the maximum",
                ),
                "compute_action_values(env, before, gamma).argmax(axis=1).astype(float)": (
                    "takes the number of the best action for its value",
                    "max gives the value, argmax the number of the action",
                ),
                "np.maximum(before, compute_action_values(env, before, gamma).max(axis=1))": (
                    "lets no value fall",
                    "each sweep replaces the values, by smaller ones too: where every action loses they are below zero",
                ),
                "np.abs(compute_action_values(env, before, gamma)).max(axis=1)": (
                    "takes absolute values",
                    "a very negative value is a bad one",
                ),
                "compute_action_values(env, before, gamma).sum(axis=1)": (
                    "adds up the actions",
                    "the best policy takes the best action: take the maximum",
                ),
                "before + compute_action_values(env, before, gamma).max(axis=1)": (
                    "adds to the old values",
                    "each sweep replaces the values",
                ),
                "gamma * compute_action_values(env, before, gamma).max(axis=1)": (
                    "discounts once more",
                    "gamma is in the action values already",
                ),
                "compute_action_values(env, before, 1.0).max(axis=1)": (
                    "does not discount",
                    "what follows counts gamma times",
                ),
                "compute_action_values(env, before, gamma)[:, 0]": (
                    "always takes action 0",
                    "each sweep takes the best action of each state",
                ),
                "compute_action_values(env, before, 0.99).max(axis=1)": (
                    "ignores gamma",
                    "how much the future counts is the argument gamma",
                ),
            },
        ),
        *instead_of(
            "return V",
            {
                "return before if max_iterations else V": (
                    "returns the values before the last sweep",
                    "the last sweep's values are the best",
                ),
                "return compute_action_values(env, V, gamma)": (
                    "returns action values",
                    "the result has one value for each state, that of its best action",
                ),
                "return compute_action_values(env, V, gamma).argmax(axis=1)": (
                    "returns the policy",
                    "the result has the value of each state, not its action",
                ),
            },
        ),
        *instead_of(
            "            break\n",
            {
                "            return before\n": (
                    "returns the values before the last sweep",
                    "the last sweep's values are the best",
                ),
            },
        ),
        *instead_of(
            "V = np.zeros(env.n_states)",
            {
                "V = np.ones(env.n_states)": ("begins with ones", "before the first sweep every value is 0"),
            },
        ),
        Mistake(
            "uses new values within the same sweep",
            function=within_one_sweep,
            why="all values of a sweep come from the sweep before: write into a new array",
        ),
        Mistake(
            "stops when the policy stays the same",
            function=until_policy_is_the_same,
            why="the best actions are known long before the values: it stops when no value changes by eps or more",
        ),
        Mistake(
            "stops too early",
            "np.abs(V - before).max() < eps",
            "np.allclose(V, before, atol=eps)",
            why="it goes on until no value changes by eps or more, whatever the values are, or max_iterations is reached",
            shows=stops_too_early(planning.value_iteration, iteration_cases(torch.Generator())),
        ),
        Mistake(
            "goes on for too long",
            "np.abs(V - before).max() < eps",
            "np.abs(V - before).max() < eps / 2",
            why="it stops after the first sweep in which no value has changed by eps or more",
            shows=goes_on_too_long(planning.value_iteration, iteration_cases(torch.Generator())),
        ),
    ],
)


def cheater_cases(generator: torch.Generator) -> list[Case]:
    """Worlds in which the best policy depends on gamma."""
    return [
        Case(label="patience doesn't pay", given={"env": TwoLoops(), "gamma": 0.4}, call="env, gamma=0.4"),
        Case(label="patience pays", given={"env": TwoLoops(), "gamma": 0.6}, call="env, gamma=0.6"),
        Case(label="Norvig's grid", given={"env": Norvig(), "gamma": 0.9}, call="env, gamma=0.9"),
        Case(label="a world of chance", given={"env": Scattered(5), "gamma": 0.3}, call="env, gamma=0.3"),
    ]


def best_actions(cls: Any, case: Case) -> Observations:
    """What the agent does in each state, asked twice."""
    require_class(cls, "Cheater")
    env = case.given["env"]
    agent = cls(DiscreteEnviroGym(env), gamma=case.given["gamma"])
    first, second = ([agent.get_action(s) for s in range(env.n_states)] for _ in range(2))
    actions = {name: [*map(plain, asked)] for name, asked in {"actions": first, "asked again": second}.items()}
    one_of_ties = {name: _lowest(asked, env, case.given["gamma"]) for name, asked in actions.items()}
    return {**one_of_ties, TYPES: types_of(first + second)}


def _lowest(actions: list[Any], env: Environment, gamma: float) -> list[Any]:
    """Actions as they are, but of those that are worth the same the one of lowest number."""
    return [*map(plain, lowest_of_ties(np.array(actions), env, gamma))]


class CheaterByValues(agents.Agent):
    """Plans with value iteration when it is first asked."""

    def get_action(self, obs: int) -> int:
        if not hasattr(self, "best"):
            V = planning.value_iteration(self.env.env, self.gamma, eps=1e-12)
            Q = planning.compute_action_values(self.env.env, V, self.gamma).round(9)
            self.best = self.n_actions - 1 - Q[:, ::-1].argmax(axis=1)  # the last of those that are worth the same
        return int(self.best[obs])


test_cheater = exercise(
    reference=agents.Cheater,
    cases=cheater_cases,
    observe=best_actions,
    accepts=[CheaterByValues],
    equivalent={"super().__init__(env, config, gamma, seed) -> None": "its policy is all that it needs to act"},
    mistakes=[
        *instead_of(
            "find_optimal_policy(env.env, gamma)",
            {
                "find_optimal_policy(env.env)": (
                    "plans with another gamma",
                    "the policy must be the best for the agent's own gamma",
                ),
                "find_optimal_policy(env.env, 0.9)": (
                    "plans with a gamma of 0.9",
                    "the policy must be the best for the agent's own gamma",
                ),
                "np.array([*range(env.env.n_states)]) % env.env.n_actions": (
                    "does not look at the world",
                    "find_optimal_policy knows the best actions",
                ),
                "find_optimal_policy(env.env, gamma)[::-1]": (
                    "turns the policy round",
                    "entry s of the policy is the action in state s",
                ),
                "__import__('arena_lib.rl.tabular.planning', fromlist=['*']).policy_improvement("
                "env.env, np.zeros(env.env.n_states), gamma)": (
                    "looks at the next reward alone",
                    "find_optimal_policy counts what follows too",
                ),
                "find_optimal_policy(env.env, gamma, 1)": (
                    "improves its policy only once",
                    "find_optimal_policy goes on until nothing changes",
                ),
                "np.zeros(env.env.n_states, dtype=int)": (
                    "does not plan",
                    "find_optimal_policy knows the best actions",
                ),
                "np.random.default_rng(seed).integers(env.env.n_actions, size=env.env.n_states)": (
                    "takes a random policy",
                    "find_optimal_policy knows the best actions",
                ),
            },
        ),
        *instead_of(
            "int(self.pi[obs])",
            {
                "int(self.pi[self.env.env.start])": (
                    "always acts as at the start",
                    "the action belongs to the state that is seen, obs",
                ),
                "float(self.pi[obs])": ("returns a float", "an action is an int"),
                "self.pi[obs]": ("returns numpy's integer", "an action is an int of Python: int(...) makes one of it"),
                "int(self.pi[obs]) if self.rng.random() >= self.config.epsilon else int(self.rng.integers(self.n_actions))": (
                    "explores",
                    "it knows the best actions: nothing is left to be found out",
                ),
                "int(self.pi[(obs + 1) % len(self.pi)])": (
                    "acts for the next state",
                    "the action belongs to the state that is seen, obs",
                ),
                "int(self.pi[-1])": (
                    "acts for the last state",
                    "the action belongs to the state that is seen, obs",
                ),
                "obs": ("returns the state", "the policy's entry for the state is the action"),
            },
        ),
    ],
)
