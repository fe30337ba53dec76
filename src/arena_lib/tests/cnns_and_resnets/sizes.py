"""Judge of the size of an output."""

import torch

from arena_lib.checking import Case, exercise, instead_of
from arena_lib.fundamentals.convolutions import sizes

__test__ = False


def size_cases(generator: torch.Generator) -> list[Case]:
    """Strides that fit and strides that leave a rest; padding; a kernel that just fits; the defaults."""
    calls = {
        "neither stride nor padding": (10, 3),
        "a kernel of one": (5, 1),
        "a stride that leaves nothing over": (9, 3, 2),
        "a stride that leaves a number over": (10, 3, 2),
        "a stride above the kernel": (11, 2, 4),
        "padding that keeps the size": (8, 3, 1, 1),
        "padding and stride": (8, 3, 2, 1),
        "padding and stride, and two numbers over": (9, 4, 3, 2),
        "a kernel as large as the input": (4, 4, 3),
        "a kernel that only padding gives room": (2, 5, 2, 2),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def size_by_walking(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """Puts the kernel down wherever it fits."""
    return len(range(-padding, size + padding - kernel_size + 1, stride))


BOTH_ENDS = "padding is added at both ends"
FIRST_PLACE = "the first place counts too: after it, there is one more for each whole stride"

test_output_size = exercise(
    reference=sizes.output_size,
    cases=size_cases,
    accepts=[
        size_by_walking,
        lambda size, kernel_size, stride=1, padding=0: int((size - kernel_size + 2 * padding + stride) / stride),
    ],
    mistakes=[
        *instead_of(
            "(size + 2 * padding - kernel_size) // stride + 1",
            {
                "(size + padding - kernel_size) // stride + 1": ("adds the padding once", BOTH_ENDS),
                "(size - kernel_size) // stride + 1": ("forgets the padding", BOTH_ENDS),
                "(size + 2 * padding - kernel_size) // stride": ("forgets the first place", FIRST_PLACE),
                "(size + 2 * padding - kernel_size + 1) // stride": (
                    "adds 1 before it divides",
                    FIRST_PLACE,
                ),
                "-(-(size + 2 * padding - kernel_size) // stride) + 1": (
                    "rounds up",
                    "where less than a stride is left over, the kernel has no further place",
                ),
                "(size + 2 * padding - kernel_size) + 1": ("forgets the stride", "the kernel moves on by stride"),
                "(size + 2 * padding) // stride": ("forgets the kernel", "all of the kernel must lie inside"),
                "(size + 2 * padding - kernel_size) / stride + 1": (
                    "divides without rounding",
                    "the result is a whole number: // rounds down",
                ),
            },
        )
    ],
)
