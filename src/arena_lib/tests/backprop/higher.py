"""Judges of gradients of gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import higher_derivatives
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.operations import exp, log, maximum
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.watching import draw

__test__ = False

Leaves = dict[str, Tensor]


def cubic(t: Leaves) -> Tensor:
    """One leaf, three times."""
    return t["a"] * t["a"] * t["a"]


def waves(t: Leaves) -> Tensor:
    """Two leaves of other shapes, branches that meet."""
    product = t["a"] * t["b"]
    return exp(product * -0.5) * product + log(t["b"])


def layers(t: Leaves) -> Tensor:
    """A small network."""
    return maximum(t["a"] @ t["b"], 0.0).exp().sum(dim=1, keepdim=True).log()


def moved(t: Leaves) -> Tensor:
    """Shapes that change on the way."""
    turned = t["a"].permute(1, 0).reshape(-1)
    return (turned * turned * turned / turned.sum())[::2]


def graph_cases(generator: torch.Generator) -> list[Case]:
    """Powers, exps, products of matrices, broadcasting; inputs on the way, and one that the output doesn't know."""
    rng = np.random.default_rng(30)

    def case(label: str, build: Callable[[Leaves], Tensor], written: str, **shapes: tuple[int, ...]) -> Case:
        arrays = {name: np.abs(draw(rng, *shape)) for name, shape in shapes.items()}
        return Case(label=label, given={"build": build, "arrays": arrays}, call=f"{written}, [{', '.join(shapes)}]")

    return [
        case("a cube", cubic, "a * a * a", a=(3,)),
        case("no axes", cubic, "a * a * a", a=()),
        case("branches and broadcasting", waves, "exp(-a * b / 2) * (a * b) + log(b)", a=(2, 3), b=(3,)),
        case("a product of matrices", layers, "relu(a @ b).exp().sum(1).log()", a=(2, 4), b=(4, 3)),
        case("shapes that change", moved, "(t**3 / t.sum())[::2], t = a.T.reshape(-1)", a=(2, 3)),
    ]


def first_and_second(function: Callable[..., Any], case: Case) -> Observations:
    """The gradients, the gradients of a combination of them, and what is written into tensors."""
    leaves = {name: Tensor(array.copy(), requires_grad=True) for name, array in case.given["arrays"].items()}
    stranger = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    middle = {name: leaf * 1.0 for name, leaf in leaves.items()}
    output = case.given["build"](middle)
    first = function(output, [*middle.values(), stranger])
    seen: Observations = {"type": type(first).__name__, "how many": len(first)}
    seen["types of the gradients"] = sorted({type(gradient).__name__ for gradient in first})
    if seen["types of the gradients"] != ["Tensor"]:
        return seen
    seen |= {f"gradient of {name}": np.array(g.array) for name, g in zip([*leaves, "another"], first, strict=False)}
    recorded = [gradient.requires_grad for gradient in first[:-1]]
    seen["gradients are recorded"] = recorded
    if all(recorded):
        rng = np.random.default_rng(31)
        combined: Any = sum(((g * draw(rng, *g.shape)).sum() for g in first[:-1]), start=Tensor(0.0))
        second = function(combined, [*leaves.values()])
        seen |= {f"second gradient of {name}": np.array(g.array) for name, g in zip(leaves, second, strict=True)}
    written = [tensor for tensor in (*leaves.values(), *middle.values(), output, stranger) if tensor.grad is not None]
    return seen | {"tensors with a grad": len(written)}


def gradients_by_recursion(output: Tensor, inputs: Any) -> list[Tensor]:
    """With a list of shares for each node, added up when its turn comes."""
    shares: dict[Tensor, list[Tensor]] = {output: [Tensor(np.ones(output.shape))]}
    totals: dict[Tensor, Tensor] = {}
    for node in higher_derivatives.topological_sort(output, higher_derivatives.get_parents)[::-1]:
        first, *others = shares.pop(node)
        totals[node] = sum(others, start=first)
        if node.recipe is None:
            continue
        args = list(node.recipe.args)
        for position, parent in node.recipe.parents.items():
            args[position] = parent
        for position, parent in node.recipe.parents.items():
            if not parent.requires_grad:
                continue
            back = higher_derivatives.BACK_FUNCS.get_back_func(node.recipe.func, position)
            shares.setdefault(parent, []).append(back(totals[node], node, *args, **node.recipe.kwargs))
    return [totals[x] if x in totals else Tensor(np.zeros(x.shape)) for x in inputs]


CUTS = (
    "does not record how the gradient depends on its arguments",
    "the arguments of a backward function are tensors too: each parent stands in the place of its array",
)

test_compute_gradients = exercise(
    reference=higher_derivatives.compute_gradients,
    cases=graph_cases,
    observe=first_and_second,
    accepts=[gradients_by_recursion],
    mistakes=[
        *instead_of(
            "args = [recipe.parents.get(position, arg) for position, arg in enumerate(recipe.args)]",
            {"args = recipe.args": CUTS},
        ),
        *instead_of(
            "back_func(gradients[node], node, *args, **recipe.kwargs)",
            {
                "back_func(gradients[node], node.array, *args, **recipe.kwargs)": (
                    "does not record how the gradient depends on the output",
                    "`out` is a tensor too: exp_back multiplies by it",
                ),
                "back_func(gradients[node].detach(), node, *args, **recipe.kwargs)": (
                    "cuts the gradient off at every node",
                    "a node's gradient depends on what came before it: pass the tensor itself on",
                ),
                "Tensor(back_func(gradients[node].array, node.array, *recipe.args, **recipe.kwargs))": (
                    "calculates with arrays",
                    "what is calculated with arrays isn't recorded, and can't be differentiated again",
                ),
                "back_func(gradients[node], node, *args)": (
                    "forgets the arguments by name",
                    "the backward function gets recipe.kwargs too",
                    "TypeError",
                ),
            },
        ),
        *instead_of(
            "gradients[parent] + share if parent in gradients else share",
            {
                "share": ("keeps the last share alone", "what a parent gets from several places is added up"),
            },
        ),
        *instead_of(
            "[gradients.get(x, Tensor(np.zeros_like(x.array))) for x in inputs]",
            {
                "[gradients[x] for x in gradients]": (
                    "returns the gradients of all tensors",
                    "there is one gradient for each input, in their order",
                ),
                "[gradients.get(x, Tensor(0.0)) for x in inputs]": (
                    "gives a single 0 for what the output doesn't depend on",
                    "such an input gets zeros in its own shape",
                ),
                "[setattr(x, 'grad', gradients.get(x)) or gradients.get(x, Tensor(np.zeros_like(x.array))) for x in inputs]": (
                    "writes into grad",
                    "the gradients are returned, and no grad is changed",
                ),
            },
        ),
    ],
)


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
        seen[f"product{name}"] = np.array(result.array) if isinstance(result, Tensor) else result
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
                "return product.sum().detach()": (
                    "adds up the product",
                    "the product has the shape of x",
                ),
            },
        ),
        Mistake(
            "makes x require a gradient",
            "Tensor(x.array, requires_grad=True)",
            "setattr(x, 'requires_grad', True) or x",
            why="x stays as it is: make a leaf of your own of its array",
        ),
    ],
)
