"""A configuration that is being written for a person: what it declares, and the remarks that stand beside it.

Unlike `Config` it keeps pools and remarks, and leaves out what it does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ipvs_lb.model.checks import HealthCheck
from ipvs_lb.model.config import OnDown, Quorum
from ipvs_lb.model.identity import Family, IPAddress, IPProtocol, Port
from ipvs_lb.model.settings import Forwarding, Service, SyncDaemon, Timeouts, Tunnel

PortRange = tuple[int, int]
Checks = tuple[HealthCheck, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftServer:
    """A real server; `port` None is the service's own, `checks` None are the service's."""

    address: IPAddress
    port: Port | None = None
    weight: int = 1
    forwarding: Forwarding = Forwarding.MASQ
    tunnel: Tunnel | None = None
    upper_threshold: int = 0
    lower_threshold: int = 0
    tier: int = 0
    disabled: bool = False
    checks: Checks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Where a service answers: addresses and ports of one protocol, or the mark of one family."""

    vips: tuple[IPAddress, ...] = ()
    ports: tuple[PortRange, ...] = ()
    protocol: IPProtocol = IPProtocol.TCP
    fwmark: int | None = None
    family: Family | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftService:
    """One entry of `services`; its servers are its own, or those of the pool it names.

    `origin` is where it was read, `remarks` stand above it.
    """

    name: str
    answers: Answers
    settings: Service
    servers: tuple[DraftServer, ...] | str
    checks: Checks | None = None
    on_down: OnDown = OnDown.REMOVE
    quorum: Quorum | None = None
    origin: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The whole file."""

    services: tuple[DraftService, ...] = ()
    pools: Mapping[str, tuple[DraftServer, ...]] = field(default_factory=dict)
    timeouts: Timeouts | None = None
    sync_daemons: tuple[SyncDaemon, ...] = ()
    watch: bool = False
    remarks: tuple[str, ...] = ()
