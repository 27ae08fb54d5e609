"""The host in memory, which can be made to fail and has neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from ipvs_lb.errors import HostError
from ipvs_lb.memory.host import MemoryHost
from ipvs_lb.model.host import HostCommand, HostState, InterfaceAddress
from ipvs_lb.model.identity import AddressKey, IPAddress


class FakeHost(MemoryHost):
    """`refuse` fails those commands, `others` have addresses, `trouble` is why clients cannot be forgotten."""

    def __init__(self, state: HostState | None = None) -> None:
        super().__init__(state)
        self.refuse: Mapping[HostCommand, str] = {}
        self.others: Mapping[InterfaceAddress, str] = {}
        self.forgotten: list[Mapping[AddressKey, Set[IPAddress]]] = []
        self.trouble = ""

    def forget_clients(self, services: Mapping[AddressKey, Set[IPAddress]]) -> int:
        """There is one client to be forgotten of each service."""
        if self.trouble:
            raise HostError(self.trouble)
        if services:
            self.forgotten.append(services)
        return len(services)

    def probe_duplicates(
        self, places: Iterable[InterfaceAddress], *, wait: float = 0.5
    ) -> Mapping[InterfaceAddress, str]:
        return {place: self.others[place] for place in places if place in self.others}

    def execute(self, command: HostCommand) -> None:
        if command in self.refuse:
            raise HostError(f"{command}: {self.refuse[command]}")
        super().execute(command)
