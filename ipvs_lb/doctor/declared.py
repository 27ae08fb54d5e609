"""What a configuration declares, in the pieces that rules ask about."""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb import hostplan
from ipvs_lb.doctor.facts import Facts
from ipvs_lb.model.config import DeclaredServer, DeclaredService
from ipvs_lb.model.desired import PlacedVip, SysctlNeed
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import IPAddress
from ipvs_lb.model.settings import Forwarding
from ipvs_lb.policy import effective


def services(facts: Facts) -> tuple[DeclaredService, ...]:
    """Every declared service."""
    return () if facts.config is None else facts.config.services


def vips(facts: Facts) -> dict[IPAddress, Vip]:
    """Every declared VIP once."""
    return {vip.address: vip for declared in services(facts) for vip in declared.vips}


def members(facts: Facts, *methods: Forwarding) -> Iterator[tuple[DeclaredService, DeclaredServer]]:
    """The servers that are forwarded to by one of *methods*, each with its service."""
    for declared in services(facts):
        for server in declared.servers:
            if server.forwarding in methods and not server.disabled:
                yield declared, server


def servers(facts: Facts, *methods: Forwarding) -> dict[IPAddress, list[str]]:
    """The addresses of those servers, with the names of their services."""
    found: dict[IPAddress, dict[str, None]] = {}
    for declared, server in members(facts, *methods):
        found.setdefault(server.address, {})[declared.name] = None
    return {address: list(names) for address, names in found.items()}


def placed(facts: Facts) -> tuple[PlacedVip, ...]:
    """The VIPs that have a place, on their interfaces."""
    every = [vip for declared in services(facts) for vip in declared.vips]
    missing = hostplan.homeless(every, facts.host)
    return hostplan.place([vip for vip in every if vip not in missing], facts.host)


def sysctl_needs(facts: Facts) -> tuple[SysctlNeed, ...]:
    """The sysctls that the configuration needs on this gateway."""
    if facts.config is None:
        return ()
    table = effective(facts.config, frozenset())
    rules = hostplan.firewall(facts.config, table, facts.host).source_nat
    return (
        *hostplan.sysctl_needs(facts.config, table, rules),
        *hostplan.reuse_needs(table, rules, facts.host),
        *hostplan.answer_needs(facts.config, placed(facts), facts.host),
    )
