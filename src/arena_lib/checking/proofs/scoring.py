"""How many mechanical edits of a reference its test rejects.

Raises:  AuthoringError if the reference's source can't be read.
Source:  DeMillo, Lipton and Sayward 1978, "Hints on test data selection".
"""

import difflib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arena_lib.checking.exercises import Exercise
from arena_lib.checking.proofs.time_limit import OutOfTimeError, time_limit
from arena_lib.checking.running import rejects
from arena_lib.checking.variants.mutants import Mutant, build, mutants_of

TIMES_THE_REFERENCE = 10
"""An edit that takes this many times as long as the reference counts as an endless loop, which a learner would see."""
N_NEAREST = 3
"""Names of edits that are offered for one that there isn't."""


@dataclass(frozen=True, kw_only=True)
class MutantScore:
    """How many edits of a reference its test rejects."""

    n_tried: int
    n_rejected: int
    n_equivalent: int
    survivors: tuple[str, ...]
    """Edits that pass and aren't declared equivalent."""
    needless: tuple[str, ...] = ()
    """Entries of `equivalent` all of whose edits are rejected."""

    @property
    def share(self) -> float:
        """Rejected edits among those that aren't equivalent; 1 if there are none."""
        n_wrong = self.n_tried - self.n_equivalent
        return self.n_rejected / n_wrong if n_wrong else 1.0


def try_mutants(test: Exercise, most: int | None = None) -> MutantScore:
    """Runs the edits of a test's reference through it: all, or `most` of them spread evenly."""
    mutants = mutants_of(test)
    if most is not None and len(mutants) > most:
        mutants = [mutants[i * len(mutants) // most] for i in range(most)]
    started = time.process_time()
    rejects(test, _adapted(test, test.reference))
    seconds = 1.0 + TIMES_THE_REFERENCE * (time.process_time() - started)
    survivors = [mutant for mutant in mutants if not is_rejected(test, mutant, seconds)]
    declared = [mutant.name for mutant in survivors if _is_declared(test, mutant)]
    undeclared = tuple(mutant.name for mutant in survivors if not _is_declared(test, mutant))
    return MutantScore(
        n_tried=len(mutants),
        n_rejected=len(mutants) - len(survivors),
        n_equivalent=len(declared),
        survivors=undeclared,
        needless=_needless(test, mutants, survivors),
    )


def _needless(test: Exercise, tried: list[Mutant], survivors: list[Mutant]) -> tuple[str, ...]:
    """Entries of `equivalent` that name edits of those tried, and none that passes."""
    named, passing = ({name for m in mutants for name in (m.name, m.old)} for mutants in (tried, survivors))
    return tuple(sorted(set(test.equivalent) & named - passing))


def _is_declared(test: Exercise, mutant: Mutant) -> bool:
    return mutant.name in test.equivalent or mutant.old in test.equivalent


def undeclarable(test: Exercise, survivors: Sequence[str] = ()) -> dict[str, list[str]]:
    """Entries of `equivalent` that name no edit of the reference, each with the nearest ones, of those that pass first."""
    mutants = mutants_of(test)
    known = sorted({name for mutant in mutants for name in (mutant.name, mutant.old)})
    unknown = sorted(set(test.equivalent) - set(known))
    return {
        entry: difflib.get_close_matches(entry, survivors, n=N_NEAREST, cutoff=0.0)
        or [name for name in known if entry in name][:N_NEAREST]
        or difflib.get_close_matches(entry, known, n=N_NEAREST, cutoff=0.0)
        for entry in unknown
    }


def is_rejected(test: Exercise, mutant: Mutant, seconds: float) -> bool:
    """Whether the test rejects this edit; one that can't even be executed, or doesn't end, is rejected."""
    try:
        with time_limit(seconds):
            return rejects(test, _adapted(test, build(mutant, test.reference)))
    except (OutOfTimeError, Exception):
        return True


def _adapted(test: Exercise, obj: Any) -> Any:
    return obj if test.adapt is None else test.adapt(obj)
