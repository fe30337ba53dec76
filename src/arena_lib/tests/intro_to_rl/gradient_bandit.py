"""Judge of the gradient bandit's step."""

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rl.bandits import choosing
from arena_lib.tests.intro_to_rl.watching import result

__test__ = False


def gradient_cases(generator: torch.Generator) -> list[Case]:
    """Rewards above, below and at the baseline; preferences that are uneven, and too large for exponentials."""

    def case(label: str, preferences: list[float], action: int, reward: float, baseline: float, lr: float) -> Case:
        return Case(label=label, args=(np.array(preferences), action, reward, baseline, lr))

    return [
        case("equal preferences, a good reward", [0.0, 0.0, 0.0, 0.0], 1, 3.0, 1.0, 0.5),
        case("a bad reward", [0.3, -1.0, 0.7], 2, -2.0, 0.5, 0.1),
        case("a reward as good as the baseline", [0.3, -1.0], 0, 2.0, 2.0, 0.4),
        case("large preferences", [1000.0, 1001.0, 999.5], 0, 4.0, 3.0, 1.0),
        case("preferences far apart", [900.0, -900.0, 899.5], 2, 1.0, 0.0, 0.5),
        case("a negative reward above the baseline", [1.5, 0.2, -0.4, 0.9, 0.0], 3, -1.0, -3.0, 0.25),
    ]


def gradient_step_by_loop(
    preferences: np.ndarray, action: int, reward: float, baseline: float, lr: float
) -> np.ndarray:
    """Arm by arm, as it is written."""
    shifted = np.exp(preferences - preferences.max())
    new = preferences.copy()
    for a, p in enumerate(shifted / shifted.sum()):
        new[a] += lr * (reward - baseline) * (1 - p if a == action else -p)
    return new


def one_after_the_other(preferences: np.ndarray, action: int, reward: float, baseline: float, lr: float) -> np.ndarray:
    """The others move by probabilities of preferences that have changed already."""
    step, others = lr * (reward - baseline), np.arange(len(preferences)) != action
    new = preferences.astype(float)
    for is_moved, sign in ((~others, 1.0), (others, 0.0)):
        exponentials = np.exp(new - new.max())
        p = exponentials / exponentials.sum()
        new[is_moved] += step * (sign - p[is_moved])
    return new


test_gradient_bandit_step = exercise(
    reference=choosing.gradient_bandit_step,
    cases=gradient_cases,
    observe=result,
    accepts=[gradient_step_by_loop],
    mistakes=[
        *instead_of(
            "np.exp(preferences - preferences.max())",
            {
                "np.exp(preferences)": (
                    "computes exponentials that overflow",
                    "exp of 710 or more is infinite: subtract the largest preference first",
                ),
                "np.exp(preferences.max() - preferences)": (
                    "makes disliked actions likely",
                    "a larger preference means a larger probability",
                ),
                "np.exp(lr * (preferences - preferences.max()))": (
                    "scales preferences by the learning rate",
                    "the probabilities are softmax(preferences): lr is the size of the step alone",
                ),
                "preferences - preferences.min() + 1e-9": (
                    "leaves out the exponential",
                    "softmax divides exponentials by their sum",
                ),
            },
        ),
        *instead_of(
            "(reward - baseline)",
            {
                "reward": (
                    "forgets the baseline",
                    "what counts is how much better the reward was than the baseline",
                ),
                "np.where(taken, reward - baseline, reward)": (
                    "forgets the baseline for the other actions",
                    "every action moves by lr times the reward minus the baseline",
                ),
                "np.where(taken, reward, reward - baseline)": (
                    "forgets the baseline for the action taken",
                    "every action moves by lr times the reward minus the baseline",
                ),
                "np.abs(reward - baseline)": (
                    "drops the sign of the surprise",
                    "a reward below the baseline makes its action less likely",
                ),
                "max(reward - baseline, 0.0)": (
                    "learns nothing from bad rewards",
                    "a reward below the baseline makes its action less likely",
                ),
                "(baseline - reward)": (
                    "swaps reward and baseline",
                    "a reward above the baseline makes its action likelier",
                ),
                "(reward + baseline)": ("adds the baseline", "what counts is the reward minus the baseline"),
            },
        ),
        *instead_of(
            "(taken - p)",
            {
                "taken * (1 - p)": (
                    "leaves the other actions as they are",
                    "the others become less likely, each by its own probability",
                ),
                "(taken - p[action])": (
                    "takes the probability of the action taken for all",
                    "each other action changes by its own probability",
                ),
                "taken": ("leaves out the probabilities", "an action that is likely already changes less"),
                "(taken - p) / p[action]": (
                    "divides by the probability",
                    "the gradient of the logarithm of the probability is 1 - p and -p already",
                ),
                "np.where(taken, 1 - p, (p[action] - 1) / (len(p) - 1))": (
                    "shares what the others lose equally",
                    "each other action changes by its own probability",
                ),
                "(1 - p)": (
                    "treats every action as the one taken",
                    "1 - p belongs to the action taken, the others change by -p",
                ),
                "np.where(taken, p[action] * (1 - p[action]), -p * p[action])": (
                    "multiplies by the probability of the action taken",
                    "the gradient of the logarithm of the probability is 1 - p and -p, without that factor",
                ),
                "(taken * 1.0 - ~taken)": (
                    "moves all actions by the same amount",
                    "an action moves by 1 - p if it was taken, else by -p",
                ),
                "(taken - 1 / len(p))": (
                    "takes equal probabilities",
                    "the probabilities are the softmax of the preferences",
                ),
                "(taken + p)": (
                    "raises the other actions too",
                    "where one action becomes likelier, the others become less likely",
                ),
            },
        ),
        *instead_of(
            "exponentials / exponentials.sum()",
            {
                "exponentials": ("leaves out the sum", "probabilities sum to 1: divide by the sum of the exponentials"),
            },
        ),
        *instead_of(
            "preferences + lr *",
            {
                "preferences - preferences.max() + lr *": (
                    "returns shifted preferences",
                    "the largest is subtracted for the exponentials alone: the step starts from the preferences given",
                ),
                "p + lr *": (
                    "adds the step to the probabilities",
                    "the step is added to the preferences, from which probabilities are made",
                ),
                "preferences +": ("ignores the learning rate", "the step is lr times the gradient"),
                "lr *": ("returns the step alone", "the result is the new preferences: the old ones plus the step"),
            },
        ),
        *instead_of(
            "return preferences + lr * (reward - baseline) * (taken - p)",
            {
                "preferences += lr * (reward - baseline) * (taken - p)\n    return preferences": (
                    "changes the caller's array",
                    "the old preferences stay as they were: return new ones",
                ),
            },
        ),
        Mistake(
            "moves the action first and then the others",
            function=one_after_the_other,
            why="all probabilities are those of the old preferences: work them out before anything moves",
        ),
    ],
)
