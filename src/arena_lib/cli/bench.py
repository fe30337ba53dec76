"""`arena bench`: the benchmark suite of the checkout, `python -m benchmarks`, with whatever words follow.

Its help is that of the suite, so this command has none of its own.
"""

from __future__ import annotations

from pathlib import Path

import typer

from arena_lib.cli.support.output import UsageError, verb
from arena_lib.cli.support.quick import Context


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    words = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
    app.command("bench", add_help_option=False, context_settings=words)(bench)


@verb
def bench(context: Context) -> None:
    """Measure the hot paths beside other libraries: run, report, compare. Needs a checkout."""
    code = _run_suite(_find_checkout(), context.args)
    if code:
        raise typer.Exit(code)


def _find_checkout() -> Path:
    """The folder that this package's `src/` and the suite stand in."""
    import arena_lib

    package = Path(arena_lib.__file__).parent
    checkout = package.parent.parent
    if package.parent.name != "src" or not (checkout / "benchmarks" / "__main__.py").is_file():
        raise UsageError(
            f"arena bench must run from a checkout, which has the benchmarks: got arena_lib in {package}. "
            "Clone the repository, run there: pip install -e . and then: arena bench"
        )
    return checkout


def _run_suite(checkout: Path, words: list[str]) -> int:
    """The suite's exit code. It runs in the caller's folder, so that the files that they name are theirs."""
    import os
    import subprocess
    import sys

    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "benchmarks", *words]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}) as suite:
        while True:
            try:
                return suite.wait()
            except KeyboardInterrupt:  # the suite got it too, and now keeps the rows that it finished
                continue
