"""Judges of action values and of greedy policies."""

from collections.abc import Sequence

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.environments.gridworlds import (
    CliffWalking,
    Environment,
    FrozenLake,
    TwoLoops,
)
from arena_lib.rl.tabular import planning
from arena_lib.tests.intro_to_rl.watching import Scattered, result

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
        Case(label="patience that almost pays", args=(TwoLoops(), np.array([0.0, 0.0, 1.005]), 0.9), axes=axes),
        Case(label="actions that hardly differ", args=(TwoLoops(), np.array([0.0, 0.0, 2.0 + 4e-9]), 0.5), axes=axes),
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
                "(env.T * (env.R + 0.99 * V)).sum(axis=-1)": (
                    "ignores gamma",
                    "how much the future counts is the argument gamma",
                ),
                "(env.T * env.R).sum(axis=-1) + gamma * V[env.T.argmax(axis=-1)]": (
                    "follows the likeliest transition alone",
                    "every state that may follow counts, as much as it is likely",
                ),
                "np.take_along_axis(env.R + gamma * V, env.T.argmax(axis=-1)[..., None], -1)[..., 0]": (
                    "follows the likeliest transition alone",
                    "every state that may follow counts, as much as it is likely",
                ),
                "env.R.mean(axis=-1) + gamma * env.T @ V": (
                    "averages rewards over all states",
                    "a reward counts as much as its transition is likely",
                ),
                "(env.T * env.R).sum(axis=-1) + gamma * V[:, None]": (
                    "adds the value of the state that is left",
                    "what counts is the value of the state that is entered",
                ),
                "(env.T * env.R).sum(axis=-1) + gamma * V.mean()": (
                    "averages the values of all states",
                    "every state that may follow counts, as much as it is likely",
                ),
                "(env.T * (env.R + gamma * np.delete(np.append(V, 0.0), 0))).sum(axis=-1)": (
                    "takes the value of the next state in number",
                    "what follows is the state s2 of T[s, a, s2], not s2 + 1",
                ),
                "(env.T * (env.R + gamma * np.where(np.isin(np.arange(len(V)), env.terminal), 0.0, V))).sum(axis=-1)": (
                    "puts 0 for the values of ends",
                    "V is given, and taken as it is: here a terminal state may have any value",
                ),
                "(env.T * (env.R + gamma * V)).max(axis=-1)": (
                    "takes the best transition",
                    "what follows is up to chance: add up all transitions",
                ),
                "(env.T * (env.R - gamma * V)).sum(axis=-1)": (
                    "subtracts the values",
                    "what follows is added to the reward",
                ),
                "(env.T * (env.R + gamma * V)).sum(axis=0)": (
                    "sums over the state that is left",
                    "the sum goes over the states that may follow, the last axis",
                ),
                "(env.T * (env.R + gamma * V)).sum(axis=1)": (
                    "sums over the actions",
                    "the sum goes over the states that may follow, the last axis",
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
        *instead_of(
            "return (env.T * (env.R + gamma * V)).sum(axis=-1)",
            {
                "env.R += gamma * V\n    return (env.T * env.R).sum(axis=-1)": (
                    "changes the world's rewards",
                    "env is only looked at: env.R + gamma * V makes a new array",
                ),
                "env.T *= env.R + gamma * V\n    return env.T.sum(axis=-1)": (
                    "changes the world's probabilities",
                    "env is only looked at: a product makes a new array",
                ),
                "V *= gamma\n    return (env.T * (env.R + V)).sum(axis=-1)": (
                    "changes the values it is given",
                    "V is only looked at: gamma * V makes a new array",
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


def takes_others_of_equals(seen: Sequence[Observations]) -> bool:
    """Whether each action is among the best of its state, but not always the first of them."""
    for case, observed in zip(improvement_cases(torch.Generator()), seen, strict=True):
        Q = planning.compute_action_values(*case.args)
        if (np.take_along_axis(Q, observed["output"][:, None], 1)[:, 0] != Q.max(axis=1)).any():
            return False
    return True


test_policy_improvement = exercise(
    reference=planning.policy_improvement,
    cases=improvement_cases,
    observe=result,
    accepts=[best_by_loop],
    mistakes=[
        *instead_of(
            "env, V, gamma",
            {
                "env, V": ("ignores gamma", "how much the future counts is the argument gamma"),
                "env, V, 1.0": ("does not discount", "what follows counts gamma times"),
            },
        ),
        *instead_of(
            ".argmax(axis=1)",
            {
                "[:, ::-1].argmax(axis=1) * -1 + env.n_actions - 1": (
                    "takes the last of equal actions",
                    "of equal values the action of lowest number is taken",
                ),
                ".argsort(axis=1)[:, 0]": (
                    "takes the first of the sorted actions",
                    "argsort begins with the smallest value: the largest is wanted",
                ),
                ".argmax(axis=1).tolist()": ("returns a list", "a policy is a numpy array of whole numbers"),
            },
        ),
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
                "np.isclose(compute_action_values(env, V, gamma),"
                " compute_action_values(env, V, gamma).max(axis=1, keepdims=True)).argmax(axis=1)": (
                    "takes nearly equal actions for equal",
                    "only actions with exactly equal values count as equal",
                ),
                "np.abs(compute_action_values(env, V, gamma)).argmax(axis=1)": (
                    "takes the value of largest size",
                    "a very negative value is a bad one: don't take absolute values",
                ),
                "np.eye(env.n_actions, dtype=int)[compute_action_values(env, V, gamma).argmax(axis=1)]": (
                    "gives a row of zeros and a one for each state",
                    "a policy holds one number for each state, that of its action",
                ),
                "np.eye(env.n_actions)[compute_action_values(env, V, gamma).argmax(axis=1)]": (
                    "gives a row of zeros and a one for each state",
                    "a policy holds one number for each state, that of its action",
                ),
                "np.full(env.n_states, compute_action_values(env, V, gamma).sum(axis=0).argmax())": (
                    "takes the same action everywhere",
                    "each state gets the action that is best there",
                ),
                "V[env.T.argmax(axis=-1)].argmax(axis=1)": (
                    "goes for the best of the likeliest states",
                    "an action is worth its reward and the mean value of what follows, discounted",
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
        Mistake(
            "takes another of equal actions",
            ".argmax(axis=1)",
            "[:, [*range(1, env.n_actions), 0]].argmax(axis=1).__add__(1) % env.n_actions",
            why="of equal values the action of lowest number is taken: nothing is drawn",
            shows=takes_others_of_equals,
        ),
    ],
)
