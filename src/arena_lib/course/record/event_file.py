"""The SQLite file that progress lives in: append-only, shared by several kernels, never in a learner's way.

A damaged file is set aside and a new one begun. A file that can't be written, or that a newer
version wrote, costs the learner one warning, never a verdict.

Raises:  nothing; what can't be done is warned of, once for each cause.
Source:  SQLite's write-ahead log, sqlite.org/wal.html.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from arena_lib.course.record.events import COLUMNS

SCHEMA = 1
BUSY_SECONDS = 10.0
"""How long a writer waits for another one."""

Row = tuple[object, ...]
T = TypeVar("T")

_CREATE = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, time TEXT NOT NULL, kind TEXT NOT NULL, exercise TEXT NOT NULL, status TEXT, mistake TEXT,
    source_hash TEXT, test_hash TEXT, seconds REAL, versions TEXT, tier INTEGER
)"""
_INSERT = f"INSERT OR IGNORE INTO events ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM events"
_IN_ORDER = f"{_SELECT} ORDER BY time, rowid"
_LAST_VERDICT = f"{_SELECT} WHERE kind = 'verdict' AND exercise = ? ORDER BY rowid DESC LIMIT 1"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class _NewerSchema(Exception):
    """The file was written by a later version of the library."""


class EventFile:
    """One progress file. Every call opens it anew, so that a forked kernel never shares a connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warned: set[str] = set()

    def append(self, rows: Sequence[Row]) -> int | None:
        """Adds the rows whose id isn't there yet; how many those were, or None if nothing can be written."""

        def insert(connection: sqlite3.Connection) -> int:
            before = connection.total_changes
            with _transaction(connection):
                connection.executemany(_INSERT, rows)
            return connection.total_changes - before

        return self._attempt(insert, "recorded")

    def read(self) -> list[Row]:
        """Every row in the order of time; none if the file isn't there or can't be read."""
        if not self.path.exists():
            return []
        return self._attempt(lambda connection: list(connection.execute(_IN_ORDER)), "read", is_reading=True) or []

    def read_last_verdict(self, exercise: str) -> Row | None:
        """The row of the verdict on this exercise that was written last, if there is one."""
        if not self.path.exists():
            return None
        return self._attempt(
            lambda connection: connection.execute(_LAST_VERDICT, [exercise]).fetchone(), "read", is_reading=True
        )

    def _attempt(self, act: Callable[[sqlite3.Connection], T], what: str, *, is_reading: bool = False) -> T | None:
        """Runs `act` on an open file; a second time on a fresh one if the first is damaged."""
        for _ in range(2):
            inode = _inode(self.path)
            try:
                with contextlib.closing(self._open(is_reading)) as connection:
                    return act(connection)
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    self._give_up(str(error), what)
                    return None
                if not self._set_aside(inode):
                    return None
            except _NewerSchema as error:
                self._give_up(str(error), what)
                return None
            except OSError as error:
                self._give_up(error.strerror or str(error), what)
                return None
        return None

    def _open(self, is_reading: bool) -> sqlite3.Connection:
        if is_reading and not os.access(self.path.parent, os.W_OK):
            return self._open_unwritable()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _use_write_ahead_log(connection)
            if _version(connection) != SCHEMA or not _has_events(connection):
                _create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_unwritable(self) -> sqlite3.Connection:
        """A file in a folder where SQLite may not put its log: read as it stands."""
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        if _version(connection) != SCHEMA:
            connection.close()
            raise OSError(f"its schema isn't {SCHEMA}, and the folder can't be written to")
        return connection

    def _set_aside(self, inode: int | None) -> bool:
        """Renames a damaged file, unless another kernel has put a new one there meanwhile."""
        stamp = datetime.datetime.now().strftime("%Y%m%dT%H%M%S%f")
        aside = self.path.with_name(f"{self.path.stem}.damaged-{stamp}{self.path.suffix}")
        try:
            if _inode(self.path) == inode:
                for ending in ("-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(f"{self.path}{ending}", f"{aside}{ending}")
                os.replace(self.path, aside)
        except FileNotFoundError:
            return True
        except OSError as error:
            self._give_up(error.strerror or str(error), "recorded")
            return False
        self.warn(
            f"the progress file must be an SQLite database: {self.path} is damaged. It was set aside as {aside.name}, "
            "and a new one begun. If you have an export, run: arena progress --import FILE"
        )
        return True

    def _give_up(self, why: str, what: str) -> None:
        self.warn(
            f"the progress file {self.path} must be {'readable' if what == 'read' else 'writable'}: got {why!r}. "
            f"Nothing is {what}, and all else works; set ARENA_HOME to a folder of yours to change that."
        )

    def warn(self, message: str) -> None:
        """Says it once."""
        if message not in self._warned:
            self._warned.add(message)
            warnings.warn(message, UserWarning, stacklevel=2)


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """The switch needs the file for itself, and SQLite doesn't wait for that: so we do."""
    for _ in range(50):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            time.sleep(0.02)


def _version(connection: sqlite3.Connection) -> int:
    """The schema of the file; 0 when it is new."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise _NewerSchema(f"schema {version} of a newer arena_lib, where this one writes {SCHEMA}; upgrade arena-lib")
    return int(version)


def _has_events(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone() is not None


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, with the write lock from the start, so that no two writers wait for each other."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _create(connection: sqlite3.Connection) -> None:
    """Makes the table in a new file."""
    with _transaction(connection):
        _version(connection)
        connection.execute(_CREATE)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
