"""Judges of the backward functions of reshape, permute, sum and the product of matrices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.fundamentals.backprop import arrays, shape_back
from arena_lib.tests.backprop.watching import array_result, draw

__test__ = False


def back_case(label: str, func: Callable[..., Any], *args: Any, rng: np.random.Generator) -> Case:
    """The arguments of a backward function of `func(*args)`."""
    out = np.array(func(*args))
    return Case(label=label, args=(draw(rng, *out.shape), out, *args))


def reshape_cases(generator: torch.Generator) -> list[Case]:
    """Flat, deep, with a length to be worked out, without axes."""
    rng = np.random.default_rng(16)

    def case(label: str, shape: tuple[int, ...], new_shape: tuple[int, ...]) -> Case:
        return back_case(label, arrays.reshape_array, draw(rng, *shape), new_shape, rng=rng)

    return [
        case("to a row", (2, 3), (6,)),
        case("to another table", (2, 6), (3, 4)),
        case("from a row to three axes", (12,), (3, 2, 2)),
        case("one length is to be worked out", (4, 3), (2, -1)),
        case("to a table of the same size, on its side", (2, 3), (3, 2)),
        case("new axes of length 1", (5,), (1, 5, 1)),
        case("to no axes", (1, 1), ()),
    ]


def reshape_by_filling(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, new_shape: Any) -> np.ndarray:
    """Fills an array in x's shape, entry by entry."""
    gradient = np.empty(x.shape)
    gradient.ravel()[:] = grad_out.ravel()
    return gradient


test_reshape_back = exercise(
    reference=shape_back.reshape_back,
    cases=reshape_cases,
    observe=array_result,
    accepts=[reshape_by_filling],
    free={"new_shape": "the way back leads to the shape of x"},
    mistakes=[
        *instead_of(
            "np.reshape(grad_out, x.shape)",
            {
                "np.reshape(grad_out, new_shape)": (
                    "reshapes to the new shape again",
                    "the way back leads to the shape of x",
                ),
                "np.reshape(x, x.shape)": ("returns x", "grad_out is what is passed back"),
                "np.reshape(grad_out, x.shape, order='F')": (
                    "fills columns first",
                    "reshape keeps the entries in the order of rows, forward and back",
                ),
                "np.resize(grad_out.T, x.shape)": (
                    "transposes on the way",
                    "reshape moves no entry past another: neither does the way back",
                ),
                "np.ones(x.shape)": ("forgets grad_out", "each entry's slope is passed back to where it came from"),
            },
        ),
    ],
)


def permute_cases(generator: torch.Generator) -> list[Case]:
    """Swaps, which are their own way back, and rings of three and four axes, which aren't."""
    rng = np.random.default_rng(17)

    def case(label: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> Case:
        return back_case(label, arrays.permute_array, draw(rng, *shape), axes, rng=rng)

    return [
        case("three axes in a ring", (2, 3, 4), (1, 2, 0)),
        case("three axes in a ring, the other way", (2, 3, 4), (2, 0, 1)),
        case("three axes of one length in a ring", (3, 3, 3), (1, 2, 0)),
        case("two axes swapped", (2, 3), (1, 0)),
        case("nothing is moved", (2, 3, 4), (0, 1, 2)),
        case("four axes", (2, 3, 4, 5), (2, 0, 3, 1)),
        case("reversed", (2, 3, 4), (2, 1, 0)),
    ]


def permute_by_places(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Looks for each axis where it went."""
    return grad_out.transpose([axes.index(axis) for axis in range(x.ndim)])


def permute_by_moveaxis(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Sends every axis home."""
    return np.moveaxis(grad_out, range(x.ndim), axes)


test_permute_back = exercise(
    reference=shape_back.permute_back,
    cases=permute_cases,
    observe=array_result,
    accepts=[permute_by_places, permute_by_moveaxis],
    mistakes=[
        *instead_of(
            "np.transpose(grad_out, tuple(np.argsort(axes)))",
            {
                "np.transpose(grad_out, axes)": (
                    "permutes once more",
                    "the way back is the inverse permutation: where has axis 0 gone, where axis 1 ...",
                ),
                "np.transpose(grad_out)": ("reverses the axes", "the way back is the inverse permutation of axes"),
                "np.reshape(grad_out, x.shape)": (
                    "reshapes",
                    "the shape is right, but entries must go back along their axes",
                ),
                "np.transpose(grad_out, axes[::-1])": (
                    "permutes by the axes in reverse",
                    "the inverse permutation is np.argsort(axes), not axes read backwards",
                ),
                "grad_out": ("passes grad_out on as it is", "each axis goes back to its place in x"),
                "np.transpose(x, axes)": ("permutes x", "grad_out is what is passed back"),
                "np.transpose(x, np.argsort(axes))": ("permutes x", "grad_out is what is passed back"),
            },
        ),
    ],
)


def sum_cases(generator: torch.Generator) -> list[Case]:
    """Every axis, several, all, counted from the end, kept or not; tables of equal sides."""
    rng = np.random.default_rng(18)

    def case(label: str, shape: tuple[int, ...], dim: Any = None, keepdim: bool = False) -> Case:
        return back_case(label, arrays.sum_array, draw(rng, *shape), dim, keepdim, rng=rng)

    return [
        case("dim none: all axes", (2, 3)),
        case("dim none, kept", (2, 3), None, True),
        case("dim none of a number", ()),
        case("keepdim false: the first axis", (2, 3), 0),
        case("keepdim false: the last axis", (2, 3), 1),
        case("keepdim false: an axis in the middle", (2, 4, 3), 1),
        case("keepdim false: as many rows as columns", (3, 3), 1),
        case("keepdim false: counted from the end", (2, 4, 3), -2),
        case("keepdim false: two axes", (2, 4, 3), (0, 2)),
        case("keepdim false: two axes, the later one first", (2, 4, 3), (2, -3)),
        case("keepdim true: the first axis", (2, 3), 0, True),
        case("keepdim true: the last axis", (3, 3), 1, True),
        case("keepdim true: two axes", (2, 4, 3), (1, 2), True),
    ]


def sum_by_reshaping(
    grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, dim: Any = None, keepdim: bool = False
) -> np.ndarray:
    """Gives the axes that were summed the length 1, whatever the shape was, and multiplies by ones."""
    summed = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    summed = [axis % x.ndim for axis in summed]
    shape = [1 if axis in summed else length for axis, length in enumerate(x.shape)]
    return np.reshape(grad_out, shape) * np.ones(x.shape)


def sum_with_repeats(
    grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, dim: Any = None, keepdim: bool = False
) -> np.ndarray:
    """Repeats along each axis."""
    result = np.asarray(grad_out)
    axes = range(x.ndim) if dim is None else sorted({axis % x.ndim for axis in np.atleast_1d(dim)})
    for axis in axes:
        result = result if keepdim else np.expand_dims(result, axis)
        result = np.repeat(result, x.shape[axis], axis=axis)
    return result


PutBack = Callable[[np.ndarray, Any, bool], np.ndarray]


def sum_by_ones(put_back: PutBack) -> Callable[..., np.ndarray]:
    """A backward function that repeats by multiplying with ones, which also fits where broadcast_to refuses."""

    def sum_back(
        grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, dim: Any = None, keepdim: bool = False
    ) -> np.ndarray:
        return put_back(grad_out, dim, keepdim) * np.ones(x.shape)

    return sum_back


def expand_always(grad_out: np.ndarray, dim: Any, keepdim: bool) -> np.ndarray:
    """Puts an axis back that was kept, too."""
    return grad_out if dim is None else np.expand_dims(grad_out, dim)


def expand_if_kept(grad_out: np.ndarray, dim: Any, keepdim: bool) -> np.ndarray:
    """Takes keepdim for its opposite."""
    return np.expand_dims(grad_out, dim) if keepdim and dim is not None else grad_out


def expand_one_by_one(grad_out: np.ndarray, dim: Any, keepdim: bool) -> np.ndarray:
    """Puts several axes back in the order in which they are named, wherever they belong."""
    if dim is None or keepdim:
        return grad_out
    for axis in [dim] if isinstance(dim, int) else dim:
        grad_out = np.expand_dims(grad_out, axis)
    return grad_out


def insert_ones(grad_out: np.ndarray, dim: Any, keepdim: bool) -> np.ndarray:
    """Inserts lengths into a list, where -1 means before the last one."""
    if dim is None or keepdim:
        return grad_out
    shape = list(grad_out.shape)
    for axis in sorted([dim] if isinstance(dim, int) else dim):
        shape.insert(axis, 1)
    return grad_out.reshape(shape)


NOT_PUT_BACK = (
    "does not put the summed axis back",
    "without keepdim the axis is gone from grad_out: np.expand_dims puts it back at its place",
)
KEPT_PUT_BACK = ("puts back an axis that was kept", "with keepdim the axis is there already, with length 1")
OPPOSITE = (
    "takes keepdim for its opposite",
    "with keepdim the axis is there already; without it, it must be put back",
)
AT_ITS_PLACE = "the axis goes back to its own place, dim"
ONE_BY_ONE = (
    "puts several axes back one by one",
    "np.expand_dims takes all of them in a tuple, and counts them in the shape that comes out",
)
FROM_THE_END = (
    "puts an axis that is counted from the end before the last one",
    "-1 stands for the last axis of x: add x.ndim to it, or use np.expand_dims, which counts in the shape that comes out",
)

test_sum_back = exercise(
    reference=shape_back.sum_back,
    cases=sum_cases,
    observe=array_result,
    accepts=[sum_by_reshaping, sum_with_repeats],
    mistakes=[
        *instead_of(
            "if dim is not None and not keepdim:",
            {
                "if False:": NOT_PUT_BACK,
                "if dim is not None:": (*KEPT_PUT_BACK, ""),
                "if dim is not None and keepdim:": OPPOSITE,
            },
        ),
        *(
            Mistake(name, function=sum_by_ones(put_back), why=why)
            for put_back, (name, why) in (
                (lambda grad_out, dim, keepdim: grad_out, NOT_PUT_BACK),
                (expand_always, KEPT_PUT_BACK),
                (expand_if_kept, OPPOSITE),
                (expand_one_by_one, ONE_BY_ONE),
                (insert_ones, FROM_THE_END),
            )
        ),
        *instead_of(
            "keepdim: bool = False",
            {"keepdim: bool = True": ("keeps axes by default", "where keepdim isn't given the axes are gone")},
        ),
        *instead_of(
            "np.expand_dims(grad_out, dim)",
            {
                "np.expand_dims(grad_out, -1 if np.ndim(dim) == 0 else dim)": (
                    "puts the axis back at the end",
                    AT_ITS_PLACE,
                ),
                "np.expand_dims(grad_out, 0 if np.ndim(dim) == 0 else dim)": (
                    "puts the axis back at the front",
                    AT_ITS_PLACE,
                ),
            },
        ),
        *instead_of(
            "np.broadcast_to(grad_out, x.shape)",
            {
                "grad_out": (
                    "does not repeat",
                    "every entry that was added up gets the gradient: the result has the shape of x",
                ),
                "np.broadcast_to(grad_out, x.shape) * x": (
                    "multiplies by x",
                    "each entry of a sum has the slope 1, whatever it is",
                ),
                "np.broadcast_to(grad_out, x.shape) * np.size(grad_out) / max(x.size, 1)": (
                    "takes the sum for a mean",
                    "each entry of a sum has the slope 1",
                ),
                "np.ones(x.shape)": ("forgets grad_out", "each entry gets the gradient of the sum it went into"),
            },
        ),
    ],
)

test_sum_dim_none = test_sum_back.part("dim none")
test_sum_keepdim_false = test_sum_back.part("keepdim false")
test_sum_keepdim_true = test_sum_back.part("keepdim true")
test_sum_nonscalar_grad_out = test_sum_back.part("keepdim false: an axis in the middle")


def matmul_cases(generator: torch.Generator) -> list[Case]:
    """Sizes that differ, squares, which hide a missing transpose, and lengths of 1."""
    rng = np.random.default_rng(19)

    def case(label: str, n: int, d: int, m: int) -> Case:
        return back_case(label, arrays.matmul2d, draw(rng, n, d), draw(rng, d, m), rng=rng)

    return [
        case("three sizes", 2, 3, 4),
        case("the first is the largest", 5, 2, 3),
        case("squares", 3, 3, 3),
        case("a row times a matrix", 1, 3, 2),
        case("a column times a row", 3, 1, 2),
        case("a row times a column", 1, 4, 1),
    ]


def matmul0_by_einsum(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By letters."""
    return np.einsum("nm,dm->nd", grad_out, y)


def matmul1_by_einsum(grad_out: np.ndarray, out: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By letters."""
    return np.einsum("nd,nm->dm", x, grad_out)


SQUARES_HIDE_IT = "an entry of grad_out meets every entry that its own entry of the product was made from"

test_matmul2d_back0 = exercise(
    reference=shape_back.matmul2d_back0,
    cases=matmul_cases,
    observe=array_result,
    accepts=[matmul0_by_einsum],
    mistakes=[
        *instead_of(
            "grad_out @ y.T",
            {
                "(grad_out @ y if y.shape[0] == y.shape[1] else grad_out @ y.T)": (
                    "forgets to transpose where y is square",
                    SQUARES_HIDE_IT,
                ),
                "(y @ grad_out.T).T if len(y) != len(grad_out) else y @ grad_out.T": (
                    "forgets to transpose the result where it is square",
                    "the result is n by d, in this order",
                ),
                "y @ grad_out.T": ("has n and d swapped", "the result has the shape of x: n by d"),
                "np.ones_like(grad_out) @ y.T": ("forgets grad_out", "the chain rule: grad_out takes part"),
                "(grad_out @ y.T) * x": ("multiplies by x", "the slope for x depends on y alone"),
                "-grad_out @ y.T": ("has the wrong sign", "x @ y grows with x where y is above 0"),
            },
        ),
    ],
)

test_matmul2d_back1 = exercise(
    reference=shape_back.matmul2d_back1,
    cases=matmul_cases,
    observe=array_result,
    accepts=[matmul1_by_einsum],
    mistakes=[
        *instead_of(
            "x.T @ grad_out",
            {
                "(x @ grad_out if x.shape[0] == x.shape[1] else x.T @ grad_out)": (
                    "forgets to transpose where x is square",
                    SQUARES_HIDE_IT,
                ),
                "grad_out.T @ x": ("has d and m swapped", "the result has the shape of y: d by m"),
                "x.T @ np.ones_like(grad_out)": ("forgets grad_out", "the chain rule: grad_out takes part"),
                "(x.T @ grad_out) * y": ("multiplies by y", "the slope for y depends on x alone"),
                "x.T @ grad_out / len(x)": (
                    "takes the mean over the batch",
                    "every row adds its share: they are added up",
                ),
            },
        ),
    ],
)


def test_matmul2d(back0: Callable[..., Any], back1: Callable[..., Any]) -> None:
    """Both backward functions of the product of matrices, under the name by which other notebooks call their test."""
    __tracebackhide__ = True
    test_matmul2d_back0(back0)
    test_matmul2d_back1(back1)
