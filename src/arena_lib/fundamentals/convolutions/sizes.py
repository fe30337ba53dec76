"""How large the output of a convolution or of pooling is, and settings that are a number or a pair.

Raises:  ConfigError for settings that aren't whole numbers or pairs of them; ShapeError for a kernel without room.
Source:  Dumoulin and Visin 2016, arXiv:1603.07285, relationship 6.
"""

from arena_lib.errors import ConfigError
from arena_lib.fundamentals.convolutions.inputs import check_fits, check_whole

IntOrPair = int | tuple[int, int]
"""A setting for both axes of an image, or one for the height and one for the width."""


def as_pair(value: IntOrPair, name: str = "a setting") -> tuple[int, int]:
    """(height, width) of a setting that is a pair already, or one whole number for both.

    >>> as_pair(3), as_pair((1, 2))
    ((3, 3), (1, 2))
    """
    pair = (value, value) if isinstance(value, int) else value
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(number, int) for number in pair):
        raise ConfigError(
            f"{name} must be a whole number or a pair of them, for the height and the width: got {value!r}. "
            "Pass 2, or (1, 2)."
        )
    height, width = pair
    return height, width


def output_size(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """How many places a kernel has along an axis of `size` numbers.

    `padding` numbers are added at *either* end. The kernel begins at the very first number and moves on by `stride`, as
    long as all of it lies inside; numbers that are left over at the end are ignored. The result is a whole number.

    >>> output_size(8, kernel_size=3, stride=2, padding=1)
    4
    """
    check_whole(1, stride=stride)
    check_whole(0, size=size, padding=padding)
    check_fits("along the axis", size, kernel_size, padding)
    return (size + 2 * padding - kernel_size) // stride + 1
