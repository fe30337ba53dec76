"""The group of verbs: each is imported when it is called, and wrong usage is JSON too if that was asked for."""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import click

from arena_lib.cli.support.output import print_json


class VerbGroup(click.Group):
    """Prints {"error", "kind"} before click shows wrong usage, if `--json` is among the words."""

    def __init__(self, *args: Any, verbs: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._verbs = verbs
        self._is_json = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the help."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, from its module."""
        if cmd_name not in self._verbs:
            return None
        command: click.Command = pkgutil.resolve_name(self._verbs[cmd_name])
        return command

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """The usual context."""
        self._is_json = "--json" in args
        with self._as_json():
            return super().make_context(info_name, args, *rest, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """The usual call of the verb."""
        with self._as_json():
            return super().invoke(ctx)

    @contextlib.contextmanager
    def _as_json(self) -> Iterator[None]:
        try:
            yield
        except click.UsageError as error:
            if self._is_json:
                print_json({"error": error.format_message(), "kind": "UsageError"})
            raise
