"""Named network namespaces: made, entered by a thread of one's own, removed; also those of dead runs.

A name is PREFIX.PID.START.NUMBER.LABEL, PID and START being the process that made it: what belongs to no living
process is a leftover.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from ipvs_lb.errors import LabError

P = ParamSpec("P")
T = TypeVar("T")

FOLDER = Path("/run/netns")
_PREFIX = "ipvs-lb"
_CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h
_MS_BIND = 0x1000  # include/uapi/linux/mount.h
_MNT_DETACH = 2
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


def create(label: str) -> str:
    """The name of a new, empty network namespace. Raises LabError."""
    name = f"{_PREFIX}.{os.getpid()}.{_start_time(os.getpid())}.{next(_numbers)}.{label}"
    path = FOLDER / name
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=False)
        _in_new_thread(_pin_new_namespace, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise LabError(
            f"no new network namespace {label}: {error.strerror}", hint="run as root"
        ) from error
    return name


def remove(name: str) -> None:
    """Take the name away; the namespace goes when no process or socket is in it any more."""
    path = FOLDER / name
    _libc.umount2(os.fsencode(path), _MNT_DETACH)
    path.unlink(missing_ok=True)


def call_inside(name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What *function* returns or raises, called by a thread that is inside the namespace."""

    def entered() -> T:
        with (FOLDER / name).open() as namespace:
            _check(_libc.setns(namespace.fileno(), _CLONE_NEWNET))
        return function(*args, **kwargs)

    return _in_new_thread(entered)


def remove_leftovers() -> tuple[str, ...]:
    """Remove the namespaces of runs that are dead, with the processes left in them; their names."""
    names = tuple(path.name for path in _ours() if not _has_living_owner(path.name))
    inodes = {(FOLDER / name).stat().st_ino for name in names}
    for process in _processes_in(inodes) if inodes else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    for name in names:
        remove(name)
    return names


def _in_new_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A thread that changed its namespace must not be used again: each call has its own."""
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=work, name=f"inside {function}", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _pin_new_namespace(path: Path) -> None:
    _check(_libc.unshare(_CLONE_NEWNET))
    source = b"/proc/thread-self/ns/net"
    _check(_libc.mount(source, os.fsencode(path), b"none", _MS_BIND, None))


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _ours() -> Iterator[Path]:
    return FOLDER.glob(f"{_PREFIX}.*.*.*.*")


def _has_living_owner(name: str) -> bool:
    _, process, started, *_ = name.split(".")
    return _start_time(int(process)) == started


def _start_time(process: int) -> str | None:
    """When a process started, in ticks since boot (proc_pid_stat(5), field 22); None when it is gone."""
    try:
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return after_name.split()[19]


def _processes_in(inodes: set[int]) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "ns/net").stat().st_ino in inodes:
                yield int(path.name)
