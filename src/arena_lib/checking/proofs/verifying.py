"""Tests the tests: the authors' gate that every exercise passes in CI.

For each exercise the reference passes, each accepted solution passes, the stub
is not started, and each mistake is rejected and named. Since a mistake is named
after the first one that looks like it, no two can look the same. Every parameter
of the reference matters, and the reference's mechanical edits are rejected.

Raises:  nothing; what doesn't hold stands in the Verification.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from arena_lib.checking.evidence.expectations import RAISED, expectations_of
from arena_lib.checking.exercises import Exercise
from arena_lib.checking.isolation import isolated
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.proofs.case_problems import case_problems, engine_problems, exception_problems
from arena_lib.checking.proofs.declaration_problems import observation_problems, shared_names, signature_problems
from arena_lib.checking.proofs.example_problems import example_problems, syntax_problems
from arena_lib.checking.proofs.mutants import MutantScore, try_mutants, undeclarable
from arena_lib.checking.proofs.parameters import parameter_problems
from arena_lib.checking.proofs.places import place_of_definition, place_of_test
from arena_lib.checking.results import Result, Status
from arena_lib.checking.running import run

LEAST_MISTAKES = 3
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
    raised: str = ""
    """What it raises in every case in which the reference raises nothing; empty if it doesn't."""
    message: str = ""
    """What a learner who makes this mistake reads."""
    departs_in: str = ""
    """What of an observation is wrong, as a mismatch says it ("shape", "values"); empty if nothing is compared."""


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
    remarks: tuple[str, ...] = ()
    """What fails nothing and is worth a look."""

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
    name = exercise_id or test.id
    broken = signature_problems(test) or syntax_problems(test) or case_problems(test) or observation_problems(test)
    broken = broken or engine_problems(test) or _broken_reference(test) or exception_problems(test)
    if broken:  # then nothing else is worth reading
        return Verification(
            id=name, reference="error", accepts=(), stub=None, mistakes=(), mutants=None,
            seconds=round(time.perf_counter() - started, 3), problems=tuple(broken),
        )  # fmt: skip
    reference = run(test, test.reference, exercise_id=name)
    accepts = [run(test, solution, exercise_id=name) for solution in test.accepts]
    stub_result = None if stub is None else run(test, stub, exercise_id=name)
    mistakes = [_verify_mistake(test, index, name) for index in range(len(test.mistakes))]
    mutants = try_mutants(test) if tries_edits else None
    return Verification(
        id=name,
        reference=reference.status,
        accepts=tuple(result.status for result in accepts),
        stub=None if stub_result is None else stub_result.status,
        mistakes=tuple(mistakes),
        mutants=mutants,
        problems=tuple(_problems(test, reference, accepts, stub_result, mistakes)),
        holes=(*parameter_problems(test), *_edit_problems(test, mutants)) if mutants else (),
        seconds=round(time.perf_counter() - started, 3),
        remarks=tuple(_remarks(test, mistakes)),
    )


def _remarks(test: Exercise, mistakes: list[MistakeVerdict]) -> list[str]:
    """Says so where a look at shapes would do for every mistake, and of names that two mistakes share by a slip."""
    if not mistakes or any(mistake.departs_in not in ("rank", "shape", "length") for mistake in mistakes):
        return shared_names(test)
    return [
        *shared_names(test),
        f"{place_of_test(test)}: every mistake gives a wrong shape, which a learner sees without a test. "
        "Add mistakes that give wrong values in the right shape.",
    ]


def _verify_mistake(test: Exercise, index: int, exercise_id: str) -> MistakeVerdict:
    mistake = test.mistakes[index]
    result = run(test, mistake.build(test.reference), exercise_id=exercise_id)
    shown = result.diagnosis.mistake if result.diagnosis else ""
    return MistakeVerdict(
        name=mistake.name,
        rejected=result.status in ("failed", "error"),
        named=shown == mistake.name,
        status=result.status,
        shown=shown,
        raised=_raised_throughout(test, index),
        message=result.message,
        departs_in=result.mismatch.kind if result.mismatch else "",
    )


def _raised_throughout(test: Exercise, index: int) -> str:
    """What a mistake raises in the first case, if it raises in every case in which the reference doesn't."""
    with isolated(test.seed):
        expectations = expectations_of(test)
        sound = [i for i, seen in enumerate(expectations.reference) if RAISED not in seen]
        raised = [expectations.of_mistake(index, case_idx).get(RAISED) for case_idx in sound]
    return str(raised[0]) if raised and all(raised) else ""


def _edit_problems(test: Exercise, mutants: MutantScore) -> list[str]:
    problems = [
        f"{place_of_test(test, entry)}: equivalent must name edits of the reference: got {entry!r}. Paste `old -> new`, or "
        f"`old` alone, from the edits that arena verify lists: {' or '.join(map(repr, nearest)) or 'there are none'}."
        for entry, nearest in undeclarable(test, mutants.survivors).items()
    ]
    problems += [
        f"{place_of_test(test, entry)}: equivalent must name edits that pass: got {entry!r}, which is rejected. Drop it."
        for entry in mutants.needless
    ]
    if mutants.share < LEAST_SHARE:
        problems.append(
            f"{place_of_test(test)}: {LEAST_SHARE:.0%} of the reference's edits must be rejected: {mutants.share:.0%} are. "
            "Those that pass are listed below. Add cases that show them, or say why one is right: "
            'equivalent={"old -> new": "why"}.'
        )
    return problems


def _problems(
    test: Exercise, reference: Result, accepts: list[Result], stub: Result | None, mistakes: list[MistakeVerdict]
) -> list[str]:
    place, problems = place_of_test(test), list[str]()
    if not reference.passed:
        problems.append(f"{place}: the reference must pass. What is wrong with it:\n{_facts(reference)}")
    if not reference.is_reference:
        problems.append(f"{place}: the reference must be recognised as the reference: it isn't. Name it in its module.")
    for solution, result in zip(test.accepts, accepts, strict=True):
        if solution is test.reference:
            problems.append(
                f"{place}: an accepted solution must be written differently: got the reference itself. "
                "Write another algorithm or another library call."
            )
        if not result.passed:
            name = getattr(solution, "__name__", repr(solution))
            problems.append(
                f"{place_of_definition(solution)}: the accepted solution {name} must pass. Fix it, or observe only what it "
                f"shares with the reference. How the two differ:\n{_facts(result)}"
            )
    if not accepts:
        problems.append(
            f"{place}: an exercise needs at least one accepted solution written differently: got none. "
            "Write one, another algorithm or another library call, and name it: accepts=[...]."
        )
    if len(mistakes) < LEAST_MISTAKES:
        problems.append(
            f"{place}: an exercise needs at least {LEAST_MISTAKES} mistakes: got {len(mistakes)}. "
            "Add the likeliest wrong versions of other kinds."
        )
    if stub is not None and stub.status != "not_started":
        problems.append(
            f"{place}: the stub must be not_started: got {stub.status}. What the cases and the observer call must reach "
            "the body that a learner is to write."
        )
    for mistake, verdict in zip(test.mistakes, mistakes, strict=True):
        problem = _mistake_problem(mistake, verdict) or _false_words(test, mistake)
        if problem:
            problems.append(f"{place_of_test(test, mistake.name)}: the mistake {mistake.name!r} {problem}")
    return [*problems, *example_problems(test)]


def _facts(result: Result) -> str:
    """What a message says of the object, without its headline and hint, which are for learners."""
    lines = result.message.splitlines()[1:]
    return "\n".join(line for line in lines if not line.strip().startswith("For a hint:"))


def _mistake_problem(mistake: Mistake, verdict: MistakeVerdict) -> str | None:
    kind = verdict.raised.partition(":")[0]
    if not verdict.rejected:
        return (
            f"must be rejected: it {verdict.status}, and shows what the reference does in "
            "every case. Substitute something else, add a case that tells them apart, or observe what differs."
        )
    if kind and kind != mistake.raises:
        return (
            f"must run in one case at least: it raises {verdict.raised} in every case. "
            f"Fix what it substitutes; if a learner who makes it sees just that, add raises={kind!r}."
        )
    if not verdict.named:
        shown = f"names {verdict.shown!r}" if verdict.shown else "names none"
        return f"must be named: the diagnosis {shown}. Make one of the two, or add a case that tells them apart."
    return None


def _false_words(test: Exercise, mistake: Mistake) -> str | None:
    """Of a mistake that is rejected and named: what its declaration lacks, or says though it isn't so."""
    if not mistake.why.strip():
        return 'must say why it is wrong: got no why, which a learner reads after the name. Add why="...".'
    if mistake.raises and mistake.raises not in _raised_somewhere(test, test.mistakes.index(mistake)):
        return f"must raise what it declares: no case raises {mistake.raises}. Drop raises={mistake.raises!r}."
    return None


def _raised_somewhere(test: Exercise, index: int) -> set[str]:
    """The kinds of exceptions that a mistake raises in the cases."""
    with isolated(test.seed):
        expectations = expectations_of(test)
        shown = [expectations.of_mistake(index, case_idx) for case_idx in range(len(expectations.reference))]
    return {seen[RAISED].kind for seen in shown if RAISED in seen}


def _broken_reference(test: Exercise) -> list[str]:
    """Says so, in one problem, if the reference raises in every case."""
    with isolated(test.seed):
        shown = expectations_of(test).reference
    raised = [seen[RAISED] for seen in shown if RAISED in seen]
    if not raised or len(raised) < len(shown):
        return []
    place = place_of_definition(test.reference)
    return [f"{place}: the reference must run: it raises {raised[0]} in every case. Fix it, or the cases."]
