"""Names for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from ipvs_lb.model.identity import IPAddress, IPProtocol


@dataclass(frozen=True)
class Directory:
    """Hosts with an IPv4 address each, and services, of whatever protocol."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, int] = field(default_factory=dict)

    def address(self, host: str) -> IPv4Address | None:
        return IPv4Address(self.hosts[host]) if host in self.hosts else None

    def port(self, service: str, protocol: IPProtocol) -> int | None:
        return self.services.get(service)

    def host(self, address: IPAddress) -> str | None:
        return next((name for name, text in self.hosts.items() if text == str(address)), None)

    def service(self, port: int, protocol: IPProtocol) -> str | None:
        return next((name for name, known in self.services.items() if known == port), None)
