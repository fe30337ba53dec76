"""The one runner: judges an object for an exercise, whoever asks, and makes one `Result`.

It looks in this order: is it callable, and with these arguments; can it be
observed; types, shapes, dtypes, finite values; properties; values. The first
thing that doesn't hold decides, and the known mistakes are tried on it.

Raises:  AuthoringError for a test that is itself broken. `judge` and `run` never raise for a learner's object.
"""

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from torch import nn

from arena_lib.checking.cases import Case
from arena_lib.checking.comparison.comparing import compare
from arena_lib.checking.comparison.describing import describe
from arena_lib.checking.evidence.calling import call_of
from arena_lib.checking.evidence.common_exceptions import meaning_of
from arena_lib.checking.evidence.diagnosing import diagnose
from arena_lib.checking.evidence.examples import is_examples_case, other_type_returned
from arena_lib.checking.evidence.expectations import (
    RAISED,
    UNFIT,
    cases_of,
    expectations_of,
    observe,
    observe_or_raised,
    raised,
)
from arena_lib.checking.evidence.parameters import exchanged_parameters, unfit_parameters
from arena_lib.checking.evidence.sightings import Sighting, same_observations
from arena_lib.checking.evidence.unwritten import nothing_returned, unwritten_function, with_question
from arena_lib.checking.exercises import Exercise, ignored
from arena_lib.checking.fingerprint import source_hash
from arena_lib.checking.isolation import isolated
from arena_lib.checking.modules import Unfit
from arena_lib.checking.observing import CHANGED, Observations
from arena_lib.checking.reports.messages import render_text
from arena_lib.checking.reports.stops import stop_of
from arena_lib.checking.results import RUNS, Check, Diagnosis, Mismatch, Result, Status, Stop
from arena_lib.checking.soft_limits import LIMIT_GIB, LIMIT_SECONDS, OUT_OF_MEMORY, Overrun, notes_on_time, soft_limits

TAKES_ARGUMENTS = "takes these arguments"
"""The name of the check that a call fits the signature."""

Recorder = Callable[[Result], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A Result, with what can't be written as JSON: the learner's exception and the values to draw."""

    result: Result
    error: BaseException | None = None
    expected: Any = None
    actual: Any = None


@dataclass(kw_only=True)
class _Session:
    """What has been seen of one object so far."""

    test: Exercise
    cases: list[Case]
    expected: list[Observations]
    device: str
    seen: list[Observations] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    exchanged: str = ""
    """What is said of parameters that are the reference's in another order, should anything be wrong."""
    needs: str = ""
    """The other function that isn't written yet, to which a call came."""
    announce: Callable[[str, str], None] | None = None
    """Told of each call, as a learner would write it, before it is made, and of what is special about it."""
    has_limits: bool = False
    current: Case | None = None
    """The case whose call runs, or ran last."""


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """An observation that departs from the reference's, with both values."""

    mismatch: Mismatch
    case: Case
    expected: Any
    actual: Any


class _Verdict(Exception):
    """Ends a run: nothing further needs looking at."""

    def __init__(
        self,
        status: Status,
        *,
        difference: _Difference | None = None,
        diagnosis: Diagnosis | None = None,
        error: BaseException | None = None,
        case: Case | None = None,
        stop: Stop | None = None,
    ) -> None:
        super().__init__(status)
        self.status: Status = status
        self.stop = stop or (stop_of(error) if error else None)
        self.difference, self.diagnosis, self.error, self.case = difference, diagnosis, error, case


def run(
    test: Exercise, obj: Any, *, recorder: Recorder | None = None, device: str = "cpu", exercise_id: str | None = None
) -> Result:
    """Judges `obj` for `test` and hands the Result to `recorder`, unless `obj` is the reference itself."""
    result = judge(test, obj, device=device, exercise_id=exercise_id).result
    if recorder is not None and not result.is_reference:
        recorder(result)
    return result


def judge(
    test: Exercise,
    obj: Any,
    *,
    device: str = "cpu",
    exercise_id: str | None = None,
    announce: Callable[[str, str], None] | None = None,
    has_limits: bool = False,
) -> Outcome:
    """As `run`, with the learner's exception and the compared values beside the Result.

    `announce` is told of each call before it is made, and of what is special about it: it may never return. With
    `has_limits` it is ended after a while (`checking.soft_limits`), which nobody else does in a learner's own process.
    """
    started = time.perf_counter()
    with isolated(test.seed):
        session = _prepare(test, device)
        session.announce, session.has_limits = announce, has_limits
        verdict = _Verdict("passed")
        try:
            _look(session, obj)
        except _Verdict as reached:
            verdict = _explained_by_exchange(session, reached)
    difference, error = verdict.difference, verdict.error
    call, label = call_of(test, verdict.case) if verdict.case else ("", "")
    result = Result(
        exercise=exercise_id or test.id,
        status=verdict.status,
        is_reference=is_reference(test, obj),
        call=call,
        case=label,
        stop=verdict.stop,
        checks=tuple(session.checks),
        diagnosis=verdict.diagnosis,
        mismatch=difference.mismatch if difference else None,
        notes=tuple(session.notes),
        needs=session.needs,
        seed=test.seed,
        seconds=LIMIT_SECONDS if verdict.status == "timeout" else round(time.perf_counter() - started, 4),
        source_hash=source_hash(obj),
        test_hash=test.fingerprint(),
    )
    result = replace(result, message=render_text(result))
    if difference is None:
        return Outcome(result=result, error=error)
    return Outcome(result=result, error=error, expected=difference.expected, actual=difference.actual)


def rejects(test: Exercise, obj: Any) -> bool:
    """Whether `test` finds anything wrong with `obj`, in the form that the observer takes; it stops at the first."""
    with isolated(test.seed):
        expectations = expectations_of(test)
        for case_idx, case in enumerate(cases_of(test)):
            seen = observe_or_raised(test, obj, case, case_idx)
            if not same_observations(test, expectations.reference[case_idx], seen):
                return True
            has_properties = not (is_examples_case(case) or case.raises)
            if has_properties and any(holds(seen, case) is not None for holds in test.properties):
                return True
    return False


def is_reference(test: Exercise, obj: Any) -> bool:
    """Whether `obj` is the library's own: the reference, or anything else that its module defines."""
    return obj is test.reference or getattr(obj, "__module__", None) == test.reference.__module__


def _prepare(test: Exercise, device: str) -> _Session:
    expected = expectations_of(test, device).reference
    return _Session(test=test, cases=cases_of(test, device), expected=expected, device=device)


def _look(session: _Session, obj: Any) -> None:
    """Everything that is looked at, in order; returns if all holds."""
    _check_callable(session, obj)
    candidate = _adapt(session, obj)
    _check_arguments(session, candidate)
    stopped = _observe_within_limits(session, candidate)
    mismatches = _mismatches(session)
    if stopped is not None:
        error, case = stopped
        # An example may stop at a wrong result that an earlier case shows plainly.
        if not is_examples_case(case) or mismatches[0].case is case:
            diagnosis = _diagnosis(session)
            session.notes.extend([] if diagnosis or session.notes else meaning_of(error))
            raise _Verdict("error", error=error, case=case, diagnosis=diagnosis)
        mismatches = [m for m in mismatches if m.case is not case]  # what it didn't come to tells nothing
    forms = [m for m in mismatches if m.mismatch.kind not in ("dtype", "nonfinite", "values")]
    if forms and forms[0].actual is None:
        # What is missing often follows from a wrong value that was observed before it, which says more.
        earlier = next(m for m in mismatches if m.case is forms[0].case)
        if earlier.mismatch.kind == "values":
            _decide(session, "values", [earlier])
    # A wrong dtype in a case of its own says less than wrong values in an earlier one.
    _decide(session, "types and shapes", forms or [m for m in mismatches[:1] if m.mismatch.kind == "dtype"])
    # Only where NaN comes first: later ones may follow from a wrong value, which says more.
    _decide(session, "finite values", [m for m in mismatches[:1] if m.mismatch.kind == "nonfinite"])
    _check_properties(session)
    _decide(session, "values", mismatches)


def _check_callable(session: _Session, obj: Any) -> None:
    expected_kind = "a class" if isinstance(session.test.reference, type) else "a function"
    if callable(obj) and not (isinstance(session.test.reference, type) and isinstance(obj, nn.Module)):
        session.checks.append(Check(name="is callable", passed=True))
        return
    hint = " Pass the class itself, without calling it." if isinstance(obj, nn.Module) else ""
    _fail(session, "is callable", f"This test takes {expected_kind}: got {describe(obj)}.{hint}")


def _explained_by_exchange(session: _Session, verdict: _Verdict) -> _Verdict:
    """The verdict, or where parameters are exchanged that one: whatever else was seen follows from it."""
    if not session.exchanged or verdict.status == "not_started":
        return verdict
    session.checks = [session.checks[0], Check(name=TAKES_ARGUMENTS, passed=False, message=session.exchanged)]
    session.notes.clear()
    return _Verdict("failed")


def _adapt(session: _Session, obj: Any) -> Any:
    """The object in the form that the observer takes."""
    if session.test.adapt is None:
        return obj
    try:
        return session.test.adapt(obj)
    except Unfit as error:
        _fail(session, "can be observed", str(error))
    except Exception as error:
        raise _Verdict("error", error=error) from None


def _check_arguments(session: _Session, candidate: Any) -> None:
    """Whether the call of the first case fits the signature, before anything runs."""
    if message := unfit_parameters(session.test, candidate, session.cases):
        _fail(session, TAKES_ARGUMENTS, message)
    session.exchanged = exchanged_parameters(session.test, candidate)
    session.checks.append(Check(name=TAKES_ARGUMENTS, passed=True))


def _observe_within_limits(session: _Session, candidate: Any) -> tuple[Exception, Case] | None:
    """As `_observe`; it ends the run where the learner's code takes too long, or too much memory."""
    if not session.has_limits:
        return _observe(session, candidate)

    def current_call() -> str:
        return call_of(session.test, session.current)[0] if session.current else session.test.name

    try:
        with soft_limits(current_call):
            return _observe(session, candidate)
    except Overrun as overrun:
        line = stop_of(overrun).line
        if overrun.of == "time":
            session.notes.extend(notes_on_time())
            raise _Verdict("timeout", case=session.current, stop=Stop(raised="", line=line)) from None
        session.notes.append(OUT_OF_MEMORY)
        stop = Stop(raised=f"MemoryError: it had taken {LIMIT_GIB:g} GiB, and was ended here", line=line)
        raise _Verdict("error", case=session.current, stop=stop) from None


def _observe(session: _Session, candidate: Any) -> tuple[Exception, Case] | None:
    """Fills `session.seen`; returns the first exception of the learner's code where the reference's had none."""
    first: tuple[Exception, Case] | None = None
    unfit: Unfit | None = None
    for case_idx, (case, expected) in enumerate(zip(session.cases, session.expected, strict=True)):
        session.current = case
        if session.announce is not None:
            session.announce(*call_of(session.test, case))
        try:
            session.seen.append(observe(session.test, candidate, case, case_idx))
        except Unfit as error:
            unfit = unfit or error
            session.seen.append({UNFIT: str(error)})
        except NotImplementedError as error:
            if not error.args:
                session.needs = unwritten_function(candidate, error)
                raise _Verdict("not_started") from None
            first = first or (error, case)
            session.seen.append(raised(error))
        except Exception as error:
            if RAISED not in expected and first is None:
                first = (error, case)
                session.notes.extend(_notes_on(session, candidate, error, case))
            session.seen.append(raised(error))
    if unfit is not None:
        session.checks.append(Check(name="can be observed", passed=False, message=with_question(str(unfit))))
        raise _Verdict("failed", diagnosis=_diagnosis(session))
    if first is None:
        session.checks.append(Check(name=RUNS, passed=True))
    return first


def _notes_on(session: _Session, candidate: Any, error: Exception, case: Case) -> list[str]:
    """What is known of an exception beside its own words."""
    return other_type_returned(candidate, case) if is_examples_case(case) else nothing_returned(session.test, error)


def _mismatches(session: _Session) -> list[_Difference]:
    """Every observation that departs from the reference's, with both values, in the order of the cases.

    An observer may stop at what is wrong, so what it didn't observe counts only where nothing else differs.
    """
    differences: list[_Difference] = []
    for case, expected, seen in zip(session.cases, session.expected, session.seen, strict=True):
        n_before = len(differences)
        for name, value in sorted(expected.items(), key=lambda item: item[0] not in seen):
            if name not in seen and len(differences) > n_before:
                break
            if name in ignored(session.test):
                _note_changes(session, seen[name])
                continue
            mismatch = compare(
                seen.get(name),
                value,
                axes=case.axes.get(name) or session.test.axes_of(name),
                tolerance=session.test.tolerance.get(name),
                observation=name,
                sizes=case.sizes,
            )
            if mismatch is not None:
                differences.append(_Difference(mismatch=mismatch, case=case, expected=value, actual=seen.get(name)))
    return differences


def _note_changes(session: _Session, changed: list[str]) -> None:
    note = f"It changes {', '.join(changed)} in place: allowed here, but the caller's tensor is no longer what it was."
    if changed and note not in session.notes:
        session.notes.append(note)


def _decide(session: _Session, name: str, differences: Sequence[_Difference]) -> None:
    """Ends the run at the first difference; otherwise notes that this check passed."""
    if not differences:
        session.checks.append(Check(name=name, passed=True))
        return
    first = differences[0]
    if first.mismatch.observation == CHANGED:
        text = "It must leave its arguments as they are: it changed {}. Return a new one: x + y rather than x += y, a copy (clone) before you write into it."
        text = text.format(", ".join(first.actual))
        session.checks.append(Check(name="arguments unchanged", passed=False, message=text))
        raise _Verdict("failed", case=first.case, diagnosis=_diagnosis(session))
    session.checks.append(Check(name=name, passed=False))
    raise _Verdict("failed", difference=first, case=first.case, diagnosis=_diagnosis(session))


def _check_properties(session: _Session) -> None:
    for holds in session.test.properties:
        name = (inspect.getdoc(holds) or holds.__name__).splitlines()[0].rstrip(".")
        for case, seen in zip(session.cases, session.seen, strict=True):
            message = None if is_examples_case(case) or case.raises else holds(seen, case)
            if message is not None:
                _fail(session, name, message, case)
        session.checks.append(Check(name=name, passed=True))


def _fail(session: _Session, check: str, message: str, case: Case | None = None) -> NoReturn:
    """Ends the run with this check, and with what else differs in the same call."""
    session.checks.append(Check(name=check, passed=False, message=message))
    differences = [] if case is None else [d for d in _mismatches(session) if d.case is case]
    first = differences[0] if differences else None
    raise _Verdict("failed", difference=first, case=case, diagnosis=_diagnosis(session))


def _diagnosis(session: _Session) -> Diagnosis | None:
    if len(session.seen) != len(session.cases):
        return None
    return diagnose(Sighting(test=session.test, seen=session.seen, device=session.device))
