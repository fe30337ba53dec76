"""Judges of ReLU, Linear, Flatten and SimpleMLP."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations, outputs_and_gradients
from arena_lib.fundamentals.resnets import layers
from arena_lib.tests.cnns_and_resnets.watching import call_with_gradients, fill, require_module, shapes_of, spread_of

__test__ = False

STATISTICS = Tolerance(rtol=0.0, atol=0.2)
"""Of 900 numbers the deviation is within 0.02 of what it should be nearly always."""


def relu_cases(generator: torch.Generator) -> list[Case]:
    """Any number of axes; doubles; large numbers."""

    def case(label: str, *shape: int, dtype: torch.dtype = torch.float32, scale: float = 2.0) -> Case:
        return Case(label=label, args=(scale * torch.randn(*shape, generator=generator, dtype=dtype),))

    return [
        case("a row", 7),
        case("a table", 3, 5),
        case("pictures", 2, 3, 4, 5),
        case("doubles", 4, 3, dtype=torch.float64),
        case("large numbers", 6, scale=1e6),
        Case(label="by hand", args=(torch.tensor([-1.5, 2.0, -0.25, 0.25]),)),
    ]


def instance_outputs_and_gradients(cls: Any, case: Case) -> Observations:
    """What an instance gives, made with the arguments in `init`."""
    require_module(cls, "that you wrote")
    return outputs_and_gradients(cls(*case.given.get("init", ())), case)


class ReLUByMaximum(nn.Module):
    """The larger of two tensors."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.maximum(x, torch.tensor(0.0))


class ReLUByMask(nn.Module):
    """A product with a mask."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x > 0)


test_relu = exercise(
    reference=layers.ReLU,
    name="relu",
    cases=relu_cases,
    observe=instance_outputs_and_gradients,
    accepts=[ReLUByMaximum, ReLUByMask],
    mistakes=[
        *instead_of(
            "x.clamp(min=0)",
            {
                "x.clamp(max=0)": ("keeps what is below 0", "what is above 0 stays, what is below becomes 0"),
                "x.abs()": ("takes away the sign", "what is below 0 becomes 0"),
                "(x > 0).to(x.dtype)": ("gives 1 for what is above 0", "what is above 0 stays as it is"),
                "x.clamp(min=0, max=1)": ("cuts at 1 as well", "there's no upper bound"),
                "x.clamp_(min=0)": ("changes the input in place", "the input stays as it is: clamp, not clamp_"),
                "x.detach().clamp(min=0)": ("lets no gradient through", "what is above 0 has the slope 1"),
                "torch.where(x > 0, x, 0.01 * x)": ("leaks a little below 0", "below 0 the output is 0"),
                "x[x > 0]": ("leaves out what is below 0", "the shape stays: there are zeros in its place"),
                "x.float().clamp(min=0)": ("makes single precision of doubles", "the dtype stays as it is"),
            },
        ),
    ],
)


def linear_cases(generator: torch.Generator) -> list[Case]:
    """Wide and narrow, with a bias and without, several axes before the last and none."""

    def case(label: str, batch: tuple[int, ...], *init: Any) -> Case:
        x = torch.randn(*batch, init[0], generator=generator)
        return Case(label=label, args=(x,), given={"init": init}, call=f"Linear{init}(x)")

    return [
        case("more inputs than outputs", (3,), 50, 7),
        case("more outputs than inputs", (5,), 6, 40),
        case("as many outputs as inputs", (2,), 20, 20),
        case("no bias", (3,), 30, 16, False),
        case("two axes before the last", (2, 4), 12, 9, True),
        case("one example without a batch", (), 15, 8),
    ]


def linear_and_gradients(cls: Any, case: Case) -> Observations:
    """A new layer's names and numbers, and with known ones what it gives."""
    require_module(cls, "Linear")
    in_features, out_features, *rest = case.given["init"]
    has_bias = not rest or rest[0]
    layer = cls(*case.given["init"])
    seen: Observations = shapes_of(layer)
    seen["bias is None"] = layer.bias is None if hasattr(layer, "bias") else "there is no attribute bias"
    bound = 1 / in_features**0.5
    text = layer.extra_repr()
    seen["extra_repr"] = text if not isinstance(text, str) else text.replace(" ", "")
    seen["sizes"] = [getattr(layer, name, "missing") for name in ("in_features", "out_features")]
    for name in ("weight", "bias")[: 1 + has_bias]:
        if name in seen["parameters"]:
            spread = spread_of(partial(_draw_again, cls, case, name), bound)
            seen |= {f"new {name}s: {what}": value for what, value in spread.items()}
    expected = {"weight": (out_features, in_features), "bias": (out_features,)}
    if seen["parameters"] == {name: expected[name] for name in sorted(expected) if name == "weight" or has_bias}:
        fill(layer)
        seen |= call_with_gradients(layer, case.fresh().args[0], "of known weights")
    return seen


def _draw_again(cls: Any, case: Case, name: str) -> Tensor:
    """A parameter of a new layer."""
    parameter: Tensor = getattr(cls(*case.given["init"]), name)
    return parameter


class LinearByFunction(nn.Module):
    """Draws with rand, and calls torch's function."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        scale = in_features**-0.5
        self.weight = nn.Parameter(scale * (2 * torch.rand(out_features, in_features) - 1))
        if bias:
            self.bias = nn.Parameter(scale * (2 * torch.rand(out_features) - 1))
        else:
            self.register_parameter("bias", None)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class LinearLikeTorch(nn.Linear):
    """Torch's own."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)


class LinearWithoutAttribute(LinearByFunction):
    """With bias=False there's no attribute of that name."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias)
        if not bias:
            del self.bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, getattr(self, "bias", None))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={hasattr(self, 'bias')}"


DEVIATIONS = {f"new {name}s: deviation, as a multiple of what it should be": STATISTICS for name in ("weight", "bias")}

test_linear = exercise(
    reference=layers.Linear,
    cases=linear_cases,
    observe=linear_and_gradients,
    tolerance=DEVIATIONS,
    accepts=[LinearByFunction, LinearLikeTorch],
    mistakes=[
        *instead_of(
            "bound = 1 / math.sqrt(in_features)",
            {
                "bound = 1 / in_features": ("divides by in_features itself", "the bound is 1 / sqrt(in_features)"),
                "bound = 1 / math.sqrt(out_features)": (
                    "takes the outputs for the inputs",
                    "a sum over the inputs shall not grow with their number: 1 / sqrt(in_features)",
                ),
                "bound = 1.0": ("draws between -1 and 1", "the bound is 1 / sqrt(in_features)"),
            },
        ),
        *instead_of(
            "torch.empty(out_features, in_features).uniform_(-bound, bound)",
            {
                "torch.empty(out_features, in_features).uniform_(0, bound)": (
                    "draws no weights below 0",
                    "weights lie on both sides of 0",
                ),
                "bound * torch.randn(out_features, in_features)": (
                    "draws from a normal distribution",
                    "weights are uniform between -bound and bound",
                ),
                "torch.zeros(out_features, in_features)": (
                    "begins with zeros",
                    "equal weights get equal gradients, and stay equal: they are drawn",
                ),
                "torch.empty(in_features, out_features).uniform_(-bound, bound)": (
                    "stores the weights the other way round",
                    "weight has a row for each output: out_features, in_features",
                ),
            },
        ),
        Mistake(
            "makes the weights no parameter",
            "nn.Parameter(torch.empty(out_features, in_features).uniform_(-bound, bound))",
            "torch.empty(out_features, in_features).uniform_(-bound, bound)",
            why="what is learned is an nn.Parameter, so that parameters() finds it",
        ),
        *instead_of(
            "nn.Parameter(torch.empty(out_features).uniform_(-bound, bound)) if bias else None",
            {
                "nn.Parameter(torch.empty(out_features).uniform_(-(out_features**-0.5), out_features**-0.5)) if bias else None": (
                    "takes the number of outputs for the bound of the bias",
                    "the bias is drawn as the weights are: the bound is 1 / sqrt(in_features)",
                ),
                "nn.Parameter(torch.zeros(out_features)) if bias else None": (
                    "begins with a bias of zeros",
                    "the bias is drawn as the weights are",
                ),
                "nn.Parameter(torch.empty(out_features).uniform_(-bound, bound))": (
                    "has a bias in any case",
                    "with bias=False, bias is None",
                ),
                "nn.Parameter(torch.empty(1).uniform_(-bound, bound)) if bias else None": (
                    "has one bias for all outputs",
                    "each output has a bias of its own",
                ),
            },
        ),
        *instead_of(
            "out if self.bias is None else out + self.bias",
            {
                "out": ("forgets to add the bias", "the bias is added if there is one"),
                "out if self.bias is None else out - self.bias": ("subtracts the bias", "the bias is added"),
            },
            within="Linear.forward",
        ),
        Mistake(
            "has no attribute bias where there is none",
            function=LinearWithoutAttribute,
            why="with bias=False, bias is None",
        ),
        Mistake(
            "prints the bias itself",
            "{self.bias is not None}",
            "{self.bias}",
            why="extra_repr says whether there is a bias: True or False",
        ),
    ],
)
