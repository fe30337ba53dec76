"""What signals, images, kernels and settings must be: axes, channels that match, one dtype, room for the kernel.

Raises:  ShapeError for other axes, DtypeError for dtypes that differ, ConfigError for strides and padding that can't be.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from arena_lib.errors import ConfigError, DtypeError, ShapeError


def check_axes(axes: str, **tensors: Tensor) -> None:
    """Refuse a tensor with another number of axes than these words; each under its own name."""
    n_axes = len(axes.split())
    for name, tensor in tensors.items():
        if tensor.ndim != n_axes:
            advice = f"Add an axis with {name}[None]" if tensor.ndim < n_axes else f"Pick one with {name}[0]"
            raise ShapeError(f'{name} must have the axes "{axes}": got the shape {tuple(tensor.shape)}. {advice}.')


def check_same_dtype(**tensors: Tensor) -> None:
    """Refuse tensors of different dtypes."""
    (first, of_first), (second, of_second) = tensors.items()
    if of_first.dtype != of_second.dtype:
        raise DtypeError(
            f"{first} and {second} must have one dtype: got {of_first.dtype} and {of_second.dtype}. "
            f"Use {second}.to({first}.dtype)."
        )


def check_same_length(first: str, n_first: int, second: str, n_second: int) -> None:
    """Refuse two axes that are multiplied with each other and have different lengths."""
    if n_first != n_second:
        raise ShapeError(f"{first} and {second} must be equally many: got {n_first} and {n_second}. Check both shapes.")


def check_whole(least: int, **numbers: int) -> None:
    """Refuse what isn't a whole number, or is below `least`; each under its own name."""
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ConfigError(f"{name} must be a whole number, at least {least}: got {number!r}. Pass {least} or more.")


def check_layer(
    x: Tensor,
    weights: Tensor,
    x_axes: str,
    weights_axes: str,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
) -> None:
    """Refuse images and kernels that can't be convolved; `stride` and `padding` by axis, such as (height, width)."""
    check_axes(x_axes, x=x)
    check_axes(weights_axes, weights=weights)
    check_same_dtype(x=x, weights=weights)
    check_same_length("in_channels of x", x.shape[1], "in_channels of weights", weights.shape[1])
    check_room(x, weights.shape[2:], stride, padding)


def check_room(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> None:
    """Refuse a kernel that is larger than what it slides over; x has an axis of lengths for each of the kernel's."""
    lengths = x.shape[-len(kernel) :]
    names = ("width",) if len(kernel) == 1 else ("height", "width")
    for name, length, size, step, pad in zip(names, lengths, kernel, stride, padding, strict=False):
        check_whole(1, **{f"stride along the {name}": step})
        check_whole(0, **{f"padding along the {name}": pad})
        check_fits(f"along the {name}", length, size, pad)


def check_fits(where: str, length: int, kernel_size: int, padding: int) -> None:
    """Refuse a kernel that is empty, or larger than the padded axis."""
    check_whole(1, **{f"the kernel's size {where}": kernel_size})
    if length + 2 * padding < kernel_size:
        raise ShapeError(
            f"a kernel must fit into the padded input: got a kernel of {kernel_size} {where}, and {length} numbers with "
            f"{padding} more at either end. Take a smaller kernel, or more padding."
        )


def check_range(name: str, number: int, *, least: int, most: int) -> None:
    """Refuse a number of entries, or an index, that the tensor doesn't have."""
    if not isinstance(number, int) or not least <= number <= most:
        raise ConfigError(
            f"{name} must be a whole number from {least} to {most} for this tensor: got {number!r}. "
            "as_strided would read past the tensor's end."
        )


def check_pad_value(x: Tensor, pad_value: float | int) -> None:
    """Refuse 0.5 for a tensor of whole numbers, which would cut it off to 0 without a word."""
    if not x.is_floating_point() and pad_value % 1 != 0:
        raise ConfigError(
            f"pad_value must be a whole number where x holds whole numbers, {x.dtype}: got {pad_value}. Use x.float()."
        )


def check_pooling(x: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> None:
    """Refuse what can't be pooled. With more padding than half of the kernel, a window might hold nothing else."""
    check_axes("batch channels height width", x=x)
    if x.dtype == torch.bool or x.is_complex():
        raise DtypeError(f"x must hold numbers that can be compared: got {x.dtype}. Use x.float() of a bool.")
    check_room(x, kernel_size, stride, padding)
    if any(2 * pad > size for pad, size in zip(padding, kernel_size, strict=True)):
        raise ConfigError(
            f"padding must be at most half of kernel_size: got the padding {padding} for the kernel {kernel_size}. "
            "Take less padding."
        )
