"""The group of verbs: what it can't make sense of is JSON too, where that was asked for.

Raises:  what typer raises.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from arena_lib.cli.support.output import print_json

_WrongUse: Any = typer.BadParameter.__base__
"""What typer raises for words that it can't make sense of; it has no public name of its own."""


class JsonGroup(TyperGroup):
    """Prints {"error", "kind"} before typer shows a wrong use, if `--json` is among the words."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """The usual context."""
        self._is_json = "--json" in args
        with self._as_json():
            return super().make_context(info_name, args, *rest, **extra)

    def invoke(self, ctx: Any) -> Any:
        """The usual call of the verb."""
        with self._as_json():
            return super().invoke(ctx)

    @contextlib.contextmanager
    def _as_json(self) -> Iterator[None]:
        try:
            yield
        except _WrongUse as error:
            if self._is_json:
                print_json({"error": error.format_message(), "kind": "UsageError"})
            raise
