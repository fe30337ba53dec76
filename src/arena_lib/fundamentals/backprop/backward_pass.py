"""Backpropagation: the gradient of one tensor for all leaves that it was made from.

Raises:  ConfigError for a tensor that nothing was recorded for, ShapeError for a gradient of another shape.
Source:  Rumelhart, Hinton, Williams 1986, doi:10.1038/323533a0; Baydin et al. 2018, arXiv:1502.05767, section 3.2.
Differs: from PyTorch, where a tensor with several entries can't be the end without a gradient. Here it begins with ones, as
         if its entries were added up. And PyTorch refuses a tensor that was changed in place after it was used; an array of
         numpy doesn't count its changes, so here the gradient is that of its new numbers: change none before the way back.
"""

import numpy as np

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.fundamentals.backprop.lookup import BACK_FUNCS
from arena_lib.fundamentals.backprop.sorting import topological_sort
from arena_lib.fundamentals.backprop.tensors import Tensor


def get_parents(tensor: Tensor) -> list[Tensor]:
    """The tensors that `tensor` was made from and that require a gradient; none for a leaf."""
    if tensor.recipe is None:
        return []
    return [parent for parent in tensor.recipe.parents.values() if parent.requires_grad]


def backprop(end_node: Tensor, end_grad: Tensor | None = None) -> None:
    """Add the gradient of `end_node` to the `grad` of every leaf that it was made from and that requires one.

    The nodes are visited from `end_node` to the leaves: `topological_sort(end_node, get_parents)`, read backwards. When a
    node's turn comes, all that was calculated from it has been visited, so its gradient is complete. A node with a recipe
    passes it on: for each position and parent in `recipe.parents`, if the parent requires a gradient,
    `BACK_FUNCS.get_back_func(recipe.func, position)` gives the backward function. It's called with the node's gradient,
    the node's array, and the recipe's `args` and `kwargs`. What a parent gets from several places is added up. All this is
    done with arrays; no tensor on the way is changed.

    A leaf keeps its gradient in `grad`, as a Tensor that requires none itself, with an array of its own: no two tensors
    share one. If the leaf has a `grad` already, the sum of both takes its place. Tensors with a recipe keep none.

    Args:
        end_node: requires a gradient; ConfigError if not.
        end_grad: the gradient to begin with, in the shape of `end_node`. None stands for ones.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> backprop(x * x)
    >>> x.grad
    Tensor([2., 4.])
    """
    gradients = {end_node: first_gradient(end_node, end_grad)}
    for node in reversed(topological_sort(end_node, get_parents)):
        gradient = gradients.pop(node)
        if node.recipe is None:
            node.grad = Tensor(np.array(gradient) if node.grad is None else node.grad.array + gradient)
            continue
        recipe = node.recipe
        for position, parent in recipe.parents.items():
            if parent.requires_grad:
                back_func = BACK_FUNCS.get_back_func(recipe.func, position)
                share = back_func(gradient, node.array, *recipe.args, **recipe.kwargs)
                gradients[parent] = gradients[parent] + share if parent in gradients else share


def first_gradient(end_node: Tensor, end_grad: Tensor | None) -> np.ndarray:
    """Ones, or the gradient that was given, if it fits."""
    if not end_node.requires_grad:
        raise ConfigError(
            "backprop must begin at a tensor that requires a gradient: got one that doesn't. Is there a leaf with "
            "requires_grad=True among what it was made from, and was it made outside no_grad()?"
        )
    if end_grad is None:
        return np.ones_like(end_node.array)
    if end_grad.shape != end_node.shape:
        raise ShapeError(
            f"end_grad must have the shape of end_node: got {end_grad.shape} for {end_node.shape}. "
            "It holds one derivative for each entry."
        )
    return end_grad.array
