"""The process that holds a guest kernel with a lab in it: `python -m ipvs_lb.standing.relay SETTINGS`.

Whoever asks the lab connects here, as to one on this kernel; each connection is a channel of the serial line to the guest.
The guest ends with this process, however that ends.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from dataclasses import replace
from typing import Any

from ipvs_lb.errors import LBError
from ipvs_lb.lab.guest import Kind as Kernel
from ipvs_lb.lab.guest import Standing, standing
from ipvs_lb.standing import names
from ipvs_lb.standing.frames import Frame, Kind, told
from ipvs_lb.standing.holding import end_when_told, watch
from ipvs_lb.standing.links import HostEnd, Link
from ipvs_lb.standing.settings import Settings, error_of, failed, ready


def main() -> int:
    """Hold the guest until its end is asked for; 1 when there is no lab in it."""
    settings = Settings.from_json(sys.argv[1])
    end_when_told()
    try:
        with names.listen(settings.name) as listening:
            _hold(settings, listening)
    except LBError as error:
        failed(error)
        return 1
    return 0


def _hold(settings: Settings, listening: socket.socket) -> None:
    kernel = Kernel(settings.kernel)
    command = [sys.executable, "-m", "ipvs_lb.standing.holder"]
    own, guests = socket.socketpair()
    with (
        own,
        guests,
        standing(
            lambda line: [*command, replace(settings, line=line).to_json()],
            kind=kernel,
            memory=settings.memory,
            control=guests.fileno(),
        ) as guest,
    ):
        guests.close()
        relay = Relay(HostEnd(own.fileno()))
        threading.Thread(target=relay.hear, daemon=True).start()
        _await_lab(relay, guest)
        watch(listening, relay.serve, relay.ended, is_leashed=settings.is_leashed)
        ready()
        while not relay.ended.wait(1.0) and guest.is_running():
            pass


def _await_lab(relay: Relay, guest: Standing) -> None:
    while not relay.began.wait(0.5):
        if not guest.is_running():
            raise guest.error()
    error = relay.beginning.get("error")
    if error is not None:
        raise error_of(error)


class Relay:
    """Passes frames on between connections and the guest. `beginning` is what the guest said first."""

    def __init__(self, guest: Link) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        self.beginning: dict[str, Any] = {}
        self._guest = guest
        self._turn = threading.Lock()
        self._last = 0
        self._connections: dict[int, Link] = {}

    def hear(self) -> None:
        """Pass on what the guest says, until it is gone."""
        for frame in self._guest.frames():
            if frame.channel == 0:
                self.beginning = frame.value
                self.began.set()
                continue
            link = self._connections.get(frame.channel)
            if link is not None:
                with contextlib.suppress(OSError):
                    link.send(replace(frame, channel=1))
        self.ended.set()

    def serve(self, connection: socket.socket) -> None:
        """Pass on what comes from a connection, until it ends."""
        link = Link(connection.fileno())
        with self._turn:
            self._last = channel = self._last + 1
        self._connections[channel] = link
        try:
            with connection, contextlib.suppress(ValueError):
                for frame in link.frames():
                    self._pass_on(link, frame, channel)
        finally:
            del self._connections[channel]
            self._guest.send(Frame(channel, Kind.GONE))

    def _pass_on(self, link: Link, frame: Frame, channel: int) -> None:
        if frame.kind is Kind.REQUEST and frame.value.get("what") == "end":
            link.send(told(1, Kind.END, {}))
            self.ended.set()
            return
        self._guest.send(replace(frame, channel=channel))


if __name__ == "__main__":
    sys.exit(main())
