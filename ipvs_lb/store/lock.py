"""One changer at a time: an exclusive lock on the state directory, with the holder's name in it."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ipvs_lb.errors import LockedError
from ipvs_lb.store.database import make_directory, unusable

FILE_NAME = "lock"

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock, and since when (UTC)."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}) since {self.since}"


Waiting = Callable[[Holder | None], None]


def _silent(_: Holder | None) -> None:
    """Nobody wants to hear about the wait."""


@contextmanager
def locked(state_dir: Path, *, wait: float = 0.0, on_wait: Waiting = _silent) -> Iterator[None]:
    """The block runs alone on *state_dir*; the kernel drops the lock when the process dies.

    Waits up to *wait* seconds, telling *on_wait* once before it starts to. Raises LockedError naming the holder,
    StoreError when the directory cannot be used.
    """
    path = state_dir / FILE_NAME
    descriptor = _open(path)
    try:
        _take(descriptor, state_dir, wait, on_wait)
        _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        make_directory(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise unusable(path, problem) from problem


def _take(descriptor: int, state_dir: Path, wait: float, on_wait: Waiting) -> None:
    if _try(descriptor):
        return
    if wait > 0:
        on_wait(_holder(descriptor))
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        if _try(descriptor):
            return
    holder = _holder(descriptor) or "another ipvs-lb"
    raise LockedError(f"{state_dir} is in use by {holder}", hint="wait for it with --wait SECONDS")


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
    signature = json.dumps({"pid": os.getpid(), "command": command, "since": since}).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, signature, 0)


def _holder(descriptor: int) -> Holder | None:
    """The holder's signature; None in the moment before it has signed."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None
