"""What every verb does alike: JSON or text, messages instead of tracebacks, and exit codes.

Raises:  typer.Exit with the code of the command.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from arena_lib.course.tables import format_table
from arena_lib.errors import (
    ArenaError,
    CheckFailed,
    FetchError,
    MissingDependencyError,
    ProgressError,
    UnknownNameError,
)

FAILED, USAGE, ENVIRONMENT = 1, 2, 3
INTERRUPTED = 130
"""What shells expect after Ctrl-C."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys.")]
Verb = TypeVar("Verb", bound=Callable[..., Any])


class UsageError(ArenaError):
    """The command was given something that it can't work with."""


def verb(function: Verb) -> Verb:
    """Turns the library's errors into a message and an exit code; with `--json` into {"error", "kind"}."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ArenaError as error:
            _tell(error, is_json=bool(kwargs.get("as_json")))
            raise typer.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            typer.echo("Stopped.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `arena list | head`
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            raise typer.Exit(0) from None

    return run  # type: ignore[return-value]


def exit_code(error: ArenaError) -> int:
    """1 something fails, 2 a wrong use, 3 the machine lacks something."""
    if isinstance(error, UsageError | UnknownNameError):
        return USAGE
    if isinstance(error, MissingDependencyError | FetchError | ProgressError):
        return ENVIRONMENT
    return FAILED


def _tell(error: ArenaError, *, is_json: bool) -> None:
    text = str(error)
    if is_json:
        print_json({"error": text, "kind": type(error).__name__})
    is_message = isinstance(error, CheckFailed)
    show(text if is_message else f"arena: {text}", err=True)


def show(text: str = "", *, err: bool = False) -> None:
    """A line for a person; characters that the terminal doesn't have become question marks."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    typer.echo(text.encode(encoding, "replace").decode(encoding), err=err)


def print_json(record: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(record, indent=1))


def check_writable(option: str, path: Path) -> None:
    """Makes the folder of a file that is to be written, and the file; UsageError if that can't be done."""
    make_folder(option, path.parent)
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(
            f"{option} must name a file that can be written: got {error.strerror!r} for {path}. Name another."
        ) from error


def make_folder(option: str, folder: Path) -> None:
    """Makes a folder that is to be written into; UsageError if that can't be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{option} must lie where there can be a folder: got {error.strerror!r} for {folder}. Name another."
        ) from error


def print_table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), indent: str = "") -> None:
    """Rows in columns; nothing for no rows."""
    if rows:
        show(format_table(rows, header=header, indent=indent))


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Our warnings as one line each, without the place in our code."""

    def show_plainly(message: Any, category: Any, *_: Any, **__: Any) -> None:
        if issubclass(category, UserWarning):
            show(f"arena: {message}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show_plainly
        yield
