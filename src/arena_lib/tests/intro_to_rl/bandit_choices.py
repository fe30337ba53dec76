"""Judges of averages and of epsilon-greedy choices."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.rl.bandits import choosing
from arena_lib.tests.intro_to_rl.watching import draws

__test__ = False


def update_average_cases(generator: torch.Generator) -> list[Case]:
    """First rewards, later ones, an arm whose average was optimistic."""

    def case(label: str, averages: list[float], counts: list[int], *rewards: tuple[int, float]) -> Case:
        given = {"averages": np.array(averages), "counts": np.array(counts), "rewards": rewards}
        return Case(label=label, given=given, call=f"averages, counts, action={rewards[0][0]}, reward={rewards[0][1]}")

    return [
        case("the first reward of an arm", [0.0, 0.0, 0.0], [0, 0, 0], (1, 4.0)),
        case("the first reward of an arm that was thought well of", [5.0, 5.0], [0, 2], (0, 1.0)),
        case("a later reward", [1.0, 3.0, -2.0], [4, 7, 2], (2, 4.0)),
        case("several rewards", [0.0, 2.0, 0.5], [0, 3, 1], (1, 6.0), (0, -1.0), (1, 1.0), (1, 2.0)),
    ]


def averages_and_counts(function: Any, case: Case) -> Observations:
    """Both arrays after each reward, and what is returned."""
    averages, counts = case.given["averages"].copy(), case.given["counts"].copy()
    seen: Observations = {}
    for i, (action, reward) in enumerate(case.given["rewards"], start=1):
        function(averages, counts, action, reward)
        seen |= {f"averages after reward {i}": averages.copy(), f"counts after reward {i}": counts.copy()}
    return seen


def update_by_sums(averages: np.ndarray, counts: np.ndarray, action: int, reward: float) -> None:
    """Makes the sum again, adds, and divides."""
    total = averages[action] * counts[action] + reward
    counts[action] = counts[action] + 1
    averages[action] = total / counts[action]


test_update_average = exercise(
    reference=choosing.update_average,
    cases=update_average_cases,
    observe=averages_and_counts,
    accepts=[update_by_sums],
    mistakes=[
        *instead_of(
            "    counts[action] += 1\n    averages[action] += (reward - averages[action]) / counts[action]\n",
            {
                "    averages[action] += (reward - averages[action]) / max(counts[action], 1)\n    counts[action] += 1\n": (
                    "divides by the count before this reward",
                    "this reward counts too: the count goes up first",
                ),
                "    averages[action] += (reward - averages[action]) / (counts[action] + 1)\n": (
                    "does not count the reward",
                    "the count of the arm goes up by one with every reward",
                ),
                "    averages[action] += (reward - averages[action]) / max(counts[action], 1)\n": (
                    "does not count the reward",
                    "the count of the arm goes up by one with every reward",
                ),
                "    counts[action] += 1\n    averages[:] += (reward - averages) / counts[action]\n": (
                    "moves the average of every arm",
                    "a reward says something about its own arm alone",
                ),
                "    counts[action] += 1\n    averages[action] += (reward - averages[action]) / counts.sum()\n": (
                    "divides by the number of all rewards",
                    "n is how often this arm was taken, not all arms together",
                ),
                "    counts = counts + (np.arange(len(counts)) == action)\n"
                "    averages = averages + (reward - averages) / max(counts[action], 1)\n": (
                    "changes copies of the arrays",
                    "the caller's own arrays must change: assign to averages[action] and counts[action]",
                ),
                "    averages, counts = averages.copy(), counts.copy()\n    counts[action] += 1\n"
                "    averages[action] += (reward - averages[action]) / counts[action]\n    return averages, counts\n": (
                    "returns changed copies",
                    "the caller's own arrays must change, and nothing is returned",
                ),
                "    counts[action] += 1\n    averages[action] += (reward - averages[action]) / counts[action]\n"
                "    return averages[action]\n": (
                    "returns the average",
                    "the arrays change in place, and nothing is returned",
                ),
                "    counts[action] += 1\n    averages[action] += (reward - averages[action]) / counts[action]\n"
                "    return averages, counts\n": (
                    "returns the arrays it has changed",
                    "the arrays change in place, and nothing is returned",
                ),
            },
        ),
        *instead_of(
            "counts[action] += 1",
            {
                "counts += 1": ("counts for every arm", "only the arm that was taken has one more reward"),
                "counts[action] = counts.sum() + 1": (
                    "counts the rewards of all arms",
                    "a count says how often its own arm was taken",
                ),
            },
        ),
        *instead_of(
            "averages[action] += (reward - averages[action]) / counts[action]",
            {
                "averages[action] += (reward - averages[action]) / (counts[action] + 1)": (
                    "counts the value at the start as a reward",
                    "n is the new count: the first reward replaces what stood there before",
                ),
                "averages[action] += (reward - averages[action]) / max(counts[action] - 1, 1)": (
                    "divides by the count before this reward",
                    "this reward counts too: the count goes up first",
                ),
                "averages[action] += (reward - averages[action]) // counts[action]": (
                    "divides without remainder",
                    "an average is no whole number: divide with /",
                ),
                "averages[action] += (reward - averages.mean()) / counts[action]": (
                    "compares with the mean of all arms",
                    "the average moves towards the reward from where it is itself",
                ),
                "averages[action] = reward": (
                    "keeps only the last reward",
                    "an average of n rewards moves by one n-th of the difference",
                ),
                "averages[action] += reward / counts[action]": (
                    "forgets to subtract the old average",
                    "the average moves by one n-th of the difference between the reward and itself",
                ),
                "averages[action] += 0.1 * (reward - averages[action])": (
                    "takes steps of a constant size",
                    "an average gives each of n rewards the same weight: the step is one n-th",
                ),
                "averages[action] += (averages[action] - reward) / counts[action]": (
                    "moves away from the reward",
                    "the average moves towards the new reward",
                ),
                "averages[action] += reward": ("keeps the sum", "the sum must be divided by the count"),
                "averages[action] = (averages[action] + reward) / 2": (
                    "takes the mean of the average and the reward",
                    "the old average stands for n - 1 rewards and weighs as much as they do",
                ),
            },
        ),
    ],
)


def epsilon_greedy_cases(generator: torch.Generator) -> list[Case]:
    """Never, always and sometimes at random; equal values; values below zero; a draw that is just epsilon."""
    equal = float(np.random.default_rng(6).random())
    return [
        Case(label="never at random", args=(np.array([0.5, -4.0, 3.0, 2.0]), 0.0, 3)),
        Case(label="equal values", args=(np.array([1.0, 2.5, 2.5, -1.0, 2.5]), 0.0, 4)),
        Case(label="sometimes at random", args=(np.array([-0.5, -4.0, -3.0, -0.2, -1.0]), 0.4, 0)),
        Case(label="seldom at random", args=(np.array([2.0, 0.0, 1.0]), 0.1, 1)),
        Case(label="always at random", args=(np.array([0.0, 9.0, 0.0, 1.0, 0.0, 0.0]), 1.0, 2)),
        Case(label="the first draw is equal to epsilon", args=(np.array([1.0, 0.0, 3.0, 2.0]), equal, 6)),
    ]


def epsilon_greedy_by_else(values: np.ndarray, epsilon: float, rng: np.random.Generator) -> int:
    """The other way round."""
    if rng.random() >= epsilon:
        return int(np.flatnonzero(values == values.max())[0])
    return int(rng.integers(0, values.shape[0]))


test_epsilon_greedy_action = exercise(
    reference=choosing.epsilon_greedy_action,
    cases=epsilon_greedy_cases,
    observe=draws,
    accepts=[epsilon_greedy_by_else],
    mistakes=[
        *instead_of(
            "rng.random() < epsilon",
            {
                "rng.random() <= epsilon": (
                    "explores where the draw is equal to epsilon",
                    "it explores where the draw is below epsilon, so that epsilon 0 never does",
                ),
                "rng.random() > epsilon": (
                    "explores with probability 1 - epsilon",
                    "epsilon is the share of random actions: explore if the draw is below epsilon",
                ),
                "rng.random() < 0.1": ("explores with a fixed probability", "the probability is the argument epsilon"),
                "epsilon > 0 and rng.random() < epsilon": (
                    "draws nothing where epsilon is 0",
                    "rng.random() is drawn in every call, so that the draws after it stay the same",
                ),
                "rng.normal() < epsilon": (
                    "draws a normal number",
                    "a number that is even between 0 and 1 is below epsilon with probability epsilon",
                ),
                "np.random.default_rng(0).random() < epsilon": (
                    "draws from a generator of its own",
                    "every draw comes from rng, so that choices differ, and can be repeated",
                ),
            },
        ),
        *instead_of(
            "int(rng.integers(len(values)))",
            {
                "rng.integers(len(values))": (
                    "returns numpy's integer when it explores",
                    "the result is an int of Python: int(...) makes one of it",
                ),
                "int(rng.random() * len(values))": (
                    "makes an action of a fraction",
                    "the random action is rng.integers(n_actions), drawn next",
                ),
                "int(np.random.default_rng(0).integers(len(values)))": (
                    "draws the action from a generator of its own",
                    "every draw comes from rng, so that choices differ, and can be repeated",
                ),
                "int(rng.integers(len(values) - 1))": (
                    "never explores the last action",
                    "rng.integers(n) gives 0 to n - 1: the upper end is left out already",
                ),
                "int(np.delete(np.arange(len(values)), values.argmax())[rng.integers(len(values) - 1)])": (
                    "leaves the best action out when it explores",
                    "a random action is any action, the best one too",
                ),
                "int(values.argsort()[rng.integers(len(values))])": (
                    "explores by rank",
                    "the number that is drawn is the action itself",
                ),
                "float(values[rng.integers(len(values))])": (
                    "returns a value when it explores",
                    "the result is an action, the number of an arm",
                ),
            },
        ),
        *instead_of(
            "int(values.argmax())",
            {
                "values.argmax()": (
                    "returns numpy's integer when it takes the best",
                    "the result is an int of Python: int(...) makes one of it",
                ),
                "int(values.argmin())": ("takes the worst action", "the greedy action has the largest value"),
                "float(values.max())": (
                    "returns the largest value",
                    "the result is an action: argmax gives its number, max its value",
                ),
                "int(np.abs(values).argmax())": (
                    "takes the value of largest size",
                    "a very negative value is a bad one: don't take absolute values",
                ),
                "int(len(values) - 1 - values[::-1].argmax())": (
                    "takes the last of equal actions",
                    "of equal values the first counts as the largest",
                ),
                "int(rng.choice(np.flatnonzero(values == values.max())))": (
                    "draws among equal actions",
                    "nothing more is drawn where it doesn't explore: of equal values the first is taken",
                ),
            },
        ),
        *instead_of(
            "    if rng.random() < epsilon:\n        return int(rng.integers(len(values)))\n",
            {
                "": ("never explores", "with probability epsilon the action is drawn at random"),
                "    action, explores = int(rng.integers(len(values))), rng.random() < epsilon\n"
                "    if explores:\n        return action\n": (
                    "draws the action before it knows whether it explores",
                    "rng.random() comes first, and an action is drawn only where it is needed",
                ),
                "    explores, action = rng.random() < epsilon, int(rng.integers(len(values)))\n"
                "    if explores:\n        return action\n": (
                    "draws an action in every call",
                    "an action is drawn only where it explores: otherwise nothing more is drawn",
                ),
            },
        ),
    ],
)
