"""One call that a test makes: its arguments, the words for its axes, and what else the observer needs.

Shapes:  whatever the exercise takes; `axes` names them for messages.
Raises:  AuthoringError for arguments that aren't in a tuple, or not by name in `kwargs`.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from arena_lib.errors import AuthoringError


@dataclass(frozen=True, kw_only=True)
class Case:
    """The arguments of one call. Build them from the generator that the test hands in.

    >>> Case(label="one position", args=(torch.zeros(1, 1),), axes={"output": "seq_q seq_k"}).label
    'one position'
    """

    label: str
    """What is special about this case, as a learner reads it: "a single position"."""
    args: tuple[Any, ...] = ()
    """Positional arguments of the call (of `forward`, where the exercise is a module)."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    """For each observation the words of its axes: {"output": "batch seq d_model"}."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What an observer needs beside the arguments: a config, weights, a tokenizer."""
    call: str = "..."
    """The arguments as a message writes them, where the observer makes them: "model, seq_len=7"."""
    raises: str = ""
    """The exception that a correct solution raises here: "ShapeError"; `arena verify` holds the reference to it."""
    names: Sequence[str] = ()
    """Names of the positional arguments; the runner fills them in from the reference's signature."""

    def __post_init__(self) -> None:
        if not isinstance(self.args, tuple):
            raise AuthoringError(
                f"the case {self.label!r} must have a tuple of arguments: got args of type "
                f"{type(self.args).__name__}. Write args=(x,), with the comma."
            )
        if not isinstance(self.kwargs, Mapping):
            raise AuthoringError(
                f"the case {self.label!r} must have its keyword arguments by name: got kwargs of type "
                f'{type(self.kwargs).__name__}. Write kwargs={{"x": x}}.'
            )

    @property
    def sizes(self) -> dict[str, int]:
        """The lengths of axes that the case's config says: n_heads, d_head and the like, not how many layers there are."""
        fields = vars(self.given["cfg"]) if hasattr(self.given.get("cfg"), "__dict__") else {}
        return {
            name: size
            for name, size in fields.items()
            if name.startswith(("n_", "d_")) and name != "n_layers" and isinstance(size, int)
        }

    def fresh(self) -> "Case":
        """The same case with arguments of its own, so that nobody can spoil them for the next."""
        return map_case(_own, self)

    def to(self, device: str | torch.device) -> "Case":
        """The same case on another device."""
        moved = map_case(lambda tensor: tensor.to(device), self)
        return replace(moved, given=map_tensors(lambda tensor: tensor.to(device), dict(self.given)))

    def named_tensors(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[tuple[str, torch.Tensor]]:
        """Every tensor and every array of numbers among these arguments, with a name that a learner recognises."""
        names = [*self.names, *(f"argument {i}" for i in range(len(self.names) + 1, len(args) + 1))]
        named = []
        for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
            tensors = tensors_in(_arrays_as_tensors(value))
            named += [(f"{name}[{i}]" if len(tensors) > 1 else name, tensor) for i, tensor in enumerate(tensors)]
        return named


CasesBuilder = Callable[[torch.Generator], Iterable[Case]]


def map_case(function: Callable[[torch.Tensor], Any], case: Case) -> Case:
    """`case` with `function` applied to every tensor among its arguments."""
    return replace(case, args=map_tensors(function, case.args), kwargs=map_tensors(function, dict(case.kwargs)))


def map_tensors(function: Callable[[torch.Tensor], Any], value: Any) -> Any:
    """Applies `function` to every tensor in nested tuples, lists and dictionaries.

    Arrays, sets and byte arrays are copied, so that mutable arguments stay apart.
    """
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map_tensors(function, item) for item in value)
    if isinstance(value, list):
        return [map_tensors(function, item) for item in value]
    if type(value) is dict:
        return {key: map_tensors(function, item) for key, item in value.items()}
    if isinstance(value, np.ndarray | set | bytearray):
        return copy.copy(value)
    return value


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in order."""
    found: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, value)
    return found


def _arrays_as_tensors(value: Any) -> Any:
    """An array of numbers as a tensor, so that what is seen of tensors is seen of it; all else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.tensor(value.copy())
    if isinstance(value, list | tuple):
        return [_arrays_as_tensors(item) for item in value]
    return value


def _own(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
