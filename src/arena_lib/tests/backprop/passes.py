"""Judge of backpropagation: on graphs of products and logarithms, whose gradients are known by formula."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import backward_pass
from arena_lib.fundamentals.backprop.grad_mode import is_grad_enabled
from arena_lib.fundamentals.backprop.operations import add, log, multiply, sum_
from arena_lib.fundamentals.backprop.tensors import Tensor
from arena_lib.tests.backprop.wrong_passes import (
    backprop_by_level,
    backprop_by_level_at_once,
    backprop_from_the_leaves,
    backprop_to_all,
)

__test__ = False

Leaves = dict[str, Tensor]


def log_of_product(t: Leaves) -> Tensor:
    """A chain."""
    return log(multiply(t["a"], t["b"]))


def branches(t: Leaves) -> Tensor:
    """A leaf that is used at the end of a short way and of a long one."""
    product = multiply(t["a"], t["b"])
    return multiply(multiply(log(product), product), t["a"])


def square(t: Leaves) -> Tensor:
    """One tensor in both places."""
    return multiply(t["a"], t["a"])


def diamond(t: Leaves) -> Tensor:
    """A node in the middle, used three times, once of it after a long way."""
    middle = multiply(t["a"], t["b"])
    return multiply(multiply(middle, log(log(middle))), middle)


def with_numbers(t: Leaves) -> Tensor:
    """Numbers among the arguments, first and last."""
    return multiply(3.0, multiply(log(t["a"]), 2.0))


def sum_of_product(t: Leaves) -> Tensor:
    """A function with arguments by name."""
    return log(sum_(multiply(t["a"], t["b"]), dim=1))


def sums(t: Leaves) -> Tensor:
    """Only additions, whose backward functions hand on the array that they get."""
    return add(add(t["a"], t["b"]), t["a"])


def leaf_alone(t: Leaves) -> Tensor:
    """The end is the leaf."""
    return t["a"]


def cut_off(t: Leaves) -> Tensor:
    """A part that was detached."""
    return multiply(t["a"], multiply(t["a"], t["b"]).detach())


def pass_cases(generator: torch.Generator) -> list[Case]:
    """Chains, branches that meet, broadcasting, numbers, leaves without a gradient, gradients that are there already."""
    rng = np.random.default_rng(15)

    def case(label: str, build: Callable[[Leaves], Tensor], written: str, **given: Any) -> Case:
        shapes = given.pop("shapes", {"a": (3,), "b": (2, 3)})
        arrays = {name: np.asarray(rng.uniform(1.8, 3.0, shape)) for name, shape in shapes.items()}
        end = build({name: Tensor(array) for name, array in arrays.items()}).array
        if given.pop("weighed", False):
            given["end_grad"] = np.asarray(rng.uniform(-2.0, 2.0, end.shape))
        shown = f"{written}, Tensor(...)" if "end_grad" in given else written
        return Case(label=label, given={"build": build, "arrays": arrays, **given}, call=shown)

    return [
        case("a chain", log_of_product, "log(a * b)"),
        case("a chain, with a gradient at its end", log_of_product, "log(a * b)", weighed=True),
        case("branching: a is used twice", branches, "log(a * b) * (a * b) * a", weighed=True),
        case("branching: a times a", square, "a * a", shapes={"a": (2, 4)}),
        case("branching in the middle", diamond, "m * log(log(m)) * m, m = a * b", shapes={"a": (4, 1), "b": (3,)}),
        case("requires_grad is False for b", log_of_product, "log(a * b)", constants=["b"]),
        case(
            "requires_grad is False for b, which is used twice", branches, "log(a * b) * (a * b) * a", constants=["b"]
        ),
        case(
            "requires_grad sum: arguments by name",
            sum_of_product,
            "log((a * b).sum(dim=1))",
            shapes={"a": (3, 3), "b": (3, 1)},
        ),
        case("float arguments", with_numbers, "3.0 * (log(a) * 2.0)", shapes={"a": (2, 3)}),
        case(
            "sums: one gradient is handed on to several",
            sums,
            "(a + b) + a",
            shapes={"a": (3,), "b": (3,)},
            weighed=True,
        ),
        case("the end is a leaf", leaf_alone, "a", shapes={"a": (2, 3)}, weighed=True),
        case("the end has no axes", log_of_product, "log(a * b)", shapes={"a": (), "b": ()}),
        case("a part is cut off", cut_off, "a * (a * b).detach()"),
        case("two passes: gradients add up", branches, "log(a * b) * (a * b) * a", n_passes=2),
        case("a gradient is there already", log_of_product, "log(a * b)", earlier=5.0),
        case("nothing was recorded", log_of_product, "log(a * b)", constants=["a", "b"]),
    ]


def gradients_of_leaves(backprop: Callable[..., Any], case: Case) -> Observations:
    """What every leaf has afterwards, and what is left behind on the tensors on the way."""
    constants = case.given.get("constants", [])
    leaves = {name: Tensor(array.copy(), name not in constants) for name, array in case.given["arrays"].items()}
    if "earlier" in case.given:
        for leaf in leaves.values():
            leaf.grad = Tensor(np.full(leaf.shape, case.given["earlier"]))
    earlier = {name: leaf.grad.array for name, leaf in leaves.items() if leaf.grad is not None}
    end_grad = case.given.get("end_grad")
    given = () if end_grad is None else (Tensor(end_grad.copy()),)
    ends = []
    for _ in range(case.given.get("n_passes", 1)):
        ends.append(case.given["build"](leaves))
        if len(constants) == len(leaves):
            return {"where nothing was recorded": _refuses(backprop, ends[-1])}
        values = [(tensor, tensor.array.copy()) for tensor in _tensors_on_the_way(ends[-1])]
        backprop(ends[-1], *given)
    seen: Observations = {}
    for name, leaf in leaves.items():
        seen[f"{name}.grad"] = _plain(leaf.grad)
        seen[f"{name}.grad.requires_grad"] = getattr(leaf.grad, "requires_grad", False)
        seen[f"{name}.array is as before"] = bool((leaf.array == case.given["arrays"][name]).all())
    on_the_way = [tensor for end in ends for tensor in _tensors_on_the_way(end) if tensor.recipe is not None]
    seen["tensors on the way with a grad"] = sum(tensor.grad is not None for tensor in on_the_way)
    seen["arrays on the way are as before"] = all(np.array_equal(tensor.array, array) for tensor, array in values)
    seen["end_grad is as before"] = all(bool((tensor.array == end_grad).all()) for tensor in given)
    seen["the earlier gradient is as before"] = all(
        (array == case.given["earlier"]).all() for array in earlier.values()
    )
    seen["gradients that share memory"] = _shared([leaf.grad for leaf in leaves.values()] + [*given])
    return seen | {"is_grad_enabled()": is_grad_enabled()}


def _refuses(backprop: Callable[..., Any], end: Tensor) -> str:
    try:
        backprop(end)
    except NotImplementedError:
        raise
    except Exception:
        return "an exception"
    return "no exception"


def _tensors_on_the_way(end: Tensor) -> list[Tensor]:
    met: dict[int, Tensor] = {}
    waiting = [end]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in met:
            met[id(tensor)] = tensor
            waiting += tensor.recipe.parents.values() if tensor.recipe else []
    return list(met.values())


def _plain(grad: Any) -> Any:
    if isinstance(grad, np.ndarray | np.generic):
        return "an array"
    return np.array(grad.array) if isinstance(grad, Tensor) else grad if grad is None else type(grad).__name__


def _shared(grads: list[Any]) -> bool:
    arrays = [grad.array for grad in grads if isinstance(grad, Tensor)]
    return any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def backprop_by_ids(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """Gradients by id, nodes by recursion."""
    if not end_node.requires_grad:
        raise ValueError("nothing to do")
    order: list[Tensor] = []
    met: set[int] = set()

    def visit(node: Tensor) -> None:
        if id(node) in met or not node.requires_grad:
            return
        met.add(id(node))
        for parent in node.recipe.parents.values() if node.recipe else []:
            visit(parent)
        order.insert(0, node)

    visit(end_node)
    start = np.ones(end_node.shape) if end_grad is None else end_grad.array
    sums = {id(end_node): np.array(start)}
    for node in order:
        if node.is_leaf:
            before = 0 if node.grad is None else node.grad.array
            node.grad = Tensor(before + sums[id(node)])
        elif node.recipe is not None:
            for position, parent in node.recipe.parents.items():
                if parent.requires_grad:
                    back = backward_pass.BACK_FUNCS.get_back_func(node.recipe.func, position)
                    share = back(sums[id(node)], node.array, *node.recipe.args, **node.recipe.kwargs)
                    sums[id(parent)] = sums.get(id(parent), 0) + share


def backprop_path_by_path(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """Every path from the end to a leaf by itself: slow, and right."""
    if not end_node.requires_grad:
        raise TypeError("no gradient is wanted")

    def send(node: Tensor, gradient: np.ndarray) -> None:
        if node.recipe is None:
            node.grad = Tensor(gradient + (0 if node.grad is None else node.grad.array))
            return
        for position, parent in node.recipe.parents.items():
            if parent.requires_grad:
                back = backward_pass.BACK_FUNCS.get_back_func(node.recipe.func, position)
                send(parent, back(gradient, node.array, *node.recipe.args, **node.recipe.kwargs))

    send(end_node, np.ones_like(end_node.array) if end_grad is None else end_grad.array)


REPLACES = ("replaces gradients that are there", "a new gradient is added to the one that a leaf has already")
ON_THE_WAY = ("leaves gradients on the tensors on the way", "leaves alone keep a gradient")
NO_END_GRAD = ("ignores end_grad", "where end_grad is given it is the gradient to begin with")
FROM_THE_LEAVES = (
    "walks from the leaves to the end",
    "gradients begin at the end: the order is read backwards",
)

test_backprop = exercise(
    reference=backward_pass.backprop,
    cases=pass_cases,
    observe=gradients_of_leaves,
    accepts=[backprop_by_ids, backprop_path_by_path],
    mistakes=[
        *instead_of(
            "gradients[parent] + share if parent in gradients else share",
            {
                "share": (
                    "keeps the last share alone",
                    "what a parent gets from several places is added up",
                ),
                "__import__('operator').iadd(gradients[parent], share) if parent in gradients else share": (
                    "adds to a gradient in place",
                    "another tensor may be using the same array: write gradients[parent] + share",
                ),
                "gradients.get(parent, share)": (
                    "keeps the first share alone",
                    "what a parent gets from several places is added up",
                ),
            },
        ),
        *(
            Mistake(
                "goes level by level",
                function=wrong,
                why="a node's turn comes when all that was calculated from it has been visited: that is a topological order",
            )
            for wrong in (backprop_by_level, backprop_by_level_at_once)
        ),
        Mistake(FROM_THE_LEAVES[0], function=backprop_from_the_leaves, why=FROM_THE_LEAVES[1]),
        Mistake(
            FROM_THE_LEAVES[0],
            "reversed(topological_sort(end_node, get_parents))",
            "topological_sort(end_node, get_parents)",
            why=FROM_THE_LEAVES[1],
            raises="KeyError",
        ),
        Mistake(
            "gives a gradient to leaves that require none",
            function=backprop_to_all,
            why="a parent whose requires_grad is False gets nothing",
        ),
        *instead_of(
            "np.array(gradient) if node.grad is None else node.grad.array + gradient",
            {
                "gradient": REPLACES,
                "np.array(gradient)": REPLACES,
                "np.asarray(gradient) if node.grad is None else node.grad.array + gradient": (
                    "shares arrays between gradients",
                    "every leaf's gradient has an array of its own: a change of one must not change another",
                ),
                "np.array(gradient) if node.grad is None else np.add(node.grad.array, gradient, out=node.grad.array)": (
                    "adds to the earlier gradient in place",
                    "the sum is a new tensor: somebody may have kept the old one",
                ),
            },
        ),
        *instead_of(
            "if node.recipe is None:",
            {
                "if node.recipe is not None:\n            node.grad = Tensor(np.array(gradient))\n        if node.recipe is None:": ON_THE_WAY,
                "node.grad = Tensor(np.array(gradient))\n        if node.recipe is None:\n            continue\n        if node.recipe is None:": ON_THE_WAY,
            },
        ),
        *instead_of(
            "for position, parent in recipe.parents.items():",
            {
                "for parent, position in {tensor: i for i, tensor in recipe.parents.items()}.items():": (
                    "goes once to a parent that stands at two positions",
                    "x * x has two backward functions, and x gets a share from each",
                ),
            },
        ),
        Mistake(
            "stops at the first leaf",
            "continue",
            "return",
            why="after a leaf the walk goes on: other tensors are waiting for their turn",
        ),
        *instead_of(
            "Tensor(np.array(gradient) if node.grad is None else node.grad.array + gradient)",
            {
                "np.array(gradient) if node.grad is None else node.grad + gradient": (
                    "keeps gradients as arrays",
                    "grad is a Tensor",
                ),
                "Tensor(np.array(gradient) if node.grad is None else node.grad.array + gradient, requires_grad=True)": (
                    "lets gradients require a gradient",
                    "grad is a Tensor that requires none itself",
                ),
            },
        ),
        *instead_of(
            "back_func(gradient, node.array, *recipe.args, **recipe.kwargs)",
            {
                "back_func(np.ones_like(node.array), node.array, *recipe.args, **recipe.kwargs)": (
                    "begins anew at every node",
                    "the node's own gradient is passed on: the chain rule multiplies",
                ),
            },
        ),
        *instead_of(
            "first_gradient(end_node, end_grad)",
            {
                "first_gradient(end_node, None)": NO_END_GRAD,
                "np.ones_like(end_node.array)": NO_END_GRAD,
                "(np.ones_like(end_node.array) if end_grad is None else end_grad.array)": (
                    "accepts an end that requires no gradient",
                    "nothing was recorded of how it was made: raise an exception, or somebody will wait for gradients in vain",
                ),
                "(np.array(1.0) if end_node.requires_grad and end_grad is None else first_gradient(end_node, end_grad))": (
                    "begins with a 1 without axes",
                    "the first gradient has the shape of end_node: ones_like",
                ),
                "(first_gradient(end_node, end_grad) if end_grad else end_node.array)": (
                    "begins with the value of the end",
                    "without end_grad it begins with ones",
                ),
            },
        ),
        Mistake(
            "forgets the node's array",
            "back_func(gradient, node.array, *recipe.args",
            "back_func(gradient, *recipe.args",
            why="a backward function gets the gradient, the node's own array, and then the recipe's arguments",
            raises="TypeError",
        ),
        Mistake(
            "forgets the arguments by name",
            "*recipe.args, **recipe.kwargs)",
            "*recipe.args)",
            why="the backward function gets recipe.kwargs too",
        ),
        *instead_of(
            "BACK_FUNCS.get_back_func(recipe.func, position)",
            {
                "BACK_FUNCS.get_back_func(recipe.func, 0)": (
                    "uses the first argument's backward function for all",
                    "each position has a backward function of its own",
                ),
            },
        ),
    ],
)

test_backprop_branching = test_backprop.part("branching")
test_backprop_requires_grad_false = test_backprop.part("requires_grad is False")
test_backprop_requires_grad_sum = test_backprop.part("requires_grad sum")
test_backprop_float_arg = test_backprop.part("float arguments")
