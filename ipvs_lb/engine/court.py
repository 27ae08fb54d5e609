"""The decisions in force, and the inputs they were made from: what the balancer decides with.

No I/O here: the balancer brings in what happened, and takes out tables and stories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ipvs_lb.engine import news
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.roster import Roster
from ipvs_lb.health import Health
from ipvs_lb.model.desired import Desired
from ipvs_lb.model.identity import IPAddress, ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import Statistics, Table, VirtualService
from ipvs_lb.overrides import Override, without_expired
from ipvs_lb.policy import (
    Decision,
    Inputs,
    Member,
    Memory,
    Removed,
    Rule,
    ServiceDecision,
    VipRuling,
    decide_service,
    decide_vip,
)
from ipvs_lb.policy.rulings import earliest


class Court:
    """Decides service by service; only those whose inputs changed, or whose time has come."""

    def __init__(self, roster: Roster, health: Mapping[Probe, Health]) -> None:
        self.roster = roster
        self.overrides: dict[Member, Override] = {}
        self.removed: dict[ServiceKey, dict[ServerKey, Removed]] = {}
        self.services: dict[ServiceKey, ServiceDecision] = {}
        self.vips: dict[IPAddress, VipRuling] = {}
        self._health = health
        self._memory: dict[ServiceKey, Memory] = {}
        self._connections: dict[Member, int] = {}

    @property
    def decision(self) -> Decision:
        """Everything that is decided, as one value."""
        return Decision(
            table=self.table(),
            services=dict(self.services),
            vips=dict(self.vips),
            wake_at=self.wake_at(),
        )

    def table(self) -> Table:
        """The table that the decisions come to."""
        config = self.roster.config
        daemons = {daemon.role: daemon for daemon in config.sync_daemons}
        services = {key: decided.virtual for key, decided in self.services.items()}
        return Table(services, config.timeouts, daemons or None)

    def wake_at(self) -> float | None:
        """When the next decision changes by itself."""
        return earliest([decided.wake_at for decided in self.services.values()])

    def due(self, now: float) -> set[ServiceKey]:
        """The services whose decision may have changed by itself."""
        return {
            key
            for key, decided in self.services.items()
            if decided.wake_at is not None and decided.wake_at <= now
        }

    def replace(self, roster: Roster, removed: Mapping[Member, Removed]) -> set[ServiceKey]:
        """Decide by *roster* from now on; the services that have to be decided again.

        *removed* members are no longer declared and drain.
        """
        before, self.roster = self.roster, roster
        for member, record in removed.items():
            self.removed.setdefault(member.key, {})[member.server] = record
        for gone in self.services.keys() - roster.layouts.keys():
            del self.services[gone]
            self._memory.pop(gone, None)
            self.removed.pop(gone, None)
        for address in self.vips.keys() - roster.tenants.keys():
            del self.vips[address]
        self.overrides = {m: o for m, o in self.overrides.items() if m in roster.seats}
        old = before.layouts
        return {key for key, layout in roster.layouts.items() if old.get(key) is not layout}

    def decide(self, keys: Iterable[ServiceKey], now: float) -> Iterator[Story]:
        """Decide on *keys*, and on the VIPs they answer on; what changed by that."""
        self.overrides = without_expired(self.overrides, now)
        inputs = self._inputs(now)
        concerned: dict[IPAddress, None] = {}
        for key in keys:
            layout = self.roster.layouts.get(key)
            if layout is None:
                continue
            before, after = self.services.get(key), decide_service(layout, inputs)
            self.services[key] = after
            self._memory[key] = after.memory
            self._forget_removed(after)
            concerned |= dict.fromkeys(layout.vips)
            yield from news.of_service(before, after)
        for address in concerned:
            yield from self._decide_vip(address)

    def _inputs(self, now: float) -> Inputs:
        return Inputs(
            now=now,
            health=self._health,
            overrides=self.overrides,
            removed=self.removed,
            connections=self._connections,
            memory=self._memory,
        )

    def _decide_vip(self, address: IPAddress) -> Iterator[Story]:
        behind = self.roster.tenants.get(address, ())
        if any(layout.key not in self.services for layout in behind):
            return
        before, after = self.vips.get(address), decide_vip(address, behind, self.services)
        self.vips[address] = after
        yield from news.of_vip(before, after)

    def _forget_removed(self, decided: ServiceDecision) -> None:
        """Records of servers that are gone, or declared again."""
        records = self.removed.get(decided.key)
        if not records:
            return
        draining = {
            ruling.member.server
            for ruling in decided.rulings
            if ruling.rule is Rule.REMOVED and ruling.weight is not None
        }
        for server in records.keys() - draining:
            del records[server]

    def draining(self) -> set[ServiceKey]:
        """The services in which a drain waits for connections to end."""
        return {
            key
            for key, memory in self._memory.items()
            if any(not drain.ended for drain in memory.drains.values())
        }

    def count(
        self, statistics: Statistics, present: Mapping[ServiceKey, VirtualService]
    ) -> set[ServiceKey]:
        """Note the connections of draining servers whose weight was 0 in *present*; the services concerned."""
        waiting = self.draining()
        self._connections = {
            Member(key, server): counted.active + counted.inactive
            for key in waiting
            if key in statistics and key in present
            for server, counted in statistics[key].servers.items()
            if _weight(present[key].servers.get(server)) == 0
        }
        return waiting


def _weight(server: Server | None) -> int | None:
    return None if server is None else server.weight


def withdrawn(desired: Desired, vips: Mapping[IPAddress, VipRuling]) -> Desired:
    """*desired* without the VIPs that are to be down."""
    up = tuple(
        v for v in desired.vips if v.place.address not in vips or vips[v.place.address].is_up
    )
    return replace(desired, vips=up)
