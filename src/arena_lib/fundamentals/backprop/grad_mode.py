"""Whether calculations are recorded.

Differs: from PyTorch in that there's one switch for the process, not one for each thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager

_off: list[None] = []
"""An entry for each `no_grad` block that is open."""


def is_grad_enabled() -> bool:
    """Whether what is calculated now is recorded. It is, except inside `no_grad()`."""
    return not _off


@contextmanager
def no_grad() -> Iterator[None]:
    """Nothing that is calculated inside this block is recorded, so no gradient will flow through it.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """
    _off.append(None)
    try:
        yield
    finally:
        _off.pop()
