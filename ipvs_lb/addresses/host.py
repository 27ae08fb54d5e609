"""The gateway this process runs on, in the network namespace it runs in."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Set
from pathlib import Path
from types import TracebackType
from typing import Self, assert_never

from ipvs_lb.addresses import conntrack, duplicates, monitor, nftables
from ipvs_lb.addresses import links as rtnetlink
from ipvs_lb.addresses import sysctls as parameters
from ipvs_lb.addresses.announce import Announcer, Repetition, Warn
from ipvs_lb.model.firewall import Firewall
from ipvs_lb.model.host import (
    AddAddress,
    HostCommand,
    HostState,
    InterfaceAddress,
    RemoveAddress,
    SetFirewall,
    SetSysctl,
)
from ipvs_lb.model.identity import AddressKey, IPAddress

_log = logging.getLogger(__name__)


class LinuxHost:
    """`ipvs_lb.ports.Host` of this network namespace.

    Announcements go out once with the command and are repeated by `repeat_announcements`, which
    leaving the context does too: so a hundred VIPs wait for their repetitions together.
    `warn` is told what did not work without being a failure.
    """

    def __init__(
        self,
        *,
        repetition: Repetition = Repetition(),  # noqa: B008  # frozen, so sharing one is safe
        warn: Warn = _log.warning,
        proc_sys: Path = parameters.PROC_SYS,
    ) -> None:
        self._announcer = Announcer(repetition, warn, proc_sys)
        self._picture = monitor.Picture()
        self._proc_sys = proc_sys

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.repeat_announcements()

    def read(
        self, sysctls: Iterable[str] = (), *, links: bool = True, firewall: bool = True
    ) -> HostState:
        """Interfaces, addresses, our firewall rules and the named sysctls. Raises HostError."""
        return HostState(
            interfaces=rtnetlink.interfaces() if links else frozenset(),
            addresses=rtnetlink.addresses() if links else frozenset(),
            firewall=nftables.read() if firewall else Firewall(),
            sysctls=parameters.read(sysctls, self._proc_sys),
            kernel=parameters.kernel(),
        )

    def execute(self, command: HostCommand) -> None:
        """Carry out *command*; what is so already is fine. Raises HostError."""
        match command:
            case AddAddress(place, announce):
                with self._picture.expecting(place, present=True):
                    added = rtnetlink.add(place)
                if added and announce:
                    self._announcer.announce([place])
            case RemoveAddress(place):
                self._announcer.forget(place)
                with self._picture.expecting(place, present=False):
                    rtnetlink.remove(place, self._proc_sys)
            case SetSysctl(name, value, _):
                parameters.write(name, value, self._proc_sys)
            case SetFirewall(firewall):
                nftables.replace(firewall)
            case _:
                assert_never(command)

    def forget_clients(self, services: Mapping[AddressKey, Set[IPAddress]]) -> int:
        """Have conntrack forget the clients of UDP *services* that it leads to none of these addresses; how many.

        Raises HostError.
        """
        return conntrack.forget(services, self._proc_sys)

    def announce(self, places: Iterable[InterfaceAddress]) -> None:
        """Announce addresses that are there, once, the rest with `repeat_announcements`."""
        self._announcer.announce(places)

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Each time others changed links or addresses: the interfaces whose link came up. Raises HostError."""
        return monitor.changes(self._picture)

    def repeat_announcements(self) -> None:
        """Send the repetitions that are due; takes (count - 1) x pause if there are any, else no time."""
        self._announcer.repeat()

    def probe_duplicates(
        self, places: Iterable[InterfaceAddress], *, wait: float = 0.5
    ) -> dict[InterfaceAddress, str]:
        """The MAC addresses of other hosts that answer for *places*, within *wait* seconds in all.

        Raises HostError.
        """
        return duplicates.probe(places, wait)

    def probe_duplicate(self, place: InterfaceAddress, *, wait: float = 0.5) -> str | None:
        """The MAC address of another host that answers for *place*. Raises HostError."""
        return self.probe_duplicates([place], wait=wait).get(place)
