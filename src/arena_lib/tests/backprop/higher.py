"""Judge of gradients that have gradients."""

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
    first = function(output, [*middle.values(), *leaves.values(), stranger])
    seen: Observations = {"type": type(first).__name__, "how many": len(first)}
    seen["types of the gradients"] = sorted({type(gradient).__name__ for gradient in first})
    if seen["types of the gradients"] != ["Tensor"]:
        return seen
    names = [*leaves, *(f"the leaf of {name}" for name in leaves), "another"]
    seen |= {f"gradient of {name}": np.array(g.array) for name, g in zip(names, first, strict=False)}
    recorded = [gradient.requires_grad for gradient in first[: len(leaves)]]
    seen["gradients are recorded"] = recorded
    if all(recorded) and len(first) == len(names):
        rng = np.random.default_rng(31)
        combined: Any = sum(((g * draw(rng, *g.shape)).sum() for g in first[: len(leaves)]), start=Tensor(0.0))
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


def gradients_by_backprop(output: Tensor, inputs: Any) -> list[Tensor]:
    """What `backprop` writes into grad."""
    for x in inputs:
        x.grad = None
    backprop(output)
    return [Tensor(np.zeros(x.shape)) if x.grad is None else x.grad for x in inputs]


def gradients_of_leaves_alone(output: Tensor, inputs: Any) -> list[Tensor]:
    """Forgets a node's gradient when it has been passed on."""
    gradients = higher_derivatives.compute_gradients(output, inputs)
    return [g if x.is_leaf else Tensor(np.zeros(x.shape)) for g, x in zip(gradients, inputs, strict=True)]


def gradients_that_are_kept(output: Tensor, inputs: Any) -> list[Tensor]:
    """Writes what arrives into grad."""
    gradients = higher_derivatives.compute_gradients(output, inputs)
    for x, gradient in zip(inputs, gradients, strict=True):
        if gradient.array.any():
            x.grad = gradient
    return gradients


WRITES = ("writes into grad", "the gradients are returned, and no grad is changed")
UNREACHED = "what the output doesn't depend on gets zeros in its own shape"
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
                    "returns gradients that are not recorded",
                    "what is calculated with arrays, inside no_grad() or after detach() can't be differentiated again",
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
                "[gradients[x] for x in inputs]": (
                    "does not expect an input that the output doesn't depend on",
                    UNREACHED,
                    "KeyError",
                ),
                "[gradients.get(x) for x in inputs]": ("gives None for what the output doesn't depend on", UNREACHED),
                "tuple(gradients.get(x, Tensor(np.zeros_like(x.array))) for x in inputs)": (
                    "returns a tuple",
                    "the gradients come in a list",
                ),
                "[gradients.get(x, Tensor(0.0)) for x in inputs]": (
                    "gives a single 0 for what the output doesn't depend on",
                    "such an input gets zeros in its own shape",
                ),
                "[setattr(x, 'grad', gradients.get(x)) or gradients.get(x, Tensor(np.zeros_like(x.array))) for x in inputs]": WRITES,
            },
        ),
        Mistake(WRITES[0], function=gradients_that_are_kept, why=WRITES[1]),
        *instead_of(
            "{output: Tensor(np.ones_like(output.array))}",
            {
                "{output: output}": (
                    "begins with the output itself",
                    "the sum of the output's entries has the slope 1 for each of them: begin with ones",
                ),
                "{output: Tensor(np.ones_like(output.array) / output.size)}": (
                    "begins with the mean",
                    "the gradients are those of the sum of the output's entries: begin with ones",
                ),
            },
        ),
        *instead_of(
            "if node.recipe is None:",
            {
                "if node.recipe is None or any(node is x for x in inputs):": (
                    "stops at the inputs",
                    "an input may lie on the way to another one: the walk goes on to the leaves",
                ),
            },
        ),
        *instead_of(
            "reversed(topological_sort(output, get_parents))",
            {
                "topological_sort(output, get_parents)": (
                    "walks from the leaves to the end",
                    "gradients begin at the end: the order is read backwards",
                    "KeyError",
                ),
            },
        ),
        Mistake(
            "gives the gradients of leaves alone",
            function=gradients_of_leaves_alone,
            why="an input may be any tensor on the way: keep every node's gradient",
        ),
        Mistake(
            "goes by backprop",
            function=gradients_by_backprop,
            why="backprop calculates with arrays, which aren't recorded: walk through the graph with tensors",
        ),
    ],
)
