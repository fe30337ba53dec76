"""A group and a command that start in a tenth of a second less, and a group that says wrong uses in JSON too.

Typer loads pydantic for every parameter whose value isn't of its type yet, and the value of `--help` that
wasn't given is None. With False it is a flag like any other, and needs nothing.

Raises:  what typer raises.
Source:  typer's `core.process_value`; `tests/cli/test_list.py` measures it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from arena_lib.cli.support.output import print_json

Context: Any = typer.Context.__mro__[1]
"""What a command really gets where it asks for `typer.Context`, whichever click that typer carries."""
_WrongUse: Any = typer.BadParameter.__mro__[1]
"""What typer raises for words that it can't make sense of."""


class QuickCommand(TyperCommand):
    """A command whose help option is False when it isn't given."""

    def get_help_option(self, ctx: Any) -> Any:
        """The usual option, with a default."""
        return _with_default(super().get_help_option(ctx))


class QuickGroup(TyperGroup):
    """A group whose help option is False when it isn't given; what it can't parse is JSON too where that was asked for."""

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> Any:
        """The usual context."""
        self._is_json = "--json" in args
        with self._told_in_json():
            return super().make_context(info_name, args, *rest, **extra)

    def invoke(self, ctx: Any) -> Any:
        """The usual call of the verb."""
        with self._told_in_json():
            return super().invoke(ctx)

    @contextlib.contextmanager
    def _told_in_json(self) -> Iterator[None]:
        try:
            yield
        except _WrongUse as error:
            if self._is_json:
                print_json({"error": error.format_message(), "kind": "UsageError"})
            raise

    def get_help_option(self, ctx: Any) -> Any:
        """The usual option, with a default."""
        return _with_default(super().get_help_option(ctx))


def _with_default(option: Any) -> Any:
    if option is not None:
        option.default = False
    return option
