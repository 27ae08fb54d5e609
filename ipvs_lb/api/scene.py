"""A `Snapshot` with the kernel's counters, and what answers look up in both of them."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property

from ipvs_lb.api.select import Listing
from ipvs_lb.api.states import State
from ipvs_lb.engine.control import Snapshot
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result
from ipvs_lb.model.table import Servers, Statistics, VirtualService
from ipvs_lb.policy import Inputs, Member, Rule

NO_COUNTERS = ServerCounters()
DRAINS = frozenset({Rule.DRAIN, Rule.AGENT_DRAIN, Rule.REMOVED, Rule.STEPPING_BACK})


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A snapshot with the kernel's counters; None: they could not be read (`trouble`), or were not asked for."""

    snapshot: Snapshot
    statistics: Statistics | None = None
    trouble: str | None = None

    @cached_property
    def inputs(self) -> Inputs:
        """What the snapshot's decision was made from, as far as explanations ask."""
        snapshot = self.snapshot
        return Inputs(
            now=snapshot.at,
            health={probe: view.health for probe, view in snapshot.probes.items()},
            overrides=snapshot.overrides,
            connections=dict(self._draining()),
        )

    @cached_property
    def results(self) -> dict[Probe, Result]:
        """The last result of every probe that has had one."""
        views = self.snapshot.probes.items()
        return {probe: view.history[-1].result for probe, view in views if view.history}

    @cached_property
    def foreign(self) -> dict[ServiceKey, VirtualService]:
        """What is in the kernel and not declared here."""
        if self.snapshot.kernel is None:
            return {}
        services = self.snapshot.kernel.services
        keys = [key for key in services if key not in self.snapshot.decision.services]
        return {key: services[key] for key in sorted(keys, key=lambda key: key.order())}

    @cached_property
    def listings(self) -> tuple[Listing, ...]:
        """Every server that can be named: as declared, then foreign ones."""
        return (*self._declared(), *self._others())

    def kernel_servers(self, key: ServiceKey) -> Servers:
        """The servers of a service that the kernel was last known to have."""
        kernel = self.snapshot.kernel
        virtual = None if kernel is None else kernel.services.get(key)
        return {} if virtual is None else virtual.servers

    def counters(self, key: ServiceKey, server: ServerKey) -> ServerCounters | None:
        """What the kernel counts of a server: nothing when it is not there, None when that is not known."""
        if self.statistics is None:
            return None
        service = self.statistics.get(key)
        return NO_COUNTERS if service is None else service.servers.get(server, NO_COUNTERS)

    def _declared(self) -> Iterator[Listing]:
        layouts = self.snapshot.layouts
        for key, decision in self.snapshot.decision.services.items():
            servers = [(ruling.name, ruling.member) for ruling in decision.rulings]
            yield Listing(name=layouts[key].declared.name, key=key, servers=servers)

    def _others(self) -> Iterator[Listing]:
        for key, virtual in self.foreign.items():
            servers = [(str(server), Member(key, server)) for server in virtual.servers]
            yield Listing(name=str(key), key=key, servers=servers)

    def _draining(self) -> Iterator[tuple[Member, int]]:
        for key, decision in self.snapshot.decision.services.items():
            for ruling in decision.rulings:
                if ruling.rule in DRAINS and ruling.weight is not None:
                    counters = self.counters(key, ruling.member.server)
                    if counters is not None:
                        yield ruling.member, counters.active + counters.inactive


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be shown: *members* (None: all), and of those the ones in any of *states* (none: all)."""

    members: Set[Member] | None = None
    states: Set[State] = frozenset()

    @property
    def is_everything(self) -> bool:
        """Services without servers are shown as well."""
        return self.members is None and not self.states

    def has(self, member: Member, state: State) -> bool:
        """Whether *member*, which is in *state*, is shown."""
        if self.states and state not in self.states:
            return False
        return self.members is None or member in self.members


EVERYTHING = Shown()
