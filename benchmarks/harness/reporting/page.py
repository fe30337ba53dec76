"""The report as one HTML page that needs no network: tables, and two plots for each machine.

Raises:  OSError where the page can't be written.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from arena_lib.plots import save_html
from benchmarks.harness.reporting.figures import draw_ratios, draw_roofline
from benchmarks.harness.reporting.merging import Group, Shown
from benchmarks.harness.reporting.summing import find_footnotes, summarise
from benchmarks.harness.reporting.table import FIGURES, LEGEND, NO_RESULTS, find_notes, write_row
from benchmarks.harness.reporting.wording import describe_machine, describe_run

STYLE = """<style>
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; line-height: 1.45; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .2rem .6rem; text-align: left; vertical-align: top; border-bottom: 1px solid #d0d0d0; }
th { vertical-align: bottom; border-bottom: 2px solid #1a1a1a; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.reason { text-align: left; white-space: normal; }
.missed { font-weight: bold; }
</style>"""
"""`missed` is bold as well as written out, so nothing depends on colour."""
TITLE = "arena_lib: benchmarks"
N_NAMES = 5
"""Columns of names, left of the figures."""
CLASSES = ("",) * N_NAMES + ("number",) * (len(FIGURES) - 1) + ("",)
"""By column: names and the goal are words."""


def write_page(groups: Sequence[Group], path: Path) -> None:
    """Writes the page, about 5 MB with the plots' script."""
    parts: list[go.Figure | str] = [STYLE, f"<h1>{TITLE}</h1>\n<p>{escape(LEGEND)}</p>\n"]
    if not groups:
        parts.append(f"<p>{NO_RESULTS}</p>\n")
    for group in groups:
        parts += _describe_group(group)
    save_html(parts, path, title=TITLE)


def _describe_group(group: Group) -> list[go.Figure | str]:
    runs = "".join(f"<li>{escape(describe_run(run))}</li>" for run in group.runs)
    title = f"{describe_machine(group.machine)}; size {group.size}"
    parts: list[go.Figure | str] = [f"<h2>{escape(title)}</h2>\n<ul>{runs}</ul>\n<p>{escape(summarise(group))}</p>\n"]
    parts += [figure for figure in (draw_ratios(group), draw_roofline(group)) if figure is not None]
    notes = [*find_notes(group), *find_footnotes(group.rows)]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return [*parts, _write_table(group, title), f"<ul>{listed}</ul>\n" if notes else ""]


def _write_table(group: Group, title: str) -> str:
    names = ("path", "case", "peer", "device", "dtype", *FIGURES)
    columns = zip(CLASSES, names, strict=True)
    header = "".join(f'<th scope="col" class="{alignment}">{name}</th>' for alignment, name in columns)
    body = "\n".join(_write_row(shown) for shown in group.rows)
    return (
        f'<div class="wide"><table><caption>{escape(title)}</caption>\n<thead><tr>{header}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _write_row(shown: Shown) -> str:
    """Names left, figures right; a reason may take several lines."""
    cells = write_row(shown)
    classes = [*CLASSES[:-1], "missed" if shown.row.is_met is False else ""]
    if not shown.has_ratio:
        classes[N_NAMES] = "reason"
    columns = zip(classes, cells, strict=True)
    return "<tr>" + "".join(f'<td class="{style}">{escape(cell)}</td>' for style, cell in columns) + "</tr>"
