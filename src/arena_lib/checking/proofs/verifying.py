"""Tests the tests: the authors' gate that every exercise passes in CI.

For each exercise the reference passes, each accepted solution passes, the stub
is not started, and each mistake is rejected and named. Since a mistake is named
after the first one that looks like it, no two can look the same. Every parameter
of the reference matters, and the reference's mechanical edits are rejected.

Raises:  nothing; what doesn't hold stands in the Verification.
"""

import doctest
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from arena_lib.checking.evidence.expectations import RAISED, expectations_of
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.checking.proofs.mutants import MutantScore, try_mutants, undeclarable
from arena_lib.checking.proofs.parameters import parameter_problems
from arena_lib.checking.results import Result, Status
from arena_lib.checking.running import run

LEAST_MISTAKES = 3
EXAMPLE_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
LEAST_SHARE = 0.85
"""Of a reference's mechanical edits, those that its test must reject; over a course more is asked."""


@dataclass(frozen=True, kw_only=True)
class MistakeVerdict:
    """What became of one mistake."""

    name: str
    rejected: bool
    named: bool
    status: str
    shown: str = ""
    """The name that the diagnosis gave instead, if it gave another."""
    message: str = ""
    """What a learner who makes this mistake reads."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was proved about one exercise's test."""

    id: str
    reference: Status
    accepts: tuple[Status, ...]
    stub: Status | None
    mistakes: tuple[MistakeVerdict, ...]
    mutants: MutantScore | None
    """Of the reference's mechanical edits; None where they weren't tried."""
    seconds: float
    problems: tuple[str, ...]
    """Why the exercise isn't fit for learners; empty if it is."""
    holes: tuple[str, ...] = ()
    """Parameters that nothing looks at, and too many edits that pass; empty where they weren't tried."""

    @property
    def holds(self) -> bool:
        """Whether everything that must hold does."""
        return not (self.problems or self.holes)

    def to_record(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def verify(
    test: Exercise, *, stub: Any = None, exercise_id: str | None = None, tries_edits: bool = True
) -> Verification:
    """Runs the reference, the accepted solutions, the stub and every mistake through the test.

    With `tries_edits` also versions that ignore a parameter, and every mechanical edit of the reference.
    """
    started = time.perf_counter()
    broken = _broken_reference(test)
    if broken:  # then nothing else is worth reading
        return Verification(
            id=exercise_id or test.id, reference="error", accepts=(), stub=None, mistakes=(), mutants=None,
            seconds=round(time.perf_counter() - started, 3), problems=(broken,),
        )  # fmt: skip
    reference = run(test, test.reference)
    accepts = [run(test, solution) for solution in test.accepts]
    stub_result = None if stub is None else run(test, stub)
    mistakes = [_verify_mistake(test, index) for index in range(len(test.mistakes))]
    mutants = try_mutants(test) if tries_edits else None
    return Verification(
        id=exercise_id or test.id,
        reference=reference.status,
        accepts=tuple(result.status for result in accepts),
        stub=None if stub_result is None else stub_result.status,
        mistakes=tuple(mistakes),
        mutants=mutants,
        problems=tuple(_problems(test, reference, accepts, stub_result, mistakes)),
        holes=(*parameter_problems(test), *_edit_problems(test, mutants)) if mutants else (),
        seconds=round(time.perf_counter() - started, 3),
    )


def _verify_mistake(test: Exercise, index: int) -> MistakeVerdict:
    mistake = test.mistakes[index]
    result = run(test, mistake.build(test.reference))
    shown = result.diagnosis.mistake if result.diagnosis else ""
    return MistakeVerdict(
        name=mistake.name,
        rejected=result.status in ("failed", "error"),
        named=shown == mistake.name,
        status=result.status,
        shown=shown,
        message=result.message,
    )


def _edit_problems(test: Exercise, mutants: MutantScore) -> list[str]:
    problems = [f"equivalent must name edits of the reference: got {name!r}" for name in undeclarable(test)]
    if mutants.share < LEAST_SHARE:
        problems.append(
            f"{LEAST_SHARE:.0%} of the reference's edits must be rejected: {mutants.share:.0%} are. "
            f"These pass: {'; '.join(mutants.survivors)}. Add cases, or declare those that are right equivalent."
        )
    return problems


def _problems(
    test: Exercise, reference: Result, accepts: list[Result], stub: Result | None, mistakes: list[MistakeVerdict]
) -> list[str]:
    problems = [] if reference.passed else [f"the reference must pass: {reference.message}"]
    if not reference.is_reference:
        problems.append("the reference must be recognised as the reference")
    problems += [
        f"accepted solution {i} must pass: {r.message}" for i, r in enumerate(accepts, start=1) if not r.passed
    ]
    if not accepts:
        problems.append("an exercise needs at least one accepted solution written differently: got none")
    if len(mistakes) < LEAST_MISTAKES:
        problems.append(f"an exercise needs at least {LEAST_MISTAKES} mistakes: got {len(mistakes)}")
    if stub is not None and stub.status != "not_started":
        problems.append(f"the stub must be not_started: got {stub.status}")
    for mistake in mistakes:
        if not mistake.rejected:
            problems.append(
                f"the mistake {mistake.name!r} must be rejected: it {mistake.status}, and shows what the reference does in "
                "every case. Substitute something else, or add a case that tells them apart."
            )
        elif not mistake.named:
            problems.append(
                f"the mistake {mistake.name!r} must be named: the diagnosis says {mistake.shown or 'nothing'!r}. "
                "Make one of the two, or add a case that tells them apart."
            )
    return [*problems, *_example_problems(test)]


def _broken_reference(test: Exercise) -> str | None:
    """Says so if the reference raises in every case."""
    with isolated(test.seed):
        shown = expectations_of(test).reference
    raised = [seen[RAISED] for seen in shown if RAISED in seen]
    if not raised or len(raised) < len(shown):
        return None
    return f"the reference must run: it raises {raised[0]} in every case"


def _example_problems(test: Exercise) -> list[str]:
    """Examples of the reference's docstring that print something else than the docstring shows."""
    if "." in test.reference.__qualname__:
        return []
    failures: list[str] = []
    names = dict(vars(sys.modules[test.reference.__module__]))
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(verbose=False, optionflags=EXAMPLE_FLAGS)
    with isolated(test.seed):
        for examples in finder.find(test.reference, test.reference.__name__, globs=names):
            runner.run(examples, out=failures.append)
    return [f"an example of the docstring must print what it shows: {' '.join(text.split())}" for text in failures]
