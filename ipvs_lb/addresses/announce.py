"""Telling the neighbours that a VIP lives here now."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.addresses import frames, wire
from ipvs_lb.addresses.sysctls import PROC_SYS
from ipvs_lb.model.host import InterfaceAddress

Warn = Callable[[str], None]
_Packets = dict[InterfaceAddress, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Repetition:
    """An announcement goes out `count` times, `pause` seconds apart: the first can get lost."""

    count: int = 3
    pause: float = 0.25


class Announcer:
    """Sends the first announcements at once and keeps in mind which are to be repeated.

    An announcement that cannot be sent is a warning, not a failure: neighbours still learn of the
    address when they ask for it.
    """

    def __init__(self, repetition: Repetition, warn: Warn, proc_sys: Path = PROC_SYS) -> None:
        self._repetition = repetition
        self._warn = warn
        self._proc_sys = proc_sys
        self._pending: _Packets = {}

    def announce(self, places: Iterable[InterfaceAddress]) -> None:
        """Announce *places* once, and note them for `repeat`.

        On a link without neighbours (a tunnel, `lo`) nothing is sent.
        """
        packets = {place: self._frames(place) for place in places}
        self._pending |= self._send({place: sent for place, sent in packets.items() if sent})

    def forget(self, place: InterfaceAddress) -> None:
        """Do not repeat the announcement of *place*: it is gone."""
        self._pending.pop(place, None)

    def repeat(self) -> None:
        """Send the rest of the noted announcements, all of them in each round."""
        pending, self._pending = self._pending, {}
        for _ in range(self._repetition.count - 1):
            if pending:
                time.sleep(self._repetition.pause)
                pending = self._send(pending)

    def _frames(self, place: InterfaceAddress) -> tuple[bytes, ...]:
        try:
            link = wire.link_of(place.interface)
            router = self._forwards_ipv6(place.interface)
        except OSError as error:
            self._unannounced(place, os.strerror(error.errno or 0))
            return ()
        if link.resolves and not link.is_up:
            self._unannounced(place, f"{place.interface} has no link")
        if not (link.resolves and link.is_up):
            return ()
        return frames.announcements(link.mac, place.address, router=router)

    def _forwards_ipv6(self, interface: str) -> bool:
        switch = self._proc_sys / "net/ipv6/conf" / interface / "forwarding"
        return switch.exists() and switch.read_text().strip() != "0"

    def _send(self, packets: _Packets) -> _Packets:
        """Send *packets* over one socket, and return those that went out."""
        if not packets:
            return {}
        try:
            with wire.frame_sender() as sender:
                return {
                    place: sent
                    for place, sent in packets.items()
                    if self._send_one(sender, place, sent)
                }
        except OSError as error:  # no packet socket at all
            for place in packets:
                self._unannounced(place, os.strerror(error.errno or 0))
            return {}

    def _send_one(
        self, sender: socket.socket, place: InterfaceAddress, packets: tuple[bytes, ...]
    ) -> bool:
        try:
            for packet in packets:
                sender.sendto(packet, (place.interface, 0))
        except OSError as error:
            down = error.errno in wire.LINK_DOWN
            reason = f"{place.interface} has no link" if down else os.strerror(error.errno or 0)
            self._unannounced(place, reason)
            return False
        return True

    def _unannounced(self, place: InterfaceAddress, reason: str) -> None:
        self._warn(f"{place} is not announced: {reason}; neighbours learn of it when they ask")
