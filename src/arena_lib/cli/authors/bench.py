"""`arena bench`: the benchmark suite of the checkout, `python -m benchmarks`, with whatever words follow.

Its help is that of the suite, so this command has none of its own. The suite's own `--json FILE` keeps a
record; `--json` as the last word prints one JSON document: the record of a run, or the lines of another command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

import click

from arena_lib.cli.support.checkout import find_checkout
from arena_lib.cli.support.output import FAILED, print_json, show, verb


@click.command(
    "bench", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def bench(words: tuple[str, ...]) -> None:
    """Measure the hot paths beside other libraries, in a checkout."""
    is_json = words[-1:] == ("--json",)
    _bench(words=list(words[:-1] if is_json else words), as_json=is_json)


@verb
def _bench(*, words: list[str], as_json: bool) -> None:
    checkout = find_checkout("bench", "benchmarks/__main__.py", "the benchmarks")
    code = _print_document(checkout, words) if as_json else _run_suite(checkout, words)
    if code:
        raise click.exceptions.Exit(code)


def _print_document(checkout: Path, words: list[str]) -> int:
    """Prints what the suite has to say as one JSON document, and its lines on the error stream."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "lines.txt").open("w+b") as lines:
        record = Path(folder) / "record.json"
        is_run = words[:1] == ["run"]
        code = _run_suite(checkout, [*words, "--json", str(record)] if is_run else words, output=lines)
        lines.seek(0)
        printed = lines.read().decode(errors="replace").splitlines()
        if code not in (0, FAILED):
            print_json({"error": printed[-1] if printed else f"the suite ended with {code}", "kind": "UsageError"})
        elif record.exists():
            print_json(json.loads(record.read_text(encoding="utf-8")))
        else:
            print_json({"lines": printed})
    for line in printed:
        show(line, err=True)
    return code


def _run_suite(checkout: Path, words: list[str], output: IO[bytes] | None = None) -> int:
    """The suite's exit code. It runs in the caller's folder, so that the files that they name are theirs."""
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "benchmarks", *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    errors = None if output is None else subprocess.STDOUT
    with subprocess.Popen(command, env=environment, stdout=output, stderr=errors) as suite:
        while True:
            try:
                return suite.wait()
            except KeyboardInterrupt:  # the suite got it too, and now keeps the rows that it finished
                continue
