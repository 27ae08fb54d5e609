"""Links, addresses and routes of the namespace the calling thread is in, by pyroute2."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

from ipvs_lb.errors import LabError

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_IFA_F_NODAD = 0x02  # include/uapi/linux/if_addr.h
_MAIN = 254  # RT_TABLE_MAIN, include/uapi/linux/rtnetlink.h


def add_veth(name: str, peer_namespace: str, peer_name: str) -> None:
    """A cable from here to an interface of another namespace."""
    with _routes(f"cable {name}") as routes:
        peer = {"ifname": peer_name, "net_ns_fd": peer_namespace}
        routes.link("add", ifname=name, kind="veth", peer=peer)


def add_bridge(name: str) -> None:
    """A bridge that forwards at once, up."""
    with _routes(f"bridge {name}") as routes:
        routes.link("add", ifname=name, kind="bridge", br_forward_delay=0, br_stp_state=0)
        routes.link("set", index=_index(routes, name), state="up")


def join_bridge(name: str, bridge: str) -> None:
    """Make an interface a port of a bridge, up."""
    with _routes(f"port {name}") as routes:
        routes.link("set", index=_index(routes, name), master=_index(routes, bridge), state="up")


def set_up(name: str) -> None:
    """Bring an interface up."""
    with _routes(f"interface {name}") as routes:
        routes.link("set", index=_index(routes, name), state="up")


def set_down(name: str) -> None:
    """Take an interface down, like pulling its cable."""
    with _routes(f"interface {name}") as routes:
        routes.link("set", index=_index(routes, name), state="down")


def hardware_address(name: str) -> str:
    """An interface's MAC address, `02:00:00:00:00:01`."""
    with _routes(f"interface {name}") as routes:
        (link,) = routes.get_links(_index(routes, name))
        return str(link.get("address"))


def add_address(name: str, text: str) -> None:
    """Give an interface an address like `10.0.0.1/24`, usable at once."""
    address = ipaddress.ip_interface(text)
    with _routes(f"address {text} on {name}") as routes:
        flags = {"flags": _IFA_F_NODAD} if address.version == 6 else {}  # noqa: PLR2004 - IP version
        routes.addr(
            "add",
            index=_index(routes, name),
            address=str(address.ip),
            prefixlen=address.network.prefixlen,
            **flags,
        )


def addresses() -> tuple[str, ...]:
    """All of this namespace but those that every host has, like `eth0 10.0.0.4/24`."""
    with _routes("addresses") as routes:
        links = {link["index"]: str(link.get("ifname")) for link in routes.get_links()}
        found = [
            (links[one["index"]], f"{one.get('address')}/{one['prefixlen']}")
            for one in routes.get_addr()
        ]
    own = ("127.", "::1/", "fe80:")
    return tuple(f"{name} {address}" for name, address in found if not address.startswith(own))


def add_route(destination: str, via: str, *, table: int = _MAIN) -> None:
    """Reach `default` or a network like `10.0.0.0/24` through a neighbour."""
    family = _FAMILIES[ipaddress.ip_address(via).version]
    with _routes(f"route {destination} via {via}") as routes:
        routes.route("add", dst=destination, gateway=via, family=family, table=table)


def add_rule(source: str, table: int) -> None:
    """What comes from an address of this host is routed by *table*."""
    address = ipaddress.ip_address(source)
    with _routes(f"rule for {source}") as routes:
        routes.rule(
            "add",
            src=source,
            src_len=address.max_prefixlen,
            table=table,
            family=_FAMILIES[address.version],
        )


def impair(name: str, *, loss: float, delay: float) -> None:
    """Lose a share of what leaves through an interface, and keep the rest back so many seconds; 0 and 0 end that."""
    with _routes(f"netem on {name}") as routes:
        index = _index(routes, name)
        # what was never set cannot be deleted, so netem is set in any case
        routes.tc(
            "replace", "netem", index, handle=0x10000, loss=100 * loss, delay=round(delay * 1e6)
        )
        if not loss and not delay:
            routes.tc("del", index=index, handle=0x10000, parent=0xFFFFFFFF)


@contextlib.contextmanager
def _routes(what: str) -> Iterator[Any]:  # pyroute2 has no types
    """A route socket in the calling thread's namespace. The kernel's refusals become LabError."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as routes:
            yield routes
    except NetlinkError as error:
        raise LabError(f"{what}: {os.strerror(error.code)}") from error


def _index(routes: Any, name: str) -> int:  # pyroute2 has no types
    found = routes.link_lookup(ifname=name)
    if not found:
        raise LabError(f"there is no interface {name}")
    return int(found[0])
