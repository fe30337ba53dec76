"""Gradients by trying: nudge one entry, and see how much the result moves. Slow, and right whatever the calculus was.

Shapes:  a gradient has the shape of its argument.
Raises:  GradientError where a gradient isn't what trying gives, with the argument, the entry and the point.
         ConfigError for a function that can't be checked.
Source:  central differences: Abramowitz and Stegun 1964, equation 25.3.21; the error is of order eps squared.
Differs: from `torch.autograd.gradcheck` in that one fixed combination of all outputs is checked instead of each output.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from arena_lib.errors import ConfigError, GradientError
from arena_lib.fundamentals.backprop.arrays import Arr
from arena_lib.fundamentals.backprop.backward_pass import backprop
from arena_lib.fundamentals.backprop.tensors import Tensor

EPS = 1e-6
"""Near the cube root of float64's rounding (6e-6), where rounding and curvature disturb least; own choice."""
RTOL, ATOL = 1e-5, 1e-7
"""How far a right gradient may be from one by trying."""
WEIGHTS_SEED = 0
"""Of the combination of outputs that is checked."""


def numerical_gradient(function: Callable[[Arr], float], x: Arr, eps: float = EPS) -> Arr:
    """The gradient of `function` at `x`, by trying: for each entry a central difference.

    For one entry it's (function(up) - function(down)) / (2 * eps), where `up` is `x` with this entry raised by `eps`, and
    `down` is `x` with this entry lowered by `eps`. `x` itself must stay as it is. It may hold whole numbers; what the
    function gets, and the gradient, are floats.

    Args:
        function: takes an array in the shape of `x` and returns one number.
        x: an array of any shape, also one without axes.
        eps: how far an entry is moved.

    Returns:
        The gradient, in the shape of `x`.

    >>> numerical_gradient(lambda x: (x**2).sum(), np.array([1.0, 3.0])).round(6)
    array([2., 6.])
    """
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        up, down = x.astype(float), x.astype(float)
        up[index] += eps
        down[index] -= eps
        gradient[index] = (function(up) - function(down)) / (2 * eps)
    return gradient


def check_gradient(
    function: Callable[..., Tensor],
    *args: Any,
    backprop: Callable[..., None] = backprop,
    eps: float = EPS,
    rtol: float = RTOL,
    atol: float = ATOL,
) -> None:
    """Compare what `backprop` gives for a function of tensors with what trying gives; GradientError if they differ.

    Every argument that is an array of floats, or a tensor of them, is checked, in float64. All else is passed as it is.

    Args:
        function: takes tensors and returns one.
        args: the point: its arguments, as arrays or tensors.
        backprop: yours, if it isn't the library's.
        eps: how far an entry is moved.
        rtol: the largest difference that is allowed, as a share of the gradient by trying.
        atol: the same, as it is.

    >>> check_gradient(lambda x, y: (x * y).log(), np.array([1.0, 2.0]), np.array([[3.0], [4.0]]))
    """
    args = tuple(_as_float64(arg) for arg in args)
    checked = [position for position, arg in enumerate(args) if _is_float(arg)]
    if not checked:
        raise ConfigError(
            "there must be an array of floats to check a gradient for: got "
            f"{', '.join(type(arg).__name__ for arg in args) or 'no argument'}. Write np.array([1.0, 2.0])."
        )
    tensors = [Tensor(arg, requires_grad=True) if position in checked else arg for position, arg in enumerate(args)]
    out = function(*tensors)
    if not isinstance(out, Tensor) or not out.requires_grad:
        raise ConfigError(
            f"the function must return a tensor that was recorded from its arguments: got {type(out).__name__}"
            f"{' without requires_grad' if isinstance(out, Tensor) else ''}. Calculate with the tensors, not their arrays."
        )
    weights = _draw_weights(out.shape)
    backprop(out, Tensor(weights))

    for position in checked:

        def weigh(x: Arr, position: int = position) -> float:
            moved = [Tensor(arg, requires_grad=True) if other in checked else arg for other, arg in enumerate(args)]
            moved[position] = Tensor(x, requires_grad=True)  # for a function that takes gradients itself
            return float((function(*moved).array * weights).sum())

        name, grad = _name(function, position), tensors[position].grad
        if grad is None:
            raise GradientError(f"backprop must give a gradient for {name}: got none (its grad is None).")
        _compare(name, grad.array, numerical_gradient(weigh, args[position], eps), args[position], rtol, atol)


def check_back_func(
    func: Callable[..., Arr],
    back_func: Callable[..., Arr],
    arg_position: int,
    *args: Any,
    eps: float = EPS,
    rtol: float = RTOL,
    atol: float = ATOL,
    **kwargs: Any,
) -> None:
    """Compare what one backward function gives with what trying gives; GradientError if they differ.

    Args:
        func: the function of arrays that it belongs to.
        back_func: takes `grad_out`, `out` and the function's arguments.
        arg_position: which argument it is for, from 0.
        args: the function's arguments, arrays or numbers.
        eps: how far an entry is moved.
        rtol: the largest difference that is allowed, as a share of the gradient by trying.
        atol: the same, as it is.
        kwargs: the function's arguments by name.

    >>> check_back_func(np.log, lambda grad_out, out, x: grad_out / x, 0, np.array([0.5, 2.0]))
    """
    args = tuple(_as_float64(arg) for arg in args)
    if arg_position >= len(args) or not _is_float(args[arg_position]):
        raise ConfigError(
            f"argument {arg_position} must be an array of floats to check a gradient for it: got "
            f"{type(args[arg_position]).__name__ if arg_position < len(args) else f'{len(args)} arguments'}."
        )
    out = np.asarray(func(*args, **kwargs))
    weights = _draw_weights(out.shape)

    def weigh(x: Arr) -> float:
        moved = [x if position == arg_position else arg for position, arg in enumerate(args)]
        return float((func(*moved, **kwargs) * weights).sum())

    point = args[arg_position]
    got = np.asarray(back_func(weights, out, *args, **kwargs))
    _compare(_name(func, arg_position), got, numerical_gradient(weigh, point, eps), point, rtol, atol)


def _as_float64(arg: Any) -> Any:
    """A tensor as its array; floats in double precision; all else as it is."""
    array = arg.array if isinstance(arg, Tensor) else arg
    is_float = isinstance(array, np.ndarray) and array.dtype.kind == "f"
    return array.astype(float) if is_float else arg


def _is_float(arg: Any) -> bool:
    return isinstance(arg, np.ndarray) and arg.dtype.kind == "f"


def _draw_weights(shape: tuple[int, ...]) -> np.ndarray:
    """What each output counts: no two the same, and none near 0."""
    rng = np.random.default_rng(WEIGHTS_SEED)
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def _name(function: Callable[..., Any], position: int) -> str:
    """`argument 1 (y) of multiply`, as far as it is known."""
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        parameters = []
    is_named = position < len(parameters) and parameters[position].kind is not inspect.Parameter.VAR_POSITIONAL
    named = f" ({parameters[position].name})" if is_named else ""
    return f"argument {position}{named} of {getattr(function, '__name__', 'the function')}"


def _compare(name: str, got: Arr, tried: Arr, point: Arr, rtol: float, atol: float) -> None:
    """GradientError with the first entry that differs."""
    if got.shape != tried.shape:
        raise GradientError(
            f"the gradient for {name} must have its shape, {tried.shape}: got shape {got.shape}. Was it broadcast?"
        )
    wrong = ~(np.abs(got - tried) <= atol + rtol * np.abs(tried))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f"[{', '.join(map(str, index))}]" if index else ""
        raise GradientError(
            f"the gradient for {name} must be what trying gives: got {got[index]:.6g} for its entry {where or 'itself'}, "
            f"where trying gives {tried[index]:.6g}. The entry is {point[index]:.6g} there, and {int(wrong.sum())} of "
            f"{wrong.size} entries differ."
        )
