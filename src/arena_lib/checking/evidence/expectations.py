"""What the engine has observed of a reference and of its mistakes, kept for the process.

The reference and each mistake of a test are observed once for each case and device, whoever asks:
proving all mistakes of a test, or judging a learner's object again and again, costs no second run.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.comparing import Raised
from arena_lib.checking.evidence.case_states import state_of
from arena_lib.checking.evidence.examples import examples_case, is_examples_case, observe_examples
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import Observations
from arena_lib.errors import AuthoringError

RAISED = "raised"
UNFIT = "can't be observed"


@dataclass(kw_only=True)
class Expectations:
    """The observations of one test's reference and mistakes on one device."""

    test: Exercise
    device: str
    reference: list[Observations]
    """What the reference shows, for each case."""
    asks_for_exception: list[bool]
    """Whether a case's docstring promises an exception, whose words are free, for each case."""
    is_examples: list[bool]
    """Whether a case is the examples of the reference's docstring, for each case."""
    mistakes: dict[tuple[int, int], Observations] = field(default_factory=dict)
    """What a mistake shows in a case, by both indices."""
    _used: dict[int, bytes | None] = field(default_factory=dict)
    """By their indices, the cases that the mistake which was observed last has used, as they were before."""
    _cases: list[Case] = field(default_factory=list)
    _mistake_idx: int = -1

    def of_mistake(self, mistake_idx: int, case_idx: int) -> Observations:
        """What a mistake shows in a case."""
        key = mistake_idx, case_idx
        if key not in self.mistakes:
            wrong = self.test.mistakes[mistake_idx].build(self.test.reference)
            case = self._case_for(mistake_idx, case_idx)
            self.mistakes[key] = observe_or_raised(self.test, wrong, case, case_idx)
        return self.mistakes[key]

    def _case_for(self, mistake_idx: int, case_idx: int) -> Case:
        """A case for a mistake. A wrong version may spoil its cases: then the next one gets new ones."""
        if mistake_idx != self._mistake_idx:
            if not self._cases or any(was is None or state_of(self._cases[i]) != was for i, was in self._used.items()):
                self._cases = cases_of(self.test, self.device)
            self._mistake_idx, self._used = mistake_idx, {}
        if case_idx not in self._used:
            self._used[case_idx] = state_of(self._cases[case_idx])
        return self._cases[case_idx]


_kept: dict[tuple[int, str], Expectations] = {}


def expectations_of(test: Exercise, device: str = "cpu") -> Expectations:
    """The kept observations of this test on this device."""
    key = id(test), device
    if key not in _kept:
        cases = cases_of(test, device)
        shown = [observe_or_raised(test, test.reference, case, i) for i, case in enumerate(cases)]
        _kept[key] = Expectations(
            test=test,
            device=device,
            reference=shown,
            asks_for_exception=[bool(case.raises) for case in cases],
            is_examples=[is_examples_case(case) for case in cases],
        )
    return _kept[key]


def cases_of(test: Exercise, device: str = "cpu") -> list[Case]:
    """The test's cases, made from its seed, and last the examples of the reference's docstring, if it has any."""
    _seed_everything(test.seed)  # a module that a case builds draws its weights from the global generator
    generator = torch.Generator().manual_seed(test.seed)
    cases = [case for case in _made(test, generator) if case.label.startswith(test.only or "")]
    examples = None if test.only else examples_case(test.reference)
    return [replace(case.to(device), names=test.parameters()) for case in [*cases, *([examples] if examples else [])]]


def _made(test: Exercise, generator: torch.Generator) -> list[Case]:
    made: Any = test.cases(generator)
    cases = list(made) if isinstance(made, Iterable) else [made]
    for case in cases:
        if not isinstance(case, Case):
            got = type(case).__name__
            raise AuthoringError(
                f"{test.cases.__name__} must return a list of Case: got {got}. Return [Case(...), ...]."
            )
    return cases


def observe(test: Exercise, obj: Any, case: Case, case_idx: int) -> Observations:
    """What `obj` shows in this case. Global seeds are set anew, so that no case depends on those before it."""
    _seed_everything(test.seed + 1000 * (case_idx + 1))
    return observe_examples(obj, case) if is_examples_case(case) else test.observe(obj, case)


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    if torch.cuda.is_initialized() or torch.backends.mps.is_available():
        torch.manual_seed(seed)
    else:  # the same in a tenth of the time: torch would note for CUDA, which may never start, who called it
        torch.default_generator.manual_seed(seed)


def observe_or_raised(test: Exercise, obj: Any, case: Case, case_idx: int) -> Observations:
    """As `observe`; an exception is an observation as well, and so is that the object can't be observed."""
    try:
        return observe(test, obj, case, case_idx)
    except Unfit as error:
        return {UNFIT: str(error)}
    except Exception as error:
        return raised(error)


def raised(error: Exception) -> Observations:
    """An exception as the one thing that was observed."""
    return {RAISED: Raised(type(error).__name__, str(error))}
