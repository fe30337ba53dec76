"""Pictures of a chapter's prose: inside a notebook, beside a script.

A chapter names a picture relative to its own file: `![An attention pattern](figures/attention.png)`.
A drawing's source is the SVG of the same name; `python -m arena_lib.course.authoring.drawing FOLDER` makes the PNG.

Raises:  AuthoringError for a picture that isn't there, or has a format that some notebook viewer doesn't show.
Source:  attachments as in nbformat 4.5; the formats are those that JupyterLab shows as attachments.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from arena_lib.course.content.catalog_types import Section
from arena_lib.errors import AuthoringError

MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)")


def embed_figures(source: str, section: Section) -> tuple[str, dict[str, dict[str, str]]]:
    """Markdown that refers to attachments instead of files, and the attachments by name and media type."""
    attachments: dict[str, dict[str, str]] = {}

    def embed(match: re.Match[str]) -> str:
        alt, name = match.groups()
        path = _figure_path(section, name)
        key = name.replace("/", "-")
        attachments[key] = {MEDIA_TYPES[path.suffix]: base64.b64encode(path.read_bytes()).decode()}
        return f"![{alt}](attachment:{key})"

    return _PICTURE.sub(embed, source), attachments


def figure_files(section: Section) -> dict[str, Path]:
    """Every picture of a section: the name by which its text refers to it, and its file."""
    return {name: _figure_path(section, name) for name in _names(section)}


def picture_problems(section: Section) -> list[str]:
    """A line for each picture that isn't there, or that some notebook viewer doesn't show."""
    problems = []
    for name in _names(section):
        try:
            _figure_path(section, name)
        except AuthoringError as error:
            problems.append(str(error))
    return problems


def _names(section: Section) -> list[str]:
    """The names by which the text refers to its pictures, each once."""
    cells = [cell.source for cell in section.cells if cell.kind == "markdown"]
    return list(dict.fromkeys(match[2] for source in cells for match in _PICTURE.finditer(source)))


def _figure_path(section: Section, name: str) -> Path:
    path = section.path.parent / name
    if path.suffix in MEDIA_TYPES and path.is_file():
        return path
    lines = section.path.read_text(encoding="utf-8").splitlines()
    line = next((number for number, text in enumerate(lines, start=1) if f"]({name}" in text), 1)
    raise AuthoringError(
        f"{section.path}:{line}: a picture must be one of {', '.join(MEDIA_TYPES)} beside the chapter: got {name!r}. "
        f"{_advice(path)}"
    )


def _advice(path: Path) -> str:
    """What to do about a picture that can't be shown: most are drawn from an SVG that is there."""
    drawing = path.with_suffix(".svg")
    if not drawing.is_file():
        return "Fix the path, or add the file."
    is_named = path.suffix == ".svg"
    return (
        f"{'Name the PNG' if is_named else f'{drawing.name} is there'}: draw it with "
        f"python -m arena_lib.course.authoring.drawing {drawing.parent}"
    )
