"""Sizes that fit without copying: tables, averages by group, distances, and masks made by comparing positions.

Two shapes fit if, counted from the right, each pair of sizes is equal, or one of them is 1 or missing.

Raises:  EinopsError (of einops) or RuntimeError (of torch) where sizes don't fit, with the shapes.
Source:  Harris et al. 2020, "Array programming with NumPy", figure 1, for the rule.
"""

import einops
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

DAYS = 7
"""Days of a week."""


def addition_table(
    down: Float[Tensor, " n_rows"], along: Float[Tensor, " n_columns"]
) -> Float[Tensor, "n_rows n_columns"]:
    """The sum of each number of `down` and each of `along`: entry [i, j] is down[i] + along[j].

    >>> addition_table(torch.tensor([10.0, 20.0]), torch.tensor([1.0, 2.0, 3.0]))
    tensor([[11., 12., 13.],
            [21., 22., 23.]])
    """
    return down[:, None] + along[None, :]


def centre_columns(matrix: Float[Tensor, "n_rows n_columns"]) -> Float[Tensor, "n_rows n_columns"]:
    """The matrix less the mean of each column, so that each column has the mean 0.

    >>> centre_columns(torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
    tensor([[-1., -2.],
            [ 1.,  2.]])
    """
    return matrix - matrix.mean(dim=0)


def temperatures_average(temps: Float[Tensor, " n_days"]) -> Float[Tensor, " n_weeks"]:
    """The mean temperature of each week. `temps` has one number for each day of whole weeks: 7, 14, 21 ... days.

    >>> temperatures_average(torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 7]))
    tensor([4., 1.])
    """
    return einops.reduce(temps, "(week day) -> week", "mean", day=DAYS)


def temperatures_differences(temps: Float[Tensor, " n_days"]) -> Float[Tensor, " n_days"]:
    """Each day's temperature less the mean of its own week. `temps` is as in `temperatures_average`.

    >>> temperatures_differences(torch.tensor([1.0, 2, 3, 4, 5, 6, 7]))
    tensor([-3., -2., -1.,  0.,  1.,  2.,  3.])
    """
    return temps - einops.repeat(temperatures_average(temps), "week -> (week day)", day=DAYS)


def temperatures_normalized(temps: Float[Tensor, " n_days"]) -> Float[Tensor, " n_days"]:
    """Each day's difference from its week's mean, divided by its week's standard deviation.

    The standard deviation is torch's own, `std`: it divides the sum of squared differences by 6, not by 7, and takes the
    root. No week is constant.

    >>> temperatures_normalized(torch.tensor([0.0, 1, 2, 3, 4, 5, 6])).round(decimals=2)
    tensor([-1.3900, -0.9300, -0.4600,  0.0000,  0.4600,  0.9300,  1.3900])
    """
    weeks = einops.rearrange(temps, "(week day) -> week day", day=DAYS)
    deviations = weeks.std(dim=1)
    return temperatures_differences(temps) / einops.repeat(deviations, "week -> (week day)", day=DAYS)


def normalize_rows(matrix: Float[Tensor, "n_rows n_columns"]) -> Float[Tensor, "n_rows n_columns"]:
    """Each row divided by its length, the root of the sum of its squares. No row is zero.

    >>> normalize_rows(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    return matrix / matrix.norm(dim=1, keepdim=True)


def cos_sim_matrix(matrix: Float[Tensor, "n_rows n_columns"]) -> Float[Tensor, "n_rows n_rows"]:
    """The cosine of the angle between each two rows: entry [i, j] is the dot product of rows i and j at length 1.

    >>> cos_sim_matrix(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[1.0000, 0.8000],
            [0.8000, 1.0000]])
    """
    rows = normalize_rows(matrix)
    return rows @ rows.T


def distance_matrix(
    first: Float[Tensor, "n_first dim"], second: Float[Tensor, "n_second dim"]
) -> Float[Tensor, "n_first n_second"]:
    """How far each point of `first` is from each of `second`: the root of the sum of squared differences.

    >>> distance_matrix(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    differences = first[:, None, :] - second[None, :, :]
    return (differences**2).sum(dim=-1).sqrt()


def one_hot(labels: Int[Tensor, " batch"], n_classes: int) -> Float[Tensor, "batch n_classes"]:
    """A row for each label, float32: 1 in the column that the label names, and 0 elsewhere.

    >>> one_hot(torch.tensor([2, 0]), n_classes=3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    return (labels[:, None] == torch.arange(n_classes)[None, :]).float()


def can_see(seq: int, window: int) -> Bool[Tensor, "seq_q seq_k"]:
    """Which positions of a text each position may look at: itself and those before it, `window` positions in all.

    Entry [q, k] is True where k is q or before, and less than `window` positions before.

    >>> can_see(3, window=2)
    tensor([[ True, False, False],
            [ True,  True, False],
            [False,  True,  True]])
    """
    positions = torch.arange(seq)
    steps_back = positions[:, None] - positions[None, :]
    return (steps_back >= 0) & (steps_back < window)
