"""The decision on everything that is declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.policy.inputs import Inputs
from ipvs_lb.policy.members import Layout, Member, Seat, layouts
from ipvs_lb.policy.rulings import Decision, Rule, ServiceDecision, earliest
from ipvs_lb.policy.service import decide_service, settle
from ipvs_lb.policy.standing import Condition, Standing, able_with
from ipvs_lb.policy.vips import decide_vip, tenants

_NOTHING_HAPPENS = Inputs(now=0.0)


def decide(config: Config, inputs: Inputs) -> Decision:
    """What *config* means in the state of the world *inputs*.

    It is the merge of `decide_service` over every layout, so after a change it is enough to decide those again whose
    inputs have changed.
    """
    laid_out = tuple(all_layouts(config))
    return merge(config, laid_out, (decide_service(layout, inputs) for layout in laid_out))


def merge(
    config: Config, laid_out: Sequence[Layout], services: Iterable[ServiceDecision]
) -> Decision:
    """The decision on the whole of *config*, which is *laid_out* so, from those on each of its virtual services."""
    decided = {service.key: service for service in services}
    return Decision(
        table=_table(config, {key: service.virtual for key, service in decided.items()}),
        services=decided,
        vips={
            address: decide_vip(address, behind, decided)
            for address, behind in tenants(laid_out).items()
        },
        wake_at=earliest([service.wake_at for service in decided.values()]),
    )


def effective(config: Config, down: Set[Member] = frozenset()) -> Table:
    """The table that *config* means while the members in *down* fail their checks and all others pass them."""
    services = {}
    for layout in all_layouts(config):
        standings = [_assumed(seat, failing=seat.member in down) for seat in layout.seats]
        services[layout.key] = settle(layout, standings, _NOTHING_HAPPENS).virtual
    return _table(config, services)


def all_layouts(
    config: Config, before: Mapping[ServiceKey, Layout] | None = None
) -> Iterator[Layout]:
    """Every virtual service of *config*; what is as in *before* is the identical object."""
    for declared in config.services:
        yield from layouts(declared, before)


def _assumed(seat: Seat, *, failing: bool) -> Standing:
    server = seat.server
    if server.disabled:
        return Standing(condition=Condition.DISABLED, rule=Rule.DISABLED, weight=server.weight)
    if failing:
        return Standing(condition=Condition.FAILING, rule=Rule.FAILING, weight=server.weight)
    return able_with(server.weight, Rule.HEALTHY)


def _table(config: Config, services: Mapping[ServiceKey, VirtualService]) -> Table:
    daemons = {daemon.role: daemon for daemon in config.sync_daemons}
    return Table(services, config.timeouts, daemons or None)
