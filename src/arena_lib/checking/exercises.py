"""The declaration of a test: data about how to look at a learner's object. Running it is `judges` and `running`."""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from arena_lib.checking.cases import Case, CasesBuilder
from arena_lib.checking.comparison.comparing import Tolerance
from arena_lib.checking.fingerprint import fingerprint
from arena_lib.checking.mistakes import Mistake
from arena_lib.checking.observing import CHANGED, Observations, Observer

Property = Callable[[Observations, Case], str | None]
"""Says what doesn't hold of the observations, or None. The first line of its docstring is its name."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise's test, as data."""

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
    free: Mapping[str, str] = field(default_factory=dict)
    """Parameters that a correct solution may ignore, each with the reason: {"batch_size": "only speed"}."""
    equivalent: Mapping[str, str] = field(default_factory=dict)
    """Edits of the reference that leave it right, each with the reason; see `mutants`."""
    only: str | None = None
    """For an alias that covers a part: the cases whose label starts with this."""
    seed: int = 0

    __test__ = False  # pytest must not collect it

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
        """Names of the arguments of what is called; of a class without such a method none are known."""
        function = self._called()
        return [] if function is None else [name for name in inspect.signature(function).parameters if name != "self"]

    def _called(self) -> Callable[..., Any] | None:
        """The reference; of a class its `forward`, or the method that is called as the exercise is."""
        if not isinstance(self.reference, type):
            return self.reference
        return getattr(self.reference, "forward", None) or getattr(self.reference, self.name, None)

    def axes_of(self, observation: str) -> str:
        """The words for the axes of a result, or of a gradient, as the reference's types or docstring have them."""
        function = self._called()
        if function is None:
            return ""
        name = observation.removeprefix("gradient of ")
        signature = inspect.signature(function)
        typed = signature.return_annotation if name == "output" else signature.parameters.get(name)
        words = getattr(getattr(typed, "annotation", typed), "dim_str", "")
        if not words and isinstance(self.reference, type):  # a module's parameters stand in its docstring
            written = re.search(rf'`{re.escape(name)}` "([\w ]+)"', inspect.getdoc(self.reference) or "")
            words = written[1] if written else ""
        return words if all(word.isidentifier() for word in words.split()) else ""

    def fingerprint(self) -> str:
        """What identifies the version of this judge; a pass under another one is stale."""
        modules = sys.modules[self.reference.__module__], sys.modules[self.module]
        reference_source, test_source = (
            Path(str(inspect.getsourcefile(module))).read_text(encoding="utf-8") for module in modules
        )
        return fingerprint(reference_source, self.reference.__qualname__, test_source, f"test_{self.name}")


def snake_case(name: str) -> str:
    """`LayerNorm` -> `layer_norm`, `MLP` -> `mlp`, `RMSNorm` -> `rms_norm`.

    >>> snake_case("RMSNorm"), snake_case("causal_mask"), snake_case("DemoTransformer")
    ('rms_norm', 'causal_mask', 'demo_transformer')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def ignored(test: Exercise) -> set[str]:
    """Observations that don't count for this exercise's verdict."""
    return {CHANGED} if test.may_change_arguments else set()
