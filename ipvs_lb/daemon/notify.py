"""Telling the service manager how we are: sd_notify(3) and its watchdog."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

BALANCING = "balancing"
REFUSED = "balancing; the configuration that was to be loaded last is refused"
_MICROSECONDS = 1_000_000


class Manager:
    """The service manager that started us, or nobody: then nothing is sent."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        given = os.environ if environ is None else environ
        self._address = given.get("NOTIFY_SOCKET", "")
        interval = given.get("WATCHDOG_USEC", "")
        ours = given.get("WATCHDOG_PID") in {None, str(os.getpid())}
        usable = interval.isascii() and interval.isdigit() and ours
        self._watchdog = int(interval) / _MICROSECONDS / 2 if usable else None
        self._is_ready = False

    def ready(self) -> None:
        """Start-up is over."""
        self._is_ready = True
        self._send_ready(BALANCING)

    @asynccontextmanager
    async def reload(self) -> AsyncIterator[None]:
        """A reload, whoever asked for it. During start-up nothing is said of it: READY=1 would end that, too.

        The manager wants the time, so as not to take an older READY for the one of this reload.
        """
        if not self._is_ready:
            yield
            return
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        status = REFUSED
        try:
            yield
            status = BALANCING
        finally:
            self._send_ready(status)

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    async def watch(self) -> None:
        """Say often enough that the event loop is alive, if the manager wants to know."""
        while True:
            if self._watchdog is None:
                await asyncio.Event().wait()
            else:
                self._send("WATCHDOG=1")
                await asyncio.sleep(self._watchdog)

    def _send_ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            try:
                manager.sendto(text.encode(), address)
            except OSError:
                return  # a manager that went away is no reason to stop balancing
