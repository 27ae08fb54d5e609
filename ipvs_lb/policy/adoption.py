"""What is believed of every probe at the start and after a reload, from what was remembered and what is in the kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ipvs_lb.health import NEW, Health, Status
from ipvs_lb.model.probe import Probe, content_of
from ipvs_lb.model.table import Table
from ipvs_lb.policy.members import Layout, Seat
from ipvs_lb.policy.standing import verdict


def starting_health(
    layouts: Iterable[Layout], table: Table, known: Mapping[Probe, Health], now: float
) -> dict[Probe, Health]:
    """The health to begin with of every probe of *layouts*.

    A probe keeps what is *known* of it, also when only its times or thresholds have changed. A server that has weight
    in *table* is believed up, whatever is remembered: the memory may be older than the table.
    """
    layouts = tuple(layouts)
    wanted = dict.fromkeys(p for layout in layouts for seat in layout.seats for p in seat.probes)
    health = _remembered(wanted, known)
    for layout in layouts:
        for seat in layout.seats:
            if seat.probes and _serves(seat, table):
                _adopt(seat, layout.declared.policy.required, health, now)
    return health


def _remembered(wanted: Iterable[Probe], known: Mapping[Probe, Health]) -> dict[Probe, Health]:
    """What is known of each probe, or of one that is no longer wanted and asked the same."""
    health = {probe: known.get(probe, NEW) for probe in wanted}
    unwanted = {content_of(probe): known[probe] for probe in known.keys() - health.keys()}
    if unwanted:
        for probe in health.keys() - known.keys():
            health[probe] = unwanted.get(content_of(probe), NEW)
    return health


def _serves(seat: Seat, table: Table) -> bool:
    virtual = table.services.get(seat.member.key)
    server = virtual.servers.get(seat.member.server) if virtual is not None else None
    return server is not None and server.weight > 0


def _adopt(seat: Seat, required: int | None, health: dict[Probe, Health], now: float) -> None:
    """Believe all of the server's probes, unless what is known of them explains that it serves."""
    if verdict([health[probe] for probe in seat.probes], required) is not Status.UP:
        health.update({probe: health[probe].adopt(now) for probe in seat.probes})
