"""Which way packets to a server take, and which links are down, over rtnetlink."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ipvs_lb.addresses import wire
from ipvs_lb.addresses.trouble import host_error
from ipvs_lb.model.identity import IPAddress

if TYPE_CHECKING:
    from pyroute2 import IPRoute

_RTN_LOCAL = 2  # linux/rtnetlink.h
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The interface, the router if there is one, the largest packet, and whether it is an address of this host."""

    interface: str
    router: IPAddress | None
    mtu: int
    is_local: bool


@dataclass(frozen=True, slots=True)
class Ways:
    """The way to each address, None where there is none; and the links that are down."""

    to: dict[IPAddress, Way | None]
    down: frozenset[str]


def ways(addresses: Iterable[IPAddress]) -> Ways:
    """The ways that packets of this host to *addresses* take now. Raises HostError."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            links = {link["index"]: link for link in route.get_links()}
            found = {address: _way(address, route, links) for address in addresses}
    except (NetlinkError, OSError) as error:
        raise host_error("look up routes", _code(error)) from error
    return Ways(found, frozenset(_down(link.get_attr("IFLA_IFNAME") for link in links.values())))


def _down(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        with suppress(OSError):  # it has gone meanwhile
            if not wire.link_of(name).is_up:
                yield name


def _way(address: IPAddress, route: IPRoute, links: dict[int, Any]) -> Way | None:
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        (answer, *_) = route.route("get", dst=str(address))
    except NetlinkError as error:
        if error.code in _NO_WAY:
            return None
        raise
    link = links[answer.get_attr("RTA_OIF")]
    router = answer.get_attr("RTA_GATEWAY")
    metrics = answer.get_attr("RTA_METRICS")
    mtu = metrics.get_attr("RTAX_MTU") if metrics else None
    return Way(
        interface=link.get_attr("IFLA_IFNAME"),
        router=ip_address(router) if router else None,
        mtu=int(mtu or link.get_attr("IFLA_MTU")),
        is_local=answer["type"] == _RTN_LOCAL,
    )


def _code(error: Exception) -> int:
    return int(getattr(error, "code", None) or getattr(error, "errno", None) or 0)
