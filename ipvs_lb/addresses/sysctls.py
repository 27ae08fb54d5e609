"""Kernel parameters of this network namespace, through /proc/sys, by the names that sysctl(8) gives them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ipvs_lb.addresses.trouble import translated

PROC_SYS = Path("/proc/sys")


def read(names: Iterable[str], root: Path = PROC_SYS) -> dict[str, str]:
    """The values of those sysctls that this kernel has. Raises HostError."""
    values = {}
    for name in names:
        path = _path(name, root)
        with translated(f"read sysctl {name}"):
            if path.exists():
                values[name] = path.read_text().strip()
    return values


def write(name: str, value: str, root: Path = PROC_SYS) -> None:
    """Set one sysctl. Raises HostError, also when this kernel does not have it."""
    module = "`modprobe ip_vs` first" if ".vs." in name else "this kernel does not have it"
    with translated(f"set sysctl {name}={value}", {errno.ENOENT: module}):
        path = _path(name, root)
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, name)
        path.write_text(value)


def _path(name: str, root: Path) -> Path:
    """A slash in a name stands for a dot: `net.ipv4.conf.eth0/100.rp_filter`."""
    return root.joinpath(*(part.replace("/", ".") for part in name.split(".")))


def kernel() -> tuple[int, int] | None:
    """The version of the running kernel, major and minor; None when it is not told in that form."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return None if found is None else (int(found[1]), int(found[2]))
