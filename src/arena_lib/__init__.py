"""A PyTorch curriculum for alignment research engineering: reference implementations, and tests that know the mistakes.

    from arena_lib.tests import transformer_from_scratch as tests
    tests.test_causal_mask(causal_mask)          judges your function

    %load_ext arena_lib                          in a notebook: progress is recorded, and `%arena` is there

Importing this package loads nothing heavy; its parts load when they are imported.
"""

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext arena_lib` calls."""
    from arena_lib.course.magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext arena_lib` calls."""
    from arena_lib.course.magics import unload

    unload(shell)
