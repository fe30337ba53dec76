"""A chapter as text, and the names that its solutions make: what tests hold its words against."""

import linecache
import re
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
    name: str, scale: Literal["full", "tiny"] = "full", part: int | None = None, full_from: int | None = None
):
    """A section and every name of its solutions, run from top to bottom, without the judges.

    Where `part` is given, of the parts before it; from part `full_from` on at scale full.
    """
    section = load_catalog().section(name)
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch, torch.enable_grad():  # which also brings back what a cell switches off
        patch.setattr(go.Figure, "show", lambda self: None)
        # As for learners: their own classes stand where a library's annotation has the reference.
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        cells = build_cells(section, kind="solutions", scale=scale)
        end = next((i for i, cell in enumerate(cells) if f"\n## {part}. " in f"\n{cell.source}"), len(cells))
        for cell in cells[:end]:
            if full_from is not None and f"\n## {full_from}. " in f"\n{cell.source}":
                names["SCALE"] = "full"
            if cell.kind == "code":
                source = re.sub(r"^tests\.test_\w+\(.*\)$", "", cell.source, flags=re.M)
                file = f"<{name} {cell.id}>"
                linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # nnsight reads it
                exec(compile(source, file, "exec"), names)
    return section, names
