"""Whether a case is still as it was built, so that the next wrong version may have it too.

To build a case can cost more than to use it: a model, its weights, its caches.
"""

import io
import pickle
from typing import Any

from torch import Tensor

from arena_lib.checking.cases import Case


def state_of(case: Case) -> bytes | None:
    """All that can be reached from a case, as bytes; None if it holds what can't be looked into, such as a lambda.

    >>> state_of(Case(label="a", given={"seen": []})) == state_of(Case(label="a", given={"seen": [1]}))
    False
    """
    file = io.BytesIO()
    try:
        _StateWriter(file, protocol=pickle.HIGHEST_PROTOCOL).dump((case.args, dict(case.kwargs), dict(case.given)))
    except Exception:  # any class may refuse in its own way
        return None
    return file.getvalue()


class _StateWriter(pickle.Pickler):
    """Writes a tensor as its numbers: what torch would write of it takes a hundred times as long."""

    def reducer_override(self, value: Any) -> Any:
        """The parts of a tensor; anything else as pickle has it."""
        if not isinstance(value, Tensor):
            return NotImplemented
        grad = value.grad if value.is_leaf else None
        parts = [str(value.dtype), tuple(value.shape), value.requires_grad, grad, vars(value)]
        return tuple, ([*parts, value.detach().numpy().tobytes()],)
