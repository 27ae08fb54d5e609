"""Where each service of the kernel came from: which config entry, which generation, or somebody else."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.desired import Generation, GenerationSummary, Owned
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.table import KernelInfo, Statistics, Table
from ipvs_lb.policy import all_layouts, datapath
from ipvs_lb.policy.members import server_key


class Owner(enum.StrEnum):
    """Who put a service into the kernel."""

    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a service came from. `name` and `servers` are the config's names, where it declares them.

    `generation` is None for what is foreign, and for what an interrupted run left behind.
    """

    owner: Owner
    generation: int | None = None
    name: str | None = None
    servers: Mapping[ServerKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that status shows."""

    table: Table
    statistics: Statistics
    kernel: KernelInfo
    origins: Mapping[ServiceKey, Origin]
    newest: GenerationSummary | None


def in_order(table: Table) -> Table:
    """*table* with services and servers by address: the kernel's own order is that of its hash table."""
    return replace(
        table,
        services={
            key: replace(virtual, servers=dict(sorted(virtual.servers.items(), key=_place)))
            for key, virtual in sorted(table.services.items(), key=_place)
        },
    )


def _place(entry: tuple[ServiceKey | ServerKey, object]) -> tuple[int, ...]:
    return entry[0].order()


def origins(
    table: Table, owned: Owned, newest: Generation | None, config: Config | None
) -> dict[ServiceKey, Origin]:
    """The origin of every service of *table*."""
    declared = {key: entry for entry in config.services for key in entry.keys} if config else {}
    found = {key: _origin(key, owned, newest, declared.get(key)) for key in table.services}
    names = _probe_names(config) if config else {}
    return found | {key: replace(found[key], name=names[key]) for key in names if key in found}


def _probe_names(config: Config) -> dict[ServiceKey, str]:
    """What to call the services that the daemon keeps for its probes."""
    lines = datapath(all_layouts(config), config.daemon.probe_marks).lines
    return {
        line.key: f"probes of {probe.target} through {probe.through}"
        for probe, line in lines.items()
    }


def _origin(
    key: ServiceKey, owned: Owned, newest: Generation | None, entry: DeclaredService | None
) -> Origin:
    applied = newest is not None and key in newest.desired.table.services
    return Origin(
        owner=Owner.OURS if key in owned.services else Owner.FOREIGN,
        generation=newest.summary.number if newest is not None and applied else None,
        name=entry.name if entry else None,
        servers=_server_names(key, entry) if entry else {},
    )


def _server_names(key: ServiceKey, entry: DeclaredService) -> dict[ServerKey, str]:
    return {server_key(key, server): server.name for server in entry.servers}
