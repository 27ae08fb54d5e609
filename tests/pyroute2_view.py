"""The model's values out of pyroute2's decoding of IPVS messages: a second opinion on our own codec.

Its quirks are taken back here: an IPv6 prefix length is shown as an IPv4 address, the tunnel port in machine order.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, ip_address
from typing import Any

from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
    ServiceKey,
)
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Server,
    Service,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)


def service_key(nest: Any) -> ServiceKey:
    family = Family(nest.get_attr("IPVS_SVC_ATTR_AF"))
    mark = nest.get_attr("IPVS_SVC_ATTR_FWMARK")
    if mark is not None:
        return FwmarkKey(mark, family)
    return AddressKey(
        IPProtocol(nest.get_attr("IPVS_SVC_ATTR_PROTOCOL")),
        ip_address(nest.get_attr("IPVS_SVC_ATTR_ADDR")),
        Port(nest.get_attr("IPVS_SVC_ATTR_PORT")),
    )


def service(nest: Any) -> Service:
    flags = nest.get_attr("IPVS_SVC_ATTR_FLAGS")["flags"]
    return Service(
        scheduler=nest.get_attr("IPVS_SVC_ATTR_SCHED_NAME"),
        flags=SchedulerFlags(flags >> 3 & 7),
        persistence=_persistence(nest) if flags & 1 else None,
        persistence_engine=nest.get_attr("IPVS_SVC_ATTR_PE_NAME"),
        one_packet=bool(flags & 4),
    )


def server_key(nest: Any) -> ServerKey:
    return ServerKey(
        ip_address(nest.get_attr("IPVS_DEST_ATTR_ADDR")),
        Port(nest.get_attr("IPVS_DEST_ATTR_PORT")),
    )


def server(nest: Any) -> Server:
    forwarding = Forwarding(nest.get_attr("IPVS_DEST_ATTR_FWD_METHOD"))
    return Server(
        forwarding=forwarding,
        weight=nest.get_attr("IPVS_DEST_ATTR_WEIGHT"),
        upper_threshold=nest.get_attr("IPVS_DEST_ATTR_U_THRESH"),
        lower_threshold=nest.get_attr("IPVS_DEST_ATTR_L_THRESH"),
        tunnel=_tunnel(nest) if forwarding is Forwarding.TUNNEL else None,
    )


def _persistence(nest: Any) -> Persistence:
    timeout = nest.get_attr("IPVS_SVC_ATTR_TIMEOUT")
    mask = IPv4Address(nest.get_attr("IPVS_SVC_ATTR_NETMASK"))
    if nest.get_attr("IPVS_SVC_ATTR_AF") == Family.IPV4:
        return Persistence(timeout, mask)
    return Persistence(timeout, PrefixLength(socket.ntohl(int(mask))))


def _tunnel(nest: Any) -> Tunnel:
    return Tunnel(
        TunnelType(nest.get_attr("IPVS_DEST_ATTR_TUN_TYPE")),
        Port(socket.ntohs(nest.get_attr("IPVS_DEST_ATTR_TUN_PORT"))),
        TunnelChecksum(nest.get_attr("IPVS_DEST_ATTR_TUN_FLAGS")),
    )
