"""The IPVS table as JSON values and back: schema `ipvs_lb/table/1`.

`table_from_json(table_to_json(table)) == table`, order included. Words are those of the YAML config.
A service is told apart by `service` (`tcp/10.0.0.16:80`, `fwmark/5`); its protocol, vip, port or fwmark stand
beside it for programs that read, and are not read back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address

from ipvs_lb.model.identity import AddressKey, Port, ServerKey, ServiceKey, parse_service_key
from ipvs_lb.model.settings import (
    MAX_WEIGHT,
    SCHEDULER_FLAGS,
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.serial.reading import (
    JSON,
    JSONObject,
    MalformedError,
    address,
    array_of,
    field,
    flag,
    members,
    named,
    optional,
    parsed,
    port,
    text,
    whole,
)

TABLE_SCHEMA = "ipvs_lb/table/1"

_U32 = 2**32 - 1
_any_u32 = whole(0, _U32)
_forwarding = named(Forwarding)
_weight = whole(0, MAX_WEIGHT)
_PLAIN_FLAGS = {f"flag-{n}": flag for n, flag in enumerate(SchedulerFlags, 1)}


def table_to_json(table: Table) -> dict[str, JSON]:
    """*table* with its schema marker."""
    return {"schema": TABLE_SCHEMA, **table_body(table)}


def table_from_json(value: JSON) -> Table:
    """The inverse of `table_to_json`. Raises MalformedError (a ValueError) with the path of the first problem."""
    marker = field(members(value), "schema", text)
    if marker != TABLE_SCHEMA:
        raise MalformedError(f"expected {TABLE_SCHEMA}, got {marker}", ("schema",))
    return table_from_body(value)


def table_body(table: Table) -> dict[str, JSON]:
    """*table* without the marker, to stand inside something bigger."""
    daemons = table.daemons
    return {
        "services": [virtual_service_to_json(key, vs) for key, vs in table.services.items()],
        "timeouts": None if table.timeouts is None else timeouts_to_json(table.timeouts),
        "sync_daemons": None if daemons is None else [*map(daemon_to_json, daemons.values())],
    }


def table_from_body(value: JSON) -> Table:
    """The inverse of `table_body`. Raises MalformedError."""
    source = members(value)
    daemons = field(source, "sync_daemons", optional(array_of(_daemon_from_json)))
    return Table(
        dict(field(source, "services", array_of(_virtual_service_from_json))),
        field(source, "timeouts", optional(_timeouts_from_json)),
        None if daemons is None else {daemon.role: daemon for daemon in daemons},
    )


def key_to_json(key: ServiceKey) -> dict[str, JSON]:
    """What tells a service apart: the text form, and its parts."""
    if isinstance(key, AddressKey):
        return {
            "service": str(key),
            "protocol": str(key.protocol),
            "vip": str(key.address),
            "port": key.port,
        }
    return {"service": str(key), "fwmark": key.mark, "family": str(key.family)}


def virtual_service_to_json(key: ServiceKey, virtual: VirtualService) -> dict[str, JSON]:
    """One service with its servers."""
    return {
        **key_to_json(key),
        **service_to_json(virtual.service),
        "servers": [server_to_json(k, server) for k, server in virtual.servers.items()],
    }


def service_to_json(service: Service) -> dict[str, JSON]:
    """The settings of a service."""
    return {
        "scheduler": service.scheduler,
        "scheduler_flags": [*flag_names(service)],
        "persistence": _persistence_to_json(service.persistence),
        "persistence_engine": service.persistence_engine,
        "one_packet": service.one_packet,
    }


def server_to_json(key: ServerKey, server: Server) -> dict[str, JSON]:
    """A server with its settings."""
    tunnel = server.tunnel
    return {
        "address": str(key.address),
        "port": key.port,
        "forwarding": str(server.forwarding),
        "weight": server.weight,
        "upper_threshold": server.upper_threshold,
        "lower_threshold": server.lower_threshold,
        "tunnel": None
        if tunnel is None
        else {
            "type": str(tunnel.type),
            "port": tunnel.port,
            "checksum": str(tunnel.checksum),
        },
    }


def flag_names(service: Service) -> tuple[str, ...]:
    """The scheduler flags that are set, by the scheduler's own names where it has them."""
    own = {flag: name for name, flag in SCHEDULER_FLAGS.get(service.scheduler, {}).items()}
    return tuple(own.get(f, name) for name, f in _PLAIN_FLAGS.items() if f in service.flags)


def timeouts_to_json(timeouts: Timeouts) -> dict[str, JSON]:
    """The connection timeouts, in seconds."""
    return {"tcp": timeouts.tcp, "tcp_fin": timeouts.tcp_fin, "udp": timeouts.udp}


def daemon_to_json(daemon: SyncDaemon) -> dict[str, JSON]:
    """A sync daemon."""
    return {
        "role": str(daemon.role),
        "interface": daemon.interface,
        "sync_id": daemon.sync_id,
        "max_length": daemon.max_length,
        "group": None if daemon.group is None else str(daemon.group),
        "port": daemon.port,
        "ttl": daemon.ttl,
    }


def _persistence_to_json(persistence: Persistence | None) -> JSON:
    if persistence is None:
        return None
    granularity = persistence.granularity
    if isinstance(granularity, IPv4Address):
        return {"timeout": persistence.timeout, "netmask": str(granularity)}
    return {"timeout": persistence.timeout, "prefix_length": granularity}


def _virtual_service_from_json(value: JSON) -> tuple[ServiceKey, VirtualService]:
    source = members(value)
    servers = field(source, "servers", array_of(_server_from_json))
    key = field(source, "service", parsed(parse_service_key))
    return key, VirtualService(_service_from_json(source), dict(servers))


def _service_from_json(source: JSONObject) -> Service:
    scheduler = field(source, "scheduler", text)
    known = {**_PLAIN_FLAGS, **SCHEDULER_FLAGS.get(scheduler, {})}
    flags = SchedulerFlags.NONE
    for one in field(source, "scheduler_flags", array_of(_flag_among(known))):
        flags |= one
    return Service(
        scheduler=scheduler,
        flags=flags,
        persistence=field(source, "persistence", optional(_persistence_from_json)),
        persistence_engine=field(source, "persistence_engine", optional(text)),
        one_packet=field(source, "one_packet", flag),
    )


def _flag_among(known: Mapping[str, SchedulerFlags]) -> Callable[[JSON], SchedulerFlags]:
    def read(value: JSON) -> SchedulerFlags:
        name = text(value)
        if name not in known:
            raise MalformedError(f"expected one of {', '.join(known)}, got {name!r}")
        return known[name]

    return read


def _persistence_from_json(value: JSON) -> Persistence:
    source = members(value)
    timeout = field(source, "timeout", _any_u32)
    if "netmask" in source:
        return Persistence(timeout, field(source, "netmask", parsed(IPv4Address)))
    return Persistence(timeout, PrefixLength(field(source, "prefix_length", whole(0, 128))))


def _server_from_json(value: JSON) -> tuple[ServerKey, Server]:
    source = members(value)
    key = ServerKey(field(source, "address", address), Port(field(source, "port", port)))
    return key, Server(
        forwarding=field(source, "forwarding", _forwarding),
        weight=field(source, "weight", _weight),
        upper_threshold=field(source, "upper_threshold", _any_u32),
        lower_threshold=field(source, "lower_threshold", _any_u32),
        tunnel=None if source.get("tunnel") is None else field(source, "tunnel", _tunnel_from_json),
    )


def _tunnel_from_json(value: JSON) -> Tunnel:
    source = members(value)
    return Tunnel(
        field(source, "type", named(TunnelType)),
        Port(field(source, "port", port)),
        field(source, "checksum", named(TunnelChecksum)),
    )


def _timeouts_from_json(value: JSON) -> Timeouts:
    source = members(value)
    return Timeouts(
        tcp=field(source, "tcp", _any_u32),
        tcp_fin=field(source, "tcp_fin", _any_u32),
        udp=field(source, "udp", _any_u32),
    )


def _daemon_from_json(value: JSON) -> SyncDaemon:
    source = members(value)
    return SyncDaemon(
        role=field(source, "role", named(SyncRole)),
        interface=field(source, "interface", text),
        sync_id=field(source, "sync_id", _any_u32),
        max_length=field(source, "max_length", _any_u32),
        group=field(source, "group", optional(address)),
        port=Port(field(source, "port", port)),
        ttl=field(source, "ttl", whole(0, 255)),
    )
