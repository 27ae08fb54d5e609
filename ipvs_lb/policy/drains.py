"""Servers on their way out: weight 0 until no connection is left or the deadline has passed, then removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import AddressKey, IPProtocol, ServerKey, ServiceKey
from ipvs_lb.policy.inputs import Drain, Inputs, Memory
from ipvs_lb.policy.members import Layout, Member
from ipvs_lb.policy.standing import Condition
from ipvs_lb.policy.tiers import Assembly

_TOLD_TO_BE_CLOSED = frozenset({IPProtocol.TCP, IPProtocol.SCTP})


def unfinished(key: ServiceKey, counters: ServerCounters) -> int:
    """How many of a server's connections in service *key* a drain waits for.

    The kernel counts as active what is established (net/netfilter/ipvs/ip_vs_proto_tcp.c), and remembers connections
    for up to two minutes after both sides have closed them; nobody waits for those. UDP has no established state:
    all of it is inactive, and ends by its timeout. A firewall mark may have both behind it.
    """
    if isinstance(key, AddressKey) and key.protocol in _TOLD_TO_BE_CLOSED:
        return counters.active
    return counters.active + counters.inactive


def drains(
    layout: Layout, assembly: Assembly, inputs: Inputs, memory: Memory
) -> dict[ServerKey, Drain]:
    """The drains of *layout*'s servers at `inputs.now`: those begun go on, those no longer wanted are forgotten.

    A server that is told to drain and is not in the table has nothing to drain: its drain is over at once.
    """
    wanted = {
        **_told(layout, assembly, inputs, memory),
        **_stepping_back(layout, assembly, inputs, memory),
        **_removed(layout, inputs, memory),
    }
    return {
        key: _progress(drain, inputs, inputs.connections.get(Member(layout.key, key)))
        for key, drain in wanted.items()
    }


def _progress(drain: Drain, inputs: Inputs, connections: int | None) -> Drain:
    over = connections == 0 or inputs.now >= drain.deadline
    return replace(drain, ended=True) if over and not drain.ended else drain


def _told(
    layout: Layout, assembly: Assembly, inputs: Inputs, memory: Memory
) -> Mapping[ServerKey, Drain]:
    timeout = layout.declared.policy.drain_timeout
    found = {}
    for seat, standing in zip(layout.seats, assembly.standings, strict=True):
        if standing.condition is not Condition.DRAINING:
            continue
        key = seat.member.server
        since = inputs.now if standing.since is None else standing.since
        known = memory.drains.get(key)
        if known is None or known.since != since:
            gone = memory.decided and key not in memory.present
            known = Drain(since=since, deadline=since + timeout, ended=gone)
        found[key] = known
    return found


def _stepping_back(
    layout: Layout, assembly: Assembly, inputs: Inputs, memory: Memory
) -> Mapping[ServerKey, Drain]:
    """Servers in good health whose tier does not serve any more keep the connections they have."""
    begun = Drain(since=inputs.now, deadline=inputs.now + layout.declared.policy.drain_timeout)
    serving = floor(layout, assembly)
    return {
        key: memory.drains.get(key, begun)
        for seat, standing in zip(layout.seats, assembly.standings, strict=True)
        if standing.condition is Condition.ABLE and seat.server.tier != serving
        if (key := seat.member.server) in memory.present or key in memory.drains
    }


def _removed(layout: Layout, inputs: Inputs, memory: Memory) -> Mapping[ServerKey, Drain]:
    records = inputs.removed.get(layout.key)
    if not records:
        return {}
    declared = {seat.member.server for seat in layout.seats}
    return {
        key: Drain(
            since=record.since,
            deadline=record.deadline,
            ended=key in memory.drains and memory.drains[key].ended,
        )
        for key, record in records.items()
        if key not in declared
    }


def floor(layout: Layout, assembly: Assembly) -> int:
    """The tier whose servers are in: the one that serves, or the first while none can."""
    return layout.first_tier if assembly.tier is None else assembly.tier
