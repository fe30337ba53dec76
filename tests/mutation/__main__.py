"""How many mechanical edits of the library its own tests notice.

    python -m tests.mutation --each 3 --seed 0 --report docs/mutants_of_library.md src/arena_lib/transformer

Of every module a few edits are drawn with a seed, and the test file that mirrors the module is run on each.
An edit counts as killed if a test fails, or if the tests run ten times as long as without it. Unix only: each run is a fork.
"""

import argparse
import ast
import importlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from arena_lib.checking.proofs.mutants import Mutant, edit

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "arena_lib"
TIMES_AS_LONG, LEAST_SECONDS = 10, 20
LOADED_BEFORE = (
    "torch",
    "hypothesis",
    "beartype",
    "transformers.models.gpt2",
    "transformer_lens.model_bridge",
)
"""What many tests import and no edit changes: the forks find it loaded."""
PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not real and not cuda")

_ABOUT = """# What the library's own tests catch

Written by `nox -s mutants`. Of each module some mechanical edits (an operator, a comparison, a constant, a term, a slice ...)
are drawn, and the test file that mirrors the module is run on each. An edit that passes is a hole in the tests, or leaves
the module right.
"""


@dataclass(frozen=True)
class Edited:
    """One edit of a module: the whole file with it."""

    name: str
    source: str


def edits_of(path: Path, n_edits: int, seed: int = 0) -> list[Edited]:
    """That many edits of the functions and methods of a module, drawn with the seed, in the order of its lines."""
    source = path.read_text(encoding="utf-8")
    edits = [(node, mutant) for node in _definitions(ast.parse(source)) for mutant in edit(_text(source, node))]
    drawn = random.Random(f"{seed} {path.name}").sample(range(len(edits)), min(n_edits, len(edits)))
    chosen = [edits[i] for i in sorted(drawn)]
    return [Edited(f"{node.name}: {mutant.name}", _put(source, node, mutant)) for node, mutant in chosen]


def _definitions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions of a module and methods of its classes."""
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    return [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _text(source: str, node: ast.FunctionDef) -> str:
    lines = source.splitlines(keepends=True)[_first_line(node) - 1 : node.end_lineno]
    return textwrap.dedent("".join(lines))


def _put(source: str, node: ast.FunctionDef, mutant: Mutant) -> str:
    lines = source.splitlines(keepends=True)
    edited = textwrap.indent(mutant.source, " " * node.col_offset) + "\n"
    return "".join([*lines[: _first_line(node) - 1], edited, *lines[node.end_lineno :]])


def run_tests(test: Path, path: Path, source: str | None, seconds: float) -> int | None:
    """The exit code of the tests in a fork in which `path` holds `source`; None if they took too long."""
    child = os.fork()
    if child == 0:
        os.setsid()
        with open(os.devnull, "w") as silence:
            os.dup2(silence.fileno(), 1)
            os.dup2(silence.fileno(), 2)
        if source is not None:
            _read_instead(path, source)
        os._exit(pytest.main([*PYTEST, "-W", "ignore::pytest.PytestAssertRewriteWarning", str(test)]))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _read_instead(path: Path, source: str) -> None:
    """From now on this process imports `source` in place of the file, past any cached bytecode."""
    get_data, path_stats = SourceFileLoader.get_data, SourceFileLoader.path_stats

    def get_edited(loader: SourceFileLoader, name: str) -> bytes:
        return source.encode() if Path(name) == path else get_data(loader, name)

    def get_stats(loader: SourceFileLoader, name: str) -> object:
        if Path(name) == path:
            raise OSError("there is no cache of an edited file")
        return path_stats(loader, name)

    SourceFileLoader.get_data, SourceFileLoader.path_stats = get_edited, get_stats  # type: ignore[method-assign]


def test_file(path: Path) -> Path:
    """The test file that mirrors a module."""
    part = path.relative_to(PACKAGE)
    return ROOT / "tests" / part.parent / f"test_{part.name}"


def _as_code(text: str) -> str:
    """Markdown's code, also of a text that has a backtick in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def main() -> None:
    """Edits every module below the given folders and reports what passes."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=3, help="edits of each module")
    parser.add_argument("--seed", type=int, default=0, help="draws the edits")
    parser.add_argument("--report", type=Path, help="write the table to this Markdown file")
    options = parser.parse_args()
    for name in LOADED_BEFORE:
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    commit, began = _commit(), time.monotonic()
    for name in [name for name in sys.modules if name.split(".")[0] == "arena_lib"]:
        del sys.modules[name]
    rows: list[tuple[str, int, int]] = []
    survivors: list[str] = []
    modules = sorted(path for folder in options.folders for path in folder.resolve().rglob("*.py"))
    tested = [path for path in modules if test_file(path).exists()]
    for number, path in enumerate(tested, start=1):
        started = time.monotonic()
        name = str(path.relative_to(PACKAGE))
        if run_tests(test_file(path), path, None, 600.0) != 0:
            sys.stdout.write(f"{name}: its tests don't pass in a fork, so it isn't edited\n")
            survivors.append(f"- {name}: not edited, since its tests don't pass in a fork of this program")
            continue
        seconds = max(LEAST_SECONDS, TIMES_AS_LONG * (time.monotonic() - started))
        edits = edits_of(path, options.each, options.seed)
        passing = [e.name for e in edits if run_tests(test_file(path), path, e.source, seconds) == 0]
        rows.append((name, len(edits), len(edits) - len(passing)))
        survivors += [f"- {name}: {_as_code(edit_name)}" for edit_name in passing]
        sys.stdout.write(f"{name}: {rows[-1][2]} of {rows[-1][1]} killed\n")
        sys.stdout.flush()
        if options.report:
            minutes = (time.monotonic() - began) / 60
            run = (
                f"This run, of commit {commit}, {minutes:.0f} minutes: {options.each} edits of each module, drawn with seed "
                f"{options.seed}; {number} of {len(tested)} modules are done."
            )
            options.report.write_text(_page(run, rows, survivors), encoding="utf-8")
    sys.stdout.write(_table(rows)[-1] + "\n")


def _commit() -> str:
    """The commit that the tests and the library are of, and whether files differ from it."""
    say = ("git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty= (with changes)")
    said = subprocess.run(say, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def _table(rows: list[tuple[str, int, int]]) -> list[str]:
    n_made, n_killed = (sum(row[i] for row in rows) for i in (1, 2))
    total = f"| **all** | {n_made} | {n_killed} ({n_killed / max(n_made, 1):.1%}) |"
    return ["| module | edits | killed |", "|---|---|---|", *(f"| {n} | {m} | {k} |" for n, m, k in rows), total]


def _page(run: str, rows: list[tuple[str, int, int]], survivors: list[str]) -> str:
    return (
        "\n".join(
            [_ABOUT, run, "", *_table(rows), "", "Edits that pass, and modules that were left out:", "", *survivors]
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
