"""A kernel in memory that keeps the law of `ipvs_lb.ports.Kernel`."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence, Set

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    perform,
)
from ipvs_lb.errors import Refusal, RefusedError
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.settings import SCHEDULERS, Timeouts
from ipvs_lb.model.table import KernelInfo, ServiceStatistics, Statistics, Table, VirtualService

TIMEOUTS = Timeouts(tcp=900, tcp_fin=120, udp=300)


class MemoryKernel:
    """Starts with *table*; `executed` are the commands so far. What `refusal` says is refused."""

    def __init__(self, table: Table | None = None) -> None:
        given = table or Table()
        self.table = Table(given.services, given.timeouts or TIMEOUTS, given.daemons or {})
        self.counters: Statistics = {}
        self.executed: list[Command] = []

    def refusal(self, command: Command) -> int:
        """The errno that *command* fails with, 0: none."""
        return errno.ENOENT if _has_unknown_scheduler(command) else 0

    def read(self) -> Table:
        """The table."""
        return self.table

    def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """The `counters` that were set, else zeros."""
        return {
            key: self.counters.get(key) or _zeros(virtual)
            for key, virtual in self.table.services.items()
            if keys is None or key in keys
        }

    def info(self) -> KernelInfo:
        """A version and a size as they are common."""
        return KernelInfo((1, 2, 1), 4096)

    def execute(self, commands: Sequence[Command]) -> None:
        """Carry out *commands*. Raises RefusedError naming those that were refused."""
        refusals = []
        for command in commands:
            code = self.refusal(command) or self._perform(command)
            if code:
                message = f"{command}: {os.strerror(code)}"
                refusals.append(Refusal(command, code, message, _hint(command)))
            else:
                self.executed.append(command)
        if refusals:
            raise RefusedError(refusals)

    def _perform(self, command: Command) -> int:
        """The errno of what cannot be brought to the wanted result, else 0."""
        try:
            self.table = perform(self.table, command)
        except FileExistsError:
            self.table = perform(self.table, _as_edit(command))
        except FileNotFoundError:
            return self._recover(command)
        return 0

    def _recover(self, command: Command) -> int:
        if isinstance(command, DeleteServer | DeleteService):
            return 0
        match command:
            case EditService(key, service):
                self.table = perform(self.table, AddService(key, service))
            case EditServer(key, server_key, server) if key in self.table.services:
                self.table = perform(self.table, AddServer(key, server_key, server))
            case _:
                return errno.ESRCH
        return 0


def _hint(command: Command) -> str:
    if isinstance(command, AddService | EditService):
        return f"modprobe ip_vs_{command.service.scheduler}"
    return "ipvs-lb status"


def _zeros(virtual: VirtualService) -> ServiceStatistics:
    return ServiceStatistics(servers={key: ServerCounters() for key in virtual.servers})


def _has_unknown_scheduler(command: Command) -> bool:
    return (
        isinstance(command, AddService | EditService)
        and command.service.scheduler not in SCHEDULERS
    )


def _as_edit(command: Command) -> Command:
    match command:
        case AddService(key, service):
            return EditService(key, service)
        case AddServer(key, server_key, server):
            return EditServer(key, server_key, server)
        case _:
            raise AssertionError(command)
