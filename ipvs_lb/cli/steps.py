"""A change as steps in the order they are done, each with the fields it alters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    SetTimeouts,
)
from ipvs_lb.model.host import HostCommand
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Table
from ipvs_lb.plan import stages
from ipvs_lb.serial import JSON, server_to_json, service_to_json, timeouts_to_json

if TYPE_CHECKING:
    from ipvs_lb.engine.apply import Change

SERVICE_COMMANDS = (AddService, EditService, DeleteService)
SERVER_COMMANDS = (AddServer, EditServer, DeleteServer)


@dataclass(frozen=True, slots=True)
class Altered:
    """One field before and after, in the words of the JSON schemas."""

    name: str
    old: JSON
    new: JSON


@dataclass(frozen=True, slots=True)
class Step:
    """One command; an edit also says what it alters."""

    command: Command | HostCommand
    altered: tuple[Altered, ...] = field(default=())


def steps(change: Change) -> Iterator[Step]:
    """Everything *change* would do, in order: restrictions, capacity grows, the host follows, capacity shrinks."""
    growing, shrinking = stages(change.commands)
    yield from (Step(command) for command in change.firewall_first)
    yield from (Step(command, altered(change.before, command)) for command in growing)
    yield from (Step(command) for command in (*change.host_before, *change.host_after))
    yield from (Step(command) for command in (*shrinking, *change.firewall_last))


def service_of(command: Command | HostCommand) -> ServiceKey | None:
    """The service that *command* is about, if it is about one."""
    return command.key if isinstance(command, SERVICE_COMMANDS + SERVER_COMMANDS) else None


def altered(before: Table, command: Command) -> tuple[Altered, ...]:
    """The fields that an edit changes; nothing for other commands."""
    match command:
        case EditService(key, service):
            old = before.services[key].service
            return _differences(service_to_json(old), service_to_json(service))
        case EditServer(key, server_key, server):
            present = before.services[key].servers[server_key]
            return _differences(
                server_to_json(server_key, present), server_to_json(server_key, server)
            )
        case SetTimeouts(timeouts) if before.timeouts is not None:
            return _differences(timeouts_to_json(before.timeouts), timeouts_to_json(timeouts))
        case _:
            return ()


def _differences(old: Mapping[str, JSON], new: Mapping[str, JSON]) -> tuple[Altered, ...]:
    return tuple(Altered(name, old[name], new[name]) for name in new if old[name] != new[name])
