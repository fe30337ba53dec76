"""Every exception that arena_lib raises on purpose, in one file.

    ArenaError
    ├── CheckFailed            a learner's object fails its test   (also AssertionError)
    ├── ShapeError             a tensor has the wrong axes         (also ValueError)
    ├── DtypeError             a tensor has the wrong dtype        (also TypeError)
    ├── TokenError             token ids are outside the vocabulary or the context (also ValueError)
    ├── ConfigError            a configuration that cannot work    (also ValueError)
    │   └── MissingDeviceError a device that is not in this machine
    ├── UnknownNameError       no such section, exercise, model, hook ... (also LookupError)
    │   └── MissingWeightError a weight that a model's form does not have (also AttributeError)
    ├── TrainingError          a loss or gradient that isn't finite
    ├── GradientError          a gradient that isn't what trying gives (also AssertionError)
    ├── DeadlockError          processes that wait for each other, or too long (also TimeoutError)
    ├── ProcessError           a process that others needed has failed (also RuntimeError)
    ├── EnvError               an environment that breaks what it declares (also ValueError)
    ├── CheckpointError        a checkpoint that does not fit or cannot be read
    ├── ZooError               a model or data set that isn't available
    │   ├── FetchError         no network, no pip, no disk
    │   └── HashError          the bytes are not the ones we expect
    ├── WorkspaceError         a learner's file that cannot be written or read
    │   └── DiskError          a disk that is full, or may not be written to
    ├── ProgressError          progress that cannot be recorded or imported
    ├── AuthoringError         a chapter or a test that breaks the contract of its format
    └── MissingDependencyError an optional package is not installed (also ImportError)

Each message says what must hold, what was given, and what to do next. The
second base class lets `except ValueError` and the like go on working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arena_lib.checking.results import Result


MOST_LISTED = 6
"""Up to this many names, all are listed if none is near."""
LISTED_BY = {"exercise": "arena list", "model": "arena zoo list", "section": "arena list"}
"""For each kind of name the command that lists them all, where there is one."""
ABSENT_BECAUSE = {"section": "Sections of another course appear once its package is installed."}
"""For each kind of name why one may be missing though it exists, where that can be."""


FAR_BEHIND = 0.25
"""A name that is so much less alike than the nearest isn't offered."""
SHORTEST_PART = 3
"""From so many letters on, a name may be meant as a part of another."""


class ArenaError(Exception):
    """The base of every exception that arena_lib raises on purpose."""


class CheckFailed(ArenaError, AssertionError):
    """A learner's object failed its test; `result` holds the whole verdict."""

    is_drawn = False
    """Whether a notebook shows the whole message already, above the error."""

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.result))

    def __str__(self) -> str:
        return self.message

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback through our own frames; what is drawn above isn't repeated."""
        lines = self.message.splitlines()
        return [f"{lines[0]}: see above"] if self.is_drawn else lines


class ShapeError(ArenaError, ValueError):
    """A tensor has the wrong axes, or two tensors do not fit together."""


class DtypeError(ArenaError, TypeError):
    """A tensor has a dtype that the operation cannot take."""


class TokenError(ArenaError, ValueError):
    """Token ids are outside the vocabulary, or there are more than `n_ctx`."""


class ConfigError(ArenaError, ValueError):
    """A configuration that cannot work."""


class MissingDeviceError(ConfigError):
    """A device that is known, but is not in this machine."""


class UnknownNameError(ArenaError, LookupError):
    """No `kind` of this name exists; the message offers the nearest ones.

    >>> raise UnknownNameError("model", "tiny-gtp", ["tiny-gpt", "tiny-llama"])
    Traceback (most recent call last):
    ...
    arena_lib.errors.UnknownNameError: no model is called 'tiny-gtp'. Did you mean 'tiny-gpt'?
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], aliases: Iterable[str] = (), *, text: str = ""
    ) -> None:
        """`aliases` are other names of what is known: they may be the nearest, and aren't counted.

        `text` is the whole message where more is known of what was meant.
        """
        self.kind, self.name, self.known, self.aliases = kind, name, sorted(known), sorted(aliases)
        self.text = text
        super().__init__(text or f"no {kind} is called {name!r}. {self._advice()}")

    def _advice(self) -> str:
        if self.known and all(known.removeprefix("-").isdecimal() for known in self.known):
            numbers = sorted(map(int, self.known))
            if len(numbers) <= MOST_LISTED:
                return f"There are: {', '.join(map(str, numbers))}."
            return f"There are {len(numbers)}, from {numbers[0]} to {numbers[-1]}."
        if nearest := self._nearest():
            nearest = [known for known in nearest if known.startswith(f"{self.name}.")] or nearest
            return f"Did you mean {' or '.join(map(repr, nearest))}?"
        why = f" {ABSENT_BECAUSE[self.kind]}" if self.kind in ABSENT_BECAUSE else ""
        if not self.known:
            return f"There are none.{why}"
        if len(self.known) <= MOST_LISTED:
            return f"There are: {', '.join(self.known)}.{why}"
        if self.kind in LISTED_BY:
            return f"There are {len(self.known)}.{why} All of them: {LISTED_BY[self.kind]}"
        nearest = difflib.get_close_matches(self.name, self.known, n=3, cutoff=0.0)
        return f"There are {len(self.known)}, the nearest are: {', '.join(nearest)}.{why}"

    def _nearest(self) -> list[str]:
        """The names that may have been meant."""
        names = self.known + self.aliases
        prefix = self.name[: self.name.rfind("/") + 1]
        if prefix and all(known.startswith(prefix) for known in names):  # what they share makes none of them near
            nearest = _nearest_of(self.name.removeprefix(prefix), [known.removeprefix(prefix) for known in names])
            return [prefix + known for known in nearest]
        return _nearest_of(self.name, names)

    def __reduce__(self) -> Any:
        return (_unknown_name, (type(self), self.kind, self.name, self.known, self.aliases, self.text))


def _nearest_of(name: str, names: list[str]) -> list[str]:
    """Up to three: first those that hold the name, then those with half of its letters, none far behind the first."""
    holding = [known for known in names if name in known] if len(name) >= SHORTEST_PART else []
    nearest = difflib.get_close_matches(name, holding, n=3, cutoff=0.0)
    alike = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    best = max((_likeness(name, known) for known in alike), default=0.0)
    alike = [known for known in alike if _likeness(name, known) >= best - FAR_BEHIND]
    return list(dict.fromkeys([*nearest, *alike]))[:3]


def _likeness(name: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, name).ratio()


def _unknown_name(kind_of_error: type[UnknownNameError], *parts: Any) -> UnknownNameError:
    """An error that was pickled, as it was."""
    *positional, text = parts
    return kind_of_error(*positional, text=text)


class MissingWeightError(UnknownNameError, AttributeError):  # type: ignore[misc]  # both have a name
    """A weight that a model's form does not have: `hasattr` is False and `getattr` gives its default."""


class TrainingError(ArenaError):
    """A training run that cannot go on: its loss or its gradients aren't finite."""


class GradientError(ArenaError, AssertionError):
    """A gradient that finite differences contradict."""


class DeadlockError(ArenaError, TimeoutError):
    """Processes that wait for each other, or that haven't ended in time."""


class ProcessError(ArenaError, RuntimeError):
    """A process that others needed has failed."""


class EnvError(ArenaError, ValueError):
    """An environment that doesn't do what it declares: NaN, another shape, another autoreset mode."""


class CheckpointError(ArenaError):
    """A checkpoint that belongs to another configuration or cannot be read."""


class ZooError(ArenaError):
    """A model or data set that isn't available."""


class FetchError(ZooError):
    """A download that could not be made: no network, no pip, or no disk."""


class HashError(ZooError):
    """A file whose bytes are not the ones its card promises."""


class WorkspaceError(ArenaError):
    """A learner's file that cannot be written or read as it stands."""


class DiskError(WorkspaceError):
    """A disk that is full, or a folder that the user may not write to."""


class ProgressError(ArenaError):
    """Progress that cannot be recorded, read or imported."""


class AuthoringError(ArenaError):
    """A chapter or a test that breaks the contract of its format; for authors."""


class MissingDependencyError(ArenaError, ImportError):
    """An optional package is missing; the message says which extra brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra, self.purpose = package, extra, purpose
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. Run: pip install 'arena-lib[{extra}]'"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.package, self.extra, self.purpose))
