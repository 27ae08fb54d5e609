"""A host in memory that keeps the law of `ipvs_lb.ports.Host`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Set
from dataclasses import replace
from ipaddress import IPv6Address
from typing import assert_never

from ipvs_lb.errors import HostError
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


class MemoryHost:
    """Starts with *state*; `executed` and `announced` are what was done. What others do is told by `news`."""

    def __init__(self, state: HostState | None = None) -> None:
        self.state = state or HostState(interfaces=frozenset({"lo"}))
        self.executed: list[HostCommand] = []
        self.announced: list[InterfaceAddress] = []
        self.news: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    def read(
        self, sysctls: Iterable[str] = (), *, links: bool = True, firewall: bool = True
    ) -> HostState:
        """The state, as far as it is asked for."""
        present = self.state.sysctls
        return HostState(
            interfaces=self.state.interfaces if links else frozenset(),
            addresses=self.state.addresses if links else frozenset(),
            firewall=self.state.firewall if firewall else Firewall(),
            sysctls={name: present[name] for name in sysctls if name in present},
        )

    def forget_clients(self, services: Mapping[AddressKey, Set[IPAddress]]) -> int:
        """Nothing is tracked here."""
        return 0

    def announce(self, places: Iterable[InterfaceAddress]) -> None:
        """Note that *places* were announced."""
        self.announced.extend(places)

    def probe_duplicates(
        self, places: Iterable[InterfaceAddress], *, wait: float = 0.5
    ) -> Mapping[InterfaceAddress, str]:
        """Nobody else has an address."""
        return {}

    async def changes(self) -> AsyncIterator[frozenset[str]]:
        """What is put into `news`."""
        while True:
            yield await self.news.get()

    def execute(self, command: HostCommand) -> None:
        """Carry out *command*. Raises HostError where a real host would, too."""
        self.state = self._after(command)
        self.executed.append(command)

    def _after(self, command: HostCommand) -> HostState:
        state = self.state
        match command:
            case AddAddress(place, announce):
                return self._with(place, announce)
            case RemoveAddress(place):
                return replace(state, addresses=state.addresses - {place})
            case SetSysctl(name, value, _):
                if name not in state.sysctls:
                    raise HostError(f"set sysctl {name}={value}: No such file or directory")
                return replace(state, sysctls={**state.sysctls, name: value})
            case SetFirewall(firewall):
                return replace(state, firewall=firewall)
            case _:
                assert_never(command)

    def _with(self, place: InterfaceAddress, announce: bool) -> HostState:
        """IPv6 keeps an address once per interface: adding it with another prefix length does nothing."""
        if place.interface not in self.state.interfaces:
            raise HostError(f"add address {place}: No such device")
        once = isinstance(place.address, IPv6Address) and any(
            (own.interface, own.address) == (place.interface, place.address)
            for own in self.state.addresses
        )
        if once or place in self.state.addresses:
            return self.state
        if announce:
            self.announced.append(place)
        return replace(self.state, addresses=self.state.addresses | {place})
