"""Who takes part: the virtual services, servers and probes that a declaration comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ipvs_lb.model.config import DeclaredServer, DeclaredService
from ipvs_lb.model.identity import (
    NO_PORT,
    AddressKey,
    IPAddress,
    Port,
    ServerKey,
    ServiceKey,
    family_of,
)
from ipvs_lb.model.probe import Probe, probe_of
from ipvs_lb.model.settings import Server


@dataclass(frozen=True, slots=True)
class Member:
    """A real server of a virtual service, as the kernel tells them apart."""

    key: ServiceKey
    server: ServerKey

    def __str__(self) -> str:
        return f"{self.server} of {self.key}"

    def order(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """A sort key."""
        return self.key.order(), self.server.order()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A declared server in one virtual service, with what follows from the declaration alone."""

    member: Member
    server: DeclaredServer
    settings: Server
    probes: tuple[Probe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One virtual service of a declared service: the unit of decision. Valid until the declaration changes.

    `first_tier` is the tier that serves when all is well. `vips` are the addresses it answers on.
    """

    declared: DeclaredService
    key: ServiceKey
    seats: tuple[Seat, ...]
    first_tier: int
    vips: tuple[IPAddress, ...]


def server_key(key: ServiceKey, server: DeclaredServer) -> ServerKey:
    """The kernel's name for *server* in the virtual service *key*."""
    own = key.port if isinstance(key, AddressKey) else NO_PORT
    return ServerKey(server.address, own if server.port is None else Port(server.port))


def members(declared: DeclaredService) -> Iterator[tuple[ServiceKey, ServerKey, DeclaredServer]]:
    """Every server of every virtual service that *declared* comes to."""
    for key in declared.keys:
        for server in declared.servers:
            yield key, server_key(key, server), server


def probes_of(
    declared: DeclaredService, key: ServiceKey, server: DeclaredServer
) -> tuple[Probe, ...]:
    """What is probed to judge *server* in the virtual service *key* of *declared*, in the order of its checks."""
    if key not in declared.keys:
        raise AssertionError(f"{key} is not of {declared.name}")
    return _probes(key, server_key(key, server), server)


def layouts(
    declared: DeclaredService, before: Mapping[ServiceKey, Layout] | None = None
) -> tuple[Layout, ...]:
    """The virtual services of *declared*, each with its seats.

    What is as in *before* is the identical object: layouts, or at least their seats and with them their probes.
    """
    return tuple(_layout(declared, key, (before or {}).get(key)) for key in declared.keys)


def _layout(declared: DeclaredService, key: ServiceKey, before: Layout | None) -> Layout:
    if before is not None and before.declared == declared:
        if before.declared.origin == declared.origin:
            return before
        return replace(before, declared=replace(before.declared, origin=declared.origin))
    known = {seat.member.server: seat for seat in before.seats} if before is not None else {}
    tiers = [server.tier for server in declared.servers if not server.disabled]
    return Layout(
        declared=declared,
        key=key,
        seats=tuple(_seat(key, server, known) for server in declared.servers),
        first_tier=min(tiers, default=0),
        vips=_vips(declared, key),
    )


def _probes(key: ServiceKey, at: ServerKey, server: DeclaredServer) -> tuple[Probe, ...]:
    return tuple(probe_of(check, key, at) for check in server.checks)


def _seat(key: ServiceKey, server: DeclaredServer, known: Mapping[ServerKey, Seat]) -> Seat:
    at = server_key(key, server)
    before = known.get(at)
    if before is not None and before.server == server:
        return before
    return Seat(
        member=Member(key, at),
        server=server,
        settings=Server(
            forwarding=server.forwarding,
            weight=server.weight,
            upper_threshold=server.upper_threshold,
            lower_threshold=server.lower_threshold,
            tunnel=server.tunnel,
        ),
        probes=_probes(key, at, server),
    )


def _vips(declared: DeclaredService, key: ServiceKey) -> tuple[IPAddress, ...]:
    """A mark is set on packets to any of the VIPs of its family."""
    addresses = dict.fromkeys(vip.address for vip in declared.vips)
    if isinstance(key, AddressKey):
        return (key.address,) if key.address in addresses else ()
    return tuple(address for address in addresses if family_of(address) is key.family)
