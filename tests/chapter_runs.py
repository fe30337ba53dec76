"""A chapter as text, and the names that its solutions make: what tests hold its words against."""

import linecache
import re
from collections.abc import Mapping
from typing import Literal

import jaxtyping
import plotly.graph_objects as go
import pytest
import torch

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.notebooks import build_cells


def read_prose(section) -> str:
    """The text of the chapter, each paragraph on a line of its own."""
    text = "\n\n".join(cell.source for cell in section.cells if cell.kind == "markdown")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def run_solutions(
    name: str,
    scale: Literal["full", "tiny"] = "full",
    part: int | None = None,
    full_from: int | None = None,
    edits: Mapping[str, str] | None = None,
):
    """A section and every name of its solutions, run from top to bottom, without the judges.

    Where `part` is given, of the parts before it; from part `full_from` on at scale full. `edits` are texts of its code, each
    there once, and what runs in their place, such as fewer settings.
    """
    section = load_catalog().section(name)
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch, torch.enable_grad():  # which also brings back what a cell switches off
        patch.setattr(go.Figure, "show", lambda self: None)
        # As for learners: their own classes stand where a library's annotation has the reference.
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        cells = build_cells(section, kind="solutions", scale=scale)
        for old in edits or {}:
            assert sum(cell.source.count(old) for cell in cells if cell.kind == "code") == 1, old
        end = next((i for i, cell in enumerate(cells) if f"\n## {part}. " in f"\n{cell.source}"), len(cells))
        for cell in cells[:end]:
            if full_from is not None and f"\n## {full_from}. " in f"\n{cell.source}":
                names["SCALE"] = "full"
            if cell.kind == "code":
                source = re.sub(r"^tests\.test_\w+\(.*\)$", "", cell.source, flags=re.M)
                for old, new in (edits or {}).items():
                    source = source.replace(old, new)
                file = f"<{name} {cell.id}>"
                linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # nnsight reads it
                exec(compile(source, file, "exec"), names)
    return section, names
