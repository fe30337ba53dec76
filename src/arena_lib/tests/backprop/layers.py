"""Judge of a linear layer."""

from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, Tolerance, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.classifier import networks
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import describe_tensor, draw, require_class

__test__ = False

INSIDE = "entries lie within 1 / sqrt(in_features)"
DEVIATION = "deviation of the weights, as a multiple of what it should be"
FAR_TOO_WIDE = 4.0
"""Beyond it one deviation is as wrong as another."""
SPREAD = "entries reach beyond 0.9 of that bound, on both sides"


def layer_cases(generator: torch.Generator) -> list[Case]:
    """Wide and narrow layers, with a bias and without; a batch of one row."""
    rng = np.random.default_rng(24)

    def case(label: str, batch: int, in_features: int, out_features: int, bias: bool = True) -> Case:
        given = {"sizes": (in_features, out_features, bias), "grad": draw(rng, batch, out_features)}
        call = f"Linear({in_features}, {out_features}{'' if bias else ', bias=False'})(x)"
        return Case(label=label, args=(Tensor(draw(rng, batch, in_features)),), given=given, call=call)

    return [
        case("more inputs than outputs", 3, 100, 7),
        case("more outputs than inputs", 5, 9, 80),
        case("as many outputs as inputs", 2, 20, 20),
        case("no bias", 3, 50, 16, bias=False),
        case("one row", 1, 12, 60),
    ]


def layer_and_gradients(cls: Any, case: Case) -> Observations:
    """A new layer's parameters, and with given ones what it gives and which gradients arrive."""
    require_class(cls, "Linear")
    in_features, out_features, has_bias = case.given["sizes"]
    # Learners whose Linear has no rng are right as well, so it isn't passed here.
    layer, other = (
        cls(in_features, out_features) if has_bias else cls(in_features, out_features, bias=False) for _ in "ab"
    )
    seen: Observations = {
        "weight.shape": tuple(layer.weight.shape),
        "bias": "None" if layer.bias is None else tuple(layer.bias.shape),
        "parameters": len(list(layer.parameters())) if hasattr(layer, "parameters") else "no method parameters",
        "weight is a Parameter": isinstance(layer.weight, networks.Parameter),
    }
    bound = 1 / np.sqrt(in_features)
    drawn = [layer.weight.array] if layer.bias is None else [layer.weight.array, layer.bias.array]
    everything = np.concatenate([entries.ravel() for entries in drawn])
    seen[INSIDE] = bool((np.abs(everything) <= bound * (1 + 1e-6)).all())
    # Of at least 80 entries none reaches beyond 0.9 of the bound on one side with probability 0.95**n. So entries of
    # several layers are put together until that is below 1e-9.
    many = [cls(in_features, out_features).weight.array.ravel() for _ in range(1 + 900 // (in_features * out_features))]
    weights = np.concatenate(many)
    seen[DEVIATION] = min(float(weights.std() * np.sqrt(3) / bound), FAR_TOO_WIDE)
    seen[SPREAD] = bool(weights.max() > 0.9 * bound and weights.min() < -0.9 * bound)
    if layer.bias is not None:
        biases = np.concatenate([cls(in_features, out_features).bias.array for _ in range(1 + 900 // out_features)])
        seen["bias: " + SPREAD] = bool(biases.max() > 0.9 * bound and biases.min() < -0.9 * bound)
    seen["two layers are equal"] = bool(np.array_equal(layer.weight.array, other.weight.array))
    return seen | _with_known_weights(layer, case)


def _with_known_weights(layer: Any, case: Case) -> Observations:
    rng = np.random.default_rng(25)
    in_features, out_features, _ = case.given["sizes"]
    layer.weight.array = draw(rng, out_features, in_features)
    if layer.bias is not None:
        layer.bias.array = draw(rng, out_features)
    x = Tensor(case.args[0].array.copy(), requires_grad=True)
    out = layer.forward(x)
    seen = describe_tensor(out)
    if seen.get("requires_grad") and out.shape == case.given["grad"].shape:
        backprop(out, Tensor(case.given["grad"]))
        for name, tensor in (("x", x), ("weight", layer.weight), ("bias", layer.bias)):
            seen[f"{name}.grad"] = None if tensor is None or tensor.grad is None else np.array(tensor.grad.array)
    return seen


class LinearByGlobalDraws(networks.Module):
    """Without a generator, and with numpy's product."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        scale = in_features**-0.5
        rng = np.random.default_rng()
        self.weight = networks.Parameter(scale * (2 * rng.random((out_features, in_features)) - 1))
        self.bias = networks.Parameter(scale * (2 * rng.random(out_features) - 1)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = np.matmul(x, self.weight.permute(1, 0))
        if self.bias is not None:
            out = self.bias + out
        return out


class LinearOfOneSeed(networks.Linear):
    """Draws the same numbers every time."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias, np.random.default_rng(0))


test_linear = exercise(
    reference=networks.Linear,
    cases=layer_cases,
    observe=layer_and_gradients,
    # Of 900 entries the deviation is within 0.015 of what it should be in two cases of three.
    tolerance={DEVIATION: Tolerance(rtol=0.0, atol=0.15)},
    accepts=[LinearByGlobalDraws],
    mistakes=[
        *instead_of(
            "bound = 1 / np.sqrt(in_features)",
            {
                "bound = 1 / in_features": ("divides by in_features itself", "the bound is 1 / sqrt(in_features)"),
                "bound = 1 / np.sqrt(out_features)": (
                    "takes the outputs for the inputs",
                    "the bound is 1 / sqrt(in_features): a sum over the inputs shall not grow with their number",
                ),
                "bound = 1.0": ("draws between -1 and 1", "the bound is 1 / sqrt(in_features)"),
            },
        ),
        *instead_of(
            "rng.uniform(-bound, bound, (out_features, in_features))",
            {
                "rng.uniform(0.0, bound, (out_features, in_features))": (
                    "draws no weights below 0",
                    "weights lie on both sides of 0, between -bound and bound",
                ),
                "bound * rng.standard_normal((out_features, in_features))": (
                    "draws from a normal distribution",
                    "weights are uniform between -bound and bound",
                ),
                "np.zeros((out_features, in_features))": (
                    "begins with zeros",
                    "equal weights get equal gradients, and stay equal: they are drawn",
                ),
            },
        ),
        *instead_of(
            "Parameter(rng.uniform(-bound, bound, out_features)) if bias else None",
            {
                "Parameter(np.zeros(out_features)) if bias else None": (
                    "begins with a bias of zeros",
                    "the bias is drawn as the weights are",
                ),
                "Parameter(rng.uniform(-bound, bound, out_features))": (
                    "has a bias in any case",
                    "with bias=False there is none: bias is None",
                ),
                "Tensor(rng.uniform(-bound, bound, out_features)) if bias else None": (
                    "makes the bias no Parameter",
                    "what is learned is a Parameter, so that parameters() finds it",
                ),
            },
        ),
        *instead_of(
            "out if self.bias is None else out + self.bias",
            {"out": ("forgets to add the bias", "the bias is added if there is one")},
            within="Linear.forward",
        ),
        *instead_of(
            "x @ self.weight.T",
            {
                "Tensor(x.array @ self.weight.array.T)": (
                    "calculates with the arrays",
                    "nothing is recorded of what is done to arrays: use the tensors",
                ),
            },
            within="Linear.forward",
        ),
        Mistake(
            "draws the same weights every time",
            function=LinearOfOneSeed,
            why="without rng a generator is made that gives other numbers every time",
        ),
    ],
)
