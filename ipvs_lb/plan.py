"""The difference between the table that is and the table that should be, as commands.

Rules kept here:
1. Following the plan reaches the desired table; between equal tables the plan is empty.
2. Capacity is added before it is taken away: new services and servers and raised weights first,
   then other edits, then removals.
3. Matching is by identity, comparing by settings; counters are not seen here at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ipvs_lb.commands import (
    REMOVALS,
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
)
from ipvs_lb.model.identity import AddressKey, IPAddress, IPProtocol, ServiceKey
from ipvs_lb.model.settings import SyncDaemon
from ipvs_lb.model.table import Table, VirtualService


@dataclass(slots=True)
class _Steps:
    """The commands of a plan under way, by what they do to capacity."""

    grow: list[Command] = field(default_factory=list)
    alter: list[Command] = field(default_factory=list)
    shrink: list[Command] = field(default_factory=list)


def plan(actual: Table, desired: Table) -> tuple[Command, ...]:
    """The commands, in order, that make *actual* equal to *desired*.

    Every service of *actual* that is not in *desired* is deleted: restrict *actual* to what is
    ours before (`ipvs_lb.model.table.only`).
    """
    steps = _Steps()
    for key, wanted in desired.services.items():
        present = actual.services.get(key)
        if present is None:
            steps.grow += _create(key, wanted)
        elif present != wanted:
            _change(key, present, wanted, steps)
    steps.shrink += [DeleteService(key) for key in actual.services if key not in desired.services]
    return (
        *_timeouts(actual, desired),
        *steps.grow,
        *steps.alter,
        *steps.shrink,
        *_daemons(actual, desired),
    )


def stages(commands: Sequence[Command]) -> tuple[tuple[Command, ...], tuple[Command, ...]]:
    """*commands* up to the first removal, and the rest.

    A refusal in the first part has taken nothing away.
    """
    for index, command in enumerate(commands):
        if isinstance(command, REMOVALS):
            return tuple(commands[:index]), tuple(commands[index:])
    return tuple(commands), ()


def opened(
    commands: Sequence[Command], after: Mapping[ServiceKey, VirtualService]
) -> dict[AddressKey, frozenset[IPAddress]]:
    """The UDP services that *commands* add, with the addresses of the servers they have *after* that."""
    return {
        command.key: frozenset(server.address for server in after[command.key].servers)
        for command in commands
        if isinstance(command, AddService)
        and isinstance(command.key, AddressKey)
        and command.key.protocol is IPProtocol.UDP
    }


def _create(key: ServiceKey, wanted: VirtualService) -> Iterator[Command]:
    yield AddService(key, wanted.service)
    for server_key, server in wanted.servers.items():
        yield AddServer(key, server_key, server)


def _change(
    key: ServiceKey, present: VirtualService, wanted: VirtualService, steps: _Steps
) -> None:
    if present.service != wanted.service:
        steps.alter.append(EditService(key, wanted.service))
    for server_key, server in wanted.servers.items():
        old = present.servers.get(server_key)
        if old is None:
            steps.grow.append(AddServer(key, server_key, server))
        elif old != server:
            step = steps.grow if server.weight > old.weight else steps.alter
            step.append(EditServer(key, server_key, server))
    gone = (server_key for server_key in present.servers if server_key not in wanted.servers)
    steps.shrink += [DeleteServer(key, server_key) for server_key in gone]


def _timeouts(actual: Table, desired: Table) -> Iterator[Command]:
    if desired.timeouts is not None and desired.timeouts != actual.timeouts:
        yield SetTimeouts(desired.timeouts)


def _daemons(actual: Table, desired: Table) -> Iterator[Command]:
    if desired.daemons is None:
        return
    present, wanted = actual.daemons or {}, desired.daemons
    kept = {r for r in present.keys() & wanted.keys() if _satisfies(present[r], wanted[r])}
    yield from (StopDaemon(role) for role in sorted(present.keys() - kept))
    yield from (StartDaemon(wanted[role]) for role in sorted(wanted.keys() - kept))


def _satisfies(present: SyncDaemon, wanted: SyncDaemon) -> bool:
    """What *wanted* leaves open (None, 0) the kernel has chosen; the rest must be equal."""
    return present == SyncDaemon(
        role=wanted.role,
        interface=wanted.interface,
        sync_id=wanted.sync_id,
        max_length=wanted.max_length or present.max_length,
        group=wanted.group or present.group,
        port=wanted.port or present.port,
        ttl=wanted.ttl or present.ttl,
    )
