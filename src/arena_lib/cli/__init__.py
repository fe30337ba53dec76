"""The command `arena`: one thin file for each verb, and in `support` what they share.

Exit codes: 0 all well, 1 some fail, 2 usage, 3 environment. Every verb takes `--json`.
"""

from __future__ import annotations

import sys

import click

from arena_lib.cli.support.output import EXIT_CODES, plain_warnings
from arena_lib.cli.support.verb_group import VerbGroup

VERBS = {
    "demo": "learning.demo:demo",
    "list": "learning.list:list_course",
    "start": "learning.start:start_section",
    "check": "learning.check:check",
    "hint": "learning.hint:hint",
    "reset": "learning.reset:reset",
    "solution": "learning.solution:solution",
    "progress": "learning.progress:progress",
    "verify": "authors.verify:verify",
    "new": "authors.new:new",
    "zoo": "machine.zoo:zoo",
    "rl": "rl.agents:rl",
    "saes": "saes.group:saes",
    "bench": "authors.bench:bench",
    "docs": "authors.docs:docs",
    "doctor": "machine.doctor:doctor",
}
"""In the order of the help; the module of this package and its command."""

__all__ = ["VERBS", "arena", "main"]


@click.group(
    "arena",
    cls=VerbGroup,
    verbs={verb: f"{__name__}.{command}" for verb, command in VERBS.items()},
    epilog=f"{EXIT_CODES} Every command takes --json.",
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(package_name="arena-lib", message="arena %(version)s", help="Show the version.")
def arena() -> None:
    """Learn alignment research engineering by writing it: exercises, and tests that know the mistakes."""


def main() -> None:
    """Runs the command line and exits with its code."""
    with plain_warnings():
        sys.exit(arena(prog_name="arena"))
