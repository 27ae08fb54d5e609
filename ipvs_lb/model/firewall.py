"""Our rules in the kernel's packet filter: who gets to a virtual service, whose source is translated, and what
answers on a VIP besides services.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from ipvs_lb.model.identity import Family, IPAddress, ServiceKey

EVERYONE = {Family.IPV4: ("0.0.0.0/0",), Family.IPV6: ("::/0",)}
_SHOWN = 3  # networks, or rules, named in a sentence


def canonical(networks: Iterable[str]) -> tuple[str, ...]:
    """The fewest networks that hold the same addresses as *networks*, IPv4 first, in order; host bits are masked."""
    found = [ip_network(network, strict=False) for network in networks]
    four = collapse_addresses(one for one in found if isinstance(one, IPv4Network))
    six = collapse_addresses(one for one in found if isinstance(one, IPv6Network))
    return (*map(str, four), *map(str, six))


def of_family(networks: Iterable[str], family: Family) -> tuple[str, ...]:
    """Those of *networks* that are of *family*."""
    return tuple(one for one in networks if (":" in one) == (family is Family.IPV6))


@dataclass(frozen=True, slots=True)
class SourceNatRule:
    """Connections that came for `vip` from `subnet` get the gateway's own address as their source."""

    vip: IPAddress
    subnet: str  # an ip_network in its canonical text form

    def __str__(self) -> str:
        return f"{self.subnet} to {self.vip}"

    def order(self) -> tuple[object, ...]:
        """A sort key over both families."""
        return (self.vip.version, int(self.vip), self.subnet)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Packets for `service` from none of `networks` are dropped before IPVS sees them.

    `networks` is canonical and of the service's family; empty: nobody gets in. A rule for everyone is an exception
    from that of a service which answers on more, on all ports of the same address say.
    """

    service: ServiceKey
    networks: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Everyone gets in."""
        return self.networks in EVERYONE.values()

    def __str__(self) -> str:
        if self.is_open:
            return f"{self.service} for everyone"
        return f"{self.service} for {_some(self.networks) or 'nobody'} only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """All of our rules, which are in force as a whole; at most one access rule for each service.

    On a `guarded` address nothing that listens on the gateway answers others, but for ICMP: packets for services get
    in, those of its addresses and those told by mark (`opened`), and what answers the gateway itself.
    """

    source_nat: frozenset[SourceNatRule] = frozenset()
    access: frozenset[AccessRule] = frozenset()
    guarded: frozenset[IPAddress] = frozenset()
    opened: frozenset[ServiceKey] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.source_nat or self.access or self.guarded)

    def __str__(self) -> str:
        access = sorted(self.access, key=lambda rule: rule.service.order())
        source_nat = sorted(self.source_nat, key=SourceNatRule.order)
        parts = (
            _some(map(str, access), "; "),
            "source NAT " + _some(map(str, source_nat)) if source_nat else "",
            self._guard_words(),
        )
        return "; ".join(filter(None, parts))

    def _guard_words(self) -> str:
        if not self.guarded:
            return ""
        opened = sorted(self.opened, key=lambda key: key.order())
        what = f"nothing but {_some(map(str, opened))}" if opened else "nothing"
        return f"on {_some(map(str, in_order(self.guarded)))} {what} answers"


def in_order(addresses: Iterable[IPAddress]) -> list[IPAddress]:
    """*addresses* of both families, sorted."""
    return sorted(addresses, key=lambda address: (address.version, int(address)))


def _some(names: Iterable[str], separator: str = ", ") -> str:
    """The first of *names*, and how many more there are."""
    every = [*names]
    more = [f"and {len(every) - _SHOWN} more"] if len(every) > _SHOWN else []
    return separator.join([*every[:_SHOWN], *more])
