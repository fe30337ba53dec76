"""Two small exercises with which the engine is tested: a function and a module."""

from dataclasses import dataclass

import torch
from torch import nn

from arena_lib.checking import (
    Case,
    Mistake,
    exercise,
    module_outputs_and_gradients,
    outputs_and_gradients,
    random_weights,
)
from arena_lib.checking import (
    outputs as plain_outputs,
)

OFFSET = 2.0


def half_norm(x, weight):
    """Halves x and scales it; weight + x stands here to prove that docstrings are left out of mistakes."""
    scaled = scale(x, weight)
    return scaled / 2 + x.detach()


def scale(x, weight):
    return x * weight


def half_norm_in_one_line(x, weight):
    return 0.5 * weight * x + x.detach()


def half_norm_cases(generator):
    return [
        Case(
            label=label,
            args=(torch.randn(*shape, generator=generator), torch.randn(shape[-1], generator=generator)),
            axes={"output": "batch d_model"},
        )
        for label, shape in [("several rows", (2, 3)), ("one row", (1, 5))]
    ]


def keeps_rows(seen, case):
    """Keeps the number of rows."""
    return None if len(seen["output"]) == len(case.args[0]) else "It must keep the rows."


test_half_norm = exercise(
    reference=half_norm,
    cases=half_norm_cases,
    observe=outputs_and_gradients,
    properties=[keeps_rows],
    accepts=[half_norm_in_one_line],
    mistakes=[
        Mistake("does not halve", "/ 2", "/ 1", why="The formula has a half."),
        Mistake("lets the gradient through", "x.detach()", "x", why="The second term is a constant."),
        Mistake("adds the weight", "x * weight", "x + weight", why="Scaling multiplies.", within="scale"),
    ],
)


@dataclass(frozen=True)
class Config:
    d_model: int = 3


class Affine(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.w = nn.Parameter(torch.ones(cfg.d_model))
        self.b = nn.Parameter(torch.zeros(cfg.d_model))

    def forward(self, x):
        return self.w * x + self.b


def affine_cases(generator):
    cfg = Config()
    return [
        Case(
            label="random weights",
            args=(torch.randn(2, 3, generator=generator),),
            axes={"output": "batch d_model"},
            given={"cfg": cfg, "weights": random_weights(Affine(cfg), generator)},
        )
    ]


test_affine = exercise(
    reference=Affine,
    cases=affine_cases,
    observe=module_outputs_and_gradients,
    accepts=[],
    keep=["__init__"],
    mistakes=[Mistake("forgets the bias", " + self.b", "", why="The bias is added at the end.")],
)


def negative(x, weight):
    return -(x * weight).abs() - 1


def misspelled(x, weight):
    return x.sofmax()


def pair_up(x, weight, weight_decay):
    return [*weight, weight_decay]


__all__ = ["plain_outputs"]
