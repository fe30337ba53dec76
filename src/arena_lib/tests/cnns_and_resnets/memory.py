"""Judges of positions in memory and of strides."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, exercise, instead_of, outputs
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.convolutions import memory

__test__ = False

EACH_AXIS = "one step along an axis leads as many places further as its own stride: multiply axis by axis, and add up"


def position_cases(generator: torch.Generator) -> list[Case]:
    """One axis, two, three, strides in any order, a stride of 0, an offset, the first entry, no axes."""
    calls = {
        "a grid of five columns": ((2, 1), (5, 1)),
        "the first entry": ((0, 0), (5, 1)),
        "a row of every third number": ((4,), (3,)),
        "three axes": ((1, 2, 3), (20, 5, 1)),
        "a transposed grid": ((2, 3), (1, 7)),
        "an axis that repeats": ((6, 2), (0, 3)),
        "memory that begins further on": ((2, 1), (5, 1), 7),
        "the first entry of a slice": ((0, 0, 0), (12, 4, 2), 3),
        "a single number": ((), (), 9),
    }
    return [Case(label=label, args=args) for label, args in calls.items()]


def a_number(function: Callable[..., Any], case: Case) -> Observations:
    """The position; a number of numpy or a tensor counts as well."""
    seen = outputs(function, case)
    return {**seen, "output": int(seen["output"])}


def position_by_loop(index: Sequence[int], stride: Sequence[int], storage_offset: int = 0) -> int:
    """Axis by axis."""
    position = storage_offset
    for axis in range(len(index)):
        position += index[axis] * stride[axis]
    return position


test_memory_position = exercise(
    reference=memory.memory_position,
    cases=position_cases,
    observe=a_number,
    accepts=[position_by_loop, lambda index, stride, storage_offset=0: storage_offset + int(np.dot(index, stride))],
    equivalent={
        "(i * step for i, step in zip(index, stride, strict=True)) -> "
        "(i * step for i, step in zip(stride, index, strict=True))": "the factors of a product may change places"
    },
    mistakes=[
        *instead_of(
            "storage_offset + sum(i * step for i, step in zip(index, stride, strict=True))",
            {
                "sum(i * step for i, step in zip(index, stride, strict=True))": (
                    "forgets the offset",
                    "the entry at index 0 lies at storage_offset: count from there",
                ),
                "storage_offset + sum(i + step for i, step in zip(index, stride, strict=True))": (
                    "adds index and stride",
                    EACH_AXIS,
                ),
                "storage_offset + sum(i * step for i, step in zip(index, stride[::-1], strict=True))": (
                    "reads the strides backwards",
                    "stride[0] belongs to index[0]",
                ),
                "storage_offset + sum(index[-1:])": ("looks at the last axis alone", EACH_AXIS),
                "storage_offset + sum(index)": ("takes every stride for 1", EACH_AXIS),
                "storage_offset + (index[0] * stride[0] if index else 0)": ("looks at the first axis alone", EACH_AXIS),
                "1 + storage_offset + sum(i * step for i, step in zip(index, stride, strict=True))": (
                    "counts from 1",
                    "places in memory are counted from 0",
                ),
            },
        )
    ],
)


def shape_cases(generator: torch.Generator) -> list[Case]:
    """One axis to four, lengths of 1, no axes."""
    shapes = [(4, 5), (7,), (2, 3, 4), (3, 2, 5, 4), (1, 6), (6, 1), (3, 1, 2), ()]
    return [Case(label=f"the shape {shape}", args=(shape,)) for shape in shapes]


def strides_as_tuple(function: Callable[..., Any], case: Case) -> Observations:
    """The strides; a list counts as well."""
    seen = outputs(function, case)
    return {**seen, "output": tuple(int(step) for step in seen["output"])}


def strides_from_the_end(shape: Sequence[int]) -> list[int]:
    """Multiplies on from the last axis to the first."""
    return list(itertools.accumulate(reversed(shape[1:]), lambda a, b: a * b, initial=1))[: len(shape)][::-1]


test_contiguous_strides = exercise(
    reference=memory.contiguous_strides,
    cases=shape_cases,
    observe=strides_as_tuple,
    accepts=[lambda shape: torch.empty(shape).stride(), strides_from_the_end],
    mistakes=[
        *instead_of(
            "tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))",
            {
                "tuple(math.prod(shape[axis:]) for axis in range(len(shape)))": (
                    "counts an axis's own length",
                    "a step along an axis leads past what the axes *after* it hold",
                ),
                "tuple(math.prod(shape[:axis]) for axis in range(len(shape)))": (
                    "lets the first axis move fastest",
                    "the last axis has the stride 1: one reads along a row, then goes to the next",
                ),
                "tuple(math.prod(shape[len(shape) - axis :]) for axis in range(len(shape)))": (
                    "writes the strides backwards",
                    "the last axis has the stride 1, so the tuple ends in 1",
                ),
                "tuple(shape[axis + 1] if axis + 1 < len(shape) else 1 for axis in range(len(shape)))": (
                    "looks at the next axis alone",
                    "past *all* axes that follow: their lengths are multiplied",
                ),
                "tuple(sum(shape[axis + 1 :]) or 1 for axis in range(len(shape)))": (
                    "adds the lengths up",
                    "the axes after it hold the product of their lengths",
                ),
                "tuple(shape)": ("returns the shape", "a stride says how far one step leads, not how many there are"),
            },
        )
    ],
)
