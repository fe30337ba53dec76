"""Judge of policy iteration."""

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.rl.environments.gridworlds import CliffWalking, Environment, FrozenLake, Norvig, TwoLoops
from arena_lib.rl.tabular import planning
from arena_lib.tests.intro_to_rl.improvement import AXES
from arena_lib.tests.intro_to_rl.watching import Scattered, policy

__test__ = False


def optimal_cases(generator: torch.Generator) -> list[Case]:
    """Worlds in which patience pays or doesn't; few rounds."""
    return [
        Case(label="patience doesn't pay", args=(TwoLoops(), 0.4), axes=AXES),
        Case(label="patience pays", args=(TwoLoops(), 0.6), axes=AXES),
        Case(label="the cliff", args=(CliffWalking(), 0.9), axes=AXES),
        Case(label="Norvig's grid with a high price", args=(Norvig(penalty=-2.0), 0.9), axes=AXES),
        Case(label="the gamma it has by itself", args=(FrozenLake(),), axes=AXES),
        Case(label="changes that cancel in a sum", args=(Scattered(12), 0.9), axes=AXES),
        Case(label="no round", args=(Scattered(6), 0.9, 0), axes=AXES),
        Case(label="one round", args=(Scattered(53, 9, 7), 0.95, 1), axes=AXES),
        Case(label="two rounds", args=(Scattered(53, 9, 7), 0.95, 2), axes=AXES),
        Case(label="three rounds, of four", args=(Scattered(53, 9, 7), 0.95, 3), axes=AXES),
    ]


def improve_until_equal(env: Environment, gamma: float = 0.99, max_iterations: int = 10_000) -> np.ndarray:
    """Compares lists."""
    pi, n_done, is_stable = np.zeros(env.n_states, dtype=np.int64), 0, False
    while n_done < max_iterations and not is_stable:
        new = planning.policy_improvement(env, planning.policy_eval_exact(env, pi, gamma), gamma)
        is_stable, pi, n_done = np.array_equal(new, pi), new, n_done + 1
    return pi


def improve_where_better(env: Environment, gamma: float = 0.99, max_iterations: int = 10_000) -> np.ndarray:
    """Keeps its action unless another one is clearly better; of equal ones it takes the last."""
    pi, states = np.zeros(env.n_states, dtype=int), np.arange(env.n_states)
    for _ in range(max_iterations):
        Q = planning.compute_action_values(env, planning.policy_eval_exact(env, pi, gamma), gamma).round(10)
        last_best = env.n_actions - 1 - Q[:, ::-1].argmax(axis=1)
        is_better = Q[states, last_best] > Q[states, pi]
        if not is_better.any():
            break
        pi = np.where(is_better, last_best, pi)
    return pi


test_find_optimal_policy = exercise(
    reference=planning.find_optimal_policy,
    cases=optimal_cases,
    observe=policy,
    accepts=[improve_until_equal, improve_where_better],
    mistakes=[
        *instead_of(
            "policy_improvement(env, policy_eval_exact(env, pi, gamma), gamma)",
            {
                "policy_improvement(env, policy_eval_exact(env, pi, gamma))": (
                    "improves with another gamma",
                    "evaluating and improving take the same gamma",
                ),
                "policy_improvement(env, policy_eval_exact(env, pi))": (
                    "ignores gamma",
                    "how much the future counts is the argument gamma",
                ),
                "policy_improvement(env, policy_eval_numerical(env, pi, gamma, max_iterations=1), gamma)": (
                    "evaluates with one sweep",
                    "each round evaluates the policy exactly, with policy_eval_exact",
                ),
                "policy_improvement(env, value_iteration(env, gamma), gamma)": (
                    "improves on the best values at once",
                    "each round evaluates the present policy: after one round the policy is only a better one",
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
                    "never gets beyond one improvement",
                    "each round evaluates the policy that the last one made, and compares the new policy with that",
                ),
            },
        ),
        *instead_of(
            "(improved == pi).all()",
            {
                "(improved == pi).any()": (
                    "returns the first policy",
                    "each round begins with the improved policy, and it stops when all actions stay, not any of them",
                ),
                "improved.sum() == pi.sum()": (
                    "compares sums",
                    "actions can change while their sum stays: compare state by state",
                ),
                "policy_eval_exact(env, improved, gamma)[env.start] <= policy_eval_exact(env, pi, gamma)[env.start]": (
                    "stops when the start has no better value",
                    "it returns as soon as an improvement changes no action of any state",
                ),
                "improved[env.start] == pi[env.start]": (
                    "looks at the start alone",
                    "no action of any state may change",
                ),
            },
        ),
        *instead_of(
            "pi = np.zeros(env.n_states, dtype=int)",
            {
                "pi = np.full(env.n_states, env.n_actions - 1)": (
                    "begins with the last action",
                    "the first policy takes action 0 everywhere",
                ),
                "pi = np.random.default_rng(0).integers(env.n_actions, size=env.n_states)": (
                    "begins with a random policy",
                    "the first policy takes action 0 everywhere",
                ),
                "pi = policy_improvement(env, np.zeros(env.n_states), gamma)": (
                    "begins with an improvement",
                    "the first policy takes action 0 everywhere, and max_iterations counts every improvement",
                ),
            },
        ),
        *instead_of(
            "return pi",
            {
                "return policy_eval_exact(env, pi, gamma)": (
                    "returns values",
                    "the result is the policy: an action for each state",
                ),
            },
        ),
        *instead_of(
            "        if (improved == pi).all():\n            break\n        pi = improved\n",
            {
                "        pi = improved\n        if (improved == pi).all():\n            break\n": (
                    "never gets beyond one improvement",
                    "each round evaluates the policy that the last one made, and compares the new policy with that",
                ),
            },
        ),
        *instead_of(
            "        pi = improved\n",
            {
                "        pass\n": (
                    "returns the first policy",
                    "each round begins with the improved policy, and it stops when all actions stay, not any of them",
                )
            },
        ),
        *instead_of(
            "range(max_iterations)",
            {
                "range(10_000)": ("ignores max_iterations", "there are at most max_iterations rounds"),
                "range(max_iterations + 1)": (
                    "makes one improvement too many",
                    "there are at most max_iterations improvements",
                ),
                "range(1, max_iterations)": (
                    "makes one improvement too few",
                    "max_iterations is the largest number of improvements",
                ),
                "range(1)": ("improves only once", "it improves until nothing changes"),
            },
        ),
    ],
)
