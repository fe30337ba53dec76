"""A PyTorch curriculum for alignment research engineering: reference implementations, and tests that know the mistakes.

    from arena_lib.tests import transformer_from_scratch as tests
    tests.test_causal_mask(causal_mask)          judges your function

    %load_ext arena_lib                          in a notebook: progress is recorded, and `%arena` is there

    transformer   GPT-2 and Llama: plain forms to read, fast forms to use, training, sampling
    interp        what the parts of a transformer do, and which of them matter
    storyworld    a generated language with the true state of the world beside every token
    zoo           small trained models and data sets
    tests         the judges of exercises
    checking      the engine behind them
    course        chapters, notebooks and progress
    plots, core   figures; what every subject shares

Importing this package loads nothing heavy; its parts load when they are imported or named.
"""

from typing import Any

from arena_lib.core.subpackages import load_on_demand

__version__ = "0.1.0"

__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]

__getattr__, __dir__ = load_on_demand(__name__)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext arena_lib` calls."""
    from arena_lib.course.magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext arena_lib` calls."""
    from arena_lib.course.magics import unload

    unload(shell)
