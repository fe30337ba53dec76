"""CIFAR-10's binary version, read from a folder that the user names: small colour photographs of ten kinds of things.

Each file is a row of records of 3,073 bytes: the number of the class, then 1,024 bytes of red, of green and of blue,
row by row. The version for Python is pickled, and nothing is unpickled here.

Shapes:  images "n 3 32 32", floats from 0 to 1; labels "n", from 0 to 9.
Raises:  ZooError for files that are missing, damaged or of another version; ConfigError for a split that isn't there.
Source:  Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", and its page on the data set.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8

from arena_lib.errors import ZooError
from arena_lib.fundamentals.images.labelled import LabelledImages, check_split, scale_bytes

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
CHANNELS, SIDE = 3, 32
RECORD = 1 + CHANNELS * SIDE * SIDE
"""Bytes of one image with its label."""


def load_cifar10(split: str = "train", *, folder: Path | str) -> LabelledImages:
    """The photographs of a split, from the folder of the binary version, in the files' order."""
    check_split(split, tuple(FILES))
    records = np.concatenate([read_records(Path(folder) / name) for name in FILES[split]])
    pixels = rearrange(
        records[:, 1:], "n (channel height width) -> n channel height width", channel=CHANNELS, height=SIDE
    )
    return LabelledImages(scale_bytes(pixels), torch.tensor(records[:, 0]).long(), CIFAR10_CLASSES)


def read_records(file: Path) -> UInt8[np.ndarray, "n record"]:
    """The records of one file, a row each: the label, then the pixels."""
    try:
        content = file.read_bytes()
    except OSError as error:
        is_pickled = file.with_suffix("").is_file()
        hint = f" {file.stem} is the version for Python, which is pickled and isn't read." if is_pickled else ""
        raise ZooError(
            f"{file.name} must be in {file.parent}: {error.strerror}.{hint} "
            "Unpack the binary version of CIFAR-10 (cifar-10-binary.tar.gz), and name its folder cifar-10-batches-bin."
        ) from error
    if not content or len(content) % RECORD:
        raise ZooError(
            f"{file} must hold records of {RECORD:,} bytes: got {len(content):,} bytes, which is "
            f"{len(content) / RECORD:.2f} records. It is incomplete or of another data set: get it again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= len(CIFAR10_CLASSES):
        raise ZooError(
            f"{file} must begin each record with a label from 0 to {len(CIFAR10_CLASSES) - 1}: got {records[:, 0].max()}. "
            "CIFAR-100 has two labels in each record, and isn't read here."
        )
    return records
