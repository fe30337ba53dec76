"""Judge of backpropagation: on graphs of products and logarithms, whose gradients are known by formula."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from arena_lib.checking import Case, Mistake, exercise, instead_of
from arena_lib.checking.observing import Observations
from arena_lib.fundamentals.backprop import backward_pass
from arena_lib.fundamentals.backprop.grad_mode import is_grad_enabled
from arena_lib.fundamentals.backprop.operations import log, multiply, sum_
from arena_lib.fundamentals.backprop.tensors import Tensor

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


def _send(node: Tensor, gradient: np.ndarray, sums: dict[Tensor, Any], *, to_all: bool = False) -> list[Tensor]:
    """Passes a gradient on to a node's parents, and says which these are."""
    if node.recipe is None:
        return []
    parents = {i: parent for i, parent in node.recipe.parents.items() if parent.requires_grad or to_all}
    for position, parent in parents.items():
        back = backward_pass.BACK_FUNCS.get_back_func(node.recipe.func, position)
        share = back(gradient, node.array, *node.recipe.args, **node.recipe.kwargs)
        sums[parent] = sums.get(parent, 0) + share
    return list(parents.values())


def backprop_by_level(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """Visits nodes in the order in which they are met, each once."""
    if not end_node.requires_grad:
        raise ValueError("no gradient is wanted")
    sums: dict[Tensor, Any] = {end_node: np.ones_like(end_node.array) if end_grad is None else end_grad.array}
    waiting, met = [end_node], {end_node}
    while waiting:
        node = waiting.pop(0)
        for parent in _send(node, sums[node], sums):
            if parent not in met:
                met.add(parent)
                waiting.append(parent)
    for leaf in [node for node in met if node.is_leaf]:
        leaf.grad = Tensor(sums[leaf] + (0 if leaf.grad is None else leaf.grad.array))


def backprop_to_all(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """Goes to every parent."""
    if not end_node.requires_grad:
        raise ValueError("no gradient is wanted")
    order = backward_pass.topological_sort(
        end_node, lambda node: [*node.recipe.parents.values()] if node.recipe else []
    )
    sums: dict[Tensor, Any] = {end_node: np.ones_like(end_node.array) if end_grad is None else end_grad.array}
    for node in reversed(order):
        _send(node, sums[node], sums, to_all=True)
        if node.is_leaf:
            node.grad = Tensor(sums[node] + (0 if node.grad is None else node.grad.array))


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
                "gradients.get(parent, share)": (
                    "keeps the first share alone",
                    "what a parent gets from several places is added up",
                ),
            },
        ),
        Mistake(
            "goes level by level",
            function=backprop_by_level,
            why="a node's turn comes when all that was calculated from it has been visited: that is a topological order",
        ),
        Mistake(
            "gives a gradient to leaves that require none",
            function=backprop_to_all,
            why="a parent whose requires_grad is False gets nothing",
        ),
        *instead_of(
            "np.array(gradient) if node.grad is None else node.grad.array + gradient",
            {
                "gradient": (
                    "replaces gradients that are there",
                    "a new gradient is added to the one that a leaf has already",
                ),
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
                "node.grad = Tensor(np.array(gradient))\n        if node.recipe is None:\n            continue\n        if node.recipe is None:": (
                    "leaves gradients on the tensors on the way",
                    "leaves alone keep a gradient",
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
            "_first_gradient(end_node, end_grad)",
            {
                "np.ones_like(end_node.array)": (
                    "ignores end_grad",
                    "where end_grad is given it is the gradient to begin with",
                ),
                "(_first_gradient(end_node, end_grad) if end_grad else end_node.array)": (
                    "begins with the value of the end",
                    "without end_grad it begins with ones",
                ),
            },
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
