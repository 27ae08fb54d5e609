"""The table as `ipvsadm -L` lists it (version 1.31), byte for byte.

The one difference: marks from 2**31 on, which ipvsadm prints as negative numbers that no command takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from ipvs_lb.ipvsadm.request import Columns, List
from ipvs_lb.ipvsadm.save import flag_names
from ipvs_lb.ipvsadm.words import NUMERIC, Names, address_text, endpoint
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import AddressKey, Family, ServerKey, ServiceKey
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import KernelInfo, ServiceStatistics, Statistics, Table, VirtualService

_LOCAL, _REMOTE = "Prot LocalAddress:Port", "  -> RemoteAddress:Port"
_TITLES = {
    Columns.SETTINGS: f"{_LOCAL} Scheduler Flags\n{_REMOTE:<34}Forward Weight ActiveConn InActConn",
    Columns.TUNNELS: f"{_LOCAL} Scheduler Flags\n{_REMOTE:<34}Forward TunnelInfo    Weight ActiveConn InActConn",
    Columns.STATS: f"{_LOCAL:<33}    Conns   InPkts  OutPkts  InBytes OutBytes\n{_REMOTE}",
    Columns.RATE: f"{_LOCAL:<33}      CPS    InPPS   OutPPS    InBPS   OutBPS\n{_REMOTE}",
    Columns.THRESHOLDS: f"{_LOCAL:<33} Uthreshold Lthreshold ActiveConn InActConn \n{_REMOTE}",
    Columns.PERSISTENT: f"{_LOCAL:<33} Weight    PersistConn ActiveConn InActConn \n{_REMOTE}",
}
_METHODS = {
    Forwarding.MASQ: "Masq",
    Forwarding.LOCAL: "Local",
    Forwarding.TUNNEL: "Tunnel",
    Forwarding.DR: "Route",
    Forwarding.BYPASS: "(null)",
}
_CHECKSUMS = {
    TunnelChecksum.NONE: "-c",
    TunnelChecksum.CSUM: "+c",
    TunnelChecksum.REMCSUM: "r+c",
}
_ONE_CLIENT = {Family.IPV4: 0xFFFFFFFF, Family.IPV6: 128}
_SERVICE_WIDTH, _SERVER_WIDTH = 33, 28
_UNITS = (  # below which number of what each digit is how much
    (10**8, "", 1),
    (10**9, "K", 10**3),
    (10**11, "M", 10**6),
    (10**14, "G", 10**9),
)


def render(
    request: List,
    table: Table,
    statistics: Statistics,
    *,
    info: KernelInfo | None = None,
    names: Names = NUMERIC,
) -> str:
    """The services of *table* in its order, under the kernel's *info* where there is one."""
    lines = [_TITLES[request.columns]]
    if info is not None:
        version = ".".join(map(str, info.version))
        lines.insert(0, f"IP Virtual Server version {version} (size={info.connection_table_size})")
    for key, virtual in table.services.items():
        counted = statistics.get(key, ServiceStatistics())
        lines += _Rows(request, key, names).rows(virtual, counted)
    return "".join(f"{line}\n" for line in lines)


def render_timeouts(timeouts: Timeouts) -> str:
    """As `-L --timeout`."""
    return f"Timeout (tcp tcpfin udp): {timeouts.tcp} {timeouts.tcp_fin} {timeouts.udp}\n"


def render_daemons(daemons: Mapping[SyncRole, SyncDaemon]) -> str:
    """As `-L --daemon`."""
    return "".join(f"{_daemon(daemon)}\n" for daemon in daemons.values())


def _daemon(daemon: SyncDaemon) -> str:
    facts = [f"mcast={daemon.interface}", f"syncid={daemon.sync_id}"]
    if daemon.max_length:
        facts.append(f"maxlen={daemon.max_length}")
    if daemon.group is not None:
        facts.append(f"group={address_text(daemon.group)}")
    if daemon.port:
        facts.append(f"port={daemon.port}")
    if daemon.ttl:
        facts.append(f"ttl={daemon.ttl}")
    return f"{daemon.role} sync daemon ({', '.join(facts)})"


class _Rows:
    """The rows of one service."""

    def __init__(self, request: List, key: ServiceKey, names: Names) -> None:
        self._columns = request.columns
        self._exact = request.exact
        self._key = key
        self._names = names

    def rows(self, virtual: VirtualService, counted: ServiceStatistics) -> Iterator[str]:
        yield self._service(virtual.service, counted.traffic)
        for key, server in virtual.servers.items():
            yield f"  -> {self._server(key):<28}" + self._facts(
                server, counted.servers.get(key, ServerCounters())
            )

    def _service(self, service: Service, traffic: Counters) -> str:
        match self._columns:
            case Columns.STATS:
                return f"{self._name():<33}" + self._numbers(*_totals(traffic))
            case Columns.RATE:
                return f"{self._name():<33}" + self._numbers(*_rates(traffic))
            case _:
                return f"{self._name()} {service.scheduler}{_settings(self._key.family, service)}"

    def _name(self) -> str:
        key = self._key
        if not isinstance(key, AddressKey):
            return f"FWM  {key.mark}" + (" IPv6" if key.family is Family.IPV6 else "")
        where = endpoint(key.address, key.port, key.protocol, self._names)
        name = f"{str(key.protocol).upper():<4} {where}"
        return name if key.family is Family.IPV6 else name[:_SERVICE_WIDTH]

    def _server(self, key: ServerKey) -> str:
        protocol = self._key.protocol if isinstance(self._key, AddressKey) else None
        name = endpoint(key.address, key.port, protocol, self._names)
        return name if key.family is Family.IPV6 else name[:_SERVER_WIDTH]

    def _facts(self, server: Server, counted: ServerCounters) -> str:
        connections = f"{counted.active:<10} {counted.inactive:<10}"
        match self._columns:
            case Columns.STATS:
                return self._numbers(*_totals(counted.traffic))
            case Columns.RATE:
                first, rest = _rates(counted.traffic)[:3], _rates(counted.traffic)[3:]
                return "".join(f" {rate:>8}" for rate in first) + self._numbers(*rest)
            case Columns.THRESHOLDS:
                limits = f"{server.upper_threshold:<10} {server.lower_threshold:<10}"
                return f" {limits} {connections}"
            case Columns.PERSISTENT:
                return f" {server.weight:<9} {counted.persistent:<11} {connections}"
            case Columns.TUNNELS:
                method = f"{_METHODS[server.forwarding]:<7} {_tunnel(server.tunnel):<13}"
                return f" {method} {server.weight:<6} {connections}"
            case _:
                return f" {_METHODS[server.forwarding]:<7} {server.weight:<6} {connections}"

    def _numbers(self, *numbers: int) -> str:
        shape = _exact_number if self._exact else _short_number
        return "".join(map(shape, numbers))


def _totals(counted: Counters) -> tuple[int, ...]:
    return (
        counted.connections,
        counted.in_packets,
        counted.out_packets,
        counted.in_bytes,
        counted.out_bytes,
    )


def _rates(counted: Counters) -> tuple[int, ...]:
    return (
        counted.connection_rate,
        counted.in_packet_rate,
        counted.out_packet_rate,
        counted.in_byte_rate,
        counted.out_byte_rate,
    )


def _exact_number(number: int) -> str:
    return f" {number:>8}"


def _short_number(number: int) -> str:
    for limit, unit, size in _UNITS:
        if number < limit:
            return f"{number // size:>{9 - len(unit)}}{unit}"
    return f"{number // 10**12:>8}T"


def _settings(family: Family, service: Service) -> str:
    return "".join(
        (
            f" ({flag_names(service)})" if service.flags else "",
            _persistence(family, service.persistence) if service.persistence else "",
            f" pe {service.persistence_engine}"
            if service.persistence and service.persistence_engine
            else "",
            " ops" if service.one_packet else "",
        )
    )


def _persistence(family: Family, persistence: Persistence) -> str:
    mask = persistence.granularity
    one_client = int(mask) == _ONE_CLIENT[family]
    text = str(mask) if isinstance(mask, IPv4Address) else f"{mask}"
    return f" persistent {persistence.timeout}" + ("" if one_client else f" mask {text}")


def _tunnel(tunnel: Tunnel | None) -> str:
    match tunnel:
        case None:
            return "n/a"
        case Tunnel(TunnelType.GUE, port, checksum):
            return f"gue:{port}:{_CHECKSUMS[checksum]}"
        case Tunnel(TunnelType.GRE, _, checksum):
            return f"gre:{_CHECKSUMS[checksum]}"
        case _:
            return "ipip"
