"""Which packet filter rules declared networks come to, and the way from one firewall to another.

Rules kept here:
1. A service is restricted before it is there and until it is gone, whatever else changes meanwhile.
2. IPVS looks for a service by mark first, then by address and port, then by address for all ports. A service for
   everyone that is found before a restricted one is an exception from its rule.
3. Restrictions follow what is declared, not what happens to be in the kernel's table.
4. A VIP is guarded before it is there and until it is gone, and open to its services as long as they are there.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb.model.config import Config
from ipvs_lb.model.firewall import EVERYONE, AccessRule, Firewall, of_family
from ipvs_lb.model.host import SetFirewall
from ipvs_lb.model.identity import (
    NO_PORT,
    AddressKey,
    FwmarkKey,
    IPAddress,
    ServiceKey,
    family_of,
)


def access_rules(config: Config) -> frozenset[AccessRule]:
    """The rules for the clients that the services of *config* allow; none of a service for everyone, mostly."""
    rules = {key: AccessRule(key, networks) for key, networks in _allowed(config)}
    restricted = {key for key, rule in rules.items() if not rule.is_open}
    return frozenset(
        rule
        for key, rule in rules.items()
        if key in restricted or _is_found_before_one_of(restricted, key)
    )


def _allowed(config: Config) -> Iterator[tuple[ServiceKey, tuple[str, ...]]]:
    for declared in config.services:
        for key in declared.keys:
            yield (
                key,
                of_family(declared.allow, key.family) if declared.allow else EVERYONE[key.family],
            )


def _is_found_before_one_of(restricted: set[ServiceKey], key: ServiceKey) -> bool:
    """Whether a packet for *key* may be one for a restricted service as well."""
    if isinstance(key, FwmarkKey):
        return any(isinstance(one, AddressKey) and one.family is key.family for one in restricted)
    return AddressKey(key.protocol, key.address, NO_PORT) in restricted


def guarded_vips(config: Config) -> frozenset[IPAddress]:
    """The addresses that nothing but services is to answer on."""
    return frozenset(
        vip.address for declared in config.services for vip in declared.vips if vip.guard
    )


def opened_services(config: Config, guarded: frozenset[IPAddress]) -> frozenset[ServiceKey]:
    """The services of *config* that packets to *guarded* addresses may be for; which these are a mark does not tell."""
    families = {family_of(address) for address in guarded}
    return frozenset(
        key
        for declared in config.services
        for key in declared.keys
        if (key.family in families if isinstance(key, FwmarkKey) else key.address in guarded)
    )


def steps(
    present: Firewall, wanted: Firewall
) -> tuple[tuple[SetFirewall, ...], tuple[SetFirewall, ...]]:
    """What is to be set before the table grows from what *present* is for, and what after it has shrunk."""
    middle = between(present, wanted)
    return (
        (SetFirewall(middle),) if middle != present else (),
        (SetFirewall(wanted),) if wanted != middle else (),
    )


def between(present: Firewall, wanted: Firewall) -> Firewall:
    """What is in force while the table changes: every restriction of both, that of *wanted* where they differ.

    An exception counts only when it does before and after. What is guarded on either side is, but for the services
    of both.
    """
    restrictions = {
        rule.service: rule
        for firewall in (present, wanted)
        for rule in firewall.access
        if not rule.is_open
    }
    exceptions = {
        rule
        for rule in present.access & wanted.access
        if rule.is_open and rule.service not in restrictions
    }
    return Firewall(
        source_nat=present.source_nat | wanted.source_nat,
        access=frozenset(restrictions.values()) | exceptions,
        guarded=present.guarded | wanted.guarded,
        opened=present.opened | wanted.opened,
    )


def unrestricted(present: Firewall, wanted: Firewall) -> frozenset[ServiceKey]:
    """The services that *wanted* restricts, and *present* in no way."""
    return _restricted(wanted) - _restricted(present)


def _restricted(firewall: Firewall) -> frozenset[ServiceKey]:
    return frozenset(rule.service for rule in firewall.access if not rule.is_open)
