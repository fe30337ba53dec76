"""A shape that you predict before the code runs, and what it really is.

Raises:  ConfigError for a prediction that is no shape, or a result in place of the function that makes it;
         ShapeError for a result without a shape.
Source:  own design.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from arena_lib.errors import ConfigError, ShapeError
from arena_lib.wording import counted

ERROR: Final = "error"
"""What one predicts where sizes don't fit."""


@dataclass(frozen=True, repr=False)
class ShapePrediction:
    """What was predicted, and what it is; printed, it says what is right or where they differ."""

    predicted: tuple[int, ...] | Literal["error"]
    actual: tuple[int, ...] | Literal["error"]
    output: Any
    """The tensor, or the exception."""

    @property
    def is_right(self) -> bool:
        """Whether it is as predicted."""
        return self.predicted == self.actual

    def __repr__(self) -> str:
        """The comparison in words."""
        if self.is_right:
            return f"Right: {self.actual if self.actual != ERROR else f'it raises {type(self.output).__name__}'}."
        if isinstance(self.actual, str):
            return f"Not yet: you said {self.predicted}, but the sizes don't fit: {self.output}"
        if isinstance(self.predicted, str):
            return f"Not yet: you said that the sizes don't fit, but they do. It is {self.actual}."
        return f"Not yet: you said {self.predicted}, it is {self.actual}. {_difference(self.predicted, self.actual)}"


def predict_shape(
    shape: Sequence[int] | Literal["error"], function: Callable[..., Any], *args: Any, **kwargs: Any
) -> ShapePrediction:
    """Compares your prediction with the shape of `function(*args, **kwargs)`, which runs only afterwards.

    Args:
        shape: what you expect, (2, 3) for example, or "error" if you think that the sizes don't fit.
        function: makes the tensor; for an expression write lambda in front of it.
        args, kwargs: what the function is called with.

    >>> import torch
    >>> predict_shape((2, 3), lambda: torch.ones(2, 1) + torch.ones(3))
    Right: (2, 3).
    >>> predict_shape((3, 2), lambda: torch.ones(2, 1) + torch.ones(3))
    Not yet: you said (3, 2), it is (2, 3). The sizes are right, their order isn't.
    >>> predict_shape("error", torch.add, torch.ones(2), torch.ones(3))
    Right: it raises RuntimeError.
    """
    predicted = _read(shape)
    if not callable(function):
        raise ConfigError(
            f"predict_shape must get the function, so that it runs after your prediction: got {type(function).__name__}. "
            "Write lambda in front: predict_shape((2, 3), lambda: a + b)."
        )
    try:
        output = function(*args, **kwargs)
    except NotImplementedError:
        raise  # an exercise that isn't written yet
    except (RuntimeError, ValueError, IndexError) as error:
        return ShapePrediction(predicted, ERROR, error)
    if not hasattr(output, "shape"):
        raise ShapeError(f"the function must return a tensor or an array: got {type(output).__name__}. Return one.")
    return ShapePrediction(predicted, tuple(output.shape), output)


def _read(shape: Any) -> tuple[int, ...] | Literal["error"]:
    """The prediction as a tuple of whole numbers."""
    if isinstance(shape, str) and shape == ERROR:
        return ERROR
    sizes = tuple(shape) if isinstance(shape, tuple | list) else None
    if sizes is None or not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes):
        raise ConfigError(
            f'a predicted shape must be a tuple of whole numbers, or "error": got {shape!r}. Write (2, 3); '
            "for one axis (5,), with the comma; for a single number ()."
        )
    return sizes


def _difference(predicted: tuple[int, ...], actual: tuple[int, ...]) -> str:
    """Where two shapes differ, in one sentence."""
    if len(predicted) != len(actual):
        return f"It has {counted(len(actual), 'axis', 'axes')}, not {len(predicted)}."
    if sorted(predicted) == sorted(actual):
        return "The sizes are right, their order isn't."
    wrong = [i for i, sizes in enumerate(zip(predicted, actual, strict=True)) if sizes[0] != sizes[1]]
    return " ".join(f"Axis {i} has size {actual[i]}, not {predicted[i]}." for i in wrong)
