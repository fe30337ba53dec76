"""Runs every section's solution notebook from top to bottom, and keeps what it shows.

    python -m arena_lib.course.executing [SECTION ...] --scale tiny --limit 45 --output output/notebooks

Each notebook gets a fresh kernel of this Python and an empty folder to work in. The executed
notebook, and a page with its plots that opens without a network, are written to the output folder,
also when a cell fails. With `--reuse` a notebook that ran well there, and whose text and library haven't changed
since, stays as it is. The seconds are those of the whole execution: the kernel's start, every cell
and the kernel's end, but not the writing of the files.

Raises:  MissingDependencyError without nbclient (it comes with JupyterLab); UnknownNameError for no such section.
Source:  own design; executed by nbclient, pages by nbconvert.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from arena_lib.course.content.catalog import load_catalog
from arena_lib.course.content.catalog_types import Section
from arena_lib.course.content.notebooks import Scale, build_cells, render
from arena_lib.course.fingerprints import notebook_fingerprint
from arena_lib.errors import ArenaError, MissingDependencyError
from arena_lib.wording import counted

OUTPUT = Path("output/notebooks")
LIMITS: dict[Scale, float] = {"tiny": 45.0, "full": 300.0}
"""Seconds that a section may take at each scale."""
RENDERERS = "plotly_mimetype+notebook"
"""Plotly's names: its own kind for JupyterLab, and HTML with the script inside for the page."""
FAILED, USAGE, ENVIRONMENT = 1, 2, 3
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What became of one notebook."""

    section: Section
    seconds: float
    problem: str | None
    """Where it went wrong and how; None if every cell ran within the limit."""
    files: tuple[Path, ...]
    note: str = ""
    """Why there is no page, where one should have been made."""

    @property
    def line(self) -> str:
        """What is printed about it."""
        verdict = f"FAILED {self.problem}" if self.problem else "ok"
        paths = ", ".join(map(str, self.files))
        note = f"\n    {self.note}" if self.note else ""
        return f"{self.section.stem}  {self.seconds:.1f} s  {verdict}\n    {paths}{note}"


def execute(section: Section, *, scale: Scale = "tiny", limit: float = 45.0, output: Path = OUTPUT) -> Execution:
    """Executes the section's solutions in a fresh kernel, for `limit` seconds at the most."""
    if importlib.util.find_spec("nbclient") is None:
        raise MissingDependencyError("nbclient", "notebook", "executing a notebook")
    import nbformat

    notebook = nbformat.reads(render(section, kind="solutions", scale=scale), as_version=4)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="arena-notebook-", ignore_cleanup_errors=True) as folder:
        problem = _run(notebook, Path(folder), limit, section)
    seconds = time.perf_counter() - began
    if problem is None:
        notebook.metadata["arena"]["made_from"] = notebook_fingerprint(section, scale)
    if problem is None and seconds > limit:
        problem = f"it must take {counted(limit, 'second')} at most: got {seconds:.1f}. Make its slowest cells smaller."
    files, note = _write(notebook, output, f"{section.stem}_{scale}")
    return Execution(section=section, seconds=seconds, problem=problem, files=files, note=note)


def executed_notebook(section: Section, *, scale: Scale = "tiny", output: Path = OUTPUT) -> Path | None:
    """The section's executed notebook in the output folder; None unless it ran well, from what is there now."""
    path = output / f"{section.stem}_{scale}.ipynb"
    if not path.is_file():
        return None
    made_from = json.loads(path.read_text(encoding="utf-8"))["metadata"]["arena"].get("made_from")
    return path if made_from == notebook_fingerprint(section, scale) else None


def _run(notebook: Any, folder: Path, limit: float, section: Section) -> str | None:
    """Executes the notebook in place; says what went wrong, if anything did."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    deadline = time.perf_counter() + limit
    reached: list[Any] = []
    client = NotebookClient(
        notebook,
        km=_kernel_manager(folder),
        timeout_func=lambda cell: max(1, ceil(deadline - time.perf_counter())),
        shutdown_kernel="immediate",
        extra_arguments=["--log-level=ERROR"],
        on_cell_start=lambda cell, cell_index: reached.append(cell),
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute(env=_environment(folder), cleanup_kc=True)
    except CellExecutionError as error:
        place = _place(section, reached[-1], error.traceback)
        return f"{place}in {_name(reached[-1])}: {error.ename}: {error.evalue}"
    except CellTimeoutError:
        return f"in {_name(reached[-1])}: it must take {counted(limit, 'second')} at most: got stopped there. Make it smaller."
    except DeadKernelError:
        return (
            f"in {_name(reached[-1])}: the kernel must live until the end: got a dead one. Look for a lack of memory."
        )
    return None


def _kernel_manager(folder: Path) -> Any:
    """A manager for a kernel of this very Python, whatever kernels the user has installed."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    return AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True),
        connection_file=str(folder / "connection.json"),
    )


def _environment(folder: Path) -> dict[str, str]:
    """The kernel's environment: no bars, figures that survive, and nothing written to the user's folders.

    Idle threads sleep instead of spinning, unless the caller says otherwise: on two busy cores
    section 1.1 then takes 12 seconds of processor time at scale `tiny`, in place of 30.
    """
    return (
        {"OMP_WAIT_POLICY": "PASSIVE"}
        | os.environ
        | {
            "ARENA_QUIET": "1",
            "ARENA_HOME": str(folder / "progress"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PLOTLY_RENDERER": RENDERERS,
        }
    )


def _place(section: Section, cell: Any, traceback: str) -> str:
    """The chapter's line that failed, with its text; of code that isn't the chapter's, the line of its cell."""
    at = {built.id: built.line for built in build_cells(section, kind="solutions")}.get(cell.id, 0)
    if not at:  # the title and the imports are made, and stand nowhere
        return ""
    lines = cell.source.splitlines()
    numbers = re.findall(r"Cell In\[\d+\], line (\d+)", _COLOURS.sub("", traceback))
    failed = lines[int(numbers[-1]) - 1].strip() if numbers and int(numbers[-1]) <= len(lines) else ""
    written = section.path.read_text(encoding="utf-8").splitlines()
    own = [number for number, line in enumerate(written[at:], start=at + 1) if failed and line.strip() == failed]
    return f"at {section.path}:{own[0] if own else at}, {failed!r}, " if failed else f"at {section.path}:{at}, "


def _name(cell: Any) -> str:
    """How a person finds the cell."""
    exercise = cell.metadata.get("arena", {}).get("exercise")
    if exercise:
        return f"the exercise {exercise}"
    lines = [line for line in cell.source.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("#")), "".join(lines[:1]))
    return f"the cell {cell.id} ({first[:60]!r})"


def _write(notebook: Any, output: Path, stem: str) -> tuple[tuple[Path, ...], str]:
    """The executed notebook, and where nbconvert is installed and works a page; else why there is none."""
    import nbformat

    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{stem}.ipynb"
    nbformat.write(notebook, path)
    if importlib.util.find_spec("nbconvert") is None:
        return (path,), ""
    try:
        from nbconvert import HTMLExporter

        # Without require.js, which would come from the network and isn't needed.
        exporter = HTMLExporter(require_js_url="", embed_images=True)
        body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": stem}})
    except Exception as error:  # a template that isn't installed, say: the notebook has run, which is what was asked
        return (path,), f"without a page, since nbconvert raised {type(error).__name__}: {error}"
    page = output / f"{stem}.html"
    page.write_text(body, encoding="utf-8")
    return (path, page), ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Executes the sections named, or all; 0 if all went well, 1 if one didn't, 2 and 3 as `arena` has them."""
    options = _parser().parse_args(arguments)
    scale: Scale = options.scale
    limit = LIMITS[scale] if options.limit is None else options.limit
    try:
        catalog = load_catalog(strict=True)
        sections = [catalog.section(name) for name in options.sections] or list(catalog.sections)
        executions = []
        for section in sections:
            if options.reuse and (path := executed_notebook(section, scale=scale, output=options.output)):
                sys.stdout.write(f"{section.stem}  unchanged\n    {path}\n")
                continue
            executions.append(execute(section, scale=scale, limit=limit, output=options.output))
            sys.stdout.write(executions[-1].line + "\n")
            sys.stdout.flush()
    except ArenaError as error:
        sys.stderr.write(f"{error}\n")
        return _exit_code(error)
    return FAILED if any(execution.problem for execution in executions) else 0


def _exit_code(error: ArenaError) -> int:
    if isinstance(error, LookupError):
        return USAGE
    return ENVIRONMENT if isinstance(error, ImportError) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m arena_lib.course.executing", description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="1.1, or its slug; all if none is named")
    parser.add_argument("--scale", choices=sorted(LIMITS), default="tiny")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help=f"for each section; if left out, {LIMITS}")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER")
    parser.add_argument("--reuse", action="store_true", help="leave notebooks as they are whose content is unchanged")
    return parser


if __name__ == "__main__":
    sys.exit(main())
