"""Images with the number of what each shows, as tensors, and the data sets that are read from idx files.

7,000 images of Fashion-MNIST ship with the package, so `load_fashion_mnist()` needs nothing. The whole data set, and
MNIST, are read from a folder that the user names: MNIST's source states no licence that would let it ship.

Shapes:  images "n 1 28 28", floats from 0 (black) to 1 (white); labels "n", from 0 to 9.
Raises:  ZooError for files that are missing, damaged or of another data set; ConfigError for a split that isn't there.
Source:  Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747 (Fashion-MNIST); LeCun et al. 1998 (MNIST).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from arena_lib.errors import ConfigError, ZooError
from arena_lib.fundamentals.images.idx import BUNDLED, read_idx

SPLITS = {"train": "train", "test": "t10k"}
"""How the files of each split begin."""
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
"""Height and width of each image, in pixels."""


class LabelledImages(NamedTuple):
    """Images, what each shows, and the names of the classes."""

    images: Float[Tensor, "n channel height width"]
    """Brightness from 0 to 1."""
    labels: Int64[Tensor, " n"]
    """The number of each image's class: `classes[label]` is its name."""
    classes: tuple[str, ...]
    """The names of the classes."""

    def take(self, n_images: int) -> LabelledImages:
        """The first `n_images` of them.

        >>> load_fashion_mnist("test").take(3).images.shape
        torch.Size([3, 1, 28, 28])
        """
        if not 1 <= n_images <= len(self.labels):
            raise ConfigError(
                f"n_images must be between 1 and {len(self.labels)}, the images that are there: got {n_images}. Take fewer."
            )
        return LabelledImages(self.images[:n_images], self.labels[:n_images], self.classes)


def load_fashion_mnist(split: str = "train", folder: Path | str | None = None) -> LabelledImages:
    """Small grey pictures of ten kinds of clothes, in random order.

    Without `folder`, the bundled ones: 6,000 for "train" and 1,000 for "test", as many of each class. With it, all
    60,000 and 10,000: `folder` has the four idx files. Debian's package `dataset-fashion-mnist` puts them into
    /usr/share/datasets/fashion-mnist.

    >>> images, labels, classes = load_fashion_mnist()
    >>> images.shape, labels.bincount().tolist()
    (torch.Size([6000, 1, 28, 28]), [600, 600, 600, 600, 600, 600, 600, 600, 600, 600])
    >>> classes[labels[0]]
    'Ankle boot'
    """
    return _read_split(BUNDLED if folder is None else Path(folder), split, FASHION_CLASSES)


def load_mnist(split: str = "train", *, folder: Path | str) -> LabelledImages:
    """The handwritten digits, from a folder with the four idx files, in the files' order."""
    return _read_split(Path(folder), split, tuple("0123456789"))


def check_split(split: str, known: tuple[str, ...]) -> None:
    """Raise unless the data set has this split."""
    if split not in known:
        raise ConfigError(f"split must be one of {', '.join(known)}: got {split!r}. Pick one of them.")


def scale_bytes(array: UInt8[np.ndarray, "..."]) -> Float[Tensor, "..."]:
    """Bytes from 0 to 255 as floats from 0 to 1."""
    return torch.tensor(array).float() / 255


def _read_split(folder: Path, split: str, classes: tuple[str, ...]) -> LabelledImages:
    """The two files of a split, held against each other."""
    check_split(split, tuple(SPLITS))
    image_file = _find_file(folder, f"{SPLITS[split]}-images", "idx3-ubyte")
    label_file = _find_file(folder, f"{SPLITS[split]}-labels", "idx1-ubyte")
    images, labels = read_idx(image_file), read_idx(label_file)
    if images.shape[1:] != (SIDE, SIDE):
        _reject(image_file, f"hold images of {SIDE} x {SIDE} pixels", f"an array of shape {images.shape}")
    if labels.shape != images.shape[:1]:
        _reject(label_file, f"hold {len(images)} labels, one for each image", f"an array of shape {labels.shape}")
    if len(labels) and labels.max() >= len(classes):
        _reject(label_file, f"hold labels from 0 to {len(classes) - 1}", str(labels.max()))
    return LabelledImages(scale_bytes(images)[:, None], torch.tensor(labels).long(), classes)


def _find_file(folder: Path, stem: str, ending: str) -> Path:
    """The file of this name in the folder, packed or not; some copies of the data set have a dot for the dash."""
    for name in (f"{stem}-{ending}", f"{stem}.{ending}"):
        for packed in ("", ".gz", ".xz"):
            if (folder / f"{name}{packed}").is_file():
                return folder / f"{name}{packed}"
    if not folder.is_dir():
        raise ZooError(f"the folder of the data set must be there: {folder} isn't. Name another, or make it.")
    found = ", ".join(sorted(file.name for file in folder.iterdir())[:6]) or "nothing"
    raise ZooError(
        f"{folder} must hold {stem}-{ending}, plain or with .gz or .xz: it holds {found}. "
        "Put the four idx files of the data set there, or name another folder."
    )


def _reject(file: Path, rule: str, got: str) -> None:
    raise ZooError(f"{file} must {rule}: got {got}. Is it the file of another data set?")
