"""What the gateway itself must have besides the IPVS table: VIP addresses, a firewall, sysctls."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.model.firewall import Firewall
from ipvs_lb.model.identity import IPAddress


class SourceNat(enum.StrEnum):
    """Whether clients in the servers' own subnet are translated, so that answers come back through the gateway."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vip:
    """An address that virtual services answer on, and what is to be done about it.

    `interface` None: the one whose subnet contains the address, else `lo`. `prefix_length` None: 32 or 128.
    Not `managed`: someone else (a routing daemon, say) owns the address; it is neither added nor removed.
    `announce`: gratuitous ARP or unsolicited neighbour advertisements are sent when it is added. `guard`: nothing that
    listens on the gateway itself answers on it.
    """

    address: IPAddress
    interface: str | None = None
    prefix_length: int | None = None
    announce: bool = True
    managed: bool = True
    guard: bool = False


@dataclass(frozen=True, slots=True, order=False)
class InterfaceAddress:
    """An address on an interface of the gateway."""

    interface: str
    address: IPAddress
    prefix_length: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix_length} on {self.interface}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What the gateway has now: every interface's addresses, our own firewall rules, the sysctls asked about.

    A sysctl this kernel does not have is not in `sysctls`; names are dotted (`net.ipv4.vs.conntrack`). `kernel` is its
    version, major and minor; None: not known.
    """

    interfaces: frozenset[str] = frozenset()
    addresses: frozenset[InterfaceAddress] = frozenset()
    firewall: Firewall = field(default_factory=Firewall)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    kernel: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Add a VIP, and announce it on the link when asked."""

    place: InterfaceAddress
    announce: bool

    def __str__(self) -> str:
        return f"add address {self.place}" + (", announce it" if self.announce else "")


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """Remove a VIP that we added."""

    place: InterfaceAddress

    def __str__(self) -> str:
        return f"remove address {self.place}"


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Set a kernel parameter; `reason` says which part of the config needs it."""

    name: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"set sysctl {self.name}={self.value} ({self.reason})"


@dataclass(frozen=True, slots=True)
class SetFirewall:
    """Replace all of our firewall rules by these, in one transaction."""

    firewall: Firewall

    def __str__(self) -> str:
        return f"set firewall: {self.firewall}" if self.firewall else "remove firewall rules"


Surrounding = AddAddress | RemoveAddress | SetSysctl
"""What is done while the table has grown and not shrunk yet."""

HostCommand = Surrounding | SetFirewall
