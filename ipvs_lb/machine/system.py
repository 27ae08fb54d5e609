"""Modules, other managers, limits, the clock and the state directory of this machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import stat
from pathlib import Path

from ipvs_lb.doctor import StateDirectory

PROC, MODULES, SYS_MODULES = Path("/proc"), Path("/lib/modules"), Path("/sys/module")
MANAGERS = frozenset({"keepalived", "ldirectord", "kube-proxy", "kube-router"})
_MODULE = re.compile(r"/(ip_vs\w*)\.ko")
_FILE_LIMIT = re.compile(r"^Max open files +\w+ +(\d+) ", re.MULTILINE)
_TIMEX_SIZE = 512  # larger than struct timex
_TIME_ERROR = 5  # linux/timex.h: the clock is not synchronised


def modules(
    root: Path = MODULES, loaded: Path = SYS_MODULES
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """The IPVS modules that there are (None where no list of them is), and those that are loaded or built in."""
    folder = root / os.uname().release
    present = frozenset(path.name for path in loaded.glob("ip_vs*"))
    try:
        on_disk, built_in = (
            frozenset(_MODULE.findall((folder / name).read_text()))
            for name in ("modules.dep", "modules.builtin")
        )
    except OSError:
        return None, present
    return on_disk | built_in | present, built_in | present


def managers(proc: Path = PROC) -> tuple[str, ...]:
    """The programs in this network namespace that manage IPVS too."""
    here = (proc / "thread-self/ns/net").stat().st_ino
    found = set()
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is none of our business
            name = (folder / "comm").read_text().strip()
            if name in MANAGERS and (folder / "ns/net").stat().st_ino == here:
                found.add(name)
    return tuple(sorted(found))


def file_limit(process: int | None, proc: Path = PROC) -> int | None:
    """How many files *process* may open, None: this one; None where there is no limit or none is told.

    The hard limit counts (proc_pid_limits(5)): the daemon takes all that it may have.
    """
    try:
        text = (proc / str(process or "self") / "limits").read_text()
    except OSError:
        return None
    found = _FILE_LIMIT.search(text)
    return int(found[1]) if found else None


def clock_is_set() -> bool:
    """Whether something keeps the clock right, as far as the kernel knows (adjtimex(2))."""
    answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE))
    return answer != _TIME_ERROR


def state_directory(path: Path) -> StateDirectory:
    """The directory itself; what is in it the store knows."""
    try:
        mode = path.stat().st_mode
        room = os.statvfs(path)
    except OSError as problem:
        missing = isinstance(problem, FileNotFoundError)
        told = () if missing else (f"{path}: {problem.strerror}",)
        return StateDirectory(path=str(path), exists=False, problems=told)
    return StateDirectory(
        path=str(path),
        others_write=bool(mode & (stat.S_IWGRP | stat.S_IWOTH)),
        free=room.f_bavail * room.f_frsize,
    )
