"""Judges of a linear layer, of the cross-entropy and of gradient descent."""

from collections.abc import Callable, Iterable
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


def logit_cases(generator: torch.Generator) -> list[Case]:
    """Usual logits, huge ones, tiny ones, every class; one example, two classes."""
    rng = np.random.default_rng(26)

    def case(label: str, logits: Any, labels: list[int]) -> Case:
        logits = np.asarray(logits)
        return Case(
            label=label,
            given={"logits": logits, "labels": labels, "grad": draw(rng, len(labels))},
            call=f"logits, Tensor({labels})",
        )

    return [
        case("usual logits", 3 * rng.standard_normal((4, 5)), [1, 4, 0, 1]),
        case("as many examples as classes", 2 * rng.standard_normal((3, 3)), [2, 2, 0]),
        case("one example", rng.standard_normal((1, 6)), [3]),
        case("huge logits", [[1000.0, 1001.0, 999.5], [-1000.0, 0.0, 1000.0]], [1, 0]),
        case("logits far below 0", [[-1000.0, -1001.0, -1003.0], [-900.0, -901.0, -900.5]], [1, 0]),
        case("equal logits", np.full((2, 4), 7.0), [0, 3]),
        case("rows of other sizes", [[500.0, 498.0, 499.0], [0.0, 2.0, -1.0], [-700.0, -700.0, -699.0]], [2, 0, 1]),
    ]


def losses_and_gradient(function: Callable[..., Any], case: Case) -> Observations:
    """The losses, and the gradient that arrives at the logits."""
    logits, labels = Tensor(case.given["logits"].copy(), requires_grad=True), Tensor(np.array(case.given["labels"]))
    with np.errstate(all="ignore"):
        losses = function(logits, labels)
        seen = describe_tensor(losses)
        if seen.get("requires_grad") and losses.shape == case.given["grad"].shape:
            backprop(losses, Tensor(case.given["grad"]))
            seen["logits.grad"] = None if logits.grad is None else np.array(logits.grad.array)
    return seen | {"logits are as before": np.array_equal(logits.array, case.given["logits"])}


def entropy_by_one_hot(logits: Tensor, true_labels: Tensor) -> Tensor:
    """With a table of zeros and ones."""
    n_classes = logits.shape[1]
    one_hot = np.eye(n_classes)[true_labels.array]
    shifted = logits - Tensor(np.max(logits.array, axis=1)[:, None])
    true_logits = (shifted * one_hot).sum(dim=1)
    return shifted.exp().sum(dim=1).log() - true_logits


def entropy_row_by_row(logits: Tensor, true_labels: Tensor) -> Tensor:
    """With the true logit as what is subtracted where that is safe."""
    rows = np.arange(len(logits))
    largest = logits.array.max(axis=1)
    shifted = logits - largest.reshape(-1, 1)
    return -(shifted[(rows, true_labels.array)] - shifted.exp().sum(1).log())


test_cross_entropy = exercise(
    reference=networks.cross_entropy,
    cases=logit_cases,
    observe=losses_and_gradient,
    accepts=[entropy_by_one_hot, entropy_row_by_row],
    mistakes=[
        *instead_of(
            "shifted = logits - logits.array.max(axis=1, keepdims=True)",
            {
                "shifted = logits": (
                    "overflows for large logits",
                    "exp(1000) is infinite: subtract each example's maximum first",
                ),
                "shifted = logits - logits.array.max()": (
                    "subtracts one maximum from all examples",
                    "each example has a maximum of its own: below another's its exps may all be 0",
                ),
                "shifted = logits - logits.array.max(axis=0, keepdims=True)": (
                    "subtracts the maximum of each class",
                    "the maximum is that of an example's logits, along the classes",
                ),
                "shifted = logits.detach() - logits.array.max(axis=1, keepdims=True)": (
                    "cuts the gradient off",
                    "gradients flow to the logits: calculate with the tensor itself",
                ),
            },
        ),
        *instead_of(
            "-log_probs[np.arange(len(log_probs)), true_labels.array]",
            {
                "log_probs[np.arange(len(log_probs)), true_labels.array]": (
                    "has the wrong sign",
                    "the loss is minus the log-probability: it's never below 0",
                ),
                "-log_probs[np.arange(len(log_probs)), true_labels.array].mean()": (
                    "takes the mean",
                    "every example keeps its own loss",
                ),
                "-log_probs[np.arange(len(log_probs)), log_probs.array.argmax(axis=1)]": (
                    "takes the likeliest class for the true one",
                    "the loss is that of the true label",
                ),
                "-log_probs[:, true_labels.array].sum(dim=1)": (
                    "adds up the labels of all examples",
                    "each example has one label: the pairs (row, label) are picked",
                ),
                "-log_probs.exp()[np.arange(len(log_probs)), true_labels.array]": (
                    "takes probabilities without a logarithm",
                    "the loss is minus the logarithm of the probability",
                ),
            },
        ),
        *instead_of(
            "shifted.exp().sum(dim=1, keepdim=True).log()",
            {
                "shifted.exp().mean(dim=1, keepdim=True).log()": (
                    "divides by the number of classes",
                    "probabilities are exp(logit) over the sum of all exp(logit)",
                ),
                "shifted.exp().sum().log()": (
                    "adds up over all examples",
                    "the probabilities of each example add up to 1",
                ),
                "shifted.exp().sum(dim=1, keepdim=True).log() / np.log(2)": (
                    "counts in bits",
                    "the logarithm is the natural one: the loss is in nats",
                ),
            },
        ),
    ],
)


def descent_cases(generator: torch.Generator) -> list[Case]:
    """Several parameters and rates, one without a gradient, an iterable that can be gone through once."""
    rng = np.random.default_rng(27)

    def case(label: str, lr: float, *shapes: tuple[int, ...], **given: Any) -> Case:
        params = [draw(rng, *shape) for shape in shapes]
        grads = [draw(rng, *shape) for shape in shapes]
        return Case(label=label, given={"lr": lr, "params": params, "grads": grads, **given}, call=f"params, lr={lr}")

    by_hand = {"params": [np.array([1.0]), np.array([2.0])], "grads": [np.array([1.0]), np.array([2.0])]}
    return [
        Case(label="by hand", given={"lr": 0.1, **by_hand}, call="params, lr=0.1"),
        case("one table", 0.5, (2, 3)),
        case("a parameter without a gradient", 0.3, (3,), (2, 2), (4,), without=1),
        case("a generator of parameters", 0.2, (3,), (2,), as_generator=True),
        case("parameters without axes", 2.0, (), ()),
    ]


def life_of_an_optimizer(cls: Any, case: Case) -> Observations:
    """Parameters after one step and after a second, what zero_grad leaves, and whether the old arrays are as before."""
    require_class(cls, "SGD")
    params = [networks.Parameter(array.copy()) for array in case.given["params"]]
    given: Iterable[Any] = (param for param in params) if case.given.get("as_generator") else params
    optimizer = cls(given, case.given["lr"])
    old = [param.array for param in params]
    before = [array.copy() for array in old]
    for i, (param, grad) in enumerate(zip(params, case.given["grads"], strict=True)):
        param.grad = None if i == case.given.get("without") else Tensor(grad.copy())
    seen: Observations = {}
    returned = []
    for n in (1, 2):
        returned.append(optimizer.step())
        seen[f"after step {n}"] = [np.array(param.array) for param in params]
    grads = [None if param.grad is None else np.array(param.grad.array) for param in params]
    seen["gradients after the steps"] = grads
    seen["old arrays are as before"] = all(np.array_equal(a, b) for a, b in zip(old, before, strict=True))
    seen["leaves"] = [param.is_leaf and param.requires_grad for param in params]
    returned.append(optimizer.zero_grad())
    seen["gradients after zero_grad"] = [None if param.grad is None else "not None" for param in params]
    optimizer.step()
    seen["after a step without gradients"] = [np.array(param.array) for param in params]
    return seen | {"what the methods return": returned}


class SGDByUpdate:
    """With zip and a list of results."""

    def __init__(self, params: Iterable[networks.Parameter], lr: float) -> None:
        self.params = [*params]
        self.lr = lr

    def zero_grad(self) -> None:
        for param in self.params:
            param.grad = None

    def step(self) -> None:
        for param in self.params:
            if param.grad is None:
                continue
            param.array = np.subtract(param.array, np.multiply(param.grad.array, self.lr))


class SGDByTensors(networks.SGD):
    """With tensors that are detached afterwards."""

    def step(self) -> None:
        for param in self.params:
            if param.grad is not None:
                param.array = (param.detach() - self.lr * param.grad).array


class SGDOfOneSweep(networks.SGD):
    """Keeps the iterable itself."""

    def __init__(self, params: Iterable[networks.Parameter], lr: float) -> None:
        self.params, self.lr = params, lr  # type: ignore[assignment]


STEP = "parameter.array = parameter.array - self.lr * parameter.grad.array"

test_sgd = exercise(
    reference=networks.SGD,
    cases=descent_cases,
    observe=life_of_an_optimizer,
    keep=["__init__"],
    accepts=[SGDByUpdate, SGDByTensors],
    mistakes=[
        *instead_of(
            STEP,
            {
                STEP.replace(" - ", " + "): ("goes uphill", "a step goes against the gradient: minus"),
                "parameter.array = parameter.array - parameter.grad.array": (
                    "forgets the learning rate",
                    "a step goes lr times the gradient",
                ),
                "parameter.array = parameter.array * (1 - self.lr * parameter.grad.array)": (
                    "moves by a share of the parameter",
                    "a step is lr times the gradient, whatever the parameter is",
                ),
                "parameter.array -= self.lr * parameter.grad.array": (
                    "changes the array in place",
                    "recipes may still hold the old array: the parameter gets a new one",
                ),
                f"{STEP}\n                parameter.grad = None": (
                    "forgets the gradients in step",
                    "that is what zero_grad is for",
                ),
            },
            within="SGD.step",
        ),
        *instead_of(
            "if parameter.grad is not None:",
            {
                "if parameter.grad is not None and parameter is self.params[0]:": (
                    "moves the first parameter alone",
                    "every parameter that has a gradient moves",
                ),
            },
            within="SGD.step",
        ),
        *instead_of(
            "parameter.grad = None",
            {
                "parameter.grad = Tensor(np.zeros_like(parameter.array))": (
                    "leaves zeros in place of gradients",
                    "zero_grad sets every grad to None",
                ),
                "pass": ("does nothing in zero_grad", "zero_grad sets every grad to None"),
            },
            within="SGD.zero_grad",
        ),
    ],
)
