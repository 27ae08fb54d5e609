"""`ipvs-lb run` on a lab host, its events as they happen, and the commands that talk to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ipvs_lb.errors import LabError
from ipvs_lb.lab.hosts import Host, stop

Event = Mapping[str, Any]
"""An event in the words of `ipvs-lb events --output json`."""

_PATIENCE = 40.0
_APPLIED = "plan.applied"


class LabDaemon:
    """The daemon on *host*, with its files in *folder*; *told* hears every event. None: they are not followed."""

    def __init__(self, host: Host, folder: Path, told: Callable[[Event], None] | None) -> None:
        self.config = folder / "lb.yaml"
        self._host = host
        self._log = folder / "daemon.log"
        self._socket = folder / "api.sock"
        self._state_dir = folder / "state"
        self._told = told
        self._events: list[Event] = []
        self._news = threading.Condition()

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes every command of `ipvs-lb` mean this daemon."""
        return {
            "IPVS_LB_CONFIG": str(self.config),
            "IPVS_LB_SOCKET": str(self._socket),
            "IPVS_LB_STATE_DIR": str(self._state_dir),
        }

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """It runs as `config` says, and its events are followed. Raises LabError when it does not begin."""
        places = ["--config", str(self.config), "--state-dir", str(self._state_dir)]
        words = _program("run", *places, "--socket", str(self._socket))
        self._socket.unlink(missing_ok=True)  # of one that was killed
        process = self._host.start(words, log=self._log)
        try:
            self._wait_for_socket(process)
            with self._followed(self._told) if self._told is not None else nullcontext():
                yield process
        finally:
            stop(process)

    def ask(self, *words: str) -> str:
        """What `ipvs-lb WORDS` says. Raises LabError when it fails."""
        ran = self._host.run(_program(*words, "--socket", str(self._socket)))
        return (ran.stdout + ran.stderr).rstrip()

    def mark(self) -> int:
        """A place in the course of events, to wait from."""
        return len(self._events)

    def wait(self, mark: int, name: str, times: int = 1) -> None:
        """Return when, since *mark*, *name* happened so many times, and the kernel was changed after that.

        Raises LabError when that does not come about.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._has_come(mark, name, times), _PATIENCE):
                raise LabError(f"{name}: not {times} times within {_PATIENCE:g} s")

    def _wait_for_socket(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not self._socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"the daemon does not begin: {self._log.read_text().strip()}")
            time.sleep(0.05)

    @contextmanager
    def _followed(self, told: Callable[[Event], None]) -> Iterator[None]:
        words = _program("events", "--follow", "--output", "json", "--socket", str(self._socket))
        with self._host.call(_piped, words) as follower:
            reader = threading.Thread(
                target=self._follow, args=(follower.stdout, told), daemon=True
            )
            reader.start()
            try:
                yield
            finally:
                stop(follower)
                reader.join()

    def _follow(self, lines: Iterable[bytes], told: Callable[[Event], None]) -> None:
        for line in lines:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                told(event)
                with self._news:
                    self._events.append(event)
                    self._news.notify_all()

    def _has_come(self, mark: int, name: str, times: int) -> bool:
        names = [event["name"] for event in self._events[mark:]]
        places = [place for place, each in enumerate(names) if each == name]
        return len(places) >= times and _APPLIED in names[places[times - 1] :]


def _program(*words: str) -> list[str]:
    return [sys.executable, "-m", "ipvs_lb", *words]


def _piped(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
