"""`arena bench`: the benchmark suite, which lives in a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from arena_lib.cli.output import FAILED, JsonFlag, UsageError, verb
from arena_lib.cli.quick import Context

UNKNOWN_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("bench", context_settings=UNKNOWN_OPTIONS)(bench)


@verb
def bench(context: Context, as_json: JsonFlag = False) -> None:
    """Run the benchmark suite; what follows is handed to it."""
    checkout = find_checkout()
    if checkout is None:
        raise UsageError(
            "arena bench must run in a checkout, which has a folder benchmarks/: got an installed package without one. "
            "Clone the repository and install it with: pip install -e ."
        )
    arguments = [*context.args, *(["--json"] if as_json else [])]
    done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=checkout, check=False)
    if done.returncode:
        raise typer.Exit(FAILED)


def find_checkout() -> Path | None:
    """The root of the checkout that this package stands in, if its benchmarks can be run."""
    root = Path(__file__).parents[3]
    return root if (root / "benchmarks" / "__main__.py").is_file() and (root / "pyproject.toml").is_file() else None
