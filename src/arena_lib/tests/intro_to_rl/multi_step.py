"""Judge of n-step returns."""

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rl.tabular import multi_step
from arena_lib.tests.intro_to_rl.watching import result

__test__ = False


def return_cases(generator: torch.Generator) -> list[Case]:
    """One step, some, all, and more than there are; ends and episodes that were cut off."""
    rng = np.random.default_rng(5)

    def case(label: str, n_steps: int, gamma: float, n: int, last: float = 0.0) -> Case:
        args = (rng.normal(size=n_steps) * 3, np.append(rng.normal(size=n_steps) * 5, last), gamma, n)
        return Case(label=label, args=args, axes={"output": "n_steps"})

    return [
        case("one step", 5, 0.9, 1),
        case("two steps", 6, 0.5, 2),
        case("three steps of an episode that was cut off", 7, 0.8, 3, last=4.0),
        case("as many as there are", 4, 0.7, 4),
        case("more than there are", 3, 0.6, 9, last=-2.0),
        case("no discounting", 5, 1.0, 2, last=1.0),
        case("an episode of one step", 1, 0.9, 3),
    ]


def returns_by_recursion(rewards: np.ndarray, values: np.ndarray, gamma: float, n: int) -> np.ndarray:
    """Backwards over the steps of each return."""
    returns = []
    for t in range(len(rewards)):
        end = min(t + n, len(rewards))
        total = values[end]
        for k in range(end - 1, t - 1, -1):
            total = rewards[k] + gamma * total
        returns.append(total)
    return np.array(returns)


def returns_in_values(rewards: np.ndarray, values: np.ndarray, gamma: float, n: int) -> np.ndarray:
    """Makes the returns of the values, where these are."""
    for _ in range(min(n, len(rewards))):
        values[:-1] = rewards + gamma * values[1:]
    return values[:-1]


def returns_in_rewards(rewards: np.ndarray, values: np.ndarray, gamma: float, n: int) -> np.ndarray:
    """Makes the returns of the rewards, where these are."""
    rewards[:] = returns_by_recursion(rewards, values, gamma, n)
    return rewards


test_n_step_returns = exercise(
    reference=multi_step.n_step_returns,
    cases=return_cases,
    observe=result,
    accepts=[returns_by_recursion],
    mistakes=[
        *instead_of(
            "min(n, n_steps - t)",
            {
                "min(n + 1, n_steps - t)": ("takes one reward too many", "n rewards are added, then a value"),
                "min(n, n_steps - t - 1)": (
                    "leaves out the last reward",
                    "at step t there are n_steps - t rewards left, the last one included",
                ),
                "min(n - 1, n_steps - t)": ("takes one reward too few", "n rewards are added, then a value"),
                "n if t + n <= n_steps else 1": (
                    "takes one reward alone near the end",
                    "where fewer than n steps are left, all that are left are taken",
                ),
                "n_steps - t": ("goes on to the end", "after n rewards the value of the state stands for the rest"),
                "1": ("takes one reward alone", "n rewards are added before the value"),
            },
        ),
        *instead_of(
            "gamma**m * values[t + m]",
            {
                "gamma**n * values[t + m]": (
                    "discounts by n steps near the end",
                    "where fewer than n steps are left, the value is discounted by as many as there are",
                ),
                "gamma**m * values[t + 1]": (
                    "takes the value one step on",
                    "what is left is worth the value of the state reached after m steps",
                ),
                "gamma ** (m + 1) * values[t + m]": (
                    "discounts the value one step too much",
                    "the value comes m steps later: gamma^m",
                ),
                "gamma**m * values[-1]": (
                    "always takes the last value",
                    "what is left is worth the value of the state reached after m steps",
                ),
                "gamma**m * values[t + m] * (m == n)": (
                    "leaves out the value near the end",
                    "where fewer than n steps are left, the last value stands for the rest",
                ),
                "gamma**m * max(values[t + m], 0.0)": (
                    "drops values below zero",
                    "a value counts as it is, below zero too",
                ),
                "gamma**m * values[t + m] - values[t]": (
                    "returns errors instead of returns",
                    "a return is rewards and the value at the end: it is not an error",
                ),
                "gamma * values[t + m]": ("discounts the value once", "the value comes m steps later: gamma^m"),
                "values[t + m]": ("does not discount the value", "the value comes m steps later: gamma^m"),
                "gamma ** (m - 1) * values[t + m]": (
                    "discounts the value one step too little",
                    "the value comes m steps later: gamma^m",
                ),
                "gamma**m * values[t]": (
                    "takes the value of the state where it began",
                    "what is left is worth the value of the state reached after m steps",
                ),
                "gamma**m * values[t + m] * (t + m < n_steps)": (
                    "forgets the value where an episode was cut off",
                    "the last value is that of where the episode stopped; it is 0 only if it terminated",
                ),
                "0.0": ("leaves out the value", "after m rewards the value stands for the rest"),
                "gamma**m * values[t + m - 1]": (
                    "takes the value one step too early",
                    "after m rewards one is in the state t + m",
                ),
            },
        ),
        *instead_of(
            "gamma ** np.arange(m)",
            {
                "gamma ** np.arange(1, m + 1)": (
                    "discounts the first reward",
                    "the first reward counts in full, the next gamma times",
                ),
                "np.full(m, gamma)": ("discounts all rewards alike", "the k-th later reward counts gamma^k times"),
                "gamma ** np.arange(t, t + m)": (
                    "discounts from the episode's start",
                    "discounting begins anew at each step t: its own reward counts in full",
                ),
                "np.ones(m)": ("does not discount rewards", "the k-th later reward counts gamma^k times"),
                "gamma ** np.arange(m)[::-1]": (
                    "discounts early rewards most",
                    "the later a reward, the more it is discounted",
                ),
            },
        ),
        *instead_of(
            "return returns",
            {
                "return returns[: max(n_steps - n + 1, 1)]": (
                    "leaves out steps near the end",
                    "every step has a return, also where fewer than n steps are left",
                ),
                "return returns.tolist()": ("returns a list", "the result is a numpy array"),
                "return np.append(returns, values[-1])": (
                    "has one entry too many",
                    "there is one return for each step, none for the state where it stopped",
                ),
            },
        ),
        Mistake(
            "changes the values it is given",
            function=returns_in_values,
            why="rewards and values stay as they are: write into an array of your own",
        ),
        Mistake(
            "changes the rewards it is given",
            function=returns_in_rewards,
            why="rewards and values stay as they are: write into an array of your own",
        ),
    ],
)
