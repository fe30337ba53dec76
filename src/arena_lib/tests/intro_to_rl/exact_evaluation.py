"""Judge of policy evaluation by linear equations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rl.environments.gridworlds import Environment, RandomWalk
from arena_lib.rl.tabular import planning
from arena_lib.tests.intro_to_rl.evaluation import AXES, shared_cases, test_policy_eval_numerical
from arena_lib.tests.intro_to_rl.stopping import stops_too_early
from arena_lib.tests.intro_to_rl.watching import result

__test__ = False


def exact_cases(generator: torch.Generator) -> list[Case]:
    """Worlds of chance and worlds without; ends without discounting."""
    walk = Case(
        label="a random walk, without discounting", args=(RandomWalk(6), np.zeros(8, dtype=int), 1.0), axes=AXES
    )
    return [*shared_cases(), walk]


def by_inverse(env: Environment, pi: np.ndarray, gamma: float = 0.99) -> np.ndarray:
    """The inverse, and loops."""
    P = np.stack([env.T[s, a] for s, a in enumerate(pi)])
    R = np.stack([env.R[s, a] for s, a in enumerate(pi)])
    return np.linalg.inv(np.identity(len(P)) - gamma * P) @ np.einsum("ij,ij->i", P, R)


test_policy_eval_exact = exercise(
    reference=planning.policy_eval_exact,
    cases=exact_cases,
    observe=result,
    accepts=[by_inverse],
    mistakes=[
        *instead_of(
            "(P * env.R[states, pi]).sum(axis=1)",
            {
                "env.R[states, pi].sum(axis=1)": (
                    "adds up rewards without their probabilities",
                    "a reward counts as much as its transition is likely",
                ),
                "gamma * (P * env.R[states, pi]).sum(axis=1)": (
                    "discounts the reward too",
                    "the next reward counts in full, only what follows counts gamma times",
                ),
                "env.R[states, pi, states]": (
                    "takes the reward for staying",
                    "the mean reward sums over all states that may follow",
                ),
                "env.R[states, pi, P.argmax(axis=1)]": (
                    "takes the reward of the likeliest transition",
                    "the mean reward weights each reward with the probability of its transition",
                ),
                "(env.T * env.R).sum(axis=-1).max(axis=1)": (
                    "takes the best action's rewards",
                    "the policy is given: only its own action counts",
                ),
                "(env.T * env.R).sum(axis=-1).mean(axis=1)": (
                    "averages the rewards of all actions",
                    "the policy takes one action in each state: pi[s]",
                ),
                "env.R[states, pi].mean(axis=1)": (
                    "averages rewards over all states",
                    "the mean reward weights each reward with the probability of its transition",
                ),
                "(P * env.R[states, 0]).sum(axis=1)": (
                    "takes the rewards of action 0",
                    "transitions and rewards both belong to the action pi[s]",
                ),
                "(P * env.R[states, pi]).sum(axis=0)": (
                    "sums over the state that is left",
                    "the sum goes over the states that may follow, the last axis",
                ),
            },
        ),
        *instead_of(
            "env.T[states, pi]",
            {
                "env.T[states, 0]": ("always takes action 0", "in state s the policy takes the action pi[s]"),
                "env.T.mean(axis=1)": (
                    "averages the transitions of all actions",
                    "the policy takes one action in each state: pi[s]",
                ),
                "env.T[states, pi].T": (
                    "transposes the transitions",
                    "P[s, s2] leads from row s to column s2",
                ),
            },
        ),
        *instead_of(
            "    r = (P * env.R[states, pi]).sum(axis=1)\n",
            {
                "    env.R *= env.T\n    r = env.R[states, pi].sum(axis=1)\n": (
                    "changes the world's rewards",
                    "env is only looked at: env.R * env.T makes a new array",
                ),
            },
        ),
        *instead_of(
            "np.linalg.solve(np.eye(env.n_states) - gamma * P, r)",
            {
                "np.linalg.solve(np.eye(env.n_states) - 0.99 * P, r)": (
                    "ignores gamma",
                    "how much the future counts is the argument gamma",
                ),
                "np.linalg.solve(np.eye(env.n_states) - gamma**2 * P, r)": (
                    "discounts twice",
                    "what follows counts gamma times",
                ),
                "np.linalg.solve(np.eye(env.n_states) - gamma * P.T, r)": (
                    "transposes the equations",
                    "row s of P holds what follows s: V = r + gamma * P V",
                ),
                "np.linalg.pinv(np.eye(env.n_states) - gamma * P) * r": (
                    "multiplies entry by entry",
                    "V is the inverse matrix times the vector r, with @",
                ),
                "r + gamma * P @ r": (
                    "looks two steps ahead",
                    "V stands on both sides of the equation: solve for it",
                ),
                "np.linalg.lstsq(gamma * np.eye(env.n_states) - P, r, rcond=None)[0]": (
                    "discounts the other matrix",
                    "V = r + gamma * P V becomes (I - gamma * P) V = r",
                ),
                "gamma * P @ r": (
                    "takes one step's discounted reward",
                    "V stands on both sides of the equation: solve for it",
                ),
                "np.linalg.lstsq(np.eye(env.n_states) - P, r, rcond=None)[0]": (
                    "does not discount",
                    "what follows counts gamma times: I - gamma P",
                ),
                "np.linalg.solve(np.eye(env.n_states) + gamma * P, r)": (
                    "adds where it should subtract",
                    "V = r + gamma P V becomes (I - gamma P) V = r",
                ),
                "(np.eye(env.n_states) - gamma * P) @ r": (
                    "multiplies where it should divide",
                    "(I - gamma P) V = r is solved for V",
                ),
                "np.linalg.solve(np.eye(env.n_states) - gamma * P, gamma * r)": (
                    "discounts the reward too",
                    "the next reward counts in full, only what follows counts gamma times",
                ),
                "r": (
                    "adds up the next reward alone",
                    "the value of a state is the next reward and gamma times the value of what follows",
                ),
                "np.linalg.solve(np.eye(env.n_states) - gamma * P, r).round(6)": (
                    "rounds the values",
                    "the solution is exact: don't round it",
                ),
            },
        ),
        Mistake(
            "stops at an approximation",
            "np.linalg.solve(np.eye(env.n_states) - gamma * P, r)",
            "policy_eval_numerical(env, pi, gamma, 1e-3)",
            why="the values are the exact solution of the equations: sweeps only come near it",
            shows=stops_too_early(planning.policy_eval_numerical, exact_cases(torch.Generator())),
        ),
    ],
)


def test_policy_eval(policy_eval: Callable[..., Any], exact: bool = False) -> None:
    """Either way of evaluating a policy, under the name by which other notebooks call its test."""
    __tracebackhide__ = True
    judge = test_policy_eval_exact if exact else test_policy_eval_numerical
    judge(policy_eval)
