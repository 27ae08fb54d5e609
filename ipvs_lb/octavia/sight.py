"""The running gateway seen as Octavia's objects: operating states and traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ipvs_lb.engine.control import Snapshot
from ipvs_lb.model.identity import (
    Port,
    ServerKey,
    ServiceKey,
)
from ipvs_lb.model.table import Statistics
from ipvs_lb.octavia.catalogue import Catalogue, Tree
from ipvs_lb.octavia.compile import keys_of
from ipvs_lb.octavia.objects import AnyObject, Listener, Member, Operating
from ipvs_lb.octavia.operating import Verdict, at_first, observed
from ipvs_lb.policy import Rule
from ipvs_lb.serial import JSON

_DOWN = {Rule.FAILING, Rule.DAMPED, Rule.FORCED_DOWN, Rule.AGENT_MAINT}


@dataclass(frozen=True, slots=True)
class Sight:
    """What one snapshot shows of *catalogue*."""

    catalogue: Catalogue
    snapshot: Callable[[], Snapshot]

    def status(self) -> Callable[[AnyObject], Operating]:
        """The operating status of every object at this moment; each load balancer is looked at once."""
        now = self.snapshot()
        known: dict[str, Mapping[str, Operating]] = {}

        def of(thing: AnyObject) -> Operating:
            holder = self.catalogue.load_balancer_of(thing).id
            if holder not in known:
                known[holder] = _observed(self.catalogue.tree(holder), now)
            return known[holder].get(thing.id, at_first(thing))

        return of


def _observed(tree: Tree, now: Snapshot) -> Mapping[str, Operating]:
    own = [vip.address for vip in tree.load_balancer.vips]
    under: dict[str, Listener] = {}
    for listener in tree.listeners:
        if listener.default_pool_id is not None and listener.admin_state_up:
            under.setdefault(listener.default_pool_id, listener)
    rules = {
        pool: {
            server: rule
            for key in keys_of(listener, own)
            for server, rule in _rules(now, key).items()
        }
        for pool, listener in under.items()
    }

    def verdict(member: Member) -> Verdict:
        server = ServerKey(member.address, Port(member.protocol_port))
        rule = rules.get(member.pool_id, {}).get(server, Rule.AWAITED)
        if rule is Rule.AWAITED:
            return Verdict.AWAITED
        return Verdict.DOWN if rule in _DOWN else Verdict.UP

    def present(listener: Listener) -> bool:
        keys = keys_of(listener, own)
        return now.kernel is None or all(key in now.kernel.services for key in keys)

    return observed(tree, verdict, present)


def _rules(now: Snapshot, key: ServiceKey) -> Mapping[ServerKey, Rule]:
    decided = now.decision.services.get(key)
    if decided is None:
        return {}
    return {ruling.member.server: ruling.rule for ruling in decided.rulings}


def traffic(statistics: Statistics, keys: Iterable[ServiceKey]) -> dict[str, JSON]:
    """What went through the virtual services *keys*, as the API shows it; IPVS knows no failed requests."""
    found = [statistics[key] for key in keys if key in statistics]
    return {
        "active_connections": sum(
            server.active for one in found for server in one.servers.values()
        ),
        "bytes_in": sum(one.traffic.in_bytes for one in found),
        "bytes_out": sum(one.traffic.out_bytes for one in found),
        "request_errors": 0,
        "total_connections": sum(one.traffic.connections for one in found),
    }
