"""Functions of arrays made into functions of tensors, which remember what was called.

Raises:  whatever the function of arrays raises.
Source:  own derivation; the plan is that of PyTorch's and autograd's (Maclaurin, Duvenaud, Adams 2015) tapes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from arena_lib.fundamentals.backprop.grad_mode import is_grad_enabled
from arena_lib.fundamentals.backprop.tensors import Recipe, Tensor


def log_forward(x: Tensor) -> Tensor:
    """The natural logarithm of each entry of `x`, as a tensor that remembers how it was made.

    The result's `array` is `np.log(x.array)`. If `x` requires a gradient and `is_grad_enabled()`, then the result requires
    one too, and its `recipe` is `Recipe(func=np.log, args=(x.array,), kwargs={}, parents={0: x})`. Otherwise its
    `requires_grad` is False and its `recipe` is None. `x` stays as it is.

    >>> log_forward(Tensor([1.0, 4.0], requires_grad=True)).recipe.args
    (array([1., 4.]),)
    """
    result = Tensor(np.log(x.array))
    if is_grad_enabled() and x.requires_grad:
        result.requires_grad = True
        result.recipe = Recipe(func=np.log, args=(x.array,), kwargs={}, parents={0: x})
    return result


def multiply_forward(a: Tensor | int | float, b: Tensor | int | float) -> Tensor:
    """`a` times `b`, of which at least one is a tensor; the other may be a number.

    The result's `array` is the product by `np.multiply`, of arrays and numbers. If at least one argument is a tensor that
    requires a gradient and `is_grad_enabled()`, then the result requires one too, and has a `recipe`: `func` is
    np.multiply, `args` holds both arguments, each tensor as its array and a number as it is, `kwargs` is empty, and
    `parents` holds those arguments that are tensors, by their position. Otherwise `requires_grad` is False and `recipe`
    is None.

    >>> product = multiply_forward(Tensor([1.0, 4.0], requires_grad=True), 3)
    >>> product.array, product.recipe.args, list(product.recipe.parents)
    (array([ 3., 12.]), (array([1., 4.]), 3), [0])
    """
    args: tuple[Any, ...] = tuple(arg.array if isinstance(arg, Tensor) else arg for arg in (a, b))
    parents = {position: arg for position, arg in enumerate((a, b)) if isinstance(arg, Tensor)}
    result = Tensor(np.multiply(*args))
    if is_grad_enabled() and any(parent.requires_grad for parent in parents.values()):
        result.requires_grad = True
        result.recipe = Recipe(func=np.multiply, args=args, kwargs={}, parents=parents)
    return result


def wrap_forward_fn(numpy_func: Callable[..., Any], is_differentiable: bool = True) -> Callable[..., Tensor]:
    """Make a function of arrays into one of tensors that remembers what was called.

    The function that you return takes what `numpy_func` takes, with tensors in place of arrays: any number of arguments
    by position, of which some are tensors, and others by name, none of which are. It calls `numpy_func` once, with each
    tensor's array in place of the tensor, and returns the result as a tensor. If `numpy_func` is differentiable, at least
    one argument is a tensor that requires a gradient, and `is_grad_enabled()`, then the result requires one too, and has a
    `recipe`: `func` is `numpy_func`, `args` are the arguments by position, each tensor as its array, `kwargs` those by
    name, and `parents` holds those that are tensors, by position. Otherwise `requires_grad` is False and `recipe` None.

    Args:
        numpy_func: takes arrays and returns one array.
        is_differentiable: whether a gradient can flow through it. It can't through a comparison, for one.

    >>> subtract = wrap_forward_fn(np.subtract)
    >>> subtract(Tensor([1.0, 4.0]), Tensor(3.0)).array
    array([-2.,  1.])
    """

    def tensor_func(*args: Any, **kwargs: Any) -> Tensor:
        arrays = tuple(arg.array if isinstance(arg, Tensor) else arg for arg in args)
        parents = {position: arg for position, arg in enumerate(args) if isinstance(arg, Tensor)}
        result = Tensor(numpy_func(*arrays, **kwargs))
        wants_grad = any(parent.requires_grad for parent in parents.values())
        if is_differentiable and is_grad_enabled() and wants_grad:
            result.requires_grad = True
            result.recipe = Recipe(func=numpy_func, args=arrays, kwargs=kwargs, parents=parents)
        return result

    tensor_func.__name__ = tensor_func.__qualname__ = numpy_func.__name__
    return tensor_func
