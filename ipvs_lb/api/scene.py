"""A `Snapshot` with the kernel's counters, and what answers look up in both of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

from ipvs_lb.api.select import Listing
from ipvs_lb.api.states import State
from ipvs_lb.engine.control import ProbeView, Snapshot
from ipvs_lb.health import Health
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result
from ipvs_lb.model.table import Servers, ServiceStatistics, Statistics, VirtualService
from ipvs_lb.policy import Decision, Inputs, Member, unfinished

NO_COUNTERS = ServerCounters()
_NOTHING_COUNTED = ServiceStatistics()
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A snapshot with the kernel's counters; None: they could not be read (`trouble`), or were not asked for.

    Nothing in it refers to it, so that its memory is free as soon as the answer is given.
    """

    snapshot: Snapshot
    statistics: Statistics | None = None
    trouble: str | None = None

    @cached_property
    def inputs(self) -> Inputs:
        """What the snapshot's decision was made from, as far as explanations ask."""
        snapshot, probes = self.snapshot, self.snapshot.probes
        return Inputs(
            now=snapshot.at,
            health=_LookedUp(lambda: probes, partial(_health, probes)),
            overrides=snapshot.overrides,
            connections=_LookedUp(
                partial(_members, snapshot.decision), partial(_connections, self.statistics)
            ),
        )

    @cached_property
    def results(self) -> Mapping[Probe, Result]:
        """The last result of every probe that has had one."""
        probes = self.snapshot.probes
        return _LookedUp(lambda: probes, partial(_last_result, probes))

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

    def counted(self, key: ServiceKey) -> Mapping[ServerKey, ServerCounters] | None:
        """What the kernel counts of a service's servers: nothing of those that are not there, None when not known."""
        return _counted(self.statistics, key)

    def _declared(self) -> Iterator[Listing]:
        layouts = self.snapshot.layouts
        for key, decision in self.snapshot.decision.services.items():
            servers = [(ruling.name, ruling.member) for ruling in decision.rulings]
            yield Listing(name=layouts[key].declared.name, key=key, servers=servers)

    def _others(self) -> Iterator[Listing]:
        for key, virtual in self.foreign.items():
            servers = [(str(server), Member(key, server)) for server in virtual.servers]
            yield Listing(name=str(key), key=key, servers=servers)


_Probes = Mapping[Probe, ProbeView]


def _health(probes: _Probes, probe: Probe) -> Health | None:
    view = probes.get(probe)
    return None if view is None else view.health


def _last_result(probes: _Probes, probe: Probe) -> Result | None:
    view = probes.get(probe)
    return view.history[-1].result if view is not None and len(view.history) else None


def _members(decision: Decision) -> Iterator[Member]:
    for service in decision.services.values():
        yield from (ruling.member for ruling in service.rulings)


def _connections(statistics: Statistics | None, member: Member) -> int | None:
    counted = _counted(statistics, member.key)
    if counted is None:
        return None
    return unfinished(member.key, counted.get(member.server, NO_COUNTERS))


def _counted(
    statistics: Statistics | None, key: ServiceKey
) -> Mapping[ServerKey, ServerCounters] | None:
    return None if statistics is None else statistics.get(key, _NOTHING_COUNTED).servers


@dataclass(frozen=True, slots=True)
class _LookedUp(Mapping[K, V]):
    """What *look_up* finds, when it is asked for: explaining one server costs no more than looking at that one."""

    candidates: Callable[[], Iterable[K]]
    look_up: Callable[[K], V | None]

    def __getitem__(self, key: K) -> V:
        found = self.look_up(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[K]:
        return (key for key in self.candidates() if self.look_up(key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be shown: *members* (None: all), and of those the ones in any of *states* (none: all).

    `keys` are the services of *members*, where they are known.
    """

    members: Set[Member] | None = None
    states: Set[State] = frozenset()
    keys: Set[ServiceKey] | None = None

    @property
    def is_everything(self) -> bool:
        """Services without servers are shown as well."""
        return self.members is None and not self.states

    def of(self, keys: Iterable[ServiceKey]) -> Iterator[ServiceKey]:
        """Those of the services *keys* that may have something to show."""
        meant = self.keys
        return iter(keys) if meant is None else (key for key in keys if key in meant)

    def has(self, member: Member, state: State) -> bool:
        """Whether *member*, which is in *state*, is shown."""
        if self.states and state not in self.states:
            return False
        return self.members is None or member in self.members


def only(members: Sequence[Member], states: Set[State] = frozenset()) -> Shown:
    """Of *members* those in any of *states*."""
    keys = frozenset(member.key for member in members)
    return Shown(members=frozenset(members), states=states, keys=keys)


EVERYTHING = Shown()
