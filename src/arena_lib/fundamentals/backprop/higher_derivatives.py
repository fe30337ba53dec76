"""Gradients that have gradients: backpropagation with tensors in place of arrays.

Backward functions calculate with what they are given. Given arrays, they give arrays. Given tensors, they give tensors
with recipes, since numpy's functions and operators are recorded for tensors. So a gradient can be differentiated again.

Shapes:  a gradient has the shape of the tensor that it is for.
Raises:  DtypeError for a point of whole numbers, which has no derivative.
Source:  own derivation; the same idea as PyTorch's `create_graph=True`. Hessian-vector products: Pearlmutter 1994,
         doi:10.1162/neco.1994.6.1.147.
"""

from collections.abc import Callable, Sequence

import numpy as np

from arena_lib.fundamentals.backprop.backward_pass import get_parents
from arena_lib.fundamentals.backprop.lookup import BACK_FUNCS
from arena_lib.fundamentals.backprop.sorting import topological_sort
from arena_lib.fundamentals.backprop.tensors import Tensor


def compute_gradients(output: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of the sum of `output`'s entries for each of `inputs`, as tensors that can be differentiated again.

    It goes through the graph as `backprop` does, with tensors where `backprop` has arrays: a backward function is called
    with the node's gradient, a tensor; with the node itself; with the recipe's arguments, where a parent stands in the
    place of its array; and with the recipe's `kwargs`. So everything it calculates is recorded.

    Nothing is written into any `grad`. An input may be any tensor on the way, leaf or not. One that `output` doesn't
    depend on gets a tensor of zeros in its shape.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> (slope,) = compute_gradients(x * x * x, [x])
    >>> (curvature,) = compute_gradients(slope, [x])
    >>> slope.item(), curvature.item()
    (12.0, 12.0)
    """
    gradients = {output: Tensor(np.ones_like(output.array))}
    for node in reversed(topological_sort(output, get_parents)):
        if node.recipe is None:
            continue
        recipe = node.recipe
        args = [recipe.parents.get(position, arg) for position, arg in enumerate(recipe.args)]
        for position, parent in recipe.parents.items():
            if parent.requires_grad:
                back_func = BACK_FUNCS.get_back_func(recipe.func, position)
                share = back_func(gradients[node], node, *args, **recipe.kwargs)
                gradients[parent] = gradients[parent] + share if parent in gradients else share
    return [gradients.get(x, Tensor(np.zeros_like(x.array))) for x in inputs]


def hessian_vector_product(function: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """The matrix of second derivatives of `function` at `x`, times `v`, without ever writing the matrix down.

    It is the gradient of a number: of the gradient of `function` at `x`, times `v`, added up. In it `v` stands for a
    constant. `compute_gradients` gives both gradients. Where the gradient doesn't depend on x, the product is zeros.

    Args:
        function: takes a tensor in the shape of `x` and returns one number, a tensor without axes.
        x: the point. It need not require a gradient, and stays as it is.
        v: the direction, in the shape of `x`.

    >>> hessian_vector_product(lambda x: (x * x * x).sum(), Tensor([1.0, 2.0]), Tensor([1.0, 10.0]))
    Tensor([  6., 120.])
    """
    point = Tensor(x.array, requires_grad=True)
    (gradient,) = compute_gradients(function(point), [point])
    (product,) = compute_gradients((gradient * v.detach()).sum(), [point])
    return product.detach()
