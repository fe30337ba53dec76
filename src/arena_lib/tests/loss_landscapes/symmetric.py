"""Judges of symmetries, and of directions that are normalised filter by filter."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.mistakes import changes_an_argument
from arena_lib.checking.observing import Observations, outputs
from arena_lib.fundamentals.landscapes import slices, symmetries
from arena_lib.tests.loss_landscapes.watching import draw

__test__ = False

Params = dict[str, Tensor]


def draw_params(
    generator: torch.Generator, d_in: int, d_hidden: int, n_classes: int, dtype: torch.dtype = torch.float64
) -> Params:
    """Random parameters of one hidden layer."""
    shapes = {"W_in": (d_in, d_hidden), "b_in": (d_hidden,), "W_out": (d_hidden, n_classes), "b_out": (n_classes,)}
    return {name: draw(generator, *shape, dtype=dtype) for name, shape in shapes.items()}


def answer(params: Params, inputs: Tensor) -> Tensor:
    """What the network answers."""
    return torch.relu(inputs @ params["W_in"] + params["b_in"]) @ params["W_out"] + params["b_out"]


def with_order(function: Callable[..., Any], case: Case) -> Observations:
    """A dictionary with the order of its names; and what was changed."""
    seen = outputs(function, case)
    result = seen["output"]
    return seen | {"names in order": list(result) if isinstance(result, dict) else type(result).__name__}


def scale_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes, one unit, float32."""
    sizes = (("three units", (2, 3, 4)), ("one unit", (3, 1, 2)), ("as many units as classes", (4, 5, 5)))
    cases = [
        Case(label=label, args=(draw_params(generator, *size), draw(generator, size[1]).abs() + 0.2))
        for label, size in sizes
    ]
    return [
        *cases,
        Case(label="float32", args=(draw_params(generator, 2, 3, 2, torch.float32), torch.tensor([0.5, 2.0, 3.0]))),
    ]


def rescale_by_loop(params: Params, scales: Tensor) -> Params:
    """Unit by unit, in copies."""
    result = {name: part.clone() for name, part in params.items()}
    for unit, scale in enumerate(scales):
        result["W_in"][:, unit] *= scale
        result["b_in"][unit] *= scale
        result["W_out"][unit] /= scale
    return result


def rescale_in_place(params: Params, scales: Tensor) -> Params:
    """In the dictionary that was handed in."""
    params["W_in"] *= scales
    params["b_in"] *= scales
    params["W_out"] /= scales[:, None]
    return params


test_rescale_hidden = exercise(
    reference=symmetries.rescale_hidden,
    cases=scale_cases,
    observe=with_order,
    accepts=[rescale_by_loop],
    mistakes=[
        *instead_of(
            'params["b_in"] * scales',
            {'params["b_in"]': ("forgets the bias", "all that comes in grows: W_in and b_in")},
        ),
        *instead_of(
            'params["W_out"] / scales[:, None]',
            {
                'params["W_out"] * scales[:, None]': (
                    "multiplies what goes out",
                    "what goes out shrinks by what came in grows",
                ),
                'params["W_out"]': ("leaves what goes out", "what goes out is divided, so that the function stays"),
                'params["W_out"] / scales.mean()': (
                    "divides by a mean",
                    "each unit's row of W_out is divided by its own scale",
                ),
            },
        ),
        *instead_of(
            'params["W_in"] * scales',
            {
                'params["W_in"] * scales.mean()': (
                    "multiplies by a mean",
                    "each unit's column of W_in has its own scale",
                )
            },
        ),
        Mistake("changes the parameters", function=rescale_in_place, why="params stays as it is: the result is new"),
    ],
)


def params_cases(generator: torch.Generator) -> list[Case]:
    """Several sizes, one unit, float32."""
    sizes = (("three units", (2, 3, 4)), ("one unit", (3, 1, 2)), ("more units than inputs", (1, 4, 3)))
    cases = [Case(label=label, args=(draw_params(generator, *size),)) for label, size in sizes]
    return [
        *cases,
        Case(label="float32", args=(draw_params(generator, 2, 3, 2, torch.float32),)),
    ]


def directions_by_derivative(params: Params) -> Tensor:
    """The derivative of what rescaling gives, at scales of 1."""

    def flat(scales: Tensor) -> Tensor:
        moved = [
            params["W_in"] * scales,
            params["b_in"] * scales,
            params["W_out"] / scales[:, None],
            params["b_out"] + 0 * scales[0],
        ]
        return torch.cat([part.flatten() for part in moved])

    result: Tensor = torch.func.jacfwd(flat)(torch.ones_like(params["b_in"])).T
    return result


test_scaling_directions = exercise(
    reference=symmetries.scaling_directions,
    cases=params_cases,
    observe=outputs,
    accepts=[directions_by_derivative],
    mistakes=[
        *instead_of(
            '-params["W_out"][unit]',
            {
                'params["W_out"][unit]': ("lets what goes out grow", "1 / c falls where c grows: minus W_out[j]"),
                '1 / params["W_out"][unit]': ("turns W_out over", "W_out / c has the slope -W_out at c = 1"),
                "0": ("leaves what goes out", "W_out[j] / c falls: it moves by -W_out[j]"),
            },
        ),
        *instead_of(
            'moved["W_in"][:, unit] = params["W_in"][:, unit]',
            {
                'moved["W_in"][:, unit] = 1': ("moves weights by 1", "c * W_in[:, j] moves by W_in[:, j] itself"),
                'moved["W_in"] = params["W_in"]': ("moves all columns", "row j moves what belongs to unit j alone"),
            },
        ),
        *instead_of(
            'moved["b_in"][unit] = params["b_in"][unit]',
            {"pass": ("forgets the bias", "c * b_in[j] moves by b_in[j]")},
        ),
        *instead_of(
            "torch.stack(rows)",
            {
                "torch.stack(rows) / torch.stack(rows).norm(dim=1, keepdim=True)": (
                    "makes the rows length 1",
                    "the rows have the lengths that come out",
                ),
                "torch.stack(rows).sum(dim=0, keepdim=True)": ("adds the units up", "there's a row for each unit"),
                "torch.stack(rows).float()": ("makes float32 of all", "the rows have the dtype of the parameters"),
            },
        ),
        *instead_of(
            "part.flatten() for part in moved.values()",
            {
                "part.flatten() for part in [*moved.values()][:-1]": (
                    "leaves b_out out",
                    "theta ends with b_out: it doesn't move, so its entries are 0",
                ),
                '(part.T if name == "W_in" else part).flatten() for name, part in moved.items()': (
                    "goes through W_in column by column",
                    "theta holds each parameter row by row: unit j's weights lie d_hidden apart",
                ),
                "(part.T if part.ndim == 2 else part).flatten() for part in moved.values()": (
                    "goes through each parameter column by column",
                    "theta holds each parameter row by row",
                ),
            },
        ),
    ],
)


def filter_cases(generator: torch.Generator) -> list[Case]:
    """Two layers, a column of zeros, one matrix, float32; names in another order."""

    def case(label: str, params: Params) -> Case:
        direction = {name: draw(generator, *part.shape, dtype=part.dtype) for name, part in params.items()}
        return Case(label=label, args=(dict(reversed(direction.items())), params), call="direction, params")

    blank = draw_params(generator, 2, 3, 4)
    blank["W_in"][:, 1] = 0
    return [
        case("two layers", draw_params(generator, 3, 4, 2)),
        case("a column of zeros", blank),
        case("one matrix", {"W": draw(generator, 3, 5)}),
        case("float32", draw_params(generator, 2, 3, 4, torch.float32)),
    ]


def filters_by_loop(direction: Params, params: Params) -> Params:
    """Column by column."""
    result = {name: torch.zeros_like(part) for name, part in params.items()}
    for name, part in params.items():
        for unit in range(part.shape[1]) if part.dim() > 1 else ():
            column = direction[name][:, unit]
            result[name][:, unit] = column * (part[:, unit].pow(2).sum().sqrt() / column.pow(2).sum().sqrt())
    return result


def filters_in_place(direction: Params, params: Params) -> Params:
    """Scales the tensors that were handed in."""
    result = {}
    for name, part in params.items():
        if part.dim() > 1:
            direction[name] *= part.norm(dim=0) / direction[name].norm(dim=0)
        result[name] = direction[name] if part.dim() > 1 else torch.zeros_like(part)
    return result


NORMALISED = "moved / moved.norm(dim=0) * part.norm(dim=0)"
test_filter_normalise = exercise(
    reference=slices.filter_normalise,
    cases=filter_cases,
    observe=with_order,
    accepts=[filters_by_loop],
    mistakes=[
        *instead_of(
            NORMALISED,
            {
                "moved / moved.norm(dim=1, keepdim=True) * part.norm(dim=1, keepdim=True)": (
                    "normalises rows",
                    "a filter leads into one unit: with weights d_in d_out, a column",
                ),
                "moved / moved.norm() * part.norm()": (
                    "normalises whole matrices",
                    "each column has a length of its own",
                ),
                "moved / moved.norm(dim=0)": ("makes columns length 1", "they're as long as the parameters' columns"),
                "moved * part.norm(dim=0)": (
                    "doesn't divide by the direction's lengths",
                    "the result is as long as the parameters' column",
                ),
                "moved * part.abs()": ("scales each entry by its own size", "a column is scaled as a whole"),
            },
        ),
        *instead_of(
            "torch.zeros_like(part)",
            {
                "moved": ("moves the biases", "biases don't move: zeros"),
                "part": ("copies the biases", "it's a direction: biases don't move, zeros"),
                "moved / moved.norm() * part.norm()": ("normalises the biases too", "biases don't move: zeros"),
            },
        ),
        Mistake(
            "keeps the order of the direction",
            "return result",
            "return {name: result[name] for name in direction}",
            why="the names are those of params, in their order",
        ),
        Mistake(
            "changes the direction",
            function=filters_in_place,
            why="both arguments stay as they are: step / length makes a new tensor, /= changes the one handed in",
            shows=changes_an_argument,
        ),
    ],
)
