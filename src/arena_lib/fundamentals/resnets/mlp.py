"""A small network of linear layers that reads pictures, and its training.

Shapes:  images "batch 1 28 28" -> logits "batch 10"
Raises:  ConfigError for settings that can't work; ShapeError for pictures of another size.
Source:  own derivation; Adam is Kingma and Ba 2014, arXiv:1412.6980.
"""

from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.images import LabelledImages, load_fashion_mnist
from arena_lib.fundamentals.resnets.layers import Flatten, Linear, ReLU


class SimpleMLP(nn.Module):
    """Pictures of 28 x 28 pixels to ten logits, through one hidden layer of 100 numbers.

    The pixels are flattened to 784 numbers; `linear1` makes 100 of them, then come `relu` and `linear2`, which makes 10.
    No relu comes after `linear2`: a logit may be negative.

    >>> SimpleMLP()(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 10])
    """

    def __init__(self) -> None:
        super().__init__()
        self.flatten = Flatten()
        self.linear1 = Linear(28 * 28, 100)
        self.relu = ReLU()
        self.linear2 = Linear(100, 10)

    def forward(self, x: Float[Tensor, "batch 1 28 28"]) -> Float[Tensor, "batch 10"]:
        """A logit for each class: the larger it is, the likelier the class."""
        return self.linear2(self.relu(self.linear1(self.flatten(x))))


@dataclass(frozen=True, kw_only=True, eq=False)
class SimpleMLPTrainingArgs:
    """How `train` trains."""

    batch_size: int = 64
    """Pictures in one step."""
    epochs: int = 3
    """How often every picture of the training set is seen."""
    learning_rate: float = 1e-3
    """Adam's."""
    seed: int = 0
    """Of the first weights and of the order."""
    train_set: LabelledImages = field(default_factory=load_fashion_mnist, repr=False)
    """Pictures to learn from; the bundled ones by default."""
    test_set: LabelledImages = field(default_factory=partial(load_fashion_mnist, "test"), repr=False)
    """Pictures to be tested on, none of which the network learns from."""

    def __post_init__(self) -> None:
        check_training(self.batch_size, self.epochs, self.learning_rate)


def check_training(batch_size: int, epochs: int, learning_rate: float) -> None:
    """Raise unless a training can be made of these."""
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1: got {value}.")
    if not learning_rate > 0:
        raise ConfigError(f"learning_rate must be above 0: got {learning_rate}. Try 1e-3.")


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Float[Tensor, "batch channel height width"],
    labels: Int[Tensor, " batch"],
) -> float:
    """One step of training on one batch, and the loss before it.

    The loss is the mean cross-entropy of the model's logits. Gradients that are left from before are cleared, so that only
    this batch counts, and the optimizer steps once.

    Args:
        model: images to logits; it's called as it is, in the mode it's in.
        optimizer: knows the model's parameters.
        images: a batch of pictures.
        labels: the number of each one's class.

    Returns:
        The loss before the step, a float of Python.
    """
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def compute_accuracy(
    model: nn.Module, images: Float[Tensor, "n channel height width"], labels: Int[Tensor, " n"]
) -> float:
    """The share of pictures whose largest logit is that of their class, a float of Python from 0 to 1.

    The model is asked in evaluation mode and without gradients. Afterwards it is in the mode it was in before.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        predicted = model(images).argmax(dim=-1)
    model.train(was_training)
    return (predicted == labels).float().mean().item()


def train(args: SimpleMLPTrainingArgs) -> tuple[list[float], list[float], SimpleMLP]:
    """Train a new SimpleMLP with Adam, and test it after every epoch.

    Begins with `torch.manual_seed(args.seed)`, so that equal arguments give equal results. In each epoch the model sees
    every picture of `args.train_set` once, in a new random order, in batches of `args.batch_size`; what is left at the
    end is a smaller batch. After each epoch its accuracy on all of `args.test_set` is measured, in evaluation mode and
    without gradients.

    Returns:
        The loss of each step, the accuracy after each epoch, and the model.
    """
    torch.manual_seed(args.seed)
    model = SimpleMLP()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.learning_rate)
    images, labels, _ = args.train_set
    losses, accuracies = [], []
    for _ in range(args.epochs):
        for batch in torch.randperm(len(labels)).split(args.batch_size):
            losses.append(training_step(model, optimizer, images[batch], labels[batch]))
        accuracies.append(compute_accuracy(model, args.test_set.images, args.test_set.labels))
    return losses, accuracies, model
