"""`arena progress`: done, attempts, time against estimate, next exercise; export and import."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from arena_lib.cli.support.output import UsageError, as_wrong_use, json_option, print_json, show, verb, write_file
from arena_lib.errors import ProgressError
from arena_lib.wording import counted


@click.command("progress")
@click.argument("names", nargs=-1, metavar="[SECTION]...")
@click.option(
    "--export", type=click.Path(path_type=Path), help="Write every event to a file of JSON lines; - for the screen."
)
@click.option(
    "--import",
    "import_",
    type=click.Path(path_type=Path),
    help="Add the events of such a file; doing it twice adds nothing.",
)
@json_option
@verb
def progress(names: tuple[str, ...], export: Path | None, import_: Path | None, as_json: bool) -> None:
    """Show what is done, and what comes next.

    With attempts, and time against the estimate: of the sections that you name, or of all.
    """
    from arena_lib.course.content.catalog import load_catalog
    from arena_lib.course.record.progress import ProgressStore
    from arena_lib.course.record.summary import load_summary

    if export is not None and import_ is not None:
        raise UsageError("progress takes --export or --import: got both. Choose one.")
    if names and (export is not None or import_ is not None):
        raise UsageError(f"--export and --import are of everything: got {', '.join(names)} too. Leave that out.")
    store = ProgressStore()
    if export is not None:
        _export(store, export, as_json)
    elif import_ is not None:
        _import(store, import_, as_json)
    else:
        catalog = load_catalog()
        sections = [catalog.section(name) for name in names] or catalog.sections
        summary = load_summary(catalog, store).of(sections)
        print_json(summary.to_json()) if as_json else show(summary.text)


def _export(store: Any, path: Path, as_json: bool) -> None:
    lines = list(store.export_lines())
    text = "".join(line + "\n" for line in lines)
    if str(path) == "-":
        if as_json:
            print_json({"exported": len(lines), "path": "-", "events": [json.loads(line) for line in lines]})
        else:
            sys.stdout.write(text)
        return
    write_file("--export", path, text)
    print_json({"exported": len(lines), "path": str(path)}) if as_json else show(
        f"{counted(len(lines), 'event')} written to {path}."
    )


def _import(store: Any, path: Path, as_json: bool) -> None:
    from arena_lib.course.record.events import parse_lines

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        got = f"there is no file {path}" if isinstance(error, FileNotFoundError) else f"got {why!r} for {path}"
        raise UsageError(
            f"--import must name a file that `arena progress --export` wrote: {got}. Name another."
        ) from error
    with as_wrong_use(ProgressError):
        events = parse_lines(lines)
    n_new = store.add(events)
    n_known = len(events) - n_new
    if as_json:
        print_json({"imported": n_new, "known": n_known})
    else:
        show(f"{counted(n_new, 'event')} added, {n_known} there already.")
