"""Kernel and host commands as JSON objects: what a plan consists of. Written only, never read back."""

from __future__ import annotations

from typing import assert_never

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
)
from ipvs_lb.model.host import AddAddress, HostCommand, RemoveAddress, SetFirewall, SetSysctl
from ipvs_lb.model.identity import ServerKey
from ipvs_lb.serial.desired import firewall_to_json, place_to_json
from ipvs_lb.serial.reading import JSON
from ipvs_lb.serial.table import (
    daemon_to_json,
    server_to_json,
    service_to_json,
    timeouts_to_json,
)


def command_to_json(command: Command) -> dict[str, JSON]:
    """*command* as `{"do": "edit-server", "service": ..., "server": {...}}`."""
    match command:
        case AddService(key, service):
            return {"do": "add-service", "service": str(key), "settings": service_to_json(service)}
        case EditService(key, service):
            return {"do": "edit-service", "service": str(key), "settings": service_to_json(service)}
        case DeleteService(key):
            return {"do": "delete-service", "service": str(key)}
        case AddServer(key, server_key, server):
            settings = server_to_json(server_key, server)
            return {"do": "add-server", "service": str(key), "server": settings}
        case EditServer(key, server_key, server):
            settings = server_to_json(server_key, server)
            return {"do": "edit-server", "service": str(key), "server": settings}
        case DeleteServer(key, server_key):
            place = _server_key_to_json(server_key)
            return {"do": "delete-server", "service": str(key), "server": place}
        case _:
            return _whole_table_command(command)


def _whole_table_command(
    command: SetTimeouts | StartDaemon | StopDaemon | ZeroCounters | Flush,
) -> dict[str, JSON]:
    match command:
        case SetTimeouts(timeouts):
            return {"do": "set-timeouts", "timeouts": timeouts_to_json(timeouts)}
        case StartDaemon(daemon):
            return {"do": "start-sync-daemon", "sync_daemon": daemon_to_json(daemon)}
        case StopDaemon(role):
            return {"do": "stop-sync-daemon", "role": str(role)}
        case ZeroCounters(key):
            return {"do": "zero-counters", "service": None if key is None else str(key)}
        case Flush():
            return {"do": "flush"}
        case _:
            assert_never(command)


def host_command_to_json(command: HostCommand) -> dict[str, JSON]:
    """*command* as `{"do": "add-address", "address": ...}`."""
    match command:
        case AddAddress(place, announce):
            return {"do": "add-address", **place_to_json(place), "announce": announce}
        case RemoveAddress(place):
            return {"do": "remove-address", **place_to_json(place)}
        case SetSysctl(name, value, reason):
            return {"do": "set-sysctl", "name": name, "value": value, "reason": reason}
        case SetFirewall(firewall):
            return {"do": "set-firewall", **firewall_to_json(firewall)}
        case _:
            assert_never(command)


def _server_key_to_json(key: ServerKey) -> dict[str, JSON]:
    return {"address": str(key.address), "port": key.port}
