"""The engine that judges learners' code: observing, comparing, mistakes, diagnosis, reports.

It knows no exercise. `arena_lib.tests` declares tests with `exercise`, `Case`
and `Mistake`; notebooks, `arena check`, `arena verify` and pytest all run them
through `run`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena_lib.checking.cases import Case as Case
    from arena_lib.checking.comparison.comparing import Raised as Raised
    from arena_lib.checking.comparison.comparing import Tolerance as Tolerance
    from arena_lib.checking.exercises import Exercise as Exercise
    from arena_lib.checking.judges import Judge as Judge
    from arena_lib.checking.judges import also_called as also_called
    from arena_lib.checking.judges import exercise as exercise
    from arena_lib.checking.mistakes import Mistake as Mistake
    from arena_lib.checking.mistakes import instead_of as instead_of
    from arena_lib.checking.mistakes import stops_with as stops_with
    from arena_lib.checking.modules import Unfit as Unfit
    from arena_lib.checking.modules import module_case as module_case
    from arena_lib.checking.modules import random_weights as random_weights
    from arena_lib.checking.observing import module_outputs as module_outputs
    from arena_lib.checking.observing import module_outputs_and_gradients as module_outputs_and_gradients
    from arena_lib.checking.observing import outputs as outputs
    from arena_lib.checking.observing import outputs_and_gradients as outputs_and_gradients
    from arena_lib.checking.proofs.verifying import Verification as Verification
    from arena_lib.checking.proofs.verifying import verify as verify
    from arena_lib.checking.results import Result as Result
    from arena_lib.checking.running import run as run

_HOMES = {
    "Case": "cases",
    "Exercise": "exercises",
    "Mistake": "mistakes",
    "Raised": "comparison.comparing",
    "Result": "results",
    "Tolerance": "comparison.comparing",
    "Unfit": "modules",
    "Verification": "proofs.verifying",
    "Judge": "judges",
    "also_called": "judges",
    "exercise": "judges",
    "instead_of": "mistakes",
    "module_case": "modules",
    "module_outputs": "observing",
    "module_outputs_and_gradients": "observing",
    "outputs": "observing",
    "outputs_and_gradients": "observing",
    "random_weights": "modules",
    "run": "running",
    "stops_with": "mistakes",
    "verify": "proofs.verifying",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for, so that `results` can be read without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
