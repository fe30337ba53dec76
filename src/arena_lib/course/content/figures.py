"""Pictures of a chapter's prose: inside a notebook, beside a script.

A chapter names a picture relative to its own file: `![An attention pattern](figures/attention.png)`.
A drawing's source is the SVG of the same name; `nox -s figures` makes the PNG from it.

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
    names = [match[2] for cell in section.cells if cell.kind == "markdown" for match in _PICTURE.finditer(cell.source)]
    return {name: _figure_path(section, name) for name in names}


def _figure_path(section: Section, name: str) -> Path:
    path = section.path.parent / name
    if path.suffix not in MEDIA_TYPES or not path.is_file():
        advice = (
            "Name the PNG of it, which `nox -s figures` makes."
            if path.suffix == ".svg"
            else "Fix the path, or add the file."
        )
        raise AuthoringError(
            f"{section.path}: a picture must be one of {', '.join(MEDIA_TYPES)} beside the chapter: got {name!r}. {advice}"
        )
    return path
