"""What `arena check` is to judge: a file and its section, from a file, a section or nothing.

Raises:  WorkspaceError if there is no such file, or no telling which section it is; UnknownNameError.
"""

from __future__ import annotations

from pathlib import Path

from arena_lib.course.content.catalog import Catalog
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.judging.cells import LearnerFile, read_learner_file
from arena_lib.course.judging.collect import ParsedFile, parse_file, problem_of_name, source_of_name
from arena_lib.course.workspace import find_files, last_worked_on
from arena_lib.errors import WorkspaceError


def find_target(catalog: Catalog, target: str | None, section: str | None = None) -> tuple[Path, Section]:
    """The file and the section: `target` is a path, the name of a section, or None for what was worked on last in this folder."""
    named = None if section is None else catalog.section(section)
    if target is None:
        sections = catalog.sections if named is None else [named]
        paths = [(path, candidate) for candidate in sections for path in find_files(candidate)]
        if not paths:
            raise WorkspaceError(
                f"this folder must hold a section's notebook: got none in {_here()}. Name a file, or write one with: arena start 1.1"
            )
        latest, _ = max(paths, key=lambda place: last_worked_on(*place))
        return latest, named or section_of_file(catalog, read_learner_file(latest))
    path = Path(target)
    if path.suffix in (".ipynb", ".py") or path.exists():
        return path, named or section_of_file(catalog, read_learner_file(path))
    if "/" in target or "\\" in target:
        read_learner_file(path)
    chosen = catalog.section(target)
    files = list(find_files(chosen))
    if not files:
        raise WorkspaceError(
            f"this folder must hold {chosen.stem}.ipynb or .py: got neither in {_here()}. Write it with: arena start {chosen.id}"
        )
    return files[0], chosen


def section_of_file(catalog: Catalog, file: LearnerFile) -> Section:
    """The section that a file belongs to, which must have one."""
    section = find_section(catalog, file)
    if section is not None:
        return section
    for _, problem in parse_file(file).broken:
        raise WorkspaceError(
            f"{file.path}: {problem.where} must be Python: got {problem.message}. Fix that line first; what else is "
            "in the file defines no exercise of the course."
        )
    raise WorkspaceError(
        f"{file.path} must define an exercise of the course: got none. Name its section with --section: "
        f"{', '.join(section.id for section in catalog.sections)}."
    )


def find_section(catalog: Catalog, file: LearnerFile) -> Section | None:
    """The section that a file is of: by its metadata, its name, or the exercises that it defines."""
    if file.section is not None:
        return catalog.section(file.section)
    for section in catalog.sections:
        if file.path.stem.startswith((section.stem, section.slug)):
            return section
    parsed = parse_file(file)
    counts = {
        section.id: sum(_is_defined(parsed, entry.object_name) for entry in section.exercises)
        for section in catalog.sections
    }
    best = max(counts, key=lambda name: counts[name], default=None)
    return catalog.section(best) if best is not None and counts[best] else None


def _is_defined(parsed: ParsedFile, name: str) -> bool:
    """Whether the file defines the name, be it in a cell that isn't Python yet."""
    return source_of_name(parsed, name) is not None or problem_of_name(parsed, name) is not None


def _here() -> str:
    """This folder, in words where it isn't there any more."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "a folder that was deleted"
