"""Small labelled images to learn on: some that ship, and data sets read from a folder of the user's.

idx         the file format of MNIST and Fashion-MNIST
labelled    `load_fashion_mnist` (7,000 images ship with the package) and `load_mnist`
cifar       `load_cifar10`

>>> images, labels, classes = load_fashion_mnist("test")
>>> images.shape
torch.Size([1000, 1, 28, 28])
"""

from arena_lib.fundamentals.images.cifar import CIFAR10_CLASSES, load_cifar10
from arena_lib.fundamentals.images.idx import read_idx, write_idx
from arena_lib.fundamentals.images.labelled import FASHION_CLASSES, LabelledImages, load_fashion_mnist, load_mnist

__all__ = [
    "CIFAR10_CLASSES",
    "FASHION_CLASSES",
    "LabelledImages",
    "load_cifar10",
    "load_fashion_mnist",
    "load_mnist",
    "read_idx",
    "write_idx",
]
