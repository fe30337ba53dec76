"""Judge of a linear layer."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.classifier import networks
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import describe_tensor, draw, require_class

__test__ = False

INSIDE = "entries lie within 1 / sqrt(in_features)"
DEVIATION = "deviation of the weights"
GIVEN = "with equal generators the weights are equal"
WEIGHT_FIRST = "a generator's first numbers are the weight, those that follow the bias"
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
    # Learners whose Linear has no rng are right as well, so it's passed only where there is one.
    layer, other = (
        cls(in_features, out_features) if has_bias else cls(in_features, out_features, bias=False) for _ in "ab"
    )
    seen: Observations = {
        "weight.shape": tuple(layer.weight.shape),
        "bias": "None" if layer.bias is None else tuple(layer.bias.shape),
        "parameters": len(list(layer.parameters())) if hasattr(layer, "parameters") else "no method parameters",
        "weight is a Parameter": _is_parameter(layer.weight),
    }
    if seen["weight.shape"] != (out_features, in_features):
        return seen
    seen |= _draws_of_a_generator(cls, in_features, out_features, has_bias)
    bound = 1 / np.sqrt(in_features)
    drawn = [layer.weight.array] if layer.bias is None else [layer.weight.array, layer.bias.array]
    everything = np.concatenate([entries.ravel() for entries in drawn])
    seen[INSIDE] = bool((np.abs(everything) <= bound * (1 + 1e-6)).all())
    # Of at least 80 entries none reaches beyond 0.9 of the bound on one side with probability 0.95**n. So entries of
    # several layers are put together until that is below 1e-9.
    many = [cls(in_features, out_features).weight.array.ravel() for _ in range(1 + 900 // (in_features * out_features))]
    weights = np.concatenate(many)
    # Of 900 entries the deviation is within 0.015 of what it should be in two cases of three.
    deviation = weights.std() * np.sqrt(3) / bound
    seen[DEVIATION] = "too small" if deviation < 0.85 else "too large" if deviation > 1.15 else "right"
    seen[SPREAD] = bool(weights.max() > 0.9 * bound and weights.min() < -0.9 * bound)
    if layer.bias is not None:
        biases = np.concatenate([cls(in_features, out_features).bias.array for _ in range(1 + 900 // out_features)])
        seen["bias: " + SPREAD] = bool(biases.max() > 0.9 * bound and biases.min() < -0.9 * bound)
    seen["two layers are equal"] = bool(np.array_equal(layer.weight.array, other.weight.array))
    return seen | _with_known_weights(layer, case)


def _draws_of_a_generator(cls: Any, in_features: int, out_features: int, has_bias: bool) -> Observations:
    """Whether a given generator is what the weight is drawn from, and then the bias."""
    given, same = np.random.default_rng(26), np.random.default_rng(26)
    bound = 1 / np.sqrt(in_features)
    if "rng" not in inspect.signature(cls).parameters:
        return {GIVEN: True, WEIGHT_FIRST: True}
    layer = cls(in_features, out_features, has_bias, given)
    weight = same.uniform(-bound, bound, (out_features, in_features))
    bias = same.uniform(-bound, bound, out_features)
    is_first = _are_alike(layer.weight.array, weight)
    if has_bias and layer.bias is not None and layer.bias.array.any():  # a bias of zeros is another mistake
        is_first = is_first and _are_alike(layer.bias.array, bias)
    again = cls(in_features, out_features, has_bias, np.random.default_rng(26))
    return {GIVEN: bool(np.array_equal(again.weight.array, layer.weight.array)), WEIGHT_FIRST: is_first}


def _are_alike(drawn: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the numbers are the same but for their order and their bound, which are asked about elsewhere."""
    first, second = (np.sort(entries.ravel()) / max(np.abs(entries).max(), 1e-9) for entries in (drawn, expected))
    return first.shape == second.shape and bool(np.allclose(first, second, atol=1e-6))


def _is_parameter(value: Any) -> bool:
    """By its name: what a mistake makes is a Parameter of a module of its own, so that isinstance would tell it apart."""
    return any(cls.__name__ == "Parameter" for cls in type(value).__mro__)


def _with_known_weights(layer: Any, case: Case) -> Observations:
    rng = np.random.default_rng(25)
    in_features, out_features, _ = case.given["sizes"]
    layer.weight.array = draw(rng, out_features, in_features)
    if layer.bias is not None:
        layer.bias.array = draw(rng, out_features)
    x = Tensor(case.args[0].array.copy(), requires_grad=True)
    out = layer.forward(x)
    seen = describe_tensor(out)
    if isinstance(out, Tensor):
        seen["forward twice gives the same"] = np.array_equal(layer.forward(x).array, out.array)
    if seen.get("requires_grad") and out.shape == case.given["grad"].shape:
        backprop(out, Tensor(case.given["grad"]))
        for name, tensor in (("x", x), ("weight", layer.weight), ("bias", layer.bias)):
            seen[f"{name}.grad"] = None if tensor is None or tensor.grad is None else np.array(tensor.grad.array)
    return seen


def forgets_its_weights(seen: Sequence[Observations]) -> bool:
    """Whether what forward gives has nothing to do with the weights that were put in before."""
    return all(shown["forward twice gives the same"] is False for shown in seen)


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


class LinearOfGlobalNumbers(networks.Linear):
    """Leaves the generator aside."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias, np.random.default_rng())


class LinearWithBiasFirst(networks.Linear):
    """Draws the bias before the weight."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        rng = np.random.default_rng() if rng is None else rng
        bound = 1 / np.sqrt(in_features)
        self.bias = networks.Parameter(rng.uniform(-bound, bound, out_features)) if bias else None
        self.weight = networks.Parameter(rng.uniform(-bound, bound, (out_features, in_features)))


class LinearOfInputsByOutputs(networks.Linear):
    """Keeps the weight the other way round."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias, rng)
        self.weight = networks.Parameter(self.weight.array.T)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x @ self.weight
        return out if self.bias is None else out + self.bias


class LinearThatDrawsAgain(networks.Linear):
    """New weights in every call."""

    def forward(self, x: Tensor) -> Tensor:
        self.n_calls = getattr(self, "n_calls", 0) + 1
        self.weight.array = np.random.default_rng(self.n_calls).uniform(-1, 1, self.weight.shape)
        return super().forward(x)


class LinearOfOneSeed(networks.Linear):
    """Draws the same numbers every time."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias, np.random.default_rng(0))


SAME_EVERY_TIME = (
    "draws the same weights every time",
    "without rng a generator is made that gives other numbers every time",
)
BIAS_ANYWAY = ("has a bias in any case", "with bias=False there is none: bias is None")
NO_PARAMETER = ("makes the weight no Parameter", "what is learned is a Parameter, so that parameters() finds it")


test_linear = exercise(
    reference=networks.Linear,
    cases=layer_cases,
    observe=layer_and_gradients,
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
                "Parameter(rng.uniform(-bound, bound, out_features))": BIAS_ANYWAY,
                "Parameter(rng.uniform(-bound, bound, out_features) * bias)": BIAS_ANYWAY,
                "Tensor(rng.uniform(-bound, bound, out_features)) if bias else None": (
                    "makes the bias no Parameter",
                    "what is learned is a Parameter, so that parameters() finds it",
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
        *instead_of(
            "x @ self.weight.T",
            {
                "Tensor(x.array @ self.weight.array.T)": (
                    "calculates with the arrays",
                    "nothing is recorded of what is done to arrays: use the tensors",
                ),
                "x @ Tensor(self.weight.array.T)": (
                    "cuts the weight's gradient off",
                    "nothing is recorded of what is done to arrays: self.weight.T is a tensor that remembers",
                ),
                "Tensor(x.array) @ self.weight.T": (
                    "cuts the input's gradient off",
                    "x may have come from another layer, whose gradient flows through x: use the tensor itself",
                ),
                "x @ self.weight.reshape(self.weight.shape[1], self.weight.shape[0])": (
                    "reshapes the weight where it must be transposed",
                    "reshape leaves the entries in their order: .T swaps the axes",
                ),
            },
            within="Linear.forward",
        ),
        *instead_of(
            "self.weight = Parameter(rng.uniform(-bound, bound, (out_features, in_features)))",
            {
                "self.weight = Tensor(rng.uniform(-bound, bound, (out_features, in_features)))": NO_PARAMETER,
                "self.weight = Tensor(rng.uniform(-bound, bound, (out_features, in_features)), True)": NO_PARAMETER,
            },
            within="Linear.__init__",
        ),
        *instead_of(
            "bias: bool = True",
            {"bias: bool = False": ("has no bias by default", "bias is True where it isn't given")},
        ),
        *instead_of(
            "np.random.default_rng() if rng is None else rng",
            {"np.random.default_rng(0) if rng is None else rng": SAME_EVERY_TIME},
        ),
        Mistake(SAME_EVERY_TIME[0], function=LinearOfOneSeed, why=SAME_EVERY_TIME[1]),
        Mistake(
            "ignores rng",
            function=LinearOfGlobalNumbers,
            why="the numbers are drawn from rng where it is given, so that they can be drawn again",
        ),
        Mistake("draws the bias first", function=LinearWithBiasFirst, why="the weight is drawn first, then the bias"),
        Mistake(
            "keeps the weight as inputs by outputs",
            function=LinearOfInputsByOutputs,
            why='weight is "out_features in_features", and forward multiplies by its transpose',
        ),
        Mistake(
            "draws new weights in forward",
            function=LinearThatDrawsAgain,
            shows=forgets_its_weights,
            why="weights are drawn once, in __init__: forward uses those that are there",
        ),
    ],
)
