"""The declaration of a test: data about how to look at a learner's object, no script of asserts.

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
"""

import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from arena_lib.checking.cases import Case, CasesBuilder
from arena_lib.checking.comparison.comparing import Tolerance
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.observing import CHANGED, Observations, Observer, outputs

Property = Callable[[Observations, Case], str | None]
"""Says what doesn't hold of the observations, or None. The first line of its docstring is its name."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise's judge. Calling it with a learner's object prints one line, or raises CheckFailed."""

    name: str
    module: str
    """The module that declares it, `arena_lib.tests.<slug>.<part>`."""
    reference: Callable[..., Any]
    cases: CasesBuilder
    observe: Observer
    properties: Sequence[Property] = ()
    accepts: Sequence[Callable[..., Any]] = ()
    mistakes: Sequence[Mistake] = ()
    adapt: Callable[[Any], Any] | None = None
    keep: Sequence[str] = ()
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    may_change_arguments: bool = False
    only: str | None = None
    """For an alias that covers a part: the cases whose label starts with this."""
    seed: int = 0

    __test__ = False  # pytest must not collect it

    def __call__(self, obj: Any, *unused: Any, device: str = "cpu") -> None:
        """Judges `obj`, prints one line if it passes and raises if it doesn't.

        Further positional arguments, which notebooks in use elsewhere pass
        (a model, a cache), are not needed and change nothing.
        """
        from arena_lib.checking.reports.reporting import report
        from arena_lib.checking.running import judge

        report(judge(self, obj, device=device))

    @property
    def slug(self) -> str:
        """The section's slug: `transformer_from_scratch`."""
        return self.module.split("tests.", 1)[-1].split(".")[0]

    @property
    def id(self) -> str:
        """`slug/name`, which a course turns into the exercise's id."""
        part = f" ({self.only})" if self.only else ""
        return f"{self.slug}/{self.name}{part}"

    def part(self, label: str) -> "Exercise":
        """The same test on the cases whose label starts with `label`: an alias for a part of it."""
        return replace(self, only=label)

    def parameters(self) -> list[str]:
        """Names of the reference's arguments, of `forward` for a module; of another class none are known."""
        function = getattr(self.reference, "forward", self.reference)
        if isinstance(function, type):
            return []
        return [name for name in inspect.signature(function).parameters if name != "self"]

    def fingerprint(self) -> str:
        """sha256 of the reference's source and of the file that holds the test; a pass under another one is stale."""
        test_file = inspect.getsourcefile(sys.modules[self.module]) or ""
        return fingerprint(inspect.getsource(self.reference), Path(test_file).read_text(encoding="utf-8"))


def fingerprint(reference_source: str, test_source: str) -> str:
    """What identifies the version of an exercise's judge."""
    return hashlib.sha256(f"{reference_source}\0{test_source}".encode()).hexdigest()


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
    name: str | None = None,
) -> Exercise:
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
        name: the exercise's name, if it isn't the reference's in snake case.
    """
    return Exercise(
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
    )


def snake_case(name: str) -> str:
    """`LayerNorm` -> `layer_norm`, `MLP` -> `mlp`, `RMSNorm` -> `rms_norm`.

    >>> snake_case("RMSNorm"), snake_case("causal_mask"), snake_case("DemoTransformer")
    ('rms_norm', 'causal_mask', 'demo_transformer')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def ignored(test: Exercise) -> set[str]:
    """Observations that don't count for this exercise's verdict."""
    return {CHANGED} if test.may_change_arguments else set()
