"""Cases of tensor puzzles: labelled arguments, and random tensors to make them of."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case

__test__ = False


def calls(arguments: Mapping[str, tuple[Any, ...]], axes: str = "") -> list[Case]:
    """A case for each labelled tuple of arguments; `axes` are the words for the result's axes."""
    return [Case(label=label, args=args, axes={"output": axes}) for label, args in arguments.items()]


def floats(generator: torch.Generator, *shape: int) -> Tensor:
    """Random numbers of both signs."""
    return 2 * torch.randn(shape, generator=generator)


def shades(generator: torch.Generator, *shape: int) -> Tensor:
    """Random numbers from 0 to 1, as the pixels of images."""
    return torch.rand(shape, generator=generator)


def whole(generator: torch.Generator, end: int, *shape: int) -> Tensor:
    """Random whole numbers from 0 to `end` - 1."""
    return torch.randint(end, shape, generator=generator)
