"""The command `arena`: one thin file for each verb, and in `support` what they share.

Exit codes: 0 all well, 1 some fail, 2 usage, 3 environment. Every verb takes `--json`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated

import typer

VERBS = ("demo", "list", "start", "check", "hint", "solution", "progress", "verify", "new", "zoo", "bench", "doctor")
"""In the order of the help; each is a module of this package with a function `register(app)`."""

__all__ = ["VERBS", "build_app", "main"]


def build_app() -> typer.Typer:
    """The command line with every verb."""
    from arena_lib.cli.support.json_group import JsonGroup
    from arena_lib.cli.support.output import EXIT_CODES

    app = typer.Typer(
        name="arena",
        cls=JsonGroup,
        help="Learn alignment research engineering by writing it: exercises, and tests that know the mistakes.",
        epilog=f"{EXIT_CODES} Every command takes --json.",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for verb in VERBS:
        importlib.import_module(f"{__name__}.{verb}").register(app)
    return app


def _show_version(is_wanted: bool) -> bool:
    if is_wanted:
        from importlib.metadata import version

        typer.echo(f"arena {version('arena-lib')}")
        raise typer.Exit
    return is_wanted


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Learn alignment research engineering by writing it: exercises, and tests that know the mistakes."""


def main() -> None:
    """Runs the command line and exits with its code."""
    from arena_lib.cli.support.output import plain_warnings

    with plain_warnings():
        sys.exit(build_app()(standalone_mode=True))
