"""Every course that is installed: its sections and exercises, read from the chapter files as text.

A course is a package named by an entry point of the group `arena_lib.courses`. Its chapters are in `chapters/` beside
its `src/` in a checkout, or inside the package in a wheel; its tests in `<package>.tests.<slug>`. Our own course is
found the same way.

Raises:  UnknownNameError for a section or exercise that isn't there; AuthoringError for a broken chapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from arena_lib.course.content.catalog_types import Cell, CellKind, ExerciseEntry, Section
from arena_lib.course.content.chapters import HEAD_FENCE, parse_chapter
from arena_lib.course.content.outlines import outline_cache
from arena_lib.course.content.references import find_tests, is_offered, module_path
from arena_lib.errors import AuthoringError, UnknownNameError

__all__ = [
    "Catalog",
    "Cell",
    "CellKind",
    "Course",
    "ExerciseEntry",
    "Section",
    "find_courses",
    "load_catalog",
    "load_section",
]

ENTRY_POINT_GROUP = "arena_lib.courses"
OWN_COURSE = "arena"
OWN_MODULE = "arena_lib"


@dataclass(frozen=True)
class Course:
    """A package with chapters and tests."""

    name: str
    """The entry point's name."""
    module: str
    """The importable package, such as `arena_lib`."""
    chapters: Path
    """The folder of its chapter files."""


@dataclass(frozen=True)
class Catalog:
    """The sections of every course, in the order of their numbers."""

    sections: tuple[Section, ...]
    left_out: tuple[tuple[Path, AuthoringError], ...] = ()
    """Chapters, or whole folders of them, that had to be left out, and why."""

    @property
    def problems(self) -> tuple[AuthoringError, ...]:
        """What is wrong with the chapters that had to be left out."""
        return tuple(problem for _, problem in self.left_out)

    @property
    def exercises(self) -> tuple[ExerciseEntry, ...]:
        """The exercises of every section."""
        return tuple(entry for section in self.sections for entry in section.exercises)

    def section(self, name: str) -> Section:
        """The section with this id (`1.1`), slug, or both (`1.1_transformer_from_scratch`)."""
        for section in self.sections:
            if name in (section.id, section.slug, section.stem):
                return section
        for path, problem in self.left_out:
            if re.search(rf"(^|_){re.escape(name)}(_\w+)?$", path.stem):
                raise problem
        ids, slugs = [section.id for section in self.sections], [section.slug for section in self.sections]
        raise UnknownNameError("section", name, ids, aliases=slugs)

    def exercise(self, name: str) -> ExerciseEntry:
        """The exercise `1.1/causal_mask` or `slug/causal_mask`; `causal_mask` alone where only one has that name."""
        where, _, bare = name.rpartition("/")
        if where:
            section = self.section(where)
            for entry in section.exercises:
                if entry.name == bare:
                    return entry
            raise UnknownNameError("exercise", name, [entry.id for entry in section.exercises])
        matches = [entry for entry in self.exercises if entry.name == bare]
        if len(matches) > 1:
            raise UnknownNameError("single exercise", name, [entry.id for entry in matches])
        if not matches:
            self._refuse_section(name)
            raise UnknownNameError("exercise", name, {entry.name for entry in self.exercises})
        return matches[0]

    def _refuse_section(self, name: str) -> None:
        """Raises, with an example of what to name instead, for a section where an exercise is asked for."""
        for section in self.sections:
            if name in (section.id, section.slug, section.stem) and section.exercises:
                ids = [entry.id for entry in section.exercises]
                text = f"{name} is a section: name an exercise of it, such as {ids[0]}. All of them: arena list {section.id}"
                raise UnknownNameError("exercise", name, ids, text=text)

    def sections_of_course(self, name: str) -> tuple[Section, ...]:
        """The sections of the course that has this name, or whose package does; none if there is no such course."""
        names = {name, name.replace("-", "_")}
        modules = {course.module for course in find_courses() if names & {course.name, course.module}}
        return tuple(s for s in self.sections if s.tests_module.removesuffix(f".tests.{s.slug}") in modules)

    def section_of(self, entry: ExerciseEntry) -> Section:
        """The section that an exercise belongs to."""
        return self.section(entry.id.rpartition("/")[0])

    def to_json(self) -> dict[str, Any]:
        """What `arena list --json` prints."""
        return {"sections": [_section_json(section) for section in self.sections]}


def _section_json(section: Section) -> dict[str, Any]:
    keys = ("id", "name", "title", "difficulty", "importance", "minutes", "reference", "test")
    return {
        "id": section.id,
        "slug": section.slug,
        "title": section.title,
        "chapter": section.chapter,
        "minutes": section.minutes,
        "exercises": [{key: getattr(entry, key) for key in keys} for entry in section.exercises],
    }


def find_courses() -> list[Course]:
    """Every installed course; our own comes first, and is there even when nothing is installed."""
    modules = {OWN_COURSE: OWN_MODULE}
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        modules.setdefault(point.name, point.value.split(":")[0])
    return [Course(name, module, _chapters_folder(module)) for name, module in modules.items()]


def _chapters_folder(module: str) -> Path:
    """The chapters of a checkout if the package stands in one (`src/package`), else those inside the package."""
    path = module_path(module)
    if path is None:
        return Path(module) / "chapters"
    package = path.parent
    checkout = package.parent.parent
    if package.parent.name == "src" and (checkout / "pyproject.toml").is_file() and (checkout / "chapters").is_dir():
        return checkout / "chapters"
    return package / "chapters"


def load_catalog(courses: Sequence[Course] | None = None, *, strict: bool = False) -> Catalog:
    """Reads every chapter of the installed courses, or of those given.

    A broken chapter is left out and its error kept in `problems`, so that the others can be
    worked on; with `strict`, which authors want, it is raised.
    """
    sections: dict[str, Section] = {}
    left_out: list[tuple[Path, AuthoringError]] = []
    for course in find_courses() if courses is None else courses:
        try:
            paths = _chapter_files(course)
        except AuthoringError as error:
            left_out.append((course.chapters, error))
            continue
        left_out += _misplaced_chapters(course)
        for path in paths:
            try:
                section = load_section(path, course.module)
                _check_conflict(section, sections.values())
                sections[section.id] = section
            except AuthoringError as error:
                left_out.append((path, error))
    outline_cache().save()
    if strict and left_out:
        raise left_out[0][1]
    return Catalog(tuple(sorted(sections.values(), key=_order)), tuple(left_out))


def _chapter_files(course: Course) -> list[Path]:
    if not course.chapters.is_dir():
        raise AuthoringError(
            f"the course {course.name!r} must have a folder of chapters: got nothing at {course.chapters}. "
            f"Reinstall {course.module!r}."
        )
    return sorted(path for path in course.chapters.glob("*/*.py") if not path.name.startswith(("_", ".")))


def _misplaced_chapters(course: Course) -> list[tuple[Path, AuthoringError]]:
    """Files that begin as chapters do, and aren't in a folder directly below the course's chapters."""
    misplaced = []
    for path in sorted(course.chapters.rglob("*.py")):
        if path.parent.parent == course.chapters or not path.read_bytes().startswith(
            f"{HEAD_FENCE}\n# arena:".encode()
        ):
            continue
        error = AuthoringError(
            f"{path}:1: a chapter must be in a folder of its own part, {course.chapters / '<number>_<name>'}: "
            f"got {path.parent}. Move the file."
        )
        misplaced.append((path, error))
    return misplaced


def _order(section: Section) -> list[tuple[int, int | str]]:
    """Numbers count as numbers, so that 1.10 follows 1.9, and come before words."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in section.id.split(".")]


def _check_conflict(section: Section, known_sections: Iterable[Section]) -> None:
    for known_section in known_sections:
        for key in ("id", "slug"):
            if getattr(section, key) == getattr(known_section, key):
                raise AuthoringError(
                    f"{section.path}:2: the {key} of a section must be its own: got {getattr(section, key)!r}, "
                    f"which {known_section.path} has too. Rename one."
                )


def load_section(path: Path, module: str = OWN_MODULE) -> Section:
    """Reads one chapter file and finds the test and the reference of each of its exercises."""
    section = parse_chapter(path)
    number = section.id.split(".")[0]
    if path.parent.name.split("_")[0] != number:
        raise AuthoringError(
            f"{path}:2: section {section.id} must be in a folder that begins with {number}_: "
            f"got {path.parent.name!r}. Move the file."
        )
    tests_module = f"{module}.tests.{section.slug}"
    tests = find_tests(tests_module)
    entries: dict[str, ExerciseEntry] = {}
    for cell in section.cells:
        if cell.exercise is None:
            continue
        test = tests.get(cell.exercise.name)
        if (test is None) != cell.has_solution:
            raise AuthoringError(
                f"{path}:{cell.line}: an exercise must have a test in {tests_module}, or else a solution in the "
                f"chapter: got {'neither' if test is None else 'both'} for {cell.exercise.name!r}. "
                + (
                    f"Write test_{cell.exercise.name} = exercise(reference=...)."
                    if test is None
                    else "Drop the '# region solution'."
                )
            )
        entries[cell.exercise.name] = cell.exercise
        if test is None:
            continue
        if not is_offered(tests_module, cell.exercise.test_name):
            raise AuthoringError(
                f"{test.path}:{test.line}: learners must be able to call tests.{cell.exercise.test_name}: got no such name "
                f"in {tests_module}. Import it in the package's __init__.py."
            )
        entries[cell.exercise.name] = replace(cell.exercise, reference=test.reference, test=test.test, keep=test.keep)
    return replace(section.with_exercises(entries), tests_module=tests_module)
