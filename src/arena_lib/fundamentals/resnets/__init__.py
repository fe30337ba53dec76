"""Modules from scratch, from one function to ResNet-34, and what they learn.

layers        `ReLU`, `Linear`, `Flatten`
mlp           `SimpleMLP` and its training with validation
convolution   `Conv2d` and `AveragePool`
batch_norm    `BatchNorm2d`
blocks        `ResidualBlock` and `BlockGroup`
resnet        `ResNet34`, with torchvision's names, and `predict`
transfer      a trained network as a source of features for another task

>>> sum(parameter.numel() for parameter in ResNet34().parameters())
21797672
"""

from arena_lib.fundamentals.resnets.batch_norm import BatchNorm2d
from arena_lib.fundamentals.resnets.blocks import BlockGroup, ResidualBlock
from arena_lib.fundamentals.resnets.convolution import AveragePool, Conv2d
from arena_lib.fundamentals.resnets.layers import Flatten, Linear, ReLU
from arena_lib.fundamentals.resnets.mlp import (
    SimpleMLP,
    SimpleMLPTrainingArgs,
    compute_accuracy,
    train,
    training_step,
)
from arena_lib.fundamentals.resnets.resnet import ResNet34, predict, read_manifest
from arena_lib.fundamentals.resnets.transfer import (
    ResNetTrainingArgs,
    get_resnet_for_feature_extraction,
    prepare_for_resnet,
    train_resnet,
)

__all__ = [
    "AveragePool",
    "BatchNorm2d",
    "BlockGroup",
    "Conv2d",
    "Flatten",
    "Linear",
    "ReLU",
    "ResNet34",
    "ResNetTrainingArgs",
    "ResidualBlock",
    "SimpleMLP",
    "SimpleMLPTrainingArgs",
    "compute_accuracy",
    "get_resnet_for_feature_extraction",
    "predict",
    "prepare_for_resnet",
    "read_manifest",
    "train",
    "train_resnet",
    "training_step",
]
