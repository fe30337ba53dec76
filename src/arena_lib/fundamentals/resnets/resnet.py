"""ResNet-34, whose weights have torchvision's names, so that files of its weights load into it; and its answers.

Shapes:  images "batch 3 height width" -> logits "batch n_classes"
Raises:  ConfigError for sizes that can't be; ShapeError for an input that doesn't fit.
Source:  He et al. 2015, arXiv:1512.03385, table 1, the column of 34 layers.
Differs: channels of the stem are those of the first group, so that small networks can be made of the same class.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.resnets.batch_norm import BatchNorm2d
from arena_lib.fundamentals.resnets.blocks import BlockGroup
from arena_lib.fundamentals.resnets.convolution import AveragePool, Conv2d
from arena_lib.fundamentals.resnets.layers import Linear, ReLU

MANIFEST = Path(__file__).parent / "data" / "resnet34.json"
"""The names and shapes of torchvision's ResNet-34, in its order."""


class ResNet34(nn.Module):
    """Colour pictures to logits, through a stem and groups of residual blocks.

    The stem is `conv1`, 7 x 7 with stride 2 and padding 3, from 3 channels to those of the first group; then `bn1`,
    `relu`, and `maxpool`, an nn.MaxPool2d of 3 x 3 with stride 2 and padding 1. The groups are `layer1`, `layer2` and so
    on, each a BlockGroup of as many blocks, channels and the first stride as the three arguments say. Then come
    `avgpool`, an AveragePool, and `fc`, a Linear to the classes.

    Args:
        n_blocks_per_group: how many blocks each group has.
        out_features_per_group: the channels that each group makes.
        first_strides_per_group: the stride of each group's first block.
        n_classes: how many logits.
    """

    def __init__(
        self,
        n_blocks_per_group: Sequence[int] = (3, 4, 6, 3),
        out_features_per_group: Sequence[int] = (64, 128, 256, 512),
        first_strides_per_group: Sequence[int] = (1, 2, 2, 2),
        n_classes: int = 1000,
    ) -> None:
        super().__init__()
        check_groups(n_blocks_per_group, out_features_per_group, first_strides_per_group)
        in_feats = out_features_per_group[0]
        self.conv1 = Conv2d(3, in_feats, kernel_size=7, stride=2, padding=3)
        self.bn1 = BatchNorm2d(in_feats)
        self.relu = ReLU()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.n_groups = len(n_blocks_per_group)
        groups = zip(n_blocks_per_group, out_features_per_group, first_strides_per_group, strict=True)
        for number, (n_blocks, out_feats, stride) in enumerate(groups, start=1):
            self.add_module(f"layer{number}", BlockGroup(n_blocks, in_feats, out_feats, stride))
            in_feats = out_feats
        self.avgpool = AveragePool()
        self.fc = Linear(in_feats, n_classes)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch n_classes"]:
        """A logit for each class."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(1, self.n_groups + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.fc(self.avgpool(x))


def check_groups(*per_group: Sequence[int]) -> None:
    """Raise unless there is one number of each kind for each group."""
    lengths = [len(numbers) for numbers in per_group]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise ConfigError(f"blocks, features and strides must be as many as there are groups: got {lengths} of them.")


def read_manifest() -> dict[str, tuple[int, ...]]:
    """The 218 names of torchvision's ResNet-34 with the shape of each, in its order.

    >>> list(read_manifest().items())[0]
    ('conv1.weight', (64, 3, 7, 7))
    """
    return {name: tuple(shape) for name, shape in json.loads(MANIFEST.read_text(encoding="utf-8"))}


def predict(
    model: nn.Module, images: Float[Tensor, "batch rgb h w"]
) -> tuple[Float[Tensor, " batch"], Int[Tensor, " batch"]]:
    """Which class the model thinks each picture shows, and how sure it is.

    The model is asked in evaluation mode and without gradients. Afterwards it is in the mode it was in before.

    Returns:
        For each picture the largest probability (of the softmax of its logits) and the number of its class.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        probabilities = model(images).softmax(dim=-1)
    model.train(was_training)
    largest, classes = probabilities.max(dim=-1)
    return largest, classes
