"""Layers, a loss and an optimizer, made of tensors.

Shapes:  Linear "batch in_features" -> "batch out_features"; cross_entropy "batch classes" -> "batch".
Raises:  ConfigError for sizes, settings or labels that can't work, ShapeError for inputs that don't fit.
Source:  the initialisation is PyTorch's, He et al. 2015, arXiv:1502.01852, with a gain of 1/sqrt(3).
Differs: relu's gradient at 0 is 0.5 (see `elementwise_back`); cross_entropy keeps one loss for each example.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.backprop.operations import maximum
from arena_lib.fundamentals.backprop.tensors import Tensor


def relu(x: Tensor) -> Tensor:
    """The larger of 0 and each entry of `x`, as a tensor with a recipe. `maximum` knows its own gradient.

    >>> relu(Tensor([-1.0, 0.0, 2.0])).array
    array([0., 0., 2.])
    """
    return maximum(x, 0.0)


class Parameter(Tensor):
    """A leaf that a module learns: it always requires a gradient."""

    def __init__(self, array: Any) -> None:
        super().__init__(array, requires_grad=True)


class Module:
    """What layers and networks share: `module(x)` calls `forward`, and `parameters()` finds what can be learned.

    Parameters and other modules that are kept as attributes are found, in the order in which they were made.
    """

    def forward(self, x: Tensor) -> Tensor:
        """What the module calculates; each kind of module has its own."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        """Calls `forward`."""
        return self.forward(x)

    def parameters(self) -> Iterator[Parameter]:
        """Its own parameters, and those of the modules in it."""
        for value in vars(self).values():
            if isinstance(value, Parameter):
                yield value
            elif isinstance(value, Module):
                yield from value.parameters()


class Linear(Module):
    """x W^T + b: each output is a weighted sum of the inputs, and a constant.

    `weight` is a Parameter "out_features in_features", and `bias` is one of "out_features", or None if `bias=False`. At
    first the entries of both are drawn uniformly between -1 / sqrt(in_features) and 1 / sqrt(in_features), `weight` first,
    by `rng.uniform`.

    Args:
        in_features: the inputs of each example.
        out_features: its outputs.
        bias: whether a constant is added.
        rng: where the numbers are drawn from; None makes a generator of its own, which gives other numbers every time.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, rng: np.random.Generator | None = None
    ) -> None:
        check_sizes(in_features, out_features)
        rng = np.random.default_rng() if rng is None else rng
        bound = 1 / np.sqrt(in_features)
        self.weight = Parameter(rng.uniform(-bound, bound, (out_features, in_features)))
        self.bias = Parameter(rng.uniform(-bound, bound, out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """From "batch in_features" to "batch out_features"."""
        out = x @ self.weight.T
        return out if self.bias is None else out + self.bias


def check_sizes(in_features: int, out_features: int) -> None:
    """ConfigError unless a layer has at least one input and one output."""
    if in_features < 1 or out_features < 1:
        raise ConfigError(
            f"a layer must have at least one input and one output: got in_features={in_features}, "
            f"out_features={out_features}."
        )


def cross_entropy(logits: Tensor, true_labels: Tensor) -> Tensor:
    """For each example how surprising its true label is: minus the logarithm of the probability that it gets, in nats.

    The probabilities of an example are the softmax of its logits, exp(logit) over the sum of all exp(logit). The losses of
    logits as large as 1000, or as small as -1000, must be right too. So work with log-probabilities:
    logit - maximum - log(sum(exp(logit - maximum))), in which the maximum is a constant for each example.

    Args:
        logits: "batch classes".
        true_labels: "batch", whole numbers from 0.

    Returns:
        The losses, "batch", not their mean. Gradients flow from them to the logits.

    >>> cross_entropy(Tensor([[0.0, 0.0], [1000.0, 0.0]]), Tensor([0, 1])).array.round(4).tolist()
    [0.6931, 1000.0]
    """
    check_labels(logits, true_labels)
    shifted = logits - logits.array.max(axis=1, keepdims=True)
    log_probs = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    return -log_probs[np.arange(len(log_probs)), true_labels.array]


def check_labels(logits: Tensor, true_labels: Tensor) -> None:
    """ShapeError or ConfigError unless there is one label for each row of logits, and a class for each label."""
    if logits.ndim != 2 or true_labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"logits must be batch by classes, and labels one for each row: got shapes {logits.shape} and "
            f"{true_labels.shape}."
        )
    labels = true_labels.array
    if labels.dtype.kind not in "iu" or (labels < 0).any() or (labels >= logits.shape[1]).any():
        raise ConfigError(
            f"labels must be whole numbers from 0 to {logits.shape[1] - 1}, one for each class: got dtype {labels.dtype}, "
            f"from {labels.min()} to {labels.max()}."
        )


class SGD:
    """Gradient descent: each step moves every parameter a little against its gradient.

    `params` may be any iterable of parameters, also one that can be gone through only once; they are kept as a list,
    `self.params`.

    Args:
        params: what is learned.
        lr: how far a step goes: the learning rate, above 0.
    """

    def __init__(self, params: Iterable[Parameter], lr: float) -> None:
        if not lr > 0:
            raise ConfigError(f"lr must be above 0: got {lr}. Try 0.1.")
        self.params, self.lr = list(params), float(lr)
        if not self.params:
            raise ConfigError("there must be parameters to learn: got none. Pass model.parameters().")

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to None, so that the next backward pass begins anew."""
        for parameter in self.params:
            parameter.grad = None

    def step(self) -> None:
        """Subtract lr times its gradient from every parameter that has one.

        The parameter stays the same tensor, a leaf without a recipe. It gets a new array; the old one stays as it is, since
        recipes may still hold it.
        """
        for parameter in self.params:
            if parameter.grad is not None:
                parameter.array = parameter.array - self.lr * parameter.grad.array
