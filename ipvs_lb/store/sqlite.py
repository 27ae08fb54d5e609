"""The store on SQLite: what is ours, and the last generations put in force.

Every change is one transaction that is on the disk when the call returns; a process killed at any moment
leaves the state before or after it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_interface
from pathlib import Path
from threading import Lock
from typing import Self, TypeVar

from ipvs_lb.errors import StoreError, UsageError
from ipvs_lb.model.desired import Desired, Generation, GenerationSummary, Owned, owned_by
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import parse_service_key
from ipvs_lb.model.settings import SyncRole
from ipvs_lb.serial import MalformedError, desired_from_json
from ipvs_lb.store.database import DamagedError, held, reading, set_aside, writing
from ipvs_lb.store.packing import pack

FILE_NAME = "state.db"
KEPT_GENERATIONS = 20
_WITH_RECORDS = 2  # the file's version from which on there are records

T = TypeVar("T")

_SUMMARY = "number, created, origin, services, servers"
_Row = tuple[str, str]


class SqliteStore:
    """Implements `ipvs_lb.ports.Store` on one file.

    `warnings` tells what was lost: a damaged or foreign file reads as empty, and is set aside by the first
    change. Whoever uses the store shows them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warnings: list[str] = []
        self._sound: tuple[int, int] | None = None  # the file that has been read from end to end
        self._holding = Lock()
        self._held: sqlite3.Connection | None = None
        self._held_file: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """No lock is held between calls, so a run of any length keeps nobody out."""
        self._let_go()

    def __del__(self) -> None:
        self._let_go()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found to be lost, in sentences for the operator."""
        return tuple(self._warnings)

    def owned(self) -> Owned:
        """What is ours. Raises StoreError."""
        return self._read(_owned, Owned())

    def claim(self, owned: Owned) -> None:
        """Exactly *owned* is ours from now on, durably. Raises StoreError."""
        with self._change() as connection:
            _put_owned(connection, owned)

    def commit(self, desired: Desired, *, origin: str, now: float) -> GenerationSummary:
        """Record *desired* as the newest generation and as all that is ours. Raises StoreError."""
        packed = pack(desired)
        services = desired.table.services
        servers = sum(len(virtual.servers) for virtual in services.values())
        values = (now, origin, len(services), servers, packed)
        with self._change() as connection:
            number = connection.execute(
                "INSERT INTO generations (created, origin, services, servers, desired) VALUES (?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            connection.execute(
                "DELETE FROM generations WHERE number NOT IN"
                " (SELECT number FROM generations ORDER BY number DESC LIMIT ?)",
                (KEPT_GENERATIONS,),
            )
            _put_owned(connection, owned_by(desired))
        return _summary((number, now, origin, len(services), servers))

    def generations(self) -> tuple[GenerationSummary, ...]:
        """The kept generations, oldest first. Raises StoreError."""
        return self._read(_summaries, ())

    def generation(self, number: int) -> Generation:
        """One kept generation. Raises UsageError naming those there are, and StoreError."""
        row = self._read(lambda connection: _generation_row(connection, number), None)
        if row is None:
            raise _no_such(number, self.generations())
        return Generation(summary=_summary(row[:5]), desired=self._unpacked(number, row[5]))

    def records(self) -> dict[str, str]:
        """Every named text that is kept. Raises StoreError."""
        return self._read(_records, {})

    def record(self, changes: Mapping[str, str | None]) -> None:
        """Write texts, and forget those that are None, in one transaction. Raises StoreError.

        Who writes some will write more: the file is kept open from here on.
        """
        with self._change() as connection:
            connection.executemany(
                "DELETE FROM records WHERE name = ?",
                [(name,) for name, text in changes.items() if text is None],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO records (name, text) VALUES (?, ?)",
                [(name, text) for name, text in changes.items() if text is not None],
            )
        self._hold()

    def _hold(self) -> None:
        with (
            self._holding,
            suppress(DamagedError, StoreError),
        ):  # without it all is as right, and slower
            if self._held is None or self._held_file != self._file():
                self._let_go()
                self._held, self._held_file = held(self.path), self._file()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
        self._held = None

    def _unpacked(self, number: int, packed: bytes) -> Desired:
        try:
            return desired_from_json(json.loads(zlib.decompress(packed)))
        except (zlib.error, json.JSONDecodeError, UnicodeDecodeError, MalformedError) as problem:
            raise StoreError(
                f"{self.path}: generation {number} cannot be read: {problem}",
                hint="see the others with `ipvs-lb rollback --list`",
            ) from problem

    def _read(self, query: Callable[[sqlite3.Connection], T], nothing: T) -> T:
        try:
            with reading(self.path) as connection:
                return nothing if connection is None else query(connection)
        except DamagedError as problem:
            self._warn(
                f"{self.path} is damaged ({problem}): the next change sets it aside. {_LOST}"
            )
            return nothing

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        self._set_damaged_aside()
        try:
            with writing(self.path, is_sound=self._is_sound()) as connection:
                yield connection
        except DamagedError as problem:
            self._sound = None
            raise StoreError(f"{self.path}: {problem}", hint="run the command again") from problem

    def _set_damaged_aside(self) -> None:
        try:
            with reading(self.path, is_sound=self._is_sound()):
                self._sound = self._file()
                return
        except DamagedError as problem:
            aside = set_aside(self.path)
            self._warn(f"{self.path} was damaged ({problem}) and is now {aside}. {_LOST}")

    def _is_sound(self) -> bool:
        """Whether the file is one that has been read from end to end by this store."""
        return self._sound is not None and self._sound == self._file()

    def _file(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _warn(self, warning: str) -> None:
        if warning not in self._warnings:
            self._warnings.append(warning)


_LOST = (
    "What earlier runs put into the kernel is no longer known as ours: services the config does not declare"
    " stay as foreign (`ipvs-lb status` lists them, `apply --prune` removes them), and there is nothing to roll back to."
)


def _put_owned(connection: sqlite3.Connection, owned: Owned) -> None:
    connection.execute("DELETE FROM owned")
    connection.executemany("INSERT INTO owned (kind, what) VALUES (?, ?)", _rows(owned))


def _rows(owned: Owned) -> Iterator[_Row]:
    yield from (("service", str(key)) for key in owned.services)
    yield from (
        ("address", f"{place.address}/{place.prefix_length} {place.interface}")
        for place in owned.addresses
    )
    yield from (("sync_daemon", role.name) for role in owned.daemons)
    if owned.firewall:
        yield "firewall", ""


def _owned(connection: sqlite3.Connection) -> Owned:
    rows: Iterable[_Row] = connection.execute("SELECT kind, what FROM owned").fetchall()
    by_kind: dict[str, list[str]] = {
        "service": [],
        "address": [],
        "sync_daemon": [],
        "firewall": [],
        "source_nat": [],  # what the firewall was when it had nothing else
    }
    try:
        for kind, what in rows:
            by_kind[kind].append(what)
        return Owned(
            frozenset(map(parse_service_key, by_kind["service"])),
            frozenset(map(_parse_place, by_kind["address"])),
            frozenset(SyncRole[name] for name in by_kind["sync_daemon"]),
            bool(by_kind["firewall"] or by_kind["source_nat"]),
        )
    except (KeyError, ValueError) as problem:
        raise DamagedError(f"unknown entry: {problem}") from problem


def _records(connection: sqlite3.Connection) -> dict[str, str]:
    if connection.execute("PRAGMA user_version").fetchone()[0] < _WITH_RECORDS:
        return {}
    return dict(connection.execute("SELECT name, text FROM records").fetchall())


def _parse_place(text: str) -> InterfaceAddress:
    address, _, interface = text.partition(" ")
    parsed = ip_interface(address)
    return InterfaceAddress(interface, parsed.ip, parsed.network.prefixlen)


def _summaries(connection: sqlite3.Connection) -> tuple[GenerationSummary, ...]:
    rows = connection.execute(f"SELECT {_SUMMARY} FROM generations ORDER BY number")  # noqa: S608  # a constant
    return tuple(map(_summary, rows))


def _generation_row(
    connection: sqlite3.Connection, number: int
) -> tuple[int, float, str, int, int, bytes] | None:
    query = f"SELECT {_SUMMARY}, desired FROM generations WHERE number = ?"  # noqa: S608  # a constant
    row: tuple[int, float, str, int, int, bytes] | None = connection.execute(
        query, (number,)
    ).fetchone()
    return row


def _summary(row: tuple[int | None, float, str, int, int]) -> GenerationSummary:
    number, created, origin, services, servers = row
    assert number is not None, "SQLite numbers every row it inserts"  # noqa: S101  # narrows the type
    return GenerationSummary(
        number=number, created=created, origin=origin, services=services, servers=servers
    )


def _no_such(number: int, kept: tuple[GenerationSummary, ...]) -> UsageError:
    if not kept:
        return UsageError(f"no generation {number}: nothing has been applied yet")
    numbers = f"{kept[0].number} to {kept[-1].number}"
    return UsageError(f"no generation {number}: kept are {numbers}", hint="ipvs-lb rollback --list")
