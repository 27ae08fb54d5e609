"""Loading the kernel modules of IPVS.

The kernel asks for them itself where it may; this is for where it may not (no usermode helper, a container).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from ipvs_lb.commands import AddService, Command, EditService

Loader = Callable[[str], bool]
"""Loads the module of this name; False when that did not work."""

_NAME = re.compile(r"ip_vs(_[a-z0-9_]+)?")
_PATIENCE = 10.0  # seconds
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def modprobe(name: str) -> bool:
    """Load the IPVS module *name* with modprobe; whether that worked."""
    import shutil

    program = shutil.which("modprobe", path=f"{_SYSTEM_PATH}:{os.environ.get('PATH', '')}")
    if program is None or not _NAME.fullmatch(name):
        return False
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603  # no shell, and the name is one of IPVS's
            [program, "--quiet", name], check=False, capture_output=True, timeout=_PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class MissingModules:
    """Tries to load the modules a refused service may need, each once."""

    def __init__(self, load: Loader) -> None:
        self._load = load
        self._tried: set[str] = set()

    def provide(self, command: Command) -> bool:
        """Whether a module was loaded that *command* may have missed."""
        if not isinstance(command, AddService | EditService):
            return False
        names = [f"ip_vs_{command.service.scheduler}"]
        if command.service.persistence_engine:
            names.append(f"ip_vs_pe_{command.service.persistence_engine}")
        fresh = [name for name in names if name not in self._tried]
        self._tried.update(fresh)
        loaded = [self._load(name) for name in fresh]  # all of them, whatever the first says
        return any(loaded)
