"""Dumps as the kernel sends them: every attribute of ip_vs_genl_fill_service() and ip_vs_genl_fill_dest(), in order.

Kernels differ in whether 64-bit values are padded; here they are not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.netlink import requests, servers, services
from ipvs_lb.netlink.attributes import attribute, attributes, nested, u32
from ipvs_lb.netlink.messages import generic

FAMILY, MULTI = 28, 2


def message(command: int, content: bytes, *, flags: int = MULTI) -> bytes:
    payload = generic(command, 1) + content
    return struct.pack("=IHHII", 16 + len(payload), FAMILY, flags, 5, 77) + payload


def old_counters(first: int) -> bytes:
    layout = "IIIQQIIIII"
    return b"".join(
        attribute(kind, struct.pack(f"={code}", first + kind))
        for kind, code in enumerate(layout, 1)
    )


def wide_counters(first: int) -> bytes:
    return b"".join(attribute(kind, struct.pack("=Q", first + kind)) for kind in range(1, 11))


def service_content(key: ServiceKey, service: Service, *, counted: int = 0) -> bytes:
    return (
        services.encode(key, service)
        + nested(services.STATS, old_counters(counted))
        + nested(services.STATS64, wide_counters(counted))
    )


def server_content(key: ServerKey, server: Server, *, counted: int = 0) -> bytes:
    ours = dict(attributes(servers.encode(key, server)))
    connections = (servers.ACTIVE, servers.INACTIVE, servers.PERSISTENT)
    order = (
        servers.ADDRESS, servers.PORT, servers.METHOD, servers.WEIGHT, servers.TUNNEL_TYPE,
        servers.TUNNEL_PORT, servers.TUNNEL_FLAGS, servers.UPPER, servers.LOWER,
    )  # fmt: skip
    return (
        b"".join(attribute(kind, ours[kind]) for kind in order)
        + b"".join(u32(kind, counted + kind) for kind in connections)
        + attribute(servers.FAMILY, ours[servers.FAMILY])
        + nested(servers.STATS, old_counters(counted))
        + nested(servers.STATS64, wide_counters(counted))
    )


def service_dump(found: Iterable[tuple[ServiceKey, Service]]) -> bytes:
    return b"".join(
        message(1, nested(requests.SERVICE, service_content(key, service)))
        for key, service in found
    )


def server_dump(found: Iterable[tuple[ServerKey, Server]], *, counted: int = 0) -> bytes:
    return b"".join(
        message(5, nested(requests.SERVER, server_content(key, server, counted=counted)))
        for key, server in found
    )
