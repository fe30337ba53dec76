"""Wrong forms of backpropagation that no single substitution makes."""

from typing import Any

import numpy as np

from arena_lib.fundamentals.backprop import backward_pass
from arena_lib.fundamentals.backprop.tensors import Tensor

__test__ = False


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


def backprop_by_level_at_once(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """The same, where a leaf keeps what has arrived when its turn comes."""
    if not end_node.requires_grad:
        raise ValueError("no gradient is wanted")
    sums: dict[Tensor, Any] = {end_node: np.ones_like(end_node.array) if end_grad is None else end_grad.array}
    waiting, met = [end_node], {end_node}
    while waiting:
        node = waiting.pop(0)
        if node.is_leaf:
            node.grad = Tensor(sums[node] + (0 if node.grad is None else node.grad.array))
        for parent in _send(node, sums[node], sums):
            if parent not in met:
                met.add(parent)
                waiting.append(parent)


def backprop_from_the_leaves(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """Begins at the leaves, and skips what has no gradient yet."""
    if not end_node.requires_grad:
        raise ValueError("no gradient is wanted")
    sums: dict[Tensor, Any] = {end_node: np.ones_like(end_node.array) if end_grad is None else end_grad.array}
    for node in backward_pass.topological_sort(end_node, backward_pass.get_parents):
        if node in sums:
            _send(node, sums[node], sums)
            if node.is_leaf:
                node.grad = Tensor(sums[node] + (0 if node.grad is None else node.grad.array))


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
