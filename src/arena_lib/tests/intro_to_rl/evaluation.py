"""Judge of policy evaluation by sweeps."""

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rl.environments.gridworlds import CliffWalking, Environment, Norvig, RandomWalk, TwoLoops
from arena_lib.rl.tabular import planning
from arena_lib.tests.intro_to_rl.stopping import goes_on_too_long, stops_too_early
from arena_lib.tests.intro_to_rl.watching import Scattered, result

__test__ = False

AXES = {"output": "n_states"}
PI = np.array([2, 0, 1, 2, 0])
EDGE = np.array([2] * 12 + [1] * 11 + [2] + [1] * 11 + [2] + [0] * 12)
"""Cliff walking: down to the second row but one, along it, and to the goal."""
UP_RIGHT = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 3, 3, 3])


def shared_cases() -> list[Case]:
    """Worlds of chance and worlds without, discounts from none to strong."""
    return [
        Case(label="two loops", args=(TwoLoops(), np.array([0, 1, 0]), 0.5), axes=AXES),
        Case(label="a world of chance", args=(Scattered(0), PI, 0.8), axes=AXES),
        Case(label="another policy", args=(Scattered(2), 2 - PI, 0.6), axes=AXES),
        Case(label="only the next reward counts", args=(Scattered(3), PI, 0.0), axes=AXES),
        Case(label="Norvig's grid, with the gamma it has by itself", args=(Norvig(), UP_RIGHT), axes=AXES),
        Case(label="a way with an end, without discounting", args=(CliffWalking(), EDGE, 1.0), axes=AXES),
    ]


def numerical_cases(generator: torch.Generator) -> list[Case]:
    """As for the exact form; and where it stops."""
    stops = [
        Case(label="stops after one sweep", args=(Scattered(4), PI, 0.9, 1e-8, 1), axes=AXES),
        Case(label="stops after three sweeps", args=(Scattered(4), PI, 0.9, 1e-8, 3), axes=AXES),
        Case(label="no sweep at all", args=(Scattered(4), PI, 0.9, 1e-8, 0), axes=AXES),
        Case(label="stops early", args=(Scattered(5), PI, 0.9, 0.05), axes=AXES),
        Case(label="stops early where values only fall", args=(CliffWalking(), EDGE, 0.9, 0.5), axes=AXES),
        Case(label="a change of just eps", args=(CliffWalking(), EDGE, 1.0, 1.0), axes=AXES),
        Case(label="stops early where values only rise", args=(RandomWalk(6), np.zeros(8, dtype=int), 0.9, 0.01)),
    ]
    return shared_cases() + stops


def by_loops(
    env: Environment, pi: np.ndarray, gamma: float = 0.99, eps: float = 1e-8, max_iterations: int = 10_000
) -> np.ndarray:
    """State by state, each from the old values."""
    V = np.zeros(env.n_states)
    n_done, change = 0, np.inf
    while n_done < max_iterations and change >= eps:
        new = np.zeros(env.n_states)
        for s in range(env.n_states):
            new[s] = env.T[s, pi[s]] @ (env.R[s, pi[s]] + gamma * V)
        change, V, n_done = max(abs(new - V)), new, n_done + 1
    return V


def within_one_sweep(
    env: Environment, pi: np.ndarray, gamma: float = 0.99, eps: float = 1e-8, max_iterations: int = 10_000
) -> np.ndarray:
    """Overwrites values while it sweeps."""
    V = np.zeros(env.n_states)
    for _ in range(max_iterations):
        before = V.copy()
        for s in range(env.n_states):
            V[s] = env.T[s, pi[s]] @ (env.R[s, pi[s]] + gamma * V)
        if abs(V - before).max() < eps:
            break
    return V


test_policy_eval_numerical = exercise(
    reference=planning.policy_eval_numerical,
    cases=numerical_cases,
    observe=result,
    accepts=[by_loops],
    mistakes=[
        *instead_of(
            "range(max_iterations)",
            {
                "range(10_000)": (
                    "ignores max_iterations",
                    "after max_iterations sweeps it stops, whatever the change",
                ),
                "range(1, max_iterations)": (
                    "makes one sweep too few",
                    "max_iterations is the largest number of sweeps",
                ),
                "range(max_iterations + 1)": (
                    "makes one sweep too many",
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
                "abs(V - before)[env.start] < eps": (
                    "looks at the start alone",
                    "no value of any state may have changed by eps or more",
                ),
                "abs(V.sum() - before.sum()) < eps": (
                    "compares sums",
                    "changes of several states can cancel: take the largest change",
                ),
                "np.linalg.norm(V - before) < eps": (
                    "takes the length of the change",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "(V - before).max() < eps": (
                    "forgets the absolute value",
                    "values that fall have changed too",
                ),
                "(before - V).max() < eps": (
                    "looks only for values that fall",
                    "values that rise have changed too",
                ),
                "np.abs(V - before).mean() < eps": (
                    "averages the changes",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "np.abs(V - before).sum() < eps": (
                    "adds up the changes",
                    "no value may have changed by eps or more: take the largest change",
                ),
                "False": ("never stops before max_iterations", "it stops once no value changes by eps or more"),
                "np.abs(V - before).max() < 1e-8": (
                    "ignores eps",
                    "how small a change must be is the argument eps",
                ),
            },
        ),
        *instead_of(
            "(transitions * (rewards + gamma * before)).sum(axis=1)",
            {
                "(transitions * (rewards + before)).sum(axis=1)": (
                    "does not discount",
                    "what follows counts gamma times",
                ),
                "(transitions * (rewards + gamma * before[:, None])).sum(axis=1)": (
                    "takes the value of the state that is left",
                    "what counts is the value of the state that is entered",
                ),
                "(transitions * rewards).sum(axis=1)": (
                    "adds up the next reward alone",
                    "the value of a state is the next reward and gamma times the value of what follows",
                ),
                "(env.T * (env.R + gamma * before)).sum(axis=-1).max(axis=1)": (
                    "takes the best action instead of the policy's",
                    "the policy is given: only its own action counts",
                ),
                "(env.T * (env.R + gamma * before)).sum(axis=-1).mean(axis=1)": (
                    "averages over all actions",
                    "the policy takes one action in each state: pi[s]",
                ),
                "rewards.sum(axis=1) + gamma * transitions @ before": (
                    "adds up rewards without their probabilities",
                    "a reward counts as much as its transition is likely",
                ),
                "(transitions * (rewards + gamma * before)).sum(axis=0)": (
                    "sums over the state that is left",
                    "the sum goes over the states that may follow, the last axis",
                ),
                "(transitions * (rewards + 0.99 * before)).sum(axis=1)": (
                    "ignores gamma",
                    "how much the future counts is the argument gamma",
                ),
                "(transitions * rewards).sum(axis=1) + gamma * before[transitions.argmax(axis=1)]": (
                    "follows the likeliest transition alone",
                    "every state that may follow counts, as much as it is likely",
                ),
                "(transitions * rewards).sum(axis=1) + gamma * transitions.T @ before": (
                    "transposes the transitions",
                    "T[s, pi[s], s2] leads from s to s2: the value of s sums over s2",
                ),
                "(transitions * (rewards + gamma * before)).mean(axis=1)": (
                    "divides by the number of states",
                    "probabilities are weights already: add up",
                ),
                "(transitions * rewards).sum(axis=1) + gamma**2 * transitions @ before": (
                    "discounts twice",
                    "what follows counts gamma times",
                ),
                "gamma * (transitions * (rewards + before)).sum(axis=1)": (
                    "discounts the reward too",
                    "the next reward counts in full, only what follows counts gamma times",
                ),
                "before + (transitions * (rewards + gamma * before)).sum(axis=1)": (
                    "adds to the old values",
                    "each sweep replaces the values",
                ),
            },
        ),
        *instead_of(
            "env.T[states, pi], env.R[states, pi]",
            {
                "env.T[states, 0], env.R[states, 0]": (
                    "always takes action 0",
                    "in state s the policy takes the action pi[s]",
                ),
                "env.T[states, pi], env.R[states, 0]": (
                    "takes the rewards of action 0",
                    "transitions and rewards both belong to the action pi[s]",
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
                "return V.round(6)": ("rounds the values", "the values are returned as they are"),
                "return V[env.start]": ("returns one value", "every state has a value"),
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
                "V = env.R.mean(axis=(1, 2))": ("begins with mean rewards", "before the first sweep every value is 0"),
            },
        ),
        Mistake(
            "uses new values within the same sweep",
            function=within_one_sweep,
            why="all values of a sweep come from the sweep before: write into a new array",
        ),
        Mistake(
            "stops too early",
            "np.abs(V - before).max() < eps",
            "np.allclose(V, before, atol=eps)",
            why="it goes on until no value changes by eps or more, whatever the values are, or max_iterations is reached",
            shows=stops_too_early(planning.policy_eval_numerical, numerical_cases(torch.Generator())),
        ),
        Mistake(
            "goes on for too long",
            "np.abs(V - before).max() < eps",
            "np.abs(V - before).max() < eps / 2",
            why="it stops after the first sweep in which no value has changed by eps or more",
            shows=goes_on_too_long(planning.policy_eval_numerical, numerical_cases(torch.Generator())),
        ),
    ],
)
