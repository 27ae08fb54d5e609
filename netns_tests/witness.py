"""Looks at one service without pause, in the kernel and as a client, while something else happens to the daemon."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from ipvs_lb.lab.hosts import Host
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServiceKey
from ipvs_lb.netlink import requests
from ipvs_lb.netlink.dumps import InterruptedDumpError, ServerDumps
from ipvs_lb.netlink.transport import Transport
from netns_tests.balance import Bench

_LOOKS = 0.008
_REQUESTS = 0.05
_PATIENCE = (
    20.0  # a first packet that is lost on a busy machine is sent again after 1, 3, 7 and 15 seconds
)
_RESET = struct.pack(
    "ii", 1, 0
)  # struct linger: closed with a reset, which the kernel forgets soon


class Look:
    """The servers of a service as the kernel has them now, asked for on one socket: that is fast."""

    def __init__(self, gateway: Host) -> None:
        self._transport = Transport(requests.FAMILY_NAME)
        gateway.call(self._transport.open)
        self._dumps = ServerDumps()

    def close(self) -> None:
        """Give the socket back."""
        self._transport.close()

    def weights(self, key: ServiceKey) -> dict[str, int]:
        """The weight of each server by its address, the server added last first, as the kernel lists them."""
        while True:
            try:
                with self._dumps.reading():
                    found = self._dumps.read(
                        self._transport.dump(requests.get_servers(key)), key.family
                    )
            except InterruptedDumpError:
                self._transport.drain()
                continue
            return {str(server.address): settings.weight for server, settings in found.items()}


class Witness:
    """Watches the service at *vip* and *port*, whose *faithful* servers are declared and healthy throughout.

    At every look they must be there, with weight, and be listed behind all others in one order: the kernel lists
    what was added last first, so that also a server that was away between two looks is found out. Every request
    must be answered. `faults` says what was not so.
    """

    def __init__(self, bench: Bench, vip: str, port: int, *faithful: str) -> None:
        self.faults: list[str] = []
        self.looks = 0
        self.answers: Counter[str] = Counter()
        self._bench = bench
        self._target = (vip, port)
        self._key = service_key(vip, port)
        self._look = Look(bench.gateway)
        self._oldest = [one for one in self._look.weights(self._key) if one in faithful]
        self._over = threading.Event()
        self._threads = [self._thread(work) for work in (self._watch, self._ask)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._look.close()

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._noted, args=(work,), daemon=True)

    def _noted(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a witness that has gone must not look like a quiet one
            self.faults.append(f"the witness itself: {error!r}")

    def _watch(self) -> None:
        while not self._over.wait(_LOOKS):
            found = self._look.weights(self._key)
            self.looks += 1
            last = list(found)[-len(self._oldest) :]
            if last != self._oldest or not all(found[one] for one in last):
                self.faults.append(f"in the kernel: {found}")

    def _ask(self) -> None:
        self._bench.outsider.call(self._ask_on)

    def _ask_on(self) -> None:
        while not self._over.wait(_REQUESTS):
            try:
                self.answers[_answer(self._target)] += 1
            except OSError as error:
                self.faults.append(f"to a client: {error}")


def service_key(vip: str, port: int) -> ServiceKey:
    """The TCP service at that address and port."""
    return AddressKey(IPProtocol.TCP, ip_address(vip), Port(port))


def _answer(target: tuple[str, int]) -> str:
    with socket.create_connection(target, timeout=_PATIENCE) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.sendall(b"hello")
        name, _, text = connection.recv(4096).decode().partition(" ")
        if text != "hello":
            raise ConnectionError(f"answered {name} {text}")
        return name
