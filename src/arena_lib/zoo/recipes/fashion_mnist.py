"""The selection of Fashion-MNIST that ships: of each class the first 600 training images and the first 100 test images.

    python -m arena_lib.zoo.recipes.fashion_mnist FOLDER

FOLDER has the four idx files of the whole data set: Debian's package `dataset-fashion-mnist` puts them into
/usr/share/datasets/fashion-mnist. The images keep their order, which is random,
and every pixel; they are packed with xz, which takes 48 % of their bytes.

Source:  own derivation. The images: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from arena_lib.errors import ArenaError, ConfigError
from arena_lib.fundamentals.images.idx import BUNDLED, write_idx
from arena_lib.fundamentals.images.labelled import load_fashion_mnist

N_PER_CLASS = {"train": 600, "test": 100}
FILES = {"train": ("train-images-idx3-ubyte.xz", "train-labels-idx1-ubyte.xz")}
FILES["test"] = ("t10k-images-idx3-ubyte.xz", "t10k-labels-idx1-ubyte.xz")


def select(labels: UInt8[np.ndarray, " n"], n_per_class: int) -> Int[np.ndarray, " chosen"]:
    """Which images are taken: the first so many of each class, in the order in which they stand.

    >>> select(np.array([1, 0, 0, 1, 0, 1], np.uint8), 2)
    array([0, 1, 2, 3])
    """
    counts = np.bincount(labels)
    if counts.min() < n_per_class:
        raise ConfigError(
            f"n_per_class must be at most {counts.min()}, the smallest class: got {n_per_class}. Take fewer."
        )
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:n_per_class] for label in range(len(counts))]))


def bundle(source: Path | str, target: Path | str = BUNDLED) -> None:
    """Write the four files that ship, from the folder of the whole data set."""
    for split, names in FILES.items():
        images, labels, _ = load_fashion_mnist(split, source)
        pixels, numbers = (images[:, 0] * 255).round().byte().numpy(), labels.byte().numpy()
        chosen = select(numbers, N_PER_CLASS[split])
        for name, array in zip(names, (pixels, numbers), strict=True):
            write_idx(Path(target) / name, array[chosen])


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the files anew; 0 if all went well, 3 where the data set isn't there or is damaged."""
    parser = argparse.ArgumentParser(prog="python -m arena_lib.zoo.recipes.fashion_mnist", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the four idx files of the whole data set are")
    try:
        bundle(parser.parse_args(arguments).folder)
    except ArenaError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
