"""Pictures of a chapter's prose, carried inside the notebook so that it needs no file beside it.

A chapter names a picture relative to its own file: `![An attention pattern](figures/attention.svg)`.

Raises:  AuthoringError for a picture that isn't there or has a format that browsers don't show.
Source:  attachments as in nbformat 4.5.
"""

from __future__ import annotations

import base64
import re

from arena_lib.course.content.catalog_types import Section
from arena_lib.errors import AuthoringError

MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?![a-z]+:)([^)\s]+)\)")


def embed_figures(source: str, section: Section) -> tuple[str, dict[str, dict[str, str]]]:
    """Markdown that refers to attachments instead of files, and the attachments by name and media type."""
    attachments: dict[str, dict[str, str]] = {}

    def embed(match: re.Match[str]) -> str:
        alt, name = match.groups()
        path = section.path.parent / name
        if path.suffix not in MEDIA_TYPES or not path.is_file():
            raise AuthoringError(
                f"{section.path}: a picture must be one of {', '.join(MEDIA_TYPES)} beside the chapter: got {name!r}. "
                "Mend the path, or add the file."
            )
        key = name.replace("/", "-")
        attachments[key] = {MEDIA_TYPES[path.suffix]: base64.b64encode(path.read_bytes()).decode()}
        return f"![{alt}](attachment:{key})"

    return _PICTURE.sub(embed, source), attachments
