"""Judge of section 2.2's returns over several steps.

Shapes:  rewards, done "n_steps"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.rl.dqn import n_step

__test__ = False


def n_step_cases(generator: torch.Generator) -> list[Case]:
    """Ends inside, an end at the last step, no end; windows of one, of several, longer than the run."""
    runs = [
        ("an end in the middle", 7, [3], 0.9, 3),
        ("two ends, one at the last step", 9, [2, 8], 0.7, 4),
        ("no end", 6, [], 0.8, 2),
        ("one step", 5, [1], 0.6, 1),
        ("more steps than there are", 4, [], 0.5, 6),
        ("episodes of one step", 4, [0, 1, 2, 3], 0.9, 3),
        ("no discount", 6, [4], 1.0, 3),
    ]
    cases = []
    for label, n_steps, ends, gamma, n in runs:
        done = torch.zeros(n_steps, dtype=torch.bool)
        done[ends] = True
        rewards = torch.randn(n_steps, generator=generator) + 1
        cases.append(Case(label=label, args=(rewards, done, gamma, n), axes={"output[0]": "n_steps"}))
    return cases


def n_step_by_slices(rewards: Tensor, done: Tensor, gamma: float, n: int) -> tuple[Tensor, Tensor]:
    """Finds where each window ends, then sums a slice."""
    returns, counts = [], []
    for t in range(len(rewards)):
        window = slice(t, t + n)
        ends = done[window].nonzero()
        k = int(ends[0]) + 1 if len(ends) else len(rewards[window])
        returns.append((rewards[t : t + k] * gamma ** torch.arange(k)).sum())
        counts.append(k)
    return torch.stack(returns), torch.tensor(counts)


CUT = "an episode's last reward counts, and nothing after it"

test_compute_n_step_returns = exercise(
    reference=n_step.compute_n_step_returns,
    cases=n_step_cases,
    observe=outputs,
    accepts=[n_step_by_slices],
    mistakes=[
        *instead_of(
            "gamma ** (k - t)",
            {
                "gamma ** k": (
                    "counts the discount from the first step of all",
                    "a window's own first reward counts in full: the power is the distance from t",
                ),
                "gamma ** (k - t + 1)": ("discounts the first reward", "the reward at t itself counts in full"),
                "1": ("leaves out the discount", "a reward k steps later counts gamma^k"),
                "gamma": ("discounts every reward once", "a reward k steps later counts gamma^k"),
                "(k > t) * gamma ** (k - t)": ("leaves out the step's own reward", "the sum begins with rewards[t]"),
                "gamma ** (n - 1 - k + t)": (
                    "discounts in reverse order",
                    "later rewards count less",
                ),
            },
        ),
        *instead_of(
            "min(t + n, len(rewards))",
            {
                "min(t + n + 1, len(rewards))": (
                    "sums one reward too many",
                    "n rewards are summed, the step's own first",
                ),
                "min(t + max(n - 1, 1), len(rewards))": (
                    "sums one reward too few",
                    "n rewards are summed, the step's own first",
                ),
                "len(rewards)": ("sums to the end of the episode", "at most n rewards are summed"),
                "t + n": (
                    "doesn't stop where the steps run out",
                    "fewer rewards are summed at the end: a window stops at len(rewards)",
                ),
            },
        ),
        *instead_of(
            "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1\n"
            "            if done[k]:\n                break",
            {
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1": (
                    "goes on over the end of an episode",
                    CUT,
                ),
                "            if done[k]:\n                break\n"
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1": (
                    "leaves out an episode's last reward",
                    CUT,
                ),
                "            if done[k] and k > t:\n                break\n"
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1\n"
                "            if done[k]:\n                break": (
                    "counts an episode's last reward at the last step only",
                    CUT,
                ),
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1\n"
                "            if done[t]:\n                break": (
                    "looks for an end at the window's first step only",
                    "any step of the window may be the episode's last",
                ),
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1\n"
                "            if done[k] and k > t:\n                break": (
                    "doesn't look whether the first step was the last",
                    "the first step of a window may be its episode's last: then its reward alone is summed",
                ),
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1\n"
                "            if k > t and done[k - 1]:\n                break": (
                    "goes one step over the end of an episode",
                    CUT,
                ),
                "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1\n"
                "            if k + 1 < len(done) and done[k + 1]:\n                break": (
                    "stops one step before the end of an episode",
                    CUT,
                ),
            },
        ),
        *instead_of(
            "n_ahead[t] += 1",
            {
                "n_ahead[t] = n": (
                    "always says n steps",
                    "where fewer were summed, n_ahead says how many: the discount of what follows depends on it",
                ),
                "n_ahead[t] = k - t": ("counts one step too few", "with one reward summed, one step was made"),
                "n_ahead[t] = k - t + 2": ("counts one step too many", "n_ahead is the number of rewards in the sum"),
                "n_ahead[t] = min(n, len(rewards) - t)": (
                    "counts the steps after an episode's end too",
                    "n_ahead is the number of rewards in the sum, which stops at an end",
                ),
            },
        ),
        Mistake(
            "sums to the end of the episode, and counts n steps at most",
            "range(t, min(t + n, len(rewards))):\n"
            "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] += 1",
            "range(t, len(rewards)):\n"
            "            returns[t] += gamma ** (k - t) * rewards[k]\n            n_ahead[t] = min(n_ahead[t] + 1, n)",
            why="at most n rewards are summed",
        ),
        Mistake(
            "counts each step's own reward twice",
            "torch.zeros_like(rewards)",
            "rewards.clone()",
            why="a sum that begins with the step's reward goes on with the next one",
        ),
        Mistake(
            "leaves out windows for which there are too few steps",
            "return returns, n_ahead",
            "return returns[: max(len(rewards) - n + 1, 0)], n_ahead[: max(len(rewards) - n + 1, 0)]",
            why="each step has a return: at the end fewer rewards are summed",
        ),
        Mistake(
            "counts in floats",
            "dtype=torch.int64",
            "dtype=torch.float32",
            why="n_ahead is a number of steps, an int64",
        ),
        Mistake(
            "averages the rewards",
            "return returns, n_ahead",
            "return returns / n_ahead, n_ahead",
            why="a return is a discounted sum",
        ),
        Mistake(
            "returns the numbers of steps first",
            "return returns, n_ahead",
            "return n_ahead, returns",
            why="the order is returns, n_ahead",
        ),
    ],
)
