"""The hash of each exercise's reference and test, read as text: a pass under another one is stale.

It is `Exercise.fingerprint()` without importing what it hashes, so that `arena progress` loads no torch.

Raises:  nothing; an exercise that can't be read has no hash.
"""

from __future__ import annotations

from collections.abc import Iterable

from arena_lib.checking.fingerprint import fingerprint
from arena_lib.course.content.catalog_types import ExerciseEntry
from arena_lib.course.content.references import read_module
from arena_lib.errors import AuthoringError


def current_test_hash(entry: ExerciseEntry) -> str | None:
    """The hash under which a pass of this exercise is current; None for one that lives in its chapter."""
    if entry.reference is None or entry.test is None:
        return None
    reference_module, _, qualname = entry.reference.partition(":")
    test_module, _, test_name = entry.test.partition(":")
    try:
        sources = [read_module(module).source for module in (reference_module, test_module)]
        return fingerprint(sources[0], qualname, sources[1], test_name)
    except (AuthoringError, KeyError):
        return None


def current_test_hashes(entries: Iterable[ExerciseEntry]) -> dict[str, str | None]:
    """The hash of each exercise by its id."""
    return {entry.id: current_test_hash(entry) for entry in entries}
