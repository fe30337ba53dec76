"""Judges of advantages, section 2.4: of tokens by a value head, and of samples by their group."""

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.rlhf import advantages

__test__ = False


def advantage_cases(generator: torch.Generator) -> list[Case]:
    """Prompts and responses of several lengths, down to one token."""
    sizes = [
        ("several samples", 3, 7, 4, torch.float32),
        ("a prompt of one token", 2, 5, 1, torch.float32),
        ("a response of one token", 4, 6, 5, torch.float32),
        ("one sample", 1, 8, 2, torch.float32),
        ("in float64", 2, 6, 3, torch.float64),
    ]
    return [
        Case(
            label=label,
            args=(
                torch.randn(batch, seq_len, generator=generator, dtype=dtype),
                torch.randn(batch, generator=generator, dtype=dtype) + 1.5,
                prefix_len,
            ),
        )
        for label, batch, seq_len, prefix_len, dtype in sizes
    ]


def advantages_by_differences(values: Tensor, rewards: Tensor, prefix_len: int) -> Tensor:
    """Puts the reward in the place of the last value, and takes differences."""
    worth = torch.cat([values[:, :-1], rewards.unsqueeze(1)], dim=1)
    return worth.diff(dim=1)[:, prefix_len - 1 :]


def advantages_by_loop(values: Tensor, rewards: Tensor, prefix_len: int) -> Tensor:
    """Token by token, backwards."""
    after, columns = rewards, list[Tensor]()
    for t in range(values.shape[1] - 1, prefix_len - 1, -1):
        columns.insert(0, after - values[:, t - 1])
        after = values[:, t - 1]
    return torch.stack(columns, dim=-1)


BEFORE = "values[:, prefix_len - 1 : -1]"
AFTER = "torch.cat([values[:, prefix_len:-1], rewards[:, None]], dim=1)"
DIFFERENCE = "after - before"

test_compute_advantages = exercise(
    reference=advantages.compute_advantages,
    cases=advantage_cases,
    accepts=[advantages_by_differences, advantages_by_loop],
    mistakes=[
        *instead_of(
            BEFORE,
            {
                "values[:, prefix_len:]": (
                    "subtracts the value after the token",
                    "the value at place t - 1 is what was expected before token t was drawn",
                ),
                "values[:, :1]": (
                    "subtracts the value of the first token of the prompt",
                    "from each token the value just before it is subtracted: values[:, t - 1]",
                ),
                "values[:, prefix_len - 1 : prefix_len]": (
                    "subtracts the prompt's value from every token",
                    "from each token the value just before it is subtracted: values[:, t - 1]",
                ),
                "torch.zeros_like(values[:, prefix_len - 1 : -1])": (
                    "subtracts no value",
                    "an advantage is what came less what was expected before",
                ),
            },
        ),
        *instead_of(
            AFTER,
            {
                "torch.cat([values[:, prefix_len:-1], rewards[:, None]], dim=1) + values[:, -1:]": (
                    "adds the value of the last place",
                    "values[seq_len - 1] is not used: the text is over then",
                ),
                "torch.cat([values[:, prefix_len:-1], rewards[:, None] + values[:, -1:]], dim=1)": (
                    "adds the last value to the reward",
                    "after the last token nothing more is expected: the reward stands in place of the value",
                ),
                "values[:, prefix_len:]": (
                    "leaves the reward out",
                    "after the last token the value is the reward, which is known then",
                ),
                "values[:, prefix_len:] + rewards[:, None]": (
                    "adds the reward at each token",
                    "the reward comes once, after the last token, in place of a value",
                ),
                "rewards[:, None] + torch.cat([values[:, prefix_len:-1], 0 * rewards[:, None]], dim=1)": (
                    "adds the reward at each token, and no value after the last",
                    "the reward comes once, after the last token, in place of a value",
                ),
                "rewards[:, None]": (
                    "gives every token the reward less the value before it, as if all later steps were its own",
                    "each token has its own step alone: after one that isn't the last comes values[:, t], not the reward",
                ),
                "torch.cat([rewards[:, None], values[:, prefix_len:-1]], dim=1)": (
                    "gives the reward to the first token",
                    "the reward comes after the last token: it stands last",
                ),
                "torch.cat([values[:, prefix_len + 1 :], rewards[:, None]], dim=1)": (
                    "looks one token too far ahead",
                    "the value after token t stands at place t, since the model has read token t there",
                ),
            },
        ),
        *instead_of(
            DIFFERENCE,
            {
                "before - after": ("turns the sign round", "an advantage is the value after a token less that before"),
                "after - before - (after - before).mean(dim=1, keepdim=True)": (
                    "subtracts each sample's mean",
                    "advantages are given as they are: no mean is taken away",
                ),
                "(after - before - (after - before).mean()) / ((after - before).std() + 1e-8)": (
                    "normalises the advantages",
                    "advantages are given as they are; normalising comes later, within each minibatch",
                ),
                "(after - before).float()": (
                    "rounds to float32",
                    "the result has the dtype of the values",
                ),
                "values[:, -1:].copy_(rewards[:, None]) * 0 + after - before": (
                    "writes the reward into values",
                    "no argument is changed: make a new tensor, with torch.cat for example",
                ),
            },
        ),
        Mistake(
            "gives the prompt's tokens advantages too",
            f"before = {BEFORE}\n    after = {AFTER}",
            "before = values[:, :-1]\n    after = torch.cat([values[:, 1:-1], rewards[:, None]], dim=1)",
            why="the policy drew only the tokens from prefix_len on",
        ),
        Mistake(
            "uses the values of one place further on throughout",
            f"before = {BEFORE}\n    after = {AFTER}",
            "before = values[:, prefix_len:]\n"
            "    after = torch.cat([values[:, prefix_len + 1 :], rewards[:, None]], dim=1)",
            why="the value before token t stands at place t - 1, the last place that was read then",
        ),
    ],
)


def group_cases(generator: torch.Generator) -> list[Case]:
    """Groups of several sizes, scaled and not; one of equal rewards, one of rewards that hardly differ."""

    def rewards(n_groups: int, group_size: int, dtype: torch.dtype = torch.float32) -> Tensor:
        means = 3 * torch.randn(n_groups, 1, generator=generator, dtype=dtype)
        spreads = torch.rand(n_groups, 1, generator=generator, dtype=dtype) + 0.3
        drawn = torch.randn(n_groups, group_size, generator=generator, dtype=dtype)
        return (means + spreads * drawn).flatten()

    close = torch.tensor([1.0, 1.0, 1.0, 0.5, 0.5001, 0.5])
    return [
        Case(label="three groups of four", args=(rewards(3, 4), 4)),
        Case(label="not scaled", args=(rewards(2, 5), 5), kwargs={"is_scaled": False}),
        Case(label="groups of two", args=(rewards(5, 2), 2)),
        Case(label="one group", args=(rewards(1, 6), 6)),
        Case(label="equal rewards, and nearly equal ones", args=(close, 3)),
        Case(label="a large eps", args=(rewards(2, 3), 3), kwargs={"eps": 0.5}),
        Case(label="in float64", args=(rewards(3, 2, torch.float64), 2), kwargs={"is_scaled": True}),
    ]


def group_advantages_by_loop(
    rewards: Tensor, group_size: int, *, is_scaled: bool = True, eps: float = advantages.GROUP_EPS
) -> Tensor:
    """Group by group."""
    parts = []
    for start in range(0, len(rewards), group_size):
        group = rewards[start : start + group_size]
        difference = group - group.sum() / group_size
        std = (difference.square().sum() / (group_size - 1)).sqrt()
        parts.append(difference / (std + eps) if is_scaled else difference)
    return torch.cat(parts)


def group_advantages_by_repeating(
    rewards: Tensor, group_size: int, *, is_scaled: bool = True, eps: float = advantages.GROUP_EPS
) -> Tensor:
    """Repeats the mean and the standard deviation of each group for its samples."""
    groups = rewards.view(-1, group_size)
    result = rewards - groups.mean(1).repeat_interleave(group_size)
    return result / (groups.std(1).repeat_interleave(group_size) + eps) if is_scaled else result


OWN_GROUP = "each sample is compared with the samples of its own prompt"

test_compute_group_advantages = exercise(
    reference=advantages.compute_group_advantages,
    cases=group_cases,
    accepts=[group_advantages_by_loop, group_advantages_by_repeating],
    mistakes=[
        *instead_of(
            "groups.mean(dim=1, keepdim=True)",
            {
                "rewards.mean()": ("subtracts the mean of the whole batch", OWN_GROUP + ", not with the whole batch"),
                "groups.mean(dim=0, keepdim=True)": (
                    "takes the mean over groups in place of the mean of each group",
                    OWN_GROUP + ": the mean runs over samples",
                ),
                "0": (
                    "does not subtract the group's mean",
                    "what counts is how much better a sample was than the others",
                ),
                "(groups.sum(dim=1, keepdim=True) - groups) / (group_size - 1)": (
                    "leaves the sample itself out of the mean",
                    "the mean is that of the whole group, the sample itself included",
                ),
                "groups.median(dim=1, keepdim=True).values": (
                    "subtracts the median",
                    "from each reward the mean of its group is taken",
                ),
                "groups[:, :1]": (
                    "subtracts the group's first reward",
                    "from each reward the mean of its group is taken",
                ),
            },
        ),
        *instead_of(
            "(group sample) -> group sample",
            {
                "(sample group) -> group sample": (
                    "takes samples that stand apart for a group",
                    "samples of one prompt stand side by side: the first group_size of the batch are one group",
                ),
            },
        ),
        *instead_of(
            "advantages / (groups.std(dim=1, keepdim=True) + eps)",
            {
                "advantages / (rewards.std() + eps)": (
                    "divides by the standard deviation of the whole batch",
                    "the difference is divided by the group's own standard deviation",
                ),
                "advantages / (groups.std(dim=0, keepdim=True) + eps)": (
                    "takes the standard deviation over groups in place of that of each group",
                    "the difference is divided by the group's own standard deviation, which runs over samples",
                ),
                "advantages / (groups.std(dim=1, correction=0, keepdim=True) + eps)": (
                    "divides the sum of squares by n",
                    "the standard deviation is torch's, with n - 1",
                ),
                "advantages / (groups.var(dim=1, keepdim=True) + eps)": (
                    "divides by the variance",
                    "the standard deviation is the root of the variance",
                ),
                "advantages / (groups.var(dim=1, keepdim=True) + eps).sqrt()": (
                    "adds eps to the variance",
                    "eps is added to the standard deviation, outside the root",
                ),
                "advantages / groups.std(dim=1, keepdim=True)": (
                    "leaves eps out",
                    "equal rewards would be divided by zero",
                ),
                "advantages / groups.std(dim=1, keepdim=True) + eps": (
                    "adds eps to the quotient",
                    "eps is added to the standard deviation: it needs brackets",
                ),
                "advantages / groups.std(dim=1, keepdim=True).clamp(min=eps)": (
                    "takes eps for the smallest standard deviation",
                    "eps is added to the standard deviation",
                ),
                "groups - groups.mean(dim=1, keepdim=True) / (groups.std(dim=1, keepdim=True) + eps)": (
                    "divides only the mean by the standard deviation",
                    "the difference from the mean is divided: it needs brackets",
                ),
                "advantages / (groups.max(dim=1, keepdim=True).values - groups.min(dim=1, keepdim=True).values + eps)": (
                    "divides by the range of the group",
                    "the difference is divided by the standard deviation",
                ),
            },
        ),
        *instead_of(
            "if is_scaled:",
            {
                "if False:": (
                    "never divides by the standard deviation",
                    "with is_scaled, which is the default, the difference is divided",
                ),
                "if True:": (
                    "always divides by the standard deviation",
                    "without is_scaled the difference stays as it is",
                ),
                "if not is_scaled:": (
                    "divides just where it should not",
                    "the difference is divided if is_scaled is True",
                ),
            },
        ),
        Mistake("takes 1e-8 for eps", "+ eps", "+ 1e-8", why="eps is an argument"),
        *instead_of(
            "return advantages.flatten()",
            {
                "return advantages": (
                    "keeps the axis of the groups",
                    "the result has one number for each sample, in the order of the rewards: a vector",
                ),
                "return advantages.T.flatten()": (
                    "gives the advantages in another order than the rewards",
                    "samples of one prompt stay side by side",
                ),
                "return advantages.flatten().float()": ("rounds to float32", "the result has the dtype of the rewards"),
                "return rewards.copy_(advantages.flatten())": (
                    "writes into rewards",
                    "the rewards are still needed: make a new tensor",
                ),
            },
        ),
    ],
)
