"""`arena saes` and its commands, each imported when it is called."""

from __future__ import annotations

import click

from arena_lib.cli.support.verb_group import VerbGroup

VERBS = {"train": "train:train", "evaluate": "evaluate:evaluate", "figures": "figures:figures"}
"""In the order of the help; the module of this package and its command."""


@click.group(
    "saes",
    cls=VerbGroup,
    verbs={verb: f"arena_lib.cli.saes.{command}" for verb, command in VERBS.items()},
    no_args_is_help=True,
)
def saes() -> None:
    """Sparse autoencoders: train one, measure it, and figures."""
