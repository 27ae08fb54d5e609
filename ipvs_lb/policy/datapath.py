"""Probes through a VIP: which mark leads each to its one server, and what they need in the kernel's table.

Rules kept here:
1. A packet that this machine sends with a mark goes to the virtual service of that mark, whatever its destination is
   (ip_vs_service_find looks for the mark first). So each server of each virtual service that is probed through the VIP
   has a service of its own there, with that server and its forwarding method, and nobody else.
2. A mark follows from the service's and the server's names alone, as long as no other has hashed to the same: then the
   later of the two in order takes another. So it is the same after a reload and after a restart.
3. These services are there whether the server is healthy or not: a server that is down comes back through them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from ipvs_lb.model.checks import Via
from ipvs_lb.model.config import PROBE_MARKS
from ipvs_lb.model.identity import AddressKey, FwmarkKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Target
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import VirtualService
from ipvs_lb.policy.members import Layout, Member, Seat

_PLAIN = Service(scheduler="rr")


@dataclass(frozen=True, slots=True)
class Line:
    """What a probe through a VIP really is: *sent* goes to the VIP, and the service *key* leads it to its server."""

    key: FwmarkKey
    sent: Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Datapath:
    """The probe services of a configuration, and the line of every probe that goes through one of them."""

    services: Mapping[ServiceKey, VirtualService] = field(default_factory=dict)
    lines: Mapping[Probe, Line] = field(default_factory=dict)

    def without(
        self, services: Mapping[ServiceKey, VirtualService]
    ) -> dict[ServiceKey, VirtualService]:
        """What of *services* is not there for probes only."""
        if not self.services:
            return dict(services)
        return {key: value for key, value in services.items() if key not in self.services}


NO_DATAPATH = Datapath()


def datapath(layouts: Iterable[Layout], first: int) -> Datapath:
    """What the probes of *layouts* through VIPs need, with `PROBE_MARKS` marks from *first* on."""
    probed = {seat.member: (layout, seat) for layout, seat in _probed(layouts)}
    if not probed:
        return NO_DATAPATH
    services: dict[ServiceKey, VirtualService] = {}
    lines: dict[Probe, Line] = {}
    for member, mark in allocate(probed, first).items():
        layout, seat = probed[member]
        key = FwmarkKey(mark, member.key.family)
        services[key] = VirtualService(_PLAIN, {member.server: _alone(seat.settings)})
        lines |= {
            probe: Line(key, _sent(probe, mark, layout)) for probe in seat.probes if probe.through
        }
    return Datapath(services=services, lines=lines)


def _probed(layouts: Iterable[Layout]) -> Iterator[tuple[Layout, Seat]]:
    for layout in layouts:
        for seat in layout.seats:
            for probe in seat.probes:
                if probe.through is not None and not seat.server.disabled:
                    yield layout, seat


def allocate(members: Iterable[Member], first: int) -> dict[Member, int]:
    """A mark for each of *members*, which are fewer than `PROBE_MARKS`."""
    marks: dict[int, Member] = {}
    for member in sorted(members, key=Member.order):
        marks[next(mark for mark in _candidates(member, first) if mark not in marks)] = member
    return {member: mark for mark, member in marks.items()}


def _candidates(member: Member, first: int) -> Iterator[int]:
    """All marks over and over, in an order of the member's own."""
    digest = blake2b(str(member).encode(), digest_size=8).digest()
    number = int.from_bytes(digest[:4], "big")
    step = int.from_bytes(digest[4:], "big") | 1  # odd, so that it comes by every one of 2**n
    while True:
        yield first + number % PROBE_MARKS
        number += step


def _alone(server: Server) -> Server:
    """The way to a server, and nothing that keeps packets from it."""
    return Server(forwarding=server.forwarding, tunnel=server.tunnel)


def _sent(probe: Probe, mark: int, layout: Layout) -> Probe:
    """*probe* as it leaves: to the VIP, on the service's port, or where that has none on the check's."""
    key = layout.key
    if isinstance(key, AddressKey):
        target = Target(key.address, key.port or probe.target.port)
    else:
        target = Target(layout.vips[0], probe.target.port)
    check = replace(probe.check, mark=mark, via=Via.DIRECT)
    return Probe(check, target, towards=probe.target.address)
