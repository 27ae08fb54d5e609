"""A table as rules of ipvsadm, byte for byte as `ipvsadm -Sn` prints them (version 1.31).

Services and servers stand in the table's order; ipvsadm sorts them. As with ipvsadm, thresholds, timeouts and sync
daemons are not in the text, nor are those flags of the hashing schedulers that have no name. The one difference:
marks from 2**31 on, which ipvsadm prints as negative numbers and then does not read back.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb.ipvsadm.words import NUMERIC, Names, endpoint
from ipvs_lb.model.identity import AddressKey, Family, IPProtocol, ServiceKey
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    Forwarding,
    Persistence,
    SchedulerFlags,
    Server,
    Service,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import Table, VirtualService

_PROTOCOLS = {IPProtocol.TCP: "-t", IPProtocol.UDP: "-u", IPProtocol.SCTP: "--sctp-service"}
_FLAGS = {
    "flag-1": SchedulerFlags.FLAG_1,
    "flag-2": SchedulerFlags.FLAG_2,
    "flag-3": SchedulerFlags.FLAG_3,
}
_METHODS = {Forwarding.MASQ: "-m", Forwarding.TUNNEL: "-i"}  # anything else is printed as -g
_CHECKSUMS = {
    TunnelChecksum.NONE: "--tun-nocsum",
    TunnelChecksum.CSUM: "--tun-csum",
    TunnelChecksum.REMCSUM: "--tun-remcsum",
}
_ONE_CLIENT = {Family.IPV4: 0xFFFFFFFF, Family.IPV6: 128}


def render(table: Table, names: Names = NUMERIC) -> str:
    """The rules of *table*, one a line."""
    lines = (line for each in table.services.items() for line in _rules(*each, names))
    return "".join(f"{line}\n" for line in lines)


def _rules(key: ServiceKey, virtual: VirtualService, names: Names) -> Iterator[str]:
    protocol = key.protocol if isinstance(key, AddressKey) else None
    name = _name(key, names)
    yield f"-A {name} -s {virtual.service.scheduler}{_settings(key.family, virtual.service)}"
    for server_key, server in virtual.servers.items():
        where = endpoint(server_key.address, server_key.port, protocol, names)
        yield f"-a {name} -r {where} {_server(server)}"


def _name(key: ServiceKey, names: Names) -> str:
    if isinstance(key, AddressKey):
        where = endpoint(key.address, key.port, key.protocol, names)
        return f"{_PROTOCOLS[key.protocol]} {where}"
    return f"-f {key.mark}" + (" -6" if key.family is Family.IPV6 else "")


def _settings(family: Family, service: Service) -> str:
    engine = service.persistence_engine
    return "".join(
        (
            _persistence(family, service.persistence) if service.persistence else "",
            f" --pe {engine}" if engine else "",
            " -o" if service.one_packet else "",
            f" -b {flag_names(service)}" if service.flags else "",
        )
    )


def _persistence(family: Family, persistence: Persistence) -> str:
    one_client = int(persistence.granularity) == _ONE_CLIENT[family]
    return f" -p {persistence.timeout}" + ("" if one_client else f" -M {persistence.granularity}")


def flag_names(service: Service) -> str:
    """The scheduler's flags that have a name, with commas."""
    named = SCHEDULER_FLAGS.get(service.scheduler, _FLAGS)
    return ",".join(name for name, flag in named.items() if flag in service.flags)


def _server(server: Server) -> str:
    method = _METHODS.get(server.forwarding, "-g")
    return f"{method} -w {server.weight}" + (_tunnel(server.tunnel) if server.tunnel else "")


def _tunnel(tunnel: Tunnel) -> str:
    text = f" --tun-type {tunnel.type}"
    if tunnel.type is TunnelType.GUE:
        text += f" --tun-port {tunnel.port}"
    if tunnel.type is not TunnelType.IPIP:
        text += f" {_CHECKSUMS[tunnel.checksum]}"
    return text
