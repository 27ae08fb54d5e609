"""What can be done to a kernel's IPVS table, as values, and what each does to a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole, Timeouts
from ipvs_lb.model.table import Table, VirtualService


@dataclass(frozen=True, slots=True)
class AddService:
    key: ServiceKey
    service: Service

    def __str__(self) -> str:
        return f"add service {self.key} scheduler {self.service.scheduler}"


@dataclass(frozen=True, slots=True)
class EditService:
    key: ServiceKey
    service: Service

    def __str__(self) -> str:
        return f"edit service {self.key} scheduler {self.service.scheduler}"


@dataclass(frozen=True, slots=True)
class DeleteService:
    key: ServiceKey

    def __str__(self) -> str:
        return f"delete service {self.key}"


@dataclass(frozen=True, slots=True)
class AddServer:
    key: ServiceKey
    server_key: ServerKey
    server: Server

    def __str__(self) -> str:
        return f"add server {self.server_key} to {self.key} weight {self.server.weight}"


@dataclass(frozen=True, slots=True)
class EditServer:
    key: ServiceKey
    server_key: ServerKey
    server: Server

    def __str__(self) -> str:
        return f"edit server {self.server_key} of {self.key} weight {self.server.weight}"


@dataclass(frozen=True, slots=True)
class DeleteServer:
    key: ServiceKey
    server_key: ServerKey

    def __str__(self) -> str:
        return f"delete server {self.server_key} of {self.key}"


@dataclass(frozen=True, slots=True)
class SetTimeouts:
    timeouts: Timeouts

    def __str__(self) -> str:
        return f"set timeouts tcp {self.timeouts.tcp} tcp-fin {self.timeouts.tcp_fin} udp {self.timeouts.udp}"


@dataclass(frozen=True, slots=True)
class StartDaemon:
    daemon: SyncDaemon

    def __str__(self) -> str:
        return f"start {self.daemon.role} sync daemon on {self.daemon.interface}"


@dataclass(frozen=True, slots=True)
class StopDaemon:
    role: SyncRole

    def __str__(self) -> str:
        return f"stop {self.role} sync daemon"


@dataclass(frozen=True, slots=True)
class ZeroCounters:
    """Zero the counters of one service, or with None of all."""

    key: ServiceKey | None = None

    def __str__(self) -> str:
        return f"zero counters of {self.key or 'all services'}"


@dataclass(frozen=True, slots=True)
class Flush:
    """Remove every service, whoever made it."""

    def __str__(self) -> str:
        return "flush the table"


Command = (
    AddService
    | EditService
    | DeleteService
    | AddServer
    | EditServer
    | DeleteServer
    | SetTimeouts
    | StartDaemon
    | StopDaemon
    | ZeroCounters
    | Flush
)

REMOVALS = (DeleteServer, DeleteService, StopDaemon, Flush)


def _with_servers(table: Table, key: ServiceKey, changed: VirtualService) -> Table:
    return replace(table, services={**table.services, key: changed})


def perform(table: Table, command: Command) -> Table:
    """The table after *command*.

    Raises FileExistsError when something to add is there, and FileNotFoundError when something to edit or to
    delete is not: EEXIST and ENOENT, as the kernel answers.
    """
    match command:
        case AddService(key, service):
            if key in table.services:
                raise FileExistsError(str(command))
            return _with_servers(table, key, VirtualService(service))
        case AddServer(key, server_key, _):
            if server_key in _existing(table, key, command).servers:
                raise FileExistsError(str(command))
            return _put_server(table, key, command)
        case EditServer(key, server_key, _):
            if server_key not in _existing(table, key, command).servers:
                raise FileNotFoundError(str(command))
            return _put_server(table, key, command)
        case EditService(key, service):
            return _with_servers(
                table, key, replace(_existing(table, key, command), service=service)
            )
        case DeleteService(key):
            _existing(table, key, command)
            return replace(table, services={k: v for k, v in table.services.items() if k != key})
        case DeleteServer(key, server_key):
            return _without_server(table, key, command)
        case SetTimeouts(timeouts):
            return replace(table, timeouts=timeouts)
        case StartDaemon(daemon):
            return replace(table, daemons={**(table.daemons or {}), daemon.role: daemon})
        case StopDaemon(role):
            return replace(
                table, daemons={r: d for r, d in (table.daemons or {}).items() if r is not role}
            )
        case ZeroCounters():
            return table
        case Flush():
            return replace(table, services={})
        case _:
            assert_never(command)


def _existing(table: Table, key: ServiceKey, command: Command) -> VirtualService:
    try:
        return table.services[key]
    except KeyError:
        raise FileNotFoundError(str(command)) from None


def _put_server(table: Table, key: ServiceKey, command: AddServer | EditServer) -> Table:
    old = table.services[key]
    servers = {**old.servers, command.server_key: command.server}
    return _with_servers(table, key, replace(old, servers=servers))


def _without_server(table: Table, key: ServiceKey, command: DeleteServer) -> Table:
    old = _existing(table, key, command)
    if command.server_key not in old.servers:
        raise FileNotFoundError(str(command))
    left = {k: v for k, v in old.servers.items() if k != command.server_key}
    return _with_servers(table, key, replace(old, servers=left))
