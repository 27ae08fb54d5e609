"""What a change does to people: connections on servers that go, clients that get another server, ports that close.

Existing connections stay where they are while their server is in the table; what moves under a hashing scheduler
is where a client's *next* connection goes. Shares are of all possible clients, evenly weighted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from ipvs_lb.hashing import (
    Slots,
    Weighted,
    destination_slot,
    scheduled_slots,
)
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.firewall import Firewall, in_order
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import AddressKey, IPAddress, ServerKey, ServiceKey
from ipvs_lb.model.settings import HASHING_SCHEDULERS, SCHEDULER_FLAGS, SchedulerFlags, Service
from ipvs_lb.model.table import Statistics, Table, VirtualService

SIMULATED_SERVICES = 100
"""Changed mh services whose tables are simulated; beyond, shares are estimated (a simulation costs about 10 ms)."""

_EMPTY = VirtualService(Service(scheduler="rr"))


@dataclass(frozen=True, slots=True)
class Leaving:
    """A server that goes (or gets weight 0: `drains`), and its connections now."""

    server: ServerKey
    drains: bool
    active: int
    inactive: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The share (0 to 1) of the clients served now whose next connection goes elsewhere, or nowhere.

    `refused` is the part of it that gets no server: the hash leads to one of weight 0, and there is no fallback.
    Not `exact`: an estimate, because the kernel does not show all it decides by.
    """

    share: float
    exact: bool
    refused: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What happens to the people of one service. `moved` None: the scheduler does not tie clients to servers."""

    key: ServiceKey
    leaving: tuple[Leaving, ...] = ()
    moved: Moved | None = None
    unserved: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """An address of the gateway on which nothing but services answers from now on; `is_own`: it is no VIP of ours."""

    address: IPAddress
    is_own: bool


def closings(
    before: Firewall,
    after: Firewall,
    present: Set[InterfaceAddress],
    ours: Set[InterfaceAddress],
) -> tuple[Closing, ...]:
    """The addresses, of those *present*, that become guarded; *ours* were put there as VIPs."""
    there = {place.address for place in present}
    own = {place.address for place in present - ours}
    closed = (after.guarded - before.guarded) & there
    return tuple(Closing(address, address in own) for address in in_order(closed))


def impacts(before: Table, after: Table, statistics: Statistics) -> tuple[Impact, ...]:
    """The impact on every service of *before* that changes, in the order of *before*, without those that feel nothing."""
    return tuple(_impacts(before, after, statistics))


def _impacts(before: Table, after: Table, statistics: Statistics) -> Iterator[Impact]:
    simulated = 0
    for key, present in before.services.items():
        wanted = after.services.get(key, _EMPTY)
        if present == wanted:
            continue
        counters = statistics[key].servers if key in statistics else {}
        moved = moved_clients(key, present, wanted, simulate=simulated < SIMULATED_SERVICES)
        simulated += moved is not None
        impact = Impact(
            key=key,
            leaving=leaving_servers(present, wanted, counters),
            moved=moved,
            unserved=_serves(present) and not _serves(wanted),
        )
        if impact.leaving or impact.unserved or (moved is not None and moved.share):
            yield impact


def leaving_servers(
    present: VirtualService, wanted: VirtualService, counters: Mapping[ServerKey, ServerCounters]
) -> tuple[Leaving, ...]:
    """The servers of *present* that are gone or drained in *wanted*, with their connections."""
    nothing = ServerCounters()
    return tuple(
        Leaving(key, key in wanted.servers, (c := counters.get(key, nothing)).active, c.inactive)
        for key, server in present.servers.items()
        if key not in wanted.servers or (server.weight and not wanted.servers[key].weight)
    )


def moved_clients(
    key: ServiceKey, present: VirtualService, wanted: VirtualService, *, simulate: bool = True
) -> Moved | None:
    """How many clients change servers; None unless both sides hash and both have servers."""
    hashes = {present.service.scheduler, wanted.service.scheduler} <= HASHING_SCHEDULERS
    if not (hashes and _serves(present) and wanted.servers):
        return None
    after = in_kernel_order(present, wanted)
    if not _same_hash(present.service, wanted.service):
        return Moved(_independent(_shares(present), _shares(after)), exact=False)
    if present.service.scheduler == "mh" and not simulate:
        return Moved(_least(_shares(present), _shares(after)), exact=False)
    return _compared(key, present, after)


def in_kernel_order(present: VirtualService, wanted: VirtualService) -> VirtualService:
    """*wanted* with its servers as the kernel will list them: it puts a new one in front (ip_vs_ctl.c)."""
    new = [key for key in reversed(tuple(wanted.servers)) if key not in present.servers]
    kept = [key for key in present.servers if key in wanted.servers]
    return VirtualService(wanted.service, {k: wanted.servers[k] for k in (*new, *kept)})


def _compared(key: ServiceKey, present: VirtualService, after: VirtualService) -> Moved:
    """Slot by slot. A server that is drained already hides the weight mh gave it, so the result is an estimate then."""
    scheduler = present.service.scheduler
    old = _slots(present, {})
    new = _slots(after, {k: s.weight for k, s in present.servers.items()})
    slots = range(len(old))
    if scheduler == "dh" and isinstance(key, AddressKey):
        slots = range(at := destination_slot(key.address), at + 1)
    live_before, live_after = _live(present), _live(after)
    served = [n for n in slots if old[n] in live_before]
    if not served:
        return Moved(0.0, exact=True)
    lost = sum(new[n] not in live_after for n in served)
    moved = sum(old[n] != new[n] and new[n] in live_after for n in served) + lost
    drained_before = len(live_before) < len(present.servers)
    exact = not (drained_before and (scheduler == "mh" or _falls_back(present.service)))
    refused = 0 if _falls_back(after.service) else lost
    return Moved(moved / len(served), exact, refused / len(served))


def _falls_back(service: Service) -> bool:
    """Whether a client whose server has weight 0 gets another."""
    names = SCHEDULER_FLAGS.get(service.scheduler, {})
    flag = names.get(f"{service.scheduler}-fallback", SchedulerFlags.NONE)
    return bool(service.flags & flag)


def _slots(virtual: VirtualService, earlier: Mapping[ServerKey, int]) -> Slots:
    scheduler = virtual.service.scheduler
    spare = earlier if scheduler == "mh" else {}
    servers = [
        Weighted(key, server.weight or spare.get(key, 0)) for key, server in virtual.servers.items()
    ]
    return scheduled_slots(scheduler, servers)


def _same_hash(present: Service, wanted: Service) -> bool:
    """Whether a client hashes to the same slot under both: same scheduler, and its port counts in both or in neither."""
    names = SCHEDULER_FLAGS.get(present.scheduler, {})
    port_flag = names.get(f"{present.scheduler}-port", SchedulerFlags.NONE)
    return present.scheduler == wanted.scheduler and not (present.flags ^ wanted.flags) & port_flag


def _shares(virtual: VirtualService) -> Mapping[ServerKey, float]:
    total = sum(server.weight for server in virtual.servers.values())
    return {key: server.weight / total for key, server in virtual.servers.items()} if total else {}


def _independent(old: Mapping[ServerKey, float], new: Mapping[ServerKey, float]) -> float:
    return 1 - sum(share * new.get(key, 0.0) for key, share in old.items())


def _least(old: Mapping[ServerKey, float], new: Mapping[ServerKey, float]) -> float:
    """The share that has to move however good the hash is."""
    return sum(max(share - new.get(key, 0.0), 0.0) for key, share in old.items())


def _live(virtual: VirtualService) -> frozenset[ServerKey]:
    return frozenset(key for key, server in virtual.servers.items() if server.weight)


def _serves(virtual: VirtualService) -> bool:
    return any(server.weight for server in virtual.servers.values())
