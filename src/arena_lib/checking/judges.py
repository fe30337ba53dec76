"""The judge of one exercise: the declaration that a learner calls.

    test_causal_mask = exercise(
        reference=lesson.causal_mask,
        cases=causal_mask_cases,
        observe=outputs_and_gradients,
        properties=[hides_every_future_key],
        accepts=[causal_mask_by_where],
        mistakes=[Mistake("hides the present too", "diagonal=1", "diagonal=0", why="a token may look at itself")],
    )
    test_causal_mask(causal_mask)      # a learner's function

Raises:  CheckFailed when a learner's object fails; the learner's own exception where it raises one.
         AuthoringError for a declaration that can't be right.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arena_lib.checking.cases import CasesBuilder
from arena_lib.checking.comparison.comparing import Tolerance
from arena_lib.checking.exercises import Exercise, Property, snake_case
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.observing import Observer, outputs
from arena_lib.checking.reports.reporting import raise_learners, report
from arena_lib.checking.running import judge
from arena_lib.errors import AuthoringError, CheckFailed


class Judge(Exercise):
    """An exercise's test that runs when it is called with a learner's object."""

    def __call__(self, *objects: Any, device: str = "cpu") -> None:
        """Judges the first of these, prints one line if it passes and raises if it doesn't.

        Extra positional arguments, which some notebooks pass (a model, a cache), are ignored.
        """
        __tracebackhide__ = True
        if not objects:
            name = self.reference.__name__
            raise CheckFailed(
                f"test_{self.name} must be given your {name}: got nothing. Write: tests.test_{self.name}({name})"
            )
        obj = objects[0]
        calls: list[str] = []
        try:
            outcome = judge(self, obj, device=device, announce=lambda call, case: calls.append(call), has_limits=True)
        except KeyboardInterrupt as interrupt:
            raise_learners(interrupt, [f"The call was {call}" for call in calls[-1:]])
        report(outcome, obj)


def also_called(test: Judge) -> Callable[..., None]:
    """The judge of one exercise under the name by which other notebooks call it.

    It is a function and no second judge, so that what counts or proves judges meets each of them once.
    """

    def call(*objects: Any, device: str = "cpu") -> None:
        __tracebackhide__ = True
        test(*objects, device=device)

    call.__doc__ = f"The judge of {test.name}, under the name by which other notebooks call it."
    return call


def exercise(
    *,
    reference: Callable[..., Any],
    cases: CasesBuilder,
    observe: Observer = outputs,
    properties: Sequence[Property] = (),
    accepts: Sequence[Callable[..., Any]] = (),
    mistakes: Sequence[Mistake] = (),
    adapt: Callable[[Any], Any] | None = None,
    keep: Sequence[str] = (),
    tolerance: Mapping[str, Tolerance] | None = None,
    may_change_arguments: bool = False,
    free: Mapping[str, str] | None = None,
    equivalent: Mapping[str, str] | None = None,
    name: str | None = None,
) -> Judge:
    """Declares the test of `reference`; its variable must be called `test_` and the name in snake case.

    Args:
        reference: the library's public function or class, from which stub, solution and expected values come.
        cases: makes the calls from a seeded generator; defined in the same file as the test.
        observe: what is looked at; see `arena_lib.checking.observing`.
        properties: what must hold of the observations whatever their values, each with its own message.
        accepts: correct solutions written differently, which must pass.
        mistakes: named wrong versions, at least three, which must fail and be named.
        adapt: turns what a learner may hand in (a method, a class) into what `observe` takes.
        keep: methods of a class whose body the stub keeps.
        tolerance: for each observation that needs its own; otherwise it follows the dtype.
        may_change_arguments: whether changing an argument in place is a remark rather than a failure.
        free: parameters that a correct solution may ignore, each with the reason.
        equivalent: mechanical edits of the reference that leave it right, each with the reason.
        name: the exercise's name, if it isn't the reference's in snake case.
    """
    strangers = [type(mistake).__name__ for mistake in mistakes if not isinstance(mistake, Mistake)]
    if strangers:
        raise AuthoringError(
            f"mistakes must be a list of Mistake: got one of type {strangers[0]}. "
            "Write Mistake(...), or *instead_of(...) with its star."
        )
    return Judge(
        name=name or snake_case(reference.__name__),
        module=cases.__module__,
        reference=reference,
        cases=cases,
        observe=observe,
        properties=tuple(properties),
        accepts=tuple(accepts),
        mistakes=tuple(mistakes),
        adapt=adapt,
        keep=tuple(keep),
        tolerance=dict(tolerance or {}),
        may_change_arguments=may_change_arguments,
        free=dict(free or {}),
        equivalent=dict(equivalent or {}),
    )
