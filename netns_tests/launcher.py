"""Starts `ipvs-lb` on a host in a moment: a process that has loaded the program already forks for each start.

What runs is the same program in a process of its own. Only loading Python's modules is saved, which takes a guest
kernel longer than everything else that a daemon does until it is at work.

`python -m netns_tests.launcher` is that process. It reads one JSON list per line, and answers with a number:
["start", LOG, WORD...] with the new process, ["end", PROCESS] with its exit status, or -1 while it has none.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ipvs_lb.lab.hosts import Host, stop

_ALIVE = -1
_MODULES = (
    "ipvs_lb.addresses", "ipvs_lb.api.server", "ipvs_lb.cli.apply", "ipvs_lb.cli.ask", "ipvs_lb.cli.daemon_text",
    "ipvs_lb.cli.orders", "ipvs_lb.cli.program", "ipvs_lb.cli.run", "ipvs_lb.cli.status", "ipvs_lb.config",
    "ipvs_lb.daemon.life", "ipvs_lb.daemon.octavia", "ipvs_lb.netlink", "ipvs_lb.octavia.app", "ipvs_lb.probes.prober", "ipvs_lb.store",
    "ipvs_lb.wiring", "pyroute2", "uvicorn.lifespan.off",
)  # fmt: skip


class Launched:
    """A started process, with as much of `subprocess.Popen` as the tests use."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self._launcher = launcher
        self._status: int | None = None
        self.pid = pid

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        if self._status is None:
            status = self._launcher.ask("end", self.pid)
            self._status = None if status == _ALIVE else status
        return self._status

    def wait(self, timeout: float) -> int:
        """Its exit status. Raises TimeoutError when it runs on for *timeout* seconds."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} runs on")
            time.sleep(0.002)
        return status


class Launcher:
    """Starts `ipvs-lb` on one host, until the host's network ends."""

    def __init__(self, host: Host) -> None:
        self._process = host.call(_begin)
        host.at_end(self.close)

    def start(self, command: Sequence[str], *, log: Path) -> Launched:
        """Start *command*, like `[PYTHON, "-m", "ipvs_lb", WORD...]`; what it says goes to *log*."""
        return Launched(self, self.ask("start", str(log), *command[3:]))

    def close(self) -> None:
        """End it; what it has started goes on."""
        with self._process:
            stop(self._process)

    def ask(self, *words: str | int) -> int:
        """The answer of the process that forks."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(words)}\n".encode())
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _begin() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def main() -> None:
    """Load the program, then do as standard input says until it ends."""
    for name in _MODULES:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        sys.stdout.write(f"{_answer(*json.loads(line))}\n")
        sys.stdout.flush()


def _answer(what: str, *words: str | int) -> int:
    if what == "start":
        log, *rest = map(str, words)
        return os.fork() or _become(log, rest)
    ended, status = os.waitpid(int(words[0]), os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else _ALIVE


def _become(log: str, words: list[str]) -> NoReturn:
    from ipvs_lb.cli import main as ipvs_lb

    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, said), (2, said)):
        os.dup2(source, target)
    os.setsid()
    sys.argv = ["ipvs-lb", *words]
    ipvs_lb()
    sys.exit()


if __name__ == "__main__":
    main()
