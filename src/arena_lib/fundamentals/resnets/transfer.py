"""Feature extraction: a network that learned one task reads pictures for another, and only a new last layer learns.

Shapes:  images "batch 3 height width" -> logits "batch n_classes"
Raises:  ConfigError for settings that can't work.
Source:  Donahue et al. 2013, arXiv:1310.1531 (features of a trained network as the input of a new classifier).
"""

import copy
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from arena_lib.fundamentals.images import LabelledImages
from arena_lib.fundamentals.resnets.layers import Linear, check_sizes
from arena_lib.fundamentals.resnets.mlp import check_training, compute_accuracy, training_step
from arena_lib.fundamentals.resnets.resnet import ResNet34

FASHION_MEAN, FASHION_STD = 0.2860, 0.3530
"""Of all pixels of Fashion-MNIST's 60,000 training images, in brightness from 0 to 1."""


def prepare_for_resnet(images: Float[Tensor, "n 1 height width"]) -> Float[Tensor, "n 3 height width"]:
    """Grey pictures as a ResNet takes them: three equal channels, with mean 0 and deviation 1 over Fashion-MNIST."""
    return ((images - FASHION_MEAN) / FASHION_STD).repeat(1, 3, 1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class ResNetTrainingArgs:
    """How `train_resnet` trains."""

    pretrained: ResNet34 = field(repr=False)
    """The network whose features are used; it isn't changed."""
    train_set: LabelledImages = field(repr=False)
    """Pictures to learn from, with three channels."""
    test_set: LabelledImages = field(repr=False)
    """Pictures to be tested on."""
    batch_size: int = 64
    """Pictures in one step."""
    epochs: int = 5
    """How often every picture of the training set is seen."""
    learning_rate: float = 1e-3
    """Adam's."""
    n_classes: int = 10
    """How many kinds of pictures the new task has."""
    seed: int = 0
    """Of the new layer's first weights and of the order."""

    def __post_init__(self) -> None:
        check_training(self.batch_size, self.epochs, self.learning_rate)
        check_sizes(n_classes=self.n_classes)


def get_resnet_for_feature_extraction(n_classes: int, pretrained: ResNet34) -> ResNet34:
    """A copy of a trained network that is frozen, but for a new last layer.

    In the copy no parameter requires a gradient, save those of `fc`: it's a new Linear from as many features as before to
    `n_classes`. `pretrained` itself stays as it is.

    Args:
        n_classes: how many kinds of pictures the new task has.
        pretrained: the network that learned another task.
    """
    model = copy.deepcopy(pretrained)
    model.requires_grad_(False)
    model.fc = Linear(model.fc.in_features, n_classes)
    return model


def train_resnet(args: ResNetTrainingArgs) -> tuple[list[float], list[float], ResNet34]:
    """Train the last layer of `get_resnet_for_feature_extraction` with Adam, and test after every epoch.

    Begins with `torch.manual_seed(args.seed)`, so that equal arguments give equal results. The model is in evaluation mode
    all the time: in training mode its batch norms would move their running statistics, which are buffers and aren't
    frozen with the parameters. Everything else is as in `train`: in each epoch every picture of `args.train_set` once, in
    a new random order, in batches of `args.batch_size`, and then the accuracy on all of `args.test_set`.

    Returns:
        The loss of each step, the accuracy after each epoch, and the model.
    """
    torch.manual_seed(args.seed)
    model = get_resnet_for_feature_extraction(args.n_classes, args.pretrained).eval()
    optimizer = torch.optim.Adam(model.fc.parameters(), lr=args.learning_rate)
    images, labels, _ = args.train_set
    losses, accuracies = [], []
    for _ in range(args.epochs):
        for batch in torch.randperm(len(labels)).split(args.batch_size):
            losses.append(training_step(model, optimizer, images[batch], labels[batch]))
        accuracies.append(compute_accuracy(model, args.test_set.images, args.test_set.labels))
    return losses, accuracies, model
