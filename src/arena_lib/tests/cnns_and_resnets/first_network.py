"""Judges of Flatten, and of a network of two layers."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.resnets import layers, mlp
from arena_lib.tests.cnns_and_resnets.layers import instance_outputs_and_gradients
from arena_lib.tests.cnns_and_resnets.watching import call_with_gradients, fill, require_module, shapes_of

__test__ = False


def flatten_cases(generator: torch.Generator) -> list[Case]:
    """The defaults, a middle part, negative ends, a single axis."""

    def case(label: str, shape: tuple[int, ...], *init: int) -> Case:
        x = torch.randn(*shape, generator=generator)
        return Case(label=label, args=(x,), given={"init": init}, call=f"Flatten({', '.join(map(str, init))})(x)")

    return [
        case("pictures", (2, 3, 4, 5)),
        case("from the first axis on", (2, 3, 4), 0),
        case("a part in the middle", (2, 3, 4, 5), 1, 2),
        case("counted from the end", (2, 3, 4, 5), -3, -2),
        case("the first two", (4, 2, 3), 0, 1),
        case("one axis alone", (3, 2, 4), 1, 1),
        case("nothing to join", (3, 4)),
    ]


class FlattenByTorch(nn.Flatten):
    """Torch's own."""


test_flatten = exercise(
    reference=layers.Flatten,
    cases=flatten_cases,
    observe=instance_outputs_and_gradients,
    accepts=[FlattenByTorch],
    mistakes=[
        *instead_of(
            "last = self.end_dim % x.ndim",
            {
                "last = x.ndim - 1": ("joins all axes to the end", "the last axis that is joined is end_dim"),
                "last = (self.end_dim - 1) % x.ndim": ("stops before end_dim", "end_dim is joined too"),
                "last = self.end_dim % (x.ndim + 1)": (
                    "counts negative ends from beyond the last axis",
                    "-1 is the last axis of all",
                ),
            },
        ),
        *instead_of(
            "math.prod(x.shape[self.start_dim : last + 1])",
            {
                "sum(x.shape[self.start_dim : last + 1])": (
                    "adds the lengths up",
                    "a table of 3 x 4 has 12 entries: the product",
                    "RuntimeError",
                ),
            },
        ),
        *instead_of(
            "*x.shape[: self.start_dim], joined, *x.shape[last + 1 :]",
            {
                "-1, *x.shape[last + 1 :]": ("joins the axes before start_dim too", "axes before start_dim stay"),
                "*x.shape[:1], -1, *x.shape[last + 1 :]": (
                    "begins with the second axis always",
                    "the first axis that is joined is start_dim",
                ),
            },
        ),
        Mistake(
            "changes the order of the entries",
            "x.reshape(",
            "x.transpose(0, -1).reshape(",
            why="the entries stay in their order: reshape alone",
        ),
    ],
)


def simple_mlp_cases(generator: torch.Generator) -> list[Case]:
    """Batches of several sizes."""
    return [
        Case(label=label, args=(torch.randn(batch, 1, 28, 28, generator=generator),), call="SimpleMLP()(images)")
        for label, batch in (("three pictures", 3), ("one picture", 1), ("eleven pictures", 11))
    ]


EXPECTED = {"linear1.bias": (100,), "linear1.weight": (100, 784), "linear2.bias": (10,), "linear2.weight": (10, 100)}


def simple_mlp_and_gradients(cls: Any, case: Case) -> Observations:
    """Names, and with known weights what it gives."""
    require_module(cls, "SimpleMLP")
    model = cls()
    seen: Observations = shapes_of(model)
    if seen["parameters"] == EXPECTED:
        fill(model)
        seen |= call_with_gradients(model, case.fresh().args[0], "of known weights")
    return seen


class SimpleMLPByFunctions(nn.Module):
    """Torch's layers and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(784, 100)
        self.linear2 = nn.Linear(100, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(x.flatten(1))))


test_simple_mlp = exercise(
    reference=mlp.SimpleMLP,
    cases=simple_mlp_cases,
    observe=simple_mlp_and_gradients,
    accepts=[SimpleMLPByFunctions],
    mistakes=[
        *instead_of(
            "self.linear2(self.relu(self.linear1(self.flatten(x))))",
            {
                "self.linear2(self.linear1(self.flatten(x)))": (
                    "forgets the relu",
                    "two linear layers without a relu between them are no more than one",
                ),
                "self.relu(self.linear2(self.relu(self.linear1(self.flatten(x)))))": (
                    "puts a relu after the logits",
                    "a logit may be negative: the relu comes between the two layers",
                ),
                "self.relu(self.linear2(self.linear1(self.flatten(x))))": (
                    "puts the relu after the second layer",
                    "the relu comes between the two layers",
                ),
                "self.linear2(self.relu(self.linear1(self.flatten(x)))).softmax(-1)": (
                    "gives probabilities",
                    "logits are asked for: cross_entropy takes the softmax itself",
                ),
                "self.linear2(self.linear1(self.relu(self.flatten(x))))": (
                    "puts the relu before the first layer",
                    "the relu comes between the two layers",
                ),
            },
            within="SimpleMLP.forward",
        ),
        Mistake(
            "has a hidden layer of another width",
            "100)\n        self.relu = ReLU()\n        self.linear2 = Linear(100, 10)",
            "128)\n        self.relu = ReLU()\n        self.linear2 = Linear(128, 10)",
            why="the hidden layer has 100 numbers",
        ),
        Mistake(
            "has no bias in the last layer",
            "Linear(100, 10)",
            "Linear(100, 10, bias=False)",
            why="both layers have a bias",
        ),
    ],
)
