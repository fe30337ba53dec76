"""The hash read as text is the engine's own."""

import dataclasses
import importlib

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.judge_hashes import current_test_hash, current_test_hashes


def test_every_exercise_has_the_fingerprint_of_its_test():
    entries = [entry for entry in load_catalog().exercises if entry.test]
    assert entries
    for entry in entries:
        module, _, name = entry.test.partition(":")
        assert current_test_hash(entry) == getattr(importlib.import_module(module), name).fingerprint(), entry.id


def test_what_cannot_be_read_has_no_hash(course):
    entry = next(entry for entry in load_catalog([course]).exercises if entry.name == "plus")
    exploratory = next(entry for entry in load_catalog([course]).exercises if entry.is_exploratory)
    gone = dataclasses.replace(entry, reference="littlecourse.library:minus")
    lost = dataclasses.replace(entry, test="littlecourse.nowhere:test_plus")
    assert current_test_hash(entry) is not None
    assert current_test_hashes([gone, lost, exploratory]) == {entry.id: None, exploratory.id: None}


def test_the_hash_follows_reference_and_test(course):
    def current():
        return current_test_hash(next(e for e in load_catalog([course]).exercises if e.name == "plus"))

    first = current()
    library = course.chapters.parent / "library.py"
    library.write_text(library.read_text().replace("OFFSET = 10", "OFFSET = 11"))
    assert current() == first
    library.write_text(library.read_text().replace("return a + b", "return b + a"))
    second = current()
    tests = course.chapters.parent / "tests" / "little" / "sums.py"
    tests.write_text("# a comment\n" + tests.read_text())
    assert current() == second
    tests.write_text(tests.read_text().replace("cases=None", "cases=1"))
    assert len({first, second, current()}) == 3
