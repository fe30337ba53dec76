"""What every verb does alike: JSON or text, messages instead of tracebacks, and exit codes.

Raises:  click.exceptions.Exit with the code of the command.
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
from typing import Any, TypeVar

import click

from arena_lib.core.files import NO_SPACE, write_atomically
from arena_lib.course.tables import format_table
from arena_lib.errors import (
    ArenaError,
    CheckFailed,
    CheckpointError,
    ConfigError,
    DiskError,
    MissingDependencyError,
    MissingDeviceError,
    ProgressError,
    UnknownNameError,
    WorkspaceError,
    ZooError,
)

FAILED, USAGE, ENVIRONMENT = 1, 2, 3
EXIT_CODES = "Exit codes: 0 all well, 1 some fail, 2 wrong usage, 3 the machine lacks something, 130 stopped by Ctrl-C."
INTERRUPTED = 130
"""What shells expect after Ctrl-C."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON with stable keys.")
Verb = TypeVar("Verb", bound=Callable[..., Any])


class UsageError(ArenaError):
    """The command was given something that it can't work with."""


def verb(function: Verb) -> Verb:
    """Turns the library's errors into a message and an exit code; with `--json` into {"error", "kind"}."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            value = function(*args, **kwargs)
            sys.stdout.flush()
            return value
        except ArenaError as error:
            _tell(error, is_json=bool(kwargs.get("as_json")))
            raise click.exceptions.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `arena list | head`
            _close_output()
            raise click.exceptions.Exit(0) from None
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            _close_output()  # it may be what is full
            where = error.filename or "what this command writes"
            show(f"arena: there must be room on the disk for {where}: got none. Make room, then try again.", err=True)
            raise click.exceptions.Exit(ENVIRONMENT) from None

    return run  # type: ignore[return-value]


def exit_code(error: ArenaError) -> int:
    """1 something fails, 2 wrong usage, 3 the machine lacks something."""
    if isinstance(error, MissingDependencyError | MissingDeviceError | DiskError | ZooError | ProgressError):
        return ENVIRONMENT
    if isinstance(error, UsageError | UnknownNameError | ConfigError | CheckpointError):
        return USAGE
    return FAILED


@contextlib.contextmanager
def as_wrong_use(kind: type[ArenaError] = WorkspaceError) -> Iterator[None]:
    """Errors of this kind come from what the command was given, unless the disk is the reason."""
    try:
        yield
    except DiskError:
        raise
    except kind as error:
        raise UsageError(str(error)) from error


def _close_output() -> None:
    """Nothing more can be written to standard output, not even what Python kept for later."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _tell(error: ArenaError, *, is_json: bool) -> None:
    """An error for a person on the error stream, and as a JSON document where that was asked for."""
    text = str(error)
    if is_json:
        print_json({"error": text, "kind": type(error).__name__})
    is_message = isinstance(error, CheckFailed)
    show(text if is_message else f"arena: {text}", err=True)


def show(text: str = "", *, err: bool = False) -> None:
    """A line for a person; characters that the terminal doesn't have become question marks."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding), err=err)


def print_json(record: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(record, indent=1))


def check_writable(option: str, path: Path) -> None:
    """Makes the folder of a file that is to be written, and the file; UsageError if that can't be done."""
    make_folder(option, path.parent)
    try:
        path.open("a", encoding="utf-8").close()
    except OSError as error:
        raise cannot_write(option, path, error) from error


def write_file(option: str, path: Path, text: str) -> None:
    """Writes a file whole or not at all; UsageError or DiskError if that can't be done."""
    make_folder(option, path.parent)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # /dev/stdout, a pipe
            path.write_text(text, encoding="utf-8")
        else:
            write_atomically(path.resolve(), text.encode())
    except OSError as error:
        raise cannot_write(option, path, error) from error


def cannot_write(option: str, path: Path, error: OSError) -> ArenaError:
    """What to raise where the file that an option names couldn't be written."""
    if error.errno in NO_SPACE:
        return DiskError(f"{option} must have room on its disk: got none for {path}. Make room, or name another disk.")
    return UsageError(
        f"{option} must name a file that can be written: got {error.strerror!r} for {path}. Name another."
    )


def make_folder(option: str, folder: Path) -> None:
    """Makes a folder that is to be written into; UsageError if that can't be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{option} must be in a folder that can be made: got {error.strerror!r} for {folder}. Name another."
        ) from error


def print_table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), indent: str = "") -> None:
    """Rows in columns; nothing for no rows."""
    if rows:
        show(format_table(rows, header=header, indent=indent))


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Our warnings as one line each, without the place in our code; never an error, whatever Python was told."""

    def show_plainly(message: Any, category: Any, *_: Any, **__: Any) -> None:
        if issubclass(category, UserWarning):
            show(f"arena: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show_plainly
        yield
