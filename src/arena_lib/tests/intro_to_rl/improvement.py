"""Judges of action values, of greedy policies, and of the ways to the best policy."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
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
from arena_lib.tests.intro_to_rl.watching import Scattered, plain, require_class, result

__test__ = False

Q_AXES, AXES = {"output": "n_states n_actions"}, {"output": "n_states"}


def value_cases(axes: dict[str, str]) -> list[Case]:
    """Values that have nothing to do with the world's own, and several discounts."""
    rng = np.random.default_rng(3)
    return [
        Case(label="a world of chance", args=(Scattered(0), rng.normal(size=5) * 3, 0.8), axes=axes),
        Case(label="strong discounting", args=(Scattered(2), rng.normal(size=5) * 9, 0.1), axes=axes),
        Case(label="no discounting", args=(Scattered(3), rng.normal(size=5), 1.0), axes=axes),
        Case(label="values below zero", args=(CliffWalking(), -10 * rng.random(48), 0.9), axes=axes),
        Case(label="the gamma it has by itself", args=(TwoLoops(), np.array([0.0, 70.0, 69.0])), axes=axes),
        Case(label="patience that doesn't pay", args=(TwoLoops(), np.array([0.0, 0.0, 5.0]), 0.1), axes=axes),
        Case(label="patience that pays", args=(TwoLoops(), np.array([0.0, 0.0, 5.0]), 0.5), axes=axes),
        Case(label="equal actions", args=(FrozenLake(), np.zeros(16), 0.9), axes=axes),
    ]


def action_value_cases(generator: torch.Generator) -> list[Case]:
    """Values that have nothing to do with the world's own, and several discounts."""
    return value_cases(Q_AXES)


def by_einsum(env: Environment, V: np.ndarray, gamma: float = 0.99) -> np.ndarray:
    """Mean reward and discounted mean value, apart."""
    return np.einsum("sat,sat->sa", env.T, env.R) + gamma * env.T @ V


test_compute_action_values = exercise(
    reference=planning.compute_action_values,
    cases=action_value_cases,
    observe=result,
    accepts=[by_einsum],
    mistakes=[
        *instead_of(
            "(env.T * (env.R + gamma * V)).sum(axis=-1)",
            {
                "(env.T * (env.R + V)).sum(axis=-1)": ("does not discount", "what follows counts gamma times"),
                "gamma * (env.T * (env.R + V)).sum(axis=-1)": (
                    "discounts the reward too",
                    "the next reward counts in full, only what follows counts gamma times",
                ),
                "(env.T * (env.R + gamma * V[:, None, None])).sum(axis=-1)": (
                    "takes the value of the state that is left",
                    "what counts is the value of the state that is entered",
                ),
                "(env.T * env.R).sum(axis=-1)": (
                    "adds up the next reward alone",
                    "what follows counts too, gamma times its value",
                ),
                "gamma * env.T @ V": ("forgets the reward", "the reward of the transition is part of the value"),
                "env.R.sum(axis=-1) + gamma * env.T @ V": (
                    "adds up rewards without their probabilities",
                    "a reward counts as much as its transition is likely",
                ),
                "(env.T * (env.R + gamma * V)).sum(axis=-1).max(axis=1)": (
                    "gives the best action's value alone",
                    "every action of every state has a value",
                ),
                "(env.T * (env.R + gamma * V)).sum(axis=-1).T": (
                    "has actions in rows",
                    "rows are states, columns are actions",
                ),
                "(env.T * (env.R + gamma * V)).mean(axis=-1)": (
                    "divides by the number of states",
                    "probabilities are weights already: add up",
                ),
            },
        ),
    ],
)


def improvement_cases(generator: torch.Generator) -> list[Case]:
    """As for action values, with ties."""
    return value_cases(AXES)


def best_by_loop(env: Environment, V: np.ndarray, gamma: float = 0.99) -> np.ndarray:
    """State by state, the first of the best."""
    Q = planning.compute_action_values(env, V, gamma)
    return np.array([max(range(env.n_actions), key=lambda a: Q[s, a]) for s in range(env.n_states)])


test_policy_improvement = exercise(
    reference=planning.policy_improvement,
    cases=improvement_cases,
    observe=result,
    accepts=[best_by_loop],
    mistakes=[
        *instead_of(
            "compute_action_values(env, V, gamma).argmax(axis=1)",
            {
                "compute_action_values(env, V, gamma).argmin(axis=1)": (
                    "takes the worst action",
                    "the greedy policy takes the action with the largest value",
                ),
                "compute_action_values(env, V, gamma).max(axis=1)": (
                    "returns values",
                    "a policy holds actions: argmax gives their numbers",
                ),
                "compute_action_values(env, V, gamma).argmax(axis=0)": (
                    "takes the best state for each action",
                    "each state gets an action: the maximum goes over the actions, axis 1",
                ),
                "compute_action_values(env, V).argmax(axis=1)": (
                    "ignores gamma",
                    "how much the future counts is the argument gamma",
                ),
                "(env.n_actions - 1 - compute_action_values(env, V, gamma)[:, ::-1].argmax(axis=1))": (
                    "takes the last of equal actions",
                    "of equal values the action of lowest number is taken",
                ),
                "(env.T @ V).argmax(axis=1)": (
                    "forgets the reward",
                    "an action is worth its reward and what follows, discounted",
                ),
                "(env.T * env.R).sum(axis=-1).argmax(axis=1)": (
                    "looks at the next reward alone",
                    "what follows counts too, gamma times its value",
                ),
                "compute_action_values(env, V, gamma).argmax(axis=1).astype(float)": (
                    "gives actions as floats",
                    "actions are whole numbers, for arrays are indexed with them",
                ),
            },
        ),
    ],
)


def optimal_cases(generator: torch.Generator) -> list[Case]:
    """Worlds in which patience pays or doesn't; few rounds."""
    return [
        Case(label="patience doesn't pay", args=(TwoLoops(), 0.4), axes=AXES),
        Case(label="patience pays", args=(TwoLoops(), 0.6), axes=AXES),
        Case(label="the cliff", args=(CliffWalking(), 0.9), axes=AXES),
        Case(label="Norvig's grid with a high price", args=(Norvig(penalty=-2.0), 0.9), axes=AXES),
        Case(label="the gamma it has by itself", args=(FrozenLake(),), axes=AXES),
        Case(label="no round", args=(Scattered(6), 0.9, 0), axes=AXES),
        Case(label="one round", args=(Norvig(), 0.9, 1), axes=AXES),
        Case(label="two rounds", args=(CliffWalking(), 0.9, 2), axes=AXES),
    ]


def improve_until_equal(env: Environment, gamma: float = 0.99, max_iterations: int = 10_000) -> np.ndarray:
    """Compares lists."""
    pi, n_done, is_stable = np.zeros(env.n_states, dtype=np.int64), 0, False
    while n_done < max_iterations and not is_stable:
        new = planning.policy_improvement(env, planning.policy_eval_exact(env, pi, gamma), gamma)
        is_stable, pi, n_done = np.array_equal(new, pi), new, n_done + 1
    return pi


test_find_optimal_policy = exercise(
    reference=planning.find_optimal_policy,
    cases=optimal_cases,
    observe=result,
    accepts=[improve_until_equal],
    mistakes=[
        *instead_of(
            "policy_improvement(env, policy_eval_exact(env, pi, gamma), gamma)",
            {
                "policy_improvement(env, policy_eval_exact(env, pi, gamma))": (
                    "improves with another gamma",
                    "evaluating and improving take the same gamma",
                ),
                "policy_improvement(env, policy_eval_exact(env, pi), gamma)": (
                    "evaluates with another gamma",
                    "evaluating and improving take the same gamma",
                ),
                "policy_improvement(env, np.zeros(env.n_states), gamma)": (
                    "never evaluates the policy",
                    "a policy is improved with respect to its own values",
                ),
                "policy_improvement(env, policy_eval_exact(env, np.zeros_like(pi), gamma), gamma)": (
                    "always evaluates the first policy",
                    "each round evaluates the policy that the last one made",
                ),
            },
        ),
        *instead_of(
            "(improved == pi).all()",
            {
                "improved[env.start] == pi[env.start]": (
                    "looks at the start alone",
                    "no action of any state may change",
                ),
            },
        ),
        *instead_of(
            "        pi = improved\n",
            {"        pass\n": ("keeps the first policy", "the next round begins with the improved policy")},
        ),
        *instead_of(
            "range(max_iterations)",
            {
                "range(10_000)": ("ignores max_iterations", "there are at most max_iterations rounds"),
                "range(1)": ("improves only once", "it improves until nothing changes"),
            },
        ),
    ],
)


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


test_value_iteration = exercise(
    reference=planning.value_iteration,
    cases=iteration_cases,
    observe=result,
    accepts=[iterate_by_loops],
    mistakes=[
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
            "np.abs(V - before).max() < eps",
            {
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
            "return V",
            {
                "return before if max_iterations else V": (
                    "returns the values before the last sweep",
                    "the last sweep's values are the best",
                ),
            },
        ),
        *instead_of(
            "range(max_iterations)",
            {
                "range(10_000)": ("ignores max_iterations", "after max_iterations sweeps it stops"),
                "range(max_iterations + 1)": (
                    "makes one sweep too many",
                    "max_iterations is the largest number of sweeps",
                ),
            },
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
    return {name: [plain(agent.get_action(s)) for s in range(env.n_states)] for name in ("actions", "asked again")}


class CheaterByValues(agents.Agent):
    """Plans with value iteration when it is first asked."""

    def get_action(self, obs: int) -> int:
        if not hasattr(self, "best"):
            V = planning.value_iteration(self.env.env, self.gamma, eps=1e-12)
            self.best = planning.policy_improvement(self.env.env, V.round(9), self.gamma).tolist()
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
                "obs": ("returns the state", "the policy's entry for the state is the action"),
            },
        ),
    ],
)
