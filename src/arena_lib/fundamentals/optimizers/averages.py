"""Running averages, which adaptive optimizers keep of gradients and of their squares.

Shapes:  values "n_steps", averages "n_steps".
Raises:  ConfigError for a beta outside [0, 1).
Source:  Kingma and Ba 2015, arXiv:1412.6980, section 3.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.optimizers.parameters import check_settings


def moving_average(values: Float[Tensor, " n_steps"], beta: float, corrected: bool = True) -> Float[Tensor, " n_steps"]:
    """The running average of all values so far, in which older ones count less.

    It begins at m = 0. In step t = 1, 2, ... it becomes m = beta * m + (1 - beta) * value. So at first it's too near 0. If
    `corrected`, what is given out in step t is m / (1 - beta^t), the true weighted average of the values so far; m itself
    goes on uncorrected.

    Args:
        values: one for each step. They stay as they are.
        beta: the share that is kept of the average, from 0 to below 1.
        corrected: whether the bias towards 0 is taken out.

    >>> moving_average(torch.tensor([2.0, 4.0]), beta=0.5, corrected=False)
    tensor([1.0000, 2.5000])
    >>> moving_average(torch.tensor([2.0, 4.0]), beta=0.5)
    tensor([2.0000, 3.3333])
    """
    check_settings(beta=beta)
    average = torch.zeros((), dtype=values.dtype)
    averages = torch.empty_like(values)
    for i, value in enumerate(values):
        average = beta * average + (1 - beta) * value
        averages[i] = average / (1 - beta ** (i + 1)) if corrected else average
    return averages
