"""Everything a gateway should have at once, what of it is ours, and the record of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ipvs_lb.model.firewall import Firewall
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.model.settings import SyncRole
from ipvs_lb.model.table import Table


@dataclass(frozen=True, slots=True)
class PlacedVip:
    """A managed VIP on the interface it was resolved to."""

    place: InterfaceAddress
    announce: bool = True


@dataclass(frozen=True, slots=True)
class SysctlNeed:
    """A kernel parameter the config depends on, the value it must have, and why."""

    name: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Desired:
    """The wanted state of one gateway: the table and what surrounds it.

    `unmanaged` addresses are answered on, and are somebody else's to add and to remove.
    """

    table: Table = field(default_factory=Table)
    vips: tuple[PlacedVip, ...] = ()
    firewall: Firewall = field(default_factory=Firewall)
    sysctls: tuple[SysctlNeed, ...] = ()
    manage_sysctls: bool = False
    unmanaged: frozenset[IPAddress] = frozenset()


@dataclass(frozen=True, slots=True)
class Owned:
    """What earlier runs put into the kernel and may therefore take out again."""

    services: frozenset[ServiceKey] = frozenset()
    addresses: frozenset[InterfaceAddress] = frozenset()
    daemons: frozenset[SyncRole] = frozenset()
    firewall: bool = False

    def __or__(self, other: Owned) -> Owned:
        return Owned(
            self.services | other.services,
            self.addresses | other.addresses,
            self.daemons | other.daemons,
            self.firewall or other.firewall,
        )


def owned_by(desired: Desired) -> Owned:
    """What is ours once *desired* is in force."""
    return Owned(
        frozenset(desired.table.services),
        frozenset(vip.place for vip in desired.vips),
        frozenset(desired.table.daemons or ()),
        bool(desired.firewall),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationSummary:
    """One line of the history: when (Unix time), from what, and how much."""

    number: int
    created: float
    origin: str
    services: int
    servers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A state that was put in force, and can be returned to."""

    summary: GenerationSummary
    desired: Desired
