"""A configuration laid out: what follows from it alone, found by what changes at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from ipvs_lb.model.config import Config
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.policy import (
    NO_DATAPATH,
    Datapath,
    Layout,
    Member,
    Seat,
    all_layouts,
    datapath,
    tenants,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Valid until the configuration changes.

    `users` is how many members share a probe, `concerned` which virtual services it is about.
    """

    config: Config
    layouts: Mapping[ServiceKey, Layout]
    seats: Mapping[Member, Seat]
    users: Mapping[Probe, int]
    concerned: Mapping[Probe, frozenset[ServiceKey]]
    tenants: Mapping[IPAddress, tuple[Layout, ...]]
    datapath: Datapath = NO_DATAPATH


_NOBODY = Roster(config=Config(), layouts={}, seats={}, users={}, concerned={}, tenants={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From one roster to the next.

    `changed` virtual services are to be decided again: they are new, mean something else than before, or speak for the
    others on an address that one has left. `gone` ones are not there any more. `probes` come or go. `reaches_host`:
    addresses, rules or sysctls may follow, not the table alone.
    """

    roster: Roster
    changed: Set[ServiceKey]
    gone: Set[ServiceKey]
    probes: Set[Probe]
    reaches_host: bool = True


def lay_out(config: Config) -> Roster:
    """Everything that *config* comes to; for 40,000 servers this takes about a second of CPU."""
    return lay_out_after(_NOBODY, config).roster


def lay_out_after(before: Roster, config: Config) -> Turn:
    """What *config* comes to after *before*: what has not changed is the identical object, and costs next to nothing."""
    layouts = {layout.key: layout for layout in all_layouts(config, before.layouts)}
    new = {key for key, layout in layouts.items() if before.layouts.get(key) != layout}
    gone = before.layouts.keys() - layouts.keys()
    left = [before.layouts[key] for key in new | gone if key in before.layouts]
    behind = tenants(tuple(layouts.values()))
    heirs = {behind[vip][0].key for layout in left for vip in layout.vips if vip in behind}
    seating = _Seating(dict(before.seats), dict(before.users), dict(before.concerned))
    seating.leave(left)
    seating.take(layouts[key] for key in layouts if key in new)
    seating.settle()
    declared = (layouts[service.keys[0]].declared for service in config.services)
    roster = Roster(
        config=replace(config, services=tuple(declared)),  # not one declaration is kept twice
        layouts=layouts,
        seats=seating.seats,
        users=seating.users,
        concerned=seating.concerned,
        tenants=behind,
        datapath=datapath(layouts.values(), config.daemon.probe_marks),
    )
    probes = {p for p in seating.touched if (p in before.users) != (p in roster.users)}
    reaches_host = bool(gone) or any(
        _reaches_host(before.layouts.get(key), layouts[key]) for key in new
    )
    return Turn(
        roster=roster, changed=new | heirs, gone=gone, probes=probes, reaches_host=reaches_host
    )


def _reaches_host(before: Layout | None, after: Layout) -> bool:
    """Whether more than the kernel's table follows from *after*: all but other servers and another scheduler."""
    if before is None or after.declared.source_nat is not SourceNat.OFF:
        return True
    own = before.declared
    service = replace(
        own.service, scheduler=after.declared.service.scheduler, flags=after.declared.service.flags
    )
    like = replace(own, name=after.declared.name, service=service, servers=after.declared.servers)
    return like != after.declared or any(map(_goes_through_vip, after.seats))


def _goes_through_vip(seat: Seat) -> bool:
    return any(probe.through is not None for probe in seat.probes)


@dataclass(slots=True)
class _Seating:
    """The members of a roster, while some leave and others take their seats."""

    seats: dict[Member, Seat]
    users: dict[Probe, int]
    concerned: dict[Probe, frozenset[ServiceKey]]
    touched: dict[Probe, set[ServiceKey]] = field(default_factory=dict)

    def leave(self, layouts: Iterable[Layout]) -> None:
        """Take away the seats of *layouts*."""
        for layout in layouts:
            for seat in layout.seats:
                self.seats.pop(seat.member, None)
                for probe in _probed(seat):
                    self.users[probe] -= 1
                    self._about(probe).discard(layout.key)

    def take(self, layouts: Iterable[Layout]) -> None:
        """Add the seats of *layouts*."""
        for layout in layouts:
            for seat in layout.seats:
                self.seats[seat.member] = seat
                for probe in _probed(seat):
                    self.users[probe] = self.users.get(probe, 0) + 1
                    self._about(probe).add(layout.key)

    def settle(self) -> None:
        """Forget the probes that nobody uses, once everybody has a seat; equal sets of services are one."""
        shared: dict[frozenset[ServiceKey], frozenset[ServiceKey]] = {}
        for probe, touched in self.touched.items():
            if self.users[probe]:
                keys = frozenset(touched)
                self.concerned[probe] = shared.setdefault(keys, keys)
            else:
                del self.users[probe], self.concerned[probe]

    def _about(self, probe: Probe) -> set[ServiceKey]:
        keys = self.touched.get(probe)
        if keys is None:
            keys = self.touched[probe] = set(self.concerned.get(probe, ()))
        return keys


def _probed(seat: Seat) -> tuple[Probe, ...]:
    return () if seat.server.disabled else seat.probes
