"""The command `arena`: one thin file for each verb, and in `support` what they share.

Exit codes: 0 all well, 1 some fail, 2 usage, 3 environment. Every verb takes `--json`.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

VERBS = ("demo", "list", "start", "check", "hint", "solution", "progress", "verify", "new", "zoo", "bench", "doctor")
"""In the order of the help; each is a module of this package with a function `register(app)`."""

__all__ = ["VERBS", "build_app", "main"]


def build_app() -> typer.Typer:
    """The command line with every verb."""
    import typer

    from arena_lib.cli.support.quick import QuickGroup

    app = typer.Typer(
        name="arena",
        cls=QuickGroup,
        help="Learn alignment research engineering by writing it: exercises, and tests that know the mistakes.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for verb in VERBS:
        importlib.import_module(f"{__name__}.{verb}").register(app)
    return app


def _root() -> None:
    """Learn alignment research engineering by writing it: exercises, and tests that know the mistakes."""


def main() -> None:
    """Runs the command line and exits with its code."""
    from arena_lib.cli.support.output import plain_warnings

    with plain_warnings():
        sys.exit(build_app()(standalone_mode=True))
