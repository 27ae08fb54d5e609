"""The IPVS table of one network namespace, as it is or as it should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole, Timeouts

Servers = Mapping[ServerKey, Server]


@dataclass(frozen=True, slots=True)
class VirtualService:
    """A virtual service with its real servers."""

    service: Service
    servers: Servers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Virtual services, connection timeouts and sync daemons.

    In a wanted table `timeouts` or `daemons` None means: leave them as they are.
    A table read from a kernel has both.
    """

    services: Mapping[ServiceKey, VirtualService] = field(default_factory=dict)
    timeouts: Timeouts | None = None
    daemons: Mapping[SyncRole, SyncDaemon] | None = None


def only(table: Table, keys: Iterable[ServiceKey]) -> Table:
    """*table* without the services that are not among *keys*."""
    return replace(
        table, services={key: table.services[key] for key in keys if key in table.services}
    )


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """The counters of a virtual service and of its real servers."""

    traffic: Counters = Counters()  # noqa: RUF009  # frozen, so sharing one is safe
    servers: Mapping[ServerKey, ServerCounters] = field(default_factory=dict)


Statistics = Mapping[ServiceKey, ServiceStatistics]


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """IPVS_CMD_GET_INFO: the version (major, minor, patch) and the size of the connection table."""

    version: tuple[int, int, int]
    connection_table_size: int
