"""The decisions in force, and the inputs they were made from: what the balancer decides with.

No I/O here: the balancer brings in what happened, and takes out tables and stories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace

from ipvs_lb.engine import news
from ipvs_lb.engine.news import Story
from ipvs_lb.engine.roster import Roster, Turn
from ipvs_lb.engine.schedule import Schedule
from ipvs_lb.health import Health
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.desired import Desired, PlacedVip
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
    unfinished,
)


class Court:
    """Decides service by service; only those whose inputs changed, or whose time has come.

    `turned` counts how often a VIP came or went.
    """

    def __init__(self, roster: Roster, health: Mapping[Probe, Health]) -> None:
        self.roster = roster
        self.overrides: dict[Member, Override] = {}
        self.removed: dict[ServiceKey, dict[ServerKey, Removed]] = {}
        self.services: dict[ServiceKey, ServiceDecision] = {}
        self.vips: dict[IPAddress, VipRuling] = {}
        self._health = health
        self._memory: dict[ServiceKey, Memory] = {}
        self._connections: dict[Member, int] = {}
        self._quiet: set[Member] = set()
        self._waking: Schedule[ServiceKey] = Schedule()
        self._unsure: set[IPAddress] = set()
        self._told: Decision | None = None
        self.turned = 0

    @property
    def decision(self) -> Decision:
        """Everything that is decided, as one value: the same one until something is decided again."""
        if self._told is None:
            self._told = Decision(
                table=self.table(),
                services=dict(self.services),
                vips=dict(self.vips),
                wake_at=self.wake_at(),
            )
        return self._told

    def table(self) -> Table:
        """The table that the decisions come to, with the services that probes go through."""
        config = self.roster.config
        daemons = {daemon.role: daemon for daemon in config.sync_daemons}
        services = {key: decided.virtual for key, decided in self.services.items()}
        services |= self.roster.datapath.services
        return Table(services, config.timeouts, daemons or None)

    def wake_at(self) -> float | None:
        """When the next decision changes by itself."""
        return self._waking.next_due()

    def due(self, now: float) -> set[ServiceKey]:
        """The services whose decision may have changed by itself; asking changes nothing."""
        entries = self._waking.pop_all(now)
        for due, key in entries:
            self._waking.put(key, due)
        return {key for _, key in entries}

    def replace(self, turn: Turn, removed: Mapping[Member, Removed]) -> None:
        """Decide by the roster of *turn*, which begins with ours, from now on; its changes are to be decided.

        *removed* members are no longer declared and drain.
        """
        roster = self.roster = turn.roster
        for member, record in removed.items():
            self.removed.setdefault(member.key, {})[member.server] = record
        for gone in turn.gone:
            self.services.pop(gone, None)
            self._memory.pop(gone, None)
            self.removed.pop(gone, None)
            self._waking.remove(gone)
        changed = {vip for key in turn.changed for vip in roster.layouts[key].vips}
        self._unsure = (self._unsure | changed) & roster.tenants.keys()
        self._told = None
        for address in self.vips.keys() - roster.tenants.keys():
            del self.vips[address]
        self.overrides = {m: o for m, o in self.overrides.items() if m in roster.seats}

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
            self._put(after)
            self._forget_removed(after)
            self._forget_counts(after)
            if not self._unsure.isdisjoint(layout.vips) or _speaks_anew(before, after):
                concerned |= dict.fromkeys(layout.vips)
            yield from news.of_service(before, after)
        for address in concerned:
            yield from self._decide_vip(address)

    def _put(self, decided: ServiceDecision) -> None:
        self.services[decided.key] = decided
        self._memory[decided.key] = decided.memory
        self._told = None
        if decided.wake_at is None:
            self._waking.remove(decided.key)
        else:
            self._waking.put(decided.key, decided.wake_at)

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
        self.turned += before is None or _says(before) != _says(after)
        self._unsure.discard(address)
        self._told = None
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

    def _forget_counts(self, decided: ServiceDecision) -> None:
        """Counts of drains that are over: the next drain of the same server is not to end by them."""
        drains = decided.memory.drains
        counted = [member for member in self._connections if member.key == decided.key]
        for member in counted:
            drain = drains.get(member.server)
            if drain is None or drain.ended:
                del self._connections[member]

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
        counters = {
            Member(key, server): counted
            for key in waiting
            if key in statistics and key in present
            for server, counted in statistics[key].servers.items()
            if _weight(present[key].servers.get(server)) == 0
        }
        self._connections = {m: unfinished(m.key, one) for m, one in counters.items()}
        self._give_a_second_look(counters)
        return waiting

    def _give_a_second_look(self, counters: Mapping[Member, ServerCounters]) -> None:
        """Where there are none but inactive connections, one may just be about to become active."""
        quiet = {m for m, one in counters.items() if not self._connections[m] and one.inactive}
        for member in quiet - self._quiet:
            del self._connections[member]
        self._quiet = quiet


def _speaks_anew(before: ServiceDecision | None, after: ServiceDecision) -> bool:
    """Whether a decision says something else to its VIPs than the one before it."""
    return before is None or _has_to_say(before) != _has_to_say(after)


def _has_to_say(decision: ServiceDecision) -> tuple[bool, bool, bool]:
    return decision.serves, decision.quorum_lost, bool(decision.memory.awaited)


def _says(ruling: VipRuling) -> tuple[bool, bool]:
    return ruling.is_up, ruling.awaited


def _weight(server: Server | None) -> int | None:
    return None if server is None else server.weight


def withdrawn(
    desired: Desired, vips: Mapping[IPAddress, VipRuling], present: Set[IPAddress]
) -> Desired:
    """*desired* without the VIPs that are to be down, and without those not *present* that can wait."""
    up = tuple(v for v in desired.vips if _comes(vips.get(v.place.address), v, present))
    return replace(desired, vips=up)


def _comes(ruling: VipRuling | None, vip: PlacedVip, present: Set[IPAddress]) -> bool:
    if ruling is None:
        return True
    return ruling.is_up and (not ruling.awaited or vip.place.address in present)
