"""Judges of section 2.2's returns: what came after each step, brought to one size.

Shapes:  rewards, done, returns "n_envs n_steps"
"""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of, outputs, stops_with
from arena_lib.rl.policy_gradient import returns

__test__ = False

STEPS = {"output": "n_envs n_steps"}


def compute_returns_cases(generator: torch.Generator) -> list[Case]:
    """Ends inside, at the last step, in every step; one environment; one step; no discount."""
    ends = torch.zeros(3, 7, dtype=torch.bool)
    ends[0, 2], ends[1, 6], ends[2, [0, 4]] = True, True, True
    rewards = torch.randn(3, 7, generator=generator) + 0.5
    return [
        Case(label="ends at different steps", args=(rewards, ends, 0.9), axes=STEPS),
        Case(label="no end", args=(rewards[:, :5], torch.zeros(3, 5).bool(), 0.5), axes=STEPS),
        Case(label="an end in every step", args=(rewards[:2, :4], torch.ones(2, 4).bool(), 0.8), axes=STEPS),
        Case(label="one environment", args=(rewards[:1], ends[2:], 0.7), axes=STEPS),
        Case(label="one step", args=(rewards[:, :1], ends[:, :1], 0.7), axes=STEPS),
        Case(label="no discount", args=(rewards, ends, 1.0), axes=STEPS),
        Case(label="the default discount", args=(rewards, ends), axes=STEPS),
    ]


def returns_by_sums(rewards: Tensor, done: Tensor, gamma: float = 0.9) -> Tensor:
    """Sums what is left of each episode, step by step."""
    result = torch.empty_like(rewards)
    for i in range(rewards.shape[0]):
        for t in range(rewards.shape[1]):
            total, factor = 0.0, 1.0
            for k in range(t, rewards.shape[1]):
                total += factor * float(rewards[i, k])
                factor *= gamma
                if done[i, k]:
                    break
            result[i, t] = total
    return result


def returns_by_columns(rewards: Tensor, done: Tensor, gamma: float = 0.9) -> Tensor:
    """Carries one column back through time."""
    columns, after = [], torch.zeros(len(rewards))
    for reward, end in zip(reversed(rewards.unbind(1)), reversed(done.unbind(1)), strict=True):
        after = reward + gamma * torch.where(end, 0.0, after)
        columns.append(after)
    return torch.stack(columns[::-1], dim=1)


WHOLE = (
    "returns = rewards.clone()\n    for t in reversed(range(rewards.shape[1] - 1)):\n"
    "        returns[:, t] += gamma * returns[:, t + 1] * ~done[:, t]"
)
OTHER = "what comes after an end belongs to another episode"
MISCOUNTED = (
    "takes the number of environments for that of steps",
    "time is the second axis: there are rewards.shape[1] steps",
)

test_compute_returns = exercise(
    reference=returns.compute_returns,
    cases=compute_returns_cases,
    observe=outputs,
    accepts=[returns_by_sums, returns_by_columns],
    mistakes=[
        *instead_of(
            "gamma * returns[:, t + 1] * ~done[:, t]",
            {
                "gamma * returns[:, t + 1]": ("goes on over the end of an episode", OTHER),
                "gamma * returns[:, t + 1] * ~done[:, t + 1]": (
                    "looks at the end of the next step, and stops one step too soon",
                    "done[t] says that step t was the last: its own reward counts, and the next episode's don't",
                ),
                "returns[:, t + 1] * ~done[:, t]": ("leaves out the discount", "what comes a step later counts gamma"),
                "gamma * rewards[:, t + 1] * ~done[:, t]": (
                    "adds only the next reward, for instance by going forward in time",
                    "a step needs the return of the next one, which holds all that comes after: go back from the last step",
                ),
                "gamma * returns[:, t + 1] * ~done[:, t - 1]": (
                    "looks at the end of the step before",
                    "done[t] says that step t itself was the last: what comes after it doesn't count for it",
                ),
                "gamma * returns[:, t + 1] * ~done[:, t].any()": (
                    "stops all environments where one episode ended",
                    "each environment's episodes end by themselves",
                ),
                "returns[:, t + 1]": (
                    "leaves out the discount, and goes on over the end of an episode",
                    f"what comes a step later counts gamma, and {OTHER}",
                ),
                "gamma ** t * returns[:, t + 1] * ~done[:, t]": (
                    "discounts by the number of the step",
                    "each step back multiplies by gamma once",
                ),
                "gamma * returns[:, t + 1] * done[:, t]": ("goes on only over the end of an episode", OTHER),
                "returns[:, t + 1] * ~done[:, t]\n        returns[:, t] *= gamma": (
                    "discounts the reward too",
                    "a step's own reward counts in full",
                ),
            },
        ),
        *instead_of(
            "returns = rewards.clone()",
            {
                "returns = rewards": (
                    "writes into the rewards",
                    "the rewards belong to the caller: work on a clone",
                ),
                "returns = rewards.clone()\n    returns[:, -1] = 0": (
                    "drops the last reward",
                    "the last step's return is its reward",
                ),
                "returns = rewards.clone()\n    return returns": (
                    "returns the rewards",
                    "what comes after counts too: go back from the last step, so that the next step's return is there",
                ),
                "returns = rewards.clone()\n    returns[:, -1] = 0\n    return returns": (
                    "adds nothing of what comes after, for instance by going forward in time",
                    "a step needs the return of the next one: go back from the last step, with reversed(range(...))",
                ),
                "returns = rewards * ~done": (
                    "drops an episode's last reward",
                    "the step that ends an episode has its reward, and nothing after it",
                ),
            },
        ),
        *instead_of(
            WHOLE,
            {
                "returns = rewards * gamma ** rewards.new_tensor(range(rewards.shape[1]))\n"
                "    for t in reversed(range(rewards.shape[1] - 1)):\n"
                "        returns[:, t] += returns[:, t + 1] * ~done[:, t]": (
                    "discounts from the first step of the rollout",
                    "a step's own reward counts in full: the power is the distance from the step itself",
                ),
                "returns = rewards.clone()\n    for t in reversed(range(rewards.shape[1])):\n"
                "        returns[:, t] = gamma * (returns[:, t] + (returns[:, t + 1] if t + 1 < rewards.shape[1] else 0))": (
                    "goes on over the end of an episode, and discounts the reward too",
                    f"a step's own reward counts in full, and {OTHER}",
                ),
                "returns = rewards.clone()\n    for t in reversed(range(rewards.shape[1] - 1)):\n"
                "        returns[:, t] = (1 - gamma) * returns[:, t] + gamma * returns[:, t + 1] * ~done[:, t]": (
                    "averages the reward and what follows",
                    "a step's own reward counts in full, and what follows is added",
                ),
                "returns = rewards.clone()\n    for t in range(1, rewards.shape[1]):\n"
                "        returns[:, t] += gamma * returns[:, t - 1] * ~done[:, t - 1]": (
                    "sums what came before",
                    "a return is what comes after: go back from the last step",
                ),
                "returns = rewards.clone()\n    for t in range(1, rewards.shape[1]):\n"
                "        returns[:, t] += gamma * returns[:, t - 1] * ~done[:, t]": (
                    "goes forward in time, so that it sums what came before",
                    "a return is what comes after: go back from the last step, with reversed(range(...))",
                ),
                "returns = rewards * 0\n    after = 0 * rewards[:, 0]\n    for t in reversed(range(rewards.shape[0])):\n"
                "        returns[:, t] = after = rewards[:, t] + gamma * after * ~done[:, t]": MISCOUNTED,
                "returns = rewards.clone()\n    for t in reversed(range(rewards.shape[0] - 1)):\n"
                "        returns[t] += gamma * returns[t + 1] * ~done[t]": (
                    "goes along the environments",
                    "time is the second axis: row i is environment i",
                ),
            },
        ),
        Mistake(
            "subtracts booleans from 1",
            "gamma * returns[:, t + 1] * ~done[:, t]",
            "gamma * returns[:, t + 1] * (1 - done[:, t])",
            why="done is boolean: ~done inverts it, and 1 - done.float() makes numbers first",
            shows=stops_with("with a bool tensor is not supported"),
        ),
        Mistake(
            "asks whether all environments are done with one `if` or `not`",
            "gamma * returns[:, t + 1] * ~done[:, t]",
            "gamma * returns[:, t + 1] * (not done[:, t])",
            why="each environment's episodes end by themselves: multiply by ~done[:, t], or use torch.where",
            shows=stops_with("Boolean value of Tensor with more than one value"),
        ),
        Mistake(
            "always takes 0.9 for gamma",
            "    for t in reversed(",
            "    gamma = 0.9\n    for t in reversed(",
            why="gamma is an argument; 0.9 is what it is where none is given",
        ),
        *instead_of(
            "reversed(range(rewards.shape[1] - 1))",
            {
                "reversed(range(rewards.shape[0] - 1))": MISCOUNTED,
                "reversed(range(rewards.shape[1]))": (
                    "looks for a step after the last",
                    "at the last step the return is just the reward: t + 1 ends with the last column",
                    "IndexError",
                ),
                "reversed(range(rewards.shape[1] - 2))": (
                    "leaves out the last step but one",
                    "every step but the last adds what comes after it",
                ),
            },
        ),
        *instead_of(
            "    return returns\n",
            {
                "    return returns[:, :1].expand_as(rewards)\n": (
                    "gives every step the return of the first",
                    "an action can't change what came before it: each step has a return of its own",
                ),
                "    return rewards.sum(dim=1, keepdim=True).expand_as(rewards)\n": (
                    "gives every step the sum of all rewards",
                    "a return is what came after, discounted: each step has one of its own",
                ),
                "    return returns.flip(1)\n": ("leaves the steps in reverse order", "column t is step t"),
            },
        ),
    ],
)


def normalize_returns_cases(generator: torch.Generator) -> list[Case]:
    """Several environments, all alike, small numbers, one environment."""
    many = 4 * torch.randn(3, 5, generator=generator) + 20
    return [
        Case(label="several environments", args=(many,), axes=STEPS),
        Case(label="returns that are all alike", args=(torch.full((2, 3), 7.0),), axes=STEPS),
        Case(label="another eps", args=(many, 0.5), axes=STEPS),
        Case(label="one environment", args=(many[:1],), axes=STEPS),
        Case(label="small returns", args=(1e-8 * torch.randn(2, 6, generator=generator),), axes=STEPS),
        Case(label="one axis", args=(many[0],), axes={"output": "n_steps"}),
    ]


def normalize_by_hand(values: Tensor, eps: float = 1e-8) -> Tensor:
    """Writes the standard deviation out."""
    centred = values - values.sum() / values.numel()
    return centred / ((centred**2).sum().div(values.numel() - 1).sqrt() + eps)


TOGETHER = "mean and standard deviation are those of all entries together"

test_normalize_returns = exercise(
    reference=returns.normalize_returns,
    cases=normalize_returns_cases,
    observe=outputs,
    accepts=[normalize_by_hand],
    mistakes=[
        *instead_of(
            "(returns - returns.mean())",
            {
                "returns": ("doesn't subtract the mean", "the mean becomes 0, so that half of the actions get rarer"),
                "(returns - returns.median())": ("subtracts the median", "the mean must become 0"),
            },
        ),
        *instead_of(
            "returns.std()",
            {
                "returns.var()": ("divides by the variance", "the standard deviation is its root"),
                "returns.std(correction=0)": (
                    "divides by n in the variance",
                    "the docstring asks for torch's default, with n - 1",
                ),
            },
        ),
        *instead_of(
            " + eps)",
            {
                ")": ("leaves out eps", "returns that are all alike have the standard deviation 0"),
                " + 1e-8)": ("always takes 1e-8 for eps", "eps is an argument"),
            },
        ),
        *instead_of(
            "(returns - returns.mean()) / (returns.std() + eps)",
            {
                "returns - returns.mean()": (
                    "doesn't divide by the standard deviation",
                    "the size of a step would hang on it",
                ),
                "(returns - returns.mean(dim=-1, keepdim=True)) / (returns.std(dim=-1, keepdim=True) + eps)": (
                    "takes each environment by itself",
                    TOGETHER,
                ),
                "(returns - returns.mean(dim=0, keepdim=True)) / (returns.std(dim=0, keepdim=True) + eps)": (
                    "takes each step by itself",
                    TOGETHER,
                ),
                "(returns - returns.mean()) / (returns.norm() + eps)": (
                    "divides by the length of the returns",
                    "the standard deviation is the root of the mean squared distance from the mean",
                ),
                "returns / (returns.abs().max() + eps)": (
                    "divides by the largest size",
                    "the mean must become 0 and the standard deviation 1",
                ),
                "(returns - returns.mean()) / returns.std().clamp(min=eps)": (
                    "takes eps for the smallest standard deviation",
                    "eps is added to the standard deviation",
                ),
                "returns.sub_(returns.mean()).div_(returns.std() + eps)": (
                    "writes into the returns",
                    "the returns belong to the caller: write a - b, not a -= b",
                ),
                "(returns - returns.mean()) / (returns.var() + eps).sqrt()": (
                    "adds eps to the variance",
                    "eps is added to the standard deviation",
                ),
                "(returns - returns.min()) / (returns.max() - returns.min() + eps)": (
                    "brings the returns between 0 and 1",
                    "the mean must become 0 and the standard deviation 1",
                ),
                "returns - returns.mean() / (returns.std() + eps)": (
                    "divides the mean only",
                    "a quotient comes before a difference: put the difference in brackets",
                ),
                "(returns - returns.mean()) / returns.std() + eps": (
                    "adds eps to the result",
                    "eps belongs to the divisor, which may be 0",
                ),
            },
        ),
    ],
)
