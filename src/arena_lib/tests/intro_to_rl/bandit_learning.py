"""Judges of Thompson's draw, and of regret."""

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.rl.bandits import choosing
from arena_lib.tests.intro_to_rl.watching import draws, result

__test__ = False


def thompson_cases(generator: torch.Generator) -> list[Case]:
    """Nothing known, much known, and arms of which one is hardly known."""

    def case(label: str, wins: list[int], losses: list[int], seed: int) -> Case:
        return Case(label=label, args=(np.array(wins), np.array(losses), seed))

    return [
        case("nothing is known", [0, 0, 0], [0, 0, 0], 0),
        case("an arm hardly known", [30, 1, 8], [20, 0, 12], 1),
        case("close arms", [6, 5, 7, 4], [5, 4, 7, 5], 2),
        case("one arm has only lost", [0, 2], [9, 3], 3),
    ]


def thompson_by_list(n_wins: np.ndarray, n_losses: np.ndarray, rng: np.random.Generator) -> int:
    """One call, and the best by hand."""
    chances = rng.beta(n_wins + 1.0, n_losses + 1.0).tolist()
    return chances.index(max(chances))


test_thompson_action = exercise(
    reference=choosing.thompson_action,
    cases=thompson_cases,
    observe=draws,
    accepts=[thompson_by_list],
    mistakes=[
        *instead_of(
            "rng.beta(1 + n_wins, 1 + n_losses)",
            {
                "rng.beta(1 + n_losses, 1 + n_wins)": (
                    "swaps wins and losses",
                    "the first parameter of the Beta distribution belongs to the wins",
                ),
                "((1 + n_wins) / (2 + n_wins + n_losses))": (
                    "takes the mean chance instead of a draw",
                    "what is little known is explored because its draws vary",
                ),
                "rng.beta(1 + n_wins, 1 + n_wins + n_losses)": (
                    "counts all tries as losses",
                    "the second parameter belongs to the losses alone",
                ),
                "rng.beta(0.5 + n_wins, 0.5 + n_losses)": (
                    "adds a half",
                    "if every chance was equally likely before, 1 is added to the wins and to the losses",
                ),
                "rng.beta(n_wins, n_losses)": (
                    "passes the counts as they are",
                    "before anything is known every chance is equally likely: that is Beta(1, 1), so 1 is added to each",
                ),
                "rng.binomial(1, rng.beta(1 + n_wins, 1 + n_losses))": (
                    "draws wins and losses from the chances",
                    "the arm with the largest drawn chance is taken: nothing else is drawn",
                ),
                "(rng.random(len(n_wins)) < rng.beta(1 + n_wins, 1 + n_losses))": (
                    "draws wins and losses from the chances",
                    "the arm with the largest drawn chance is taken: nothing else is drawn",
                ),
                "(rng.beta(1 + n_wins, 1 + n_losses) > rng.random(len(n_wins)))": (
                    "draws wins and losses from the chances",
                    "the arm with the largest drawn chance is taken: nothing else is drawn",
                ),
                "rng.beta(1 + n_wins + n_losses, 1 + n_losses)": (
                    "counts all tries as wins",
                    "the first parameter belongs to the wins alone",
                ),
                "(rng.beta(1 + n_wins, 1 + n_losses) + rng.beta(1 + n_wins, 1 + n_losses))": (
                    "draws more than once",
                    "one call of rng.beta draws for all arms",
                ),
                "rng.beta(np.maximum(n_wins, 1), np.maximum(n_losses, 1))": (
                    "forgets to add 1",
                    "before anything is known every chance is equally likely: that is Beta(1, 1)",
                ),
                "rng.normal(n_wins / np.maximum(n_wins + n_losses, 1), 1)": (
                    "draws from a normal distribution",
                    "the chance of winning has a Beta distribution",
                ),
                "np.random.default_rng(0).beta(1 + n_wins, 1 + n_losses)": (
                    "draws from a generator of its own",
                    "every draw comes from rng, so that choices differ, and can be repeated",
                ),
            },
        ),
        *instead_of(
            ".argmax()",
            {
                ".argmin()": ("takes the worst draw", "the arm with the largest draw is taken"),
            },
        ),
        *instead_of(
            "return int(",
            {
                "return (": ("returns numpy's integer", "the arm is an int of Python: int(...) makes one of it"),
                "n_wins += 1\n    n_losses += 1\n    n_wins, n_losses = n_wins - 1, n_losses - 1\n    return int(": (
                    "adds 1 to the caller's counts",
                    "the counts that are given stay as they are: n_wins + 1 makes a new array",
                ),
            },
        ),
        *instead_of(
            "int(rng.beta(1 + n_wins, 1 + n_losses).argmax())",
            {
                "float(rng.beta(1 + n_wins, 1 + n_losses).max())": (
                    "returns the largest draw",
                    "the result is an arm: argmax gives its number",
                ),
                "int(np.array([rng.beta(1 + w, 1 + n) for w, n in zip(n_losses, n_wins)]).argmin())": (
                    "draws the chances of losing",
                    "draw the chance of winning, Beta(1 + wins, 1 + losses), and take the largest",
                ),
            },
        ),
    ],
)


def regret_cases(generator: torch.Generator) -> list[Case]:
    """Best arms in the middle, means below zero, the best arm all the time, one step."""
    return [
        Case(label="some arms", args=(np.array([1.0, 3.0, 2.5]), np.array([0, 1, 2, 1, 0, 0]))),
        Case(label="means below zero", args=(np.array([-1.0, -0.5, -4.0, -3.0]), np.array([3, 2, 1, 0, 0, 2, 1]))),
        Case(label="always the best arm", args=(np.array([0.25, 0.75]), np.array([1, 1, 1]))),
        Case(label="one step", args=(np.array([0.5, 2.0, -1.0]), np.array([2]))),
        Case(label="the best arm is never taken", args=(np.array([0.2, 7.0, 0.1, 0.4]), np.array([0, 3, 2, 2, 0]))),
    ]


def regret_by_loop(means: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Step by step."""
    lost, regret = 0.0, []
    for action in actions:
        lost += max(means) - means[action]
        regret.append(lost)
    return np.array(regret)


test_compute_regret = exercise(
    reference=choosing.compute_regret,
    cases=regret_cases,
    observe=result,
    accepts=[regret_by_loop],
    mistakes=[
        *instead_of(
            "np.cumsum(means.max() - means[actions])",
            {
                "np.concatenate([[0.0], np.cumsum(means.max() - means[actions])])": (
                    "begins with a zero",
                    "there is one entry for each step: regret[0] is what step 0 has lost",
                ),
                "np.cumsum(means.max() - means[actions]).tolist()": ("returns a list", "the result is a numpy array"),
                "np.arange(len(actions)) * means.max() - np.cumsum(means[actions])": (
                    "takes the best mean once too few",
                    "after step t, t + 1 arms have been taken: the first is step 0",
                ),
                "np.arange(1, len(actions) + 1) * means.max() - means[actions]": (
                    "subtracts the last step's mean alone",
                    "the means of all steps so far are subtracted",
                ),
                "np.cumsum(actions != means.argmax())": (
                    "counts the steps that were not the best",
                    "a step loses as much as the best mean is above that of its arm",
                ),
                "np.cumsum(means.mean() - means[actions])": (
                    "compares with the average arm",
                    "regret is what was lost against the best arm",
                ),
                "np.cumsum((means.max() - means[actions])[::-1])[::-1]": (
                    "sums from the end",
                    "regret[t] is the sum of what steps 0 to t have lost",
                ),
                "np.cumsum(np.abs(means.max() - means[actions]) ** 2)": (
                    "squares the losses",
                    "a loss is the best mean minus the mean of the arm taken, as it is",
                ),
                "means.max() - np.cumsum(means[actions])": (
                    "subtracts the best mean once",
                    "the best arm could have been taken in every step",
                ),
                "means.max() - means[actions]": (
                    "gives the loss of each step",
                    "regret is the sum of all that has been lost so far",
                ),
                "(means.max() - means[actions]).sum()": (
                    "gives the regret of the last step alone",
                    "the result has an entry for each step: a cumulative sum",
                ),
                "np.cumsum(means[actions] - means.max())": (
                    "has the wrong sign",
                    "a loss is the best mean minus the mean of the arm taken",
                ),
                "np.cumsum(means[actions].max() - means[actions])": (
                    "compares with the best of the arms taken",
                    "the best arm counts even if it was never taken",
                ),
                "np.cumsum(means.max() - means[actions]) / np.arange(1, len(actions) + 1)": (
                    "divides by the number of steps",
                    "regret is a sum, not an average",
                ),
                "np.cumsum(means[actions])": (
                    "adds up what was earned",
                    "regret is what was lost against the best arm",
                ),
                "np.cumsum(np.maximum.accumulate(means[actions]) - means[actions])": (
                    "compares with the best arm so far",
                    "the best arm is the best of all, from the start",
                ),
                "np.cumsum(means.max() - means[actions]) - (means.max() - means[actions])": (
                    "leaves out the present step",
                    "regret[t] counts the steps from 0 to t, t included",
                ),
                "np.cumsum(np.abs(means).max() - means[actions])": (
                    "takes the mean of largest size",
                    "the best arm has the largest mean, not the largest absolute value",
                ),
            },
        ),
    ],
)
