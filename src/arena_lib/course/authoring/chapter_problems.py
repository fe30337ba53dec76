"""What would stop `arena start`, or is still the template's: found when a chapter's section is verified.

Raises:  nothing; what is wrong is said with file and line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.figures import picture_problems
from arena_lib.course.content.notebooks import build_cells
from arena_lib.course.content.references import read_module
from arena_lib.errors import AuthoringError

_ADVICE_TO_AUTHORS = re.compile(r'# hint:|#   - "|# Why it matters|A learner sees|Mistake\(')
"""Lines of the templates that an author replaces; the others may stay."""
_WIDTH = 60
"""Characters of such a line that are shown."""


def chapter_problems(section: Section) -> list[str]:
    """What a learner would meet as an error: a picture or a model that isn't there, a cell that isn't Python."""
    problems = [*picture_problems(section), *_unknown_models(section)]
    try:
        build_cells(section)
    except AuthoringError as error:
        problems.append(str(error))
    return problems


def chapter_remarks(section: Section) -> list[str]:
    """What fails nothing and is likely a slip: no objectives, words of the template."""
    remarks = [] if section.objectives else [f"{section.path}:2: it has no objectives, with which its notebook begins."]
    return [*remarks, *_left_from_templates(section)]


def _unknown_models(section: Section) -> Iterator[str]:
    from arena_lib import zoo

    known = zoo.names()
    for name in section.needs:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else f"The zoo has {', '.join(known)}."
            yield f"{section.path}:{_line(section.path, name)}: needs must name models of the zoo: got {name!r}. {advice}"


def _left_from_templates(section: Section) -> Iterator[str]:
    """For each file of the section the first line that a template wrote for authors, and how many there are."""
    modules = {
        place.partition(":")[0] for entry in section.exercises for place in (entry.reference, entry.test) if place
    }
    words = _template_lines()
    for path in [section.path, *sorted(read_module(module).path for module in modules)]:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        left = [number for number, line in enumerate(lines, start=1) if line in words]
        if left:
            more = f", and {len(left) - 1} more" if len(left) > 1 else ""
            yield f"{path}:{left[0]}: still the template's: {lines[left[0] - 1][:_WIDTH]!r}{more}. Write your own."


def _template_lines() -> frozenset[str]:
    folder = files("arena_lib.course").joinpath("templates")
    names = ("course/chapter.py", "exercise/cell.py", "exercise/reference.py", "exercise/judge.py")
    texts = [folder.joinpath(f"{name}.template").read_text(encoding="utf-8") for name in names]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return frozenset(line for line in lines if _ADVICE_TO_AUTHORS.match(line) and "$" not in line)


def _line(path: Path, text: str) -> int:
    """The first line of the file that holds a text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, start=1) if text in line), 1)
