"""The state file as a SQLite database: opened, checked, created, brought up to date.

Rules kept here:
1. Reading never creates or changes a file.
2. A file that is damaged or is not ours is set aside before writing, never overwritten.
3. A file of a newer version is refused, not touched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ipvs_lb.errors import StoreError

APPLICATION_ID = 0x49505653
"""`IPVS` in the file header (SQLite's application_id), so that another program's database is known as such."""

BUSY_SECONDS = 5.0

_SCHEMA = (
    "CREATE TABLE owned (kind TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY (kind, what)) WITHOUT ROWID",
    # AUTOINCREMENT: a number is never given twice, also after its generation has been dropped
    "CREATE TABLE generations (number INTEGER PRIMARY KEY AUTOINCREMENT, created REAL NOT NULL,"
    " origin TEXT NOT NULL, services INTEGER NOT NULL, servers INTEGER NOT NULL, desired BLOB NOT NULL)",
)

Migration = Callable[[sqlite3.Connection], None]


def _create(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _add_records(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE records (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
    )


MIGRATIONS: tuple[Migration, ...] = (_create, _add_records)
"""The n-th one takes a file from version n to n + 1; the file's version is SQLite's user_version."""


class DamagedError(Exception):
    """The file is not a readable state file of ours; the message says in which way."""


@contextmanager
def reading(path: Path, *, is_sound: bool = False) -> Iterator[sqlite3.Connection | None]:
    """The database for reading; None where there is no file, or an empty one.

    A file that *is_sound* has been read from end to end before, which takes longer than any change of it.
    Raises DamagedError and StoreError.
    """
    with _translated(path):
        if not path.exists():
            yield None
            return
        with closing(_connect(path)) as connection:
            if not is_sound:
                _check_pages(connection)
            version = _checked_version(connection, path)
            yield connection if version else None


@contextmanager
def writing(
    path: Path, migrations: tuple[Migration, ...] = MIGRATIONS, *, is_sound: bool = False
) -> Iterator[sqlite3.Connection]:
    """The database inside one durable transaction, committed at the end of the block; created where there is none.

    *is_sound* as for `reading`.
    Raises DamagedError and StoreError; then nothing has changed.
    """
    with _translated(path):
        make_directory(path.parent)
        if not path.exists():  # closing a file that SQLite has open would end its locks (fcntl(2))
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        with closing(_connect(path)) as connection:
            if not is_sound:
                _check_pages(connection)
            version = _checked_version(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            _bring_up_to_date(connection, version, migrations)
            yield connection
            connection.execute("COMMIT")


def held(path: Path) -> sqlite3.Connection:
    """A connection that does nothing but stay open, for any thread to close. Raises StoreError.

    Whoever closes the last one has SQLite carry all changes over into the file, which takes several times as long as a
    change: with this one there, that happens once in a thousand pages.
    """
    with _translated(path):
        connection = _connect(path, check_same_thread=False)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
    return connection


def set_aside(path: Path) -> Path:
    """Move the file and SQLite's files beside it out of the way; the new name carries the time. Raises StoreError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = _unused(path.with_name(f"{path.name}.corrupt-{stamp}"))
    with _translated(path):
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    return aside


def make_directory(path: Path) -> None:
    """The state directory, for root alone where it has to be made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def unusable(path: Path, problem: Exception) -> StoreError:
    """What an operator is told when *path* cannot be used."""
    if isinstance(problem, PermissionError):
        return StoreError(
            f"{path}: permission denied",
            hint="run as root, or name a directory of your own with --state-dir",
        )
    return StoreError(f"{path}: {getattr(problem, 'strerror', None) or problem}")


def _connect(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=check_same_thread,
    )


def _check_pages(connection: sqlite3.Connection) -> None:
    """Read the whole file. Raises DamagedError."""
    (complaint,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if complaint != "ok":
        raise DamagedError(str(complaint))


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    """The file's version, 0 for an empty one. Raises DamagedError, or StoreError when it is newer than this code."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not version:
        return 0
    if application != APPLICATION_ID or not version:
        raise DamagedError("another program's database")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path}: state version {version}, expected at most {len(MIGRATIONS)}: a newer ipvs-lb wrote it",
            hint="upgrade ipvs-lb, or name another directory with --state-dir",
        )
    return int(version)


def _bring_up_to_date(
    connection: sqlite3.Connection, version: int, migrations: tuple[Migration, ...]
) -> None:
    if version == len(migrations):
        return
    for migrate in migrations[version:]:
        migrate(connection)
    connection.execute(f"PRAGMA user_version = {len(migrations)}")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except sqlite3.OperationalError as problem:  # locked, full, read-only: the file itself is sound
        raise StoreError(f"{path}: {problem}", hint=_sqlite_hint(problem)) from problem
    except sqlite3.DatabaseError as problem:
        raise DamagedError(str(problem)) from problem
    except OSError as problem:
        raise unusable(path, problem) from problem


def _sqlite_hint(problem: sqlite3.OperationalError) -> str | None:
    hints = {
        sqlite3.SQLITE_BUSY: "another program has the file open; see `fuser -v` on it",
        sqlite3.SQLITE_FULL: "make room on that file system",
        sqlite3.SQLITE_CANTOPEN: "run as root, or name a directory of your own with --state-dir",
        sqlite3.SQLITE_READONLY: "run as root, or name a directory of your own with --state-dir",
    }
    return hints.get(problem.sqlite_errorcode & 0xFF)


def _unused(path: Path) -> Path:
    tried, number = path, 1
    while tried.exists():
        number += 1
        tried = path.with_name(f"{path.name}-{number}")
    return tried
