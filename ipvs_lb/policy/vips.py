"""Whether a VIP is up: what the services behind it have to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ipvs_lb.model.config import HealthPolicy, QuorumAction, VipDownWhen
from ipvs_lb.model.identity import IPAddress, ServiceKey
from ipvs_lb.policy.members import Layout
from ipvs_lb.policy.rulings import ServiceDecision, VipRuling


@dataclass(frozen=True, slots=True)
class Tenant:
    """A virtual service behind a VIP."""

    layout: Layout
    decision: ServiceDecision

    @property
    def is_able(self) -> bool:
        """It finds a server for new connections, and does not withdraw for want of a quorum."""
        policy = self.layout.declared.policy
        return self.decision.serves and not (self.decision.quorum_lost and _withdraws(policy))

    @property
    def say(self) -> VipDownWhen:
        """When it takes the VIP down; a quorum that withdraws speaks for itself."""
        policy = self.layout.declared.policy
        if policy.vip_down_when is VipDownWhen.NEVER and _withdraws(policy):
            return VipDownWhen.ANY
        return policy.vip_down_when


def _withdraws(policy: HealthPolicy) -> bool:
    return policy.quorum is not None and policy.quorum.action is QuorumAction.WITHDRAW


def tenants(layouts: Sequence[Layout]) -> dict[IPAddress, tuple[Layout, ...]]:
    """The virtual services behind every VIP."""
    found: dict[IPAddress, list[Layout]] = {}
    for layout in layouts:
        for address in layout.vips:
            found.setdefault(address, []).append(layout)
    return {address: tuple(behind) for address, behind in found.items()}


def decide_vip(
    address: IPAddress, behind: Sequence[Layout], services: Mapping[ServiceKey, ServiceDecision]
) -> VipRuling:
    """Whether *address* is up, given the decisions on the virtual services *behind* it."""
    all_of_them = [Tenant(layout, services[layout.key]) for layout in behind]
    unable = [tenant for tenant in all_of_them if not tenant.is_able]
    because = [tenant.layout.key for tenant in unable if tenant.say is VipDownWhen.ANY]
    if len(unable) == len(all_of_them):
        because += [tenant.layout.key for tenant in unable if tenant.say is VipDownWhen.ALL]
    return VipRuling(address=address, because=tuple(because), awaited=_is_awaited(all_of_them))


def _is_awaited(behind: Sequence[Tenant]) -> bool:
    """Nobody serves, and somebody may as soon as a first result is there."""
    decisions = [tenant.decision for tenant in behind]
    return any(one.memory.awaited for one in decisions) and not any(one.serves for one in decisions)
