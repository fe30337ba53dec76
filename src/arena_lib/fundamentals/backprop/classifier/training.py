"""A classifier of pictures, trained with this package alone.

Shapes:  images "batch height width" or "batch n_pixels", labels "batch".
Raises:  TrainingError for a loss that isn't finite; ConfigError for settings that can't work.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from arena_lib.errors import ConfigError, TrainingError
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.classifier.digits import ImageData
from arena_lib.fundamentals.backprop.classifier.networks import SGD, Linear, Module, cross_entropy, relu
from arena_lib.fundamentals.backprop.grad_mode import no_grad
from arena_lib.fundamentals.backprop.tensors import Tensor

Step = Callable[
    [Module, Any, Float[np.ndarray, "batch height width"], Int[np.ndarray, " batch"]],
    float,
]
"""One step of training, such as `training_step`."""


class MLP(Module):
    """Pixels to classes, with one hidden layer of relus in between.

    Args:
        n_pixels: of a picture.
        d_hidden: the width of the hidden layer.
        n_classes: how many kinds of pictures there are.
        rng: where the first weights are drawn from.
    """

    def __init__(self, n_pixels: int, d_hidden: int, n_classes: int, rng: np.random.Generator | None = None) -> None:
        self.hidden = Linear(n_pixels, d_hidden, rng=rng)
        self.output = Linear(d_hidden, n_classes, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """From pictures "batch height width", or their pixels in rows, to logits "batch classes"."""
        return self.output(relu(self.hidden(x.reshape(len(x), -1))))


def training_step(
    model: Module,
    optimizer: SGD,
    images: Float[np.ndarray, "batch height width"],
    labels: Int[np.ndarray, " batch"],
) -> float:
    """One step of gradient descent on the mean cross-entropy of a batch.

    The loss is the mean of what `cross_entropy` gives for the model's logits. The optimizer's gradients are set to None
    before `backprop`, so that only this batch counts, and its step comes after it. The step is taken once.

    Args:
        model: takes a tensor of the images to logits.
        optimizer: knows the model's parameters.
        images: a batch of pictures, an array.
        labels: their true classes, an array.

    Returns:
        The loss before the step, a float of Python.
    """
    loss = cross_entropy(model(Tensor(images)), Tensor(labels)).mean()
    optimizer.zero_grad()
    backprop(loss)
    optimizer.step()
    return loss.item()


def train_classifier(
    model: Module,
    optimizer: Any,
    data: ImageData,
    *,
    n_epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    step: Step = training_step,
) -> list[float]:
    """Train on all of the training set `n_epochs` times, in an order of its own each time; the loss of each step.

    Args:
        model: is changed.
        optimizer: an SGD, or what `step` takes in its place; it knows the model's parameters.
        data: any pictures with labels.
        n_epochs: how often every picture is seen.
        batch_size: pictures in one step; what is left at the end of an epoch is a smaller batch.
        seed: of the order.
        step: yours, if it isn't the library's.
    """
    if n_epochs < 1 or batch_size < 1:
        raise ConfigError(f"n_epochs and batch_size must be at least 1: got {n_epochs} and {batch_size}.")
    rng = np.random.default_rng(seed)
    losses: list[float] = []
    for _ in range(n_epochs):
        order = rng.permutation(len(data.train_labels))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            losses.append(step(model, optimizer, data.train_images[batch], data.train_labels[batch]))
            if not np.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss must be finite: got {losses[-1]} in step {len(losses) - 1}. Lower the learning rate."
                )
    return losses


def predict(model: Module, images: Float[np.ndarray, "batch height width"]) -> Int[np.ndarray, " batch"]:
    """The class with the largest logit, for each picture."""
    with no_grad():
        return model(Tensor(images)).array.argmax(axis=1)


def compute_accuracy(
    model: Module, images: Float[np.ndarray, "batch height width"], labels: Int[np.ndarray, " batch"]
) -> float:
    """The share of pictures whose class is right."""
    return float((predict(model, images) == labels).mean())
