"""What a call returns, and what it left of its arguments.

Shapes:  any
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from arena_lib.checking import Case
from arena_lib.checking.observing import Observations

__test__ = False


def returned(function: Callable[..., Any], case: Case) -> Observations:
    """What a call returns."""
    return {"output": function(*case.args)}


def names_of_changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Names of the tensors and arrays that aren't what they were."""
    return [
        name for name, value in before.items() if not torch.equal(torch.as_tensor(now[name]), torch.as_tensor(value))
    ]


def dtype_of(result: Any) -> str:
    """The dtype of an array or tensor in words, where its width matters: "int64"."""
    return str(getattr(result, "dtype", type(result).__name__)).removeprefix("torch.")
