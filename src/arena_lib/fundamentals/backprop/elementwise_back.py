"""Backward functions of what works entry by entry, and `unbroadcast`, which all of them with two arguments need.

Every backward function belongs to one argument of one function. It gets `grad_out`, the derivative of the loss with
respect to the function's result; `out`, that result; and the function's own arguments. It returns the derivative of the
loss with respect to its argument, in the argument's shape. Nothing that it gets is changed.

Shapes:  grad_out and out have the shape of the function's result; what is returned has its argument's.
Raises:  ShapeError where shapes can't have been broadcast.
Source:  own derivation, from the chain rule; Baydin et al. 2018, arXiv:1502.05767, section 3.2, for the names.
Differs: from PyTorch in one convention: where x equals y, the gradient of maximum(x, y) goes half to either. So that of
         relu at 0 is 0.5, which is also what central differences give; PyTorch's relu has 0 there, its maximum 0.5 too.
"""

import numpy as np

from arena_lib.errors import ShapeError
from arena_lib.fundamentals.backprop.arrays import Arr


def log_back(grad_out: Arr, out: Arr, x: Arr) -> Arr:
    """The gradient for `x` of `np.log(x)`, the natural logarithm of each entry.

    >>> log_back(np.array([1.0, 3.0]), np.log([2.0, 6.0]), np.array([2.0, 6.0]))
    array([0.5, 0.5])
    """
    return grad_out / x


def unbroadcast(broadcasted: Arr, original: Arr) -> Arr:
    """Add up what belongs to one entry of `original`, of which broadcasting has made copies.

    `broadcasted` has the shape that `original` was broadcast to; the result has the shape of `original`. Broadcasting
    compares shapes from the right. It puts new axes on the left, and it stretches axes of length 1 to any greater one. Each
    entry of the result is the sum of the entries of `broadcasted` at all places that numpy would have filled with a copy
    of it. Neither argument is changed, and only the shape of `original` matters.

    Your version needs no check; the library's refuses shapes that can't have come about like this, with ShapeError.

    >>> unbroadcast(np.ones((2, 3)), np.zeros(3)), unbroadcast(np.ones((2, 3)), np.zeros((2, 1)))
    (array([2., 2., 2.]), array([[3.],
           [3.]]))
    """
    if broadcasted.shape == original.shape:
        return broadcasted
    check_is_broadcast(broadcasted.shape, original.shape)
    n_new = broadcasted.ndim - original.ndim
    stretched = [n_new + axis for axis, length in enumerate(original.shape) if length == 1]
    return broadcasted.sum(axis=(*range(n_new), *stretched)).reshape(original.shape)


def check_is_broadcast(broadcasted: tuple[int, ...], original: tuple[int, ...]) -> None:
    """ShapeError unless numpy can broadcast the original shape to the other."""
    aligned = broadcasted[len(broadcasted) - len(original) :]
    if len(original) > len(broadcasted) or any(
        length not in (1, wide) for length, wide in zip(original, aligned, strict=True)
    ):
        raise ShapeError(
            f"the original's shape must be one that broadcasts to the other: got {original} for {broadcasted}. From the "
            "right, each of its lengths must be the same or 1."
        )


def multiply_back0(grad_out: Arr, out: Arr, x: Arr, y: Arr | float) -> Arr:
    """The gradient for `x` of `x * y`, where `x` may have been broadcast and `y` may be a number.

    >>> multiply_back0(np.array([1.0, 10.0]), np.array([6.0, 8.0]), np.array([2.0]), np.array([3.0, 4.0]))
    array([43.])
    """
    return unbroadcast(grad_out * y, x)


def multiply_back1(grad_out: Arr, out: Arr, x: Arr | float, y: Arr) -> Arr:
    """The gradient for `y` of `x * y`, where `y` may have been broadcast and `x` may be a number.

    >>> multiply_back1(np.array([1.0, 10.0]), np.array([6.0, 8.0]), 2.0, np.array([3.0, 4.0]))
    array([ 2., 20.])
    """
    return unbroadcast(grad_out * x, y)


def forward_and_back(a: Arr, b: Arr, c: Arr) -> tuple[Arr, Arr, Arr]:
    """Calculate `g` from `a`, `b` and `c`, then the gradients of the sum of its entries, back through the same steps.

    The steps are d = a * b, e = np.log(c), f = d * e, g = np.log(f). The shapes of a, b and c may differ, as far as
    numpy can broadcast them. The backward functions are called in reverse order, and the first `grad_out` is ones in
    the shape of g.

    Returns:
        The gradients for a, b and c, each in the shape of its argument.

    >>> [gradient.item() for gradient in forward_and_back(np.array([2.0]), np.array([4.0]), np.array([np.e]))]
    [0.5, 0.25, 0.36787944117144233]
    """
    d = a * b
    e = np.log(c)
    f = d * e
    g = np.log(f)
    grad_f = log_back(np.ones_like(g), g, f)
    grad_d = multiply_back0(grad_f, f, d, e)
    grad_e = multiply_back1(grad_f, f, d, e)
    grad_a = multiply_back0(grad_d, d, a, b)
    grad_b = multiply_back1(grad_d, d, a, b)
    grad_c = log_back(grad_e, e, c)
    return grad_a, grad_b, grad_c


def negative_back(grad_out: Arr, out: Arr, x: Arr) -> Arr:
    """The gradient for `x` of `-x`.

    >>> negative_back(np.array([1.0, -3.0]), np.array([-2.0, 6.0]), np.array([2.0, -6.0]))
    array([-1.,  3.])
    """
    return -grad_out


def exp_back(grad_out: Arr, out: Arr, x: Arr) -> Arr:
    """The gradient for `x` of `np.exp(x)`, e to the power of each entry.

    >>> exp_back(np.array([1.0, 2.0]), np.array([1.0, 5.0]), np.array([0.0, np.log(5.0)]))
    array([ 1., 10.])
    """
    return grad_out * out


def add_back0(grad_out: Arr, out: Arr, x: Arr, y: Arr | float) -> Arr:
    """The gradient for `x` of `x + y`."""
    return unbroadcast(grad_out, x)


def add_back1(grad_out: Arr, out: Arr, x: Arr | float, y: Arr) -> Arr:
    """The gradient for `y` of `x + y`."""
    return unbroadcast(grad_out, y)


def subtract_back0(grad_out: Arr, out: Arr, x: Arr, y: Arr | float) -> Arr:
    """The gradient for `x` of `x - y`."""
    return unbroadcast(grad_out, x)


def subtract_back1(grad_out: Arr, out: Arr, x: Arr | float, y: Arr) -> Arr:
    """The gradient for `y` of `x - y`."""
    return unbroadcast(-grad_out, y)


def true_divide_back0(grad_out: Arr, out: Arr, x: Arr, y: Arr | float) -> Arr:
    """The gradient for `x` of `x / y`."""
    return unbroadcast(grad_out / y, x)


def true_divide_back1(grad_out: Arr, out: Arr, x: Arr | float, y: Arr) -> Arr:
    """The gradient for `y` of `x / y`, where `y` may have been broadcast and `x` may be a number.

    >>> true_divide_back1(np.array([1.0, 3.0]), np.array([3.0, 0.5]), np.array([6.0, 2.0]), np.array([2.0, 4.0]))
    array([-1.5  , -0.375])
    """
    return unbroadcast(-grad_out * out / y, y)


def maximum_back0(grad_out: Arr, out: Arr, x: Arr, y: Arr | float) -> Arr:
    """The gradient for `x` of `np.maximum(x, y)`, the larger of the two at each place.

    It goes to the larger one. Where the two are equal each of them gets half. `x` may have been broadcast, and `y` may be
    a number.

    >>> maximum_back0(np.array([1.0, 1.0, 1.0]), np.array([5.0, 6.0, 7.0]), np.array([5.0, 2.0, 7.0]), np.array([4.0, 6.0, 7.0]))
    array([1. , 0. , 0.5])
    """
    return unbroadcast(np.where(x == y, grad_out / 2, np.where(x > y, grad_out, 0.0)), x)


def maximum_back1(grad_out: Arr, out: Arr, x: Arr | float, y: Arr) -> Arr:
    """The gradient for `y` of `np.maximum(x, y)`, the larger of the two at each place.

    It goes to the larger one. Where the two are equal each of them gets half. `y` may have been broadcast, and `x` may be
    a number.

    >>> maximum_back1(np.array([1.0, 1.0, 1.0]), np.array([5.0, 6.0, 7.0]), np.array([5.0, 2.0, 7.0]), np.array([4.0, 6.0, 7.0]))
    array([0. , 1. , 0.5])
    """
    return unbroadcast(np.where(x == y, grad_out / 2, np.where(x < y, grad_out, 0.0)), y)


def where_back1(grad_out: Arr, out: Arr, condition: Arr, x: Arr, y: Arr | float) -> Arr:
    """The gradient for `x` of `np.where(condition, x, y)`."""
    return unbroadcast(np.where(condition, grad_out, 0.0), x)


def where_back2(grad_out: Arr, out: Arr, condition: Arr, x: Arr | float, y: Arr) -> Arr:
    """The gradient for `y` of `np.where(condition, x, y)`."""
    return unbroadcast(np.where(condition, 0.0, grad_out), y)
