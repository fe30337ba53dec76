"""Judge of the product of a Hessian and a vector."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import higher_derivatives
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.operations import exp, log
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import draw

__test__ = False


def curve_cases(generator: torch.Generator) -> list[Case]:
    """Functions with mixed derivatives, a quadratic form that isn't symmetric, a straight line."""
    rng = np.random.default_rng(32)
    matrix = draw(rng, 4, 4)

    def case(label: str, function: Callable[[Tensor], Tensor], *shape: int) -> Case:
        return Case(
            label=label,
            given={"function": function, "x": np.abs(draw(rng, *shape)), "v": draw(rng, *shape)},
            call="function, x, v",
        )

    return [
        case("mixed derivatives", lambda x: x[0] * x[1] * x[1] + exp(x[2] * x[0]), 3),
        case("a quadratic form", lambda x: (x * (x.reshape(1, 4) @ matrix).reshape(4)).sum(), 4),
        case("a table", lambda x: log((x * x).sum()), 2, 3),
        case("no axes", lambda x: x * x * x, *()),
        case("a straight line", lambda x: (x * 3.0).sum(), 3),
        case("each entry by itself", lambda x: exp(x).sum(), 5),
    ]


def product_with_hessian(function: Callable[..., Any], case: Case) -> Observations:
    """The product, and whether the point is as before; with a direction that requires a gradient as well."""
    seen: Observations = {}
    for name, requires_grad in (("", False), (" with tensors that require a gradient", True)):
        x, v = Tensor(case.given["x"].copy(), requires_grad), Tensor(case.given["v"].copy(), requires_grad)
        result = function(case.given["function"], x, v)
        seen[f"type{name}"] = type(result).__name__
        if isinstance(result, Tensor):
            seen[f"product{name}"] = np.array(result.array)
        kept = x.grad is None and v.grad is None and x.requires_grad == requires_grad and x.recipe is None
        seen[f"x and v are as before{name}"] = kept and bool((x.array == case.given["x"]).all())
    return seen


def product_by_columns(function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """Writes the whole matrix down, a row for each entry of the gradient."""
    point = Tensor(x.array.copy(), requires_grad=True)
    (gradient,) = higher_derivatives.compute_gradients(function(point), [point])
    flat = gradient.reshape(-1)
    total = np.zeros(x.size)
    for i in range(x.size):
        (row,) = higher_derivatives.compute_gradients(flat[i], [point])
        total += row.array.ravel() * v.array.ravel()[i]
    return Tensor(total.reshape(x.shape))


def product_by_backprop(function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """The second pass by `backprop`, which needs to know that there is something to do."""
    point = Tensor(x.array, requires_grad=True)
    (gradient,) = higher_derivatives.compute_gradients(function(point), [point])
    product = (gradient * v.array).sum()
    if product.requires_grad:
        backprop(product)
    return point.grad if point.grad is not None else Tensor(np.zeros(x.shape))


def step_by_v(function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """How much the gradient changes over a whole step along v."""
    here, there = Tensor(x.array, requires_grad=True), Tensor(x.array + v.array, requires_grad=True)
    (before,) = higher_derivatives.compute_gradients(function(here), [here])
    (after,) = higher_derivatives.compute_gradients(function(there), [there])
    return (after - before).detach()


def gradient_of_product(function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """Multiplies the function by v, and takes one gradient."""
    point = Tensor(x.array, requires_grad=True)
    (gradient,) = higher_derivatives.compute_gradients((function(point) * v.detach()).sum(), [point])
    return gradient.detach()


def product_at_x_itself(function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """Differentiates for x as it was given."""
    (gradient,) = higher_derivatives.compute_gradients(function(x), [x])
    (product,) = higher_derivatives.compute_gradients((gradient * v.detach()).sum(), [x])
    return product.detach()


test_hessian_vector_product = exercise(
    reference=higher_derivatives.hessian_vector_product,
    cases=curve_cases,
    observe=product_with_hessian,
    accepts=[product_by_columns, product_by_backprop],
    equivalent={
        "return product.detach() -> return product": "a product that remembers how it was made is right, too",
        "compute_gradients((gradient * v.detach()).sum(), [point]) -> compute_gradients((gradient * v).sum(), [point])": (
            "v is no input of the second gradient"
        ),
    },
    mistakes=[
        *instead_of(
            "(gradient * v.detach()).sum()",
            {
                "(gradient * v.detach()).mean()": ("takes the mean", "the products are added up"),
                "(gradient * point).sum()": ("multiplies by x in place of v", "the direction is v"),
                "(gradient * gradient * v.detach()).sum()": (
                    "squares the gradient",
                    "the gradient times v is added up",
                ),
                "gradient.sum()": ("forgets v", "each row of the matrix is weighed with an entry of v"),
                "(gradient * gradient).sum()": (
                    "multiplies by the gradient in place of v",
                    "the direction is v",
                ),
                "(gradient.detach() * v.detach()).sum()": (
                    "cuts the gradient off from x",
                    "the gradient is differentiated again: keep its recipe",
                ),
            },
        ),
        *instead_of(
            "return product.detach()",
            {
                "return gradient.detach() * v.detach()": (
                    "multiplies the gradient itself",
                    "the product is that of second derivatives: take the gradient once more",
                ),
                "return product.detach() * v.detach()": (
                    "multiplies by v twice",
                    "v has been counted when the gradient was multiplied by it",
                ),
                "return (gradient * v.detach()).sum()": (
                    "stops after one gradient",
                    "the gradient times v is a number, of which the gradient is taken once more",
                ),
                "return [product.detach()]": (
                    "returns a list",
                    "compute_gradients gives a list of one gradient: take it out",
                ),
                "return product.array": ("returns an array", "the product is a Tensor"),
                "return product.sum().detach()": (
                    "adds up the product",
                    "the product has the shape of x",
                ),
            },
        ),
        Mistake(
            "goes a whole step along v",
            function=step_by_v,
            why="the product says how fast the gradient changes at x, not how much it has changed at x + v",
        ),
        Mistake(
            "takes one gradient, of the function times v",
            function=gradient_of_product,
            why="the gradient is multiplied by v, and then the gradient of that is taken",
        ),
        Mistake(
            "takes x as it was given",
            function=product_at_x_itself,
            why="x need not require a gradient: make a leaf of your own of its array",
        ),
        Mistake(
            "multiplies the sums of rows by v",
            "compute_gradients((gradient * v.detach()).sum(), [point])",
            "[compute_gradients(gradient.sum(), [point])[0] * v.detach()]",
            why="each entry of a row meets its own entry of v: multiply before the second gradient is taken",
        ),
        Mistake(
            "makes x require a gradient",
            "Tensor(x.array, requires_grad=True)",
            "setattr(x, 'requires_grad', True) or x",
            why="x stays as it is: make a leaf of your own of its array",
        ),
    ],
)
