"""Layers, a loss, an optimizer, a set of pictures, and their training, all on this package's own tensors.

networks   `Linear`, `relu`, `cross_entropy`, `SGD`
digits     pictures of digits that are drawn, so that nothing has to be downloaded; `ImageData` takes any others
training   a classifier, and the loop that trains it
"""

from arena_lib.fundamentals.backprop.classifier.digits import ImageData, draw_digits, make_digits
from arena_lib.fundamentals.backprop.classifier.networks import SGD, Linear, Module, Parameter, cross_entropy, relu
from arena_lib.fundamentals.backprop.classifier.training import (
    MLP,
    compute_accuracy,
    predict,
    train_classifier,
    training_step,
)

__all__ = [
    "MLP",
    "SGD",
    "ImageData",
    "Linear",
    "Module",
    "Parameter",
    "compute_accuracy",
    "cross_entropy",
    "draw_digits",
    "make_digits",
    "predict",
    "relu",
    "train_classifier",
    "training_step",
]
