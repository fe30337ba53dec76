"""Judges of section 2.2's improvements: rewards of several steps, and replay by priority.

Shapes:  rewards, done "n_steps"; priorities "n_stored"; rows, weights "batch"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs
from arena_lib.rl.dqn import n_step, prioritized
from arena_lib.tests.dqn_and_vpg.memory import rows_drawn, without_generator

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
            },
        ),
        Mistake(
            "counts in floats",
            "dtype=torch.int64",
            "dtype=torch.float32",
            why="n_ahead is a number of steps, an int64",
        ),
        Mistake(
            "returns the numbers of steps first",
            "return returns, n_ahead",
            "return n_ahead, returns",
            why="the order is returns, n_ahead",
        ),
    ],
)


def compute_priorities_cases(generator: torch.Generator) -> list[Case]:
    """Errors of both signs, of size zero, and several exponents."""
    errors = 2 * torch.randn(7, generator=generator)
    axes = {"output": "batch"}
    return [
        Case(label="errors of both signs", args=(errors, 0.6, 0.01), axes=axes),
        Case(label="an error of zero", args=(torch.tensor([0.0, -3.0, 0.5]), 0.7, 0.2), axes=axes),
        Case(label="alpha 1", args=(errors, 1.0, 0.1), axes=axes),
        Case(label="alpha 0", args=(errors, 0.0, 0.1), axes=axes),
        Case(label="one error", args=(errors[:1], 0.5, 0.3), axes=axes),
    ]


test_compute_priorities = exercise(
    reference=prioritized.compute_priorities,
    cases=compute_priorities_cases,
    observe=outputs,
    accepts=[lambda td_errors, alpha, eps: torch.exp(alpha * torch.log(torch.sqrt(td_errors * td_errors) + eps))],
    mistakes=instead_of(
        "(td_errors.abs() + eps) ** alpha",
        {
            "(td_errors + eps).abs() ** alpha": (
                "adds eps before it takes the absolute value",
                "an error of -eps would get the priority 0",
            ),
            "td_errors.abs() ** alpha + eps": (
                "adds eps after the power",
                "eps is added to the size of the error, and the power is taken of the sum",
            ),
            "td_errors.abs() ** alpha": (
                "leaves out eps",
                "a transition without any error would never be drawn again",
            ),
            "td_errors.clamp_min(0).add(eps) ** alpha": (
                "gives negative errors no priority",
                "an error of either sign says that there is something to learn",
            ),
            "(td_errors.abs() + eps) * alpha": ("multiplies by alpha", "alpha is an exponent"),
            "(td_errors.abs() + eps) ** (1 - alpha)": (
                "takes 1 - alpha as the exponent",
                "with alpha 0 all are alike, with 1 the priority grows as the error does",
            ),
            "(td_errors.square() + eps) ** alpha": ("squares the errors", "the size of an error counts as it is"),
            "((td_errors.abs() + eps) ** alpha).softmax(dim=0)": (
                "takes a softmax",
                "a priority is a number for itself; who draws divides by the sum",
            ),
            "(td_errors.abs() + eps) ** alpha / ((td_errors.abs() + eps) ** alpha).sum()": (
                "divides by the sum",
                "a priority is a number for itself; who draws divides by the sum of all that are stored",
            ),
        },
    ),
)


def sample_by_priority_cases(generator: torch.Generator) -> list[Case]:
    """Priorities in no order, zeros among them, one that outweighs all, one row."""
    rows = {
        "priorities in no order": (torch.rand(9, generator=generator) + 0.05, 30),
        "zeros first, last and between": (torch.tensor([0.0, 2.0, 0.0, 0.0, 1.0, 3.0, 0.0]), 24),
        "one outweighs all": (torch.tensor([0.5, 0.5, 40.0, 0.5, 0.5]), 12),
        "one row": (torch.tensor([0.3]), 5),
        "one draw": (torch.tensor([1.0, 2.0, 3.0]), 1),
        "large priorities": (100 * torch.rand(6, generator=generator) + 1, 20),
    }
    return [
        Case(label=label, call="priorities, batch_size, generator", given={"args": args}, axes={"output": "batch_size"})
        for label, args in rows.items()
    ]


def rows_by_search(priorities: Tensor, batch_size: int, generator: torch.Generator) -> Tensor:
    """Walks along the line for each point."""
    u = torch.rand(batch_size, generator=generator)
    rows = []
    for k in range(batch_size):
        point, sums = (k + u[k]) / batch_size * priorities.sum(), priorities.cumsum(0)
        rows.append(int((sums <= point).sum()))
    return torch.tensor(rows)


PARTS = "there is one point in each of batch_size equal parts of the line"

test_sample_by_priority = exercise(
    reference=prioritized.sample_by_priority,
    cases=sample_by_priority_cases,
    observe=rows_drawn,
    accepts=[rows_by_search],
    equivalent={
        "sums = priorities.cumsum(dim=0)": "there is one axis",
        "torch.searchsorted(sums, shares * sums[-1], right=True)": "a point is on a border once in millions of draws",
        "return rows.clamp(max=len(priorities) - 1)": "a point is beyond the end only by rounding",
    },
    mistakes=[
        *instead_of(
            "(torch.arange(batch_size) + torch.rand(batch_size, generator=generator)) / batch_size",
            {
                "torch.rand(batch_size, generator=generator)": ("draws points from the whole line", PARTS),
                "(torch.arange(batch_size) + torch.rand(1, generator=generator)) / batch_size": (
                    "draws one number for all parts",
                    "each part gets a draw of its own",
                ),
                "(torch.arange(batch_size) + 0.5 + 0 * torch.rand(batch_size, generator=generator)) / batch_size": (
                    "takes the middle of each part",
                    "the point in a part is chosen at random",
                ),
                "torch.arange(batch_size) + torch.rand(batch_size, generator=generator)": (
                    "doesn't divide by the number of parts",
                    "the parts lie on the line from 0 to the sum of all priorities",
                ),
                "(torch.arange(batch_size) + 1 + torch.rand(batch_size, generator=generator)) / (batch_size + 1)": (
                    "leaves out the first part",
                    "the first part begins at 0",
                ),
            },
        ),
        *instead_of(
            "torch.searchsorted(sums, shares * sums[-1], right=True)",
            {
                "torch.searchsorted(sums, shares, right=True)": (
                    "takes the line for one of length 1",
                    "the line is as long as the sum of all priorities: multiply, or divide the sums by it",
                ),
                "torch.searchsorted(sums, shares * len(priorities), right=True)": (
                    "takes the line for one of length n_stored",
                    "the line is as long as the sum of all priorities",
                ),
                "torch.searchsorted(sums, shares * sums[-1], right=True) + 1": (
                    "takes the row after the one it found",
                    "rows are counted from 0",
                ),
                "(torch.searchsorted(sums, shares * sums[-1], right=True) - 1).clamp(min=0)": (
                    "takes the row before the one it found",
                    "the sum with a row itself must be above the point",
                ),
                "(shares * len(priorities)).long()": (
                    "draws all rows with equal probability",
                    "a row's piece of the line is as long as its priority",
                ),
            },
        ),
        Mistake(
            "sorts the priorities",
            "priorities.cumsum(dim=0)",
            "priorities.sort().values.cumsum(dim=0)",
            why="after sorting, a place on the line no longer belongs to its row",
        ),
        Mistake(
            "draws by the squares of the priorities",
            "priorities.cumsum(dim=0)",
            "priorities.square().cumsum(dim=0)",
            why="the probability is in proportion to the priority itself, and not to its square",
        ),
        Mistake(
            "ignores the generator",
            "torch.rand(batch_size, generator=generator)",
            "torch.rand(batch_size)",
            why="the same generator state must give the same batch",
            shows=without_generator,
        ),
    ],
)


def compute_replay_weights_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes of memory and exponents."""
    probabilities = torch.rand(6, generator=generator) / 10 + 0.01
    axes = {"output": "batch"}
    return [
        Case(label="beta 0.4", args=(probabilities, 0.4), axes=axes),
        Case(label="beta 1", args=(probabilities, 1.0), axes=axes),
        Case(label="beta 0", args=(probabilities, 0.0), axes=axes),
        Case(label="one transition", args=(probabilities[:1], 0.7), axes=axes),
    ]


def weights_from_the_rarest(probabilities: Tensor, beta: float) -> Tensor:
    """The rarest transition has the largest weight, so nothing else is needed."""
    return (probabilities.min() / probabilities).pow(beta)


test_compute_replay_weights = exercise(
    reference=prioritized.compute_replay_weights,
    cases=compute_replay_weights_cases,
    observe=outputs,
    accepts=[weights_from_the_rarest],
    mistakes=[
        *instead_of(
            "probabilities**-beta",
            {
                "probabilities**beta": (
                    "gives more weight to what is drawn more often",
                    "what comes more often must count less each time",
                ),
                "probabilities**-1": ("ignores beta", "beta says how far the draw is made up for"),
                "probabilities ** -(1 - beta)": (
                    "takes 1 - beta as the exponent",
                    "with beta 1 the draw is made up for in full",
                ),
                "-beta * probabilities": ("multiplies by beta", "beta is an exponent"),
            },
        ),
        *instead_of(
            "weights / weights.max()",
            {
                "weights": ("doesn't divide by the largest", "the largest weight of a batch is 1, so no step grows"),
                "weights / weights.sum()": (
                    "divides by the sum",
                    "dividing by the largest keeps the largest step as large as it was",
                ),
                "weights / weights.mean()": ("divides by the mean", "the largest weight of a batch is 1"),
                "weights / weights.min()": ("divides by the smallest", "the largest weight of a batch is 1"),
                "(weights / weights.max()).clamp(max=0.5)": ("cuts the weights off", "weights from 0 to 1 are right"),
            },
        ),
    ],
)
