"""From what is declared and which servers are down to the table the kernel should have.

Rules kept here:
1. A disabled server is never in.
2. Only one tier serves: the lowest that has a healthy server with weight; when there is none, no server is in.
3. A server that is down is left out, or in with weight 0 (`on_down: quiesce`).
4. Below the panic threshold the checks are not believed: all servers count as healthy.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService, OnDown
from ipvs_lb.model.identity import AddressKey, Port, ServerKey, ServiceKey
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import Table, VirtualService


@dataclass(frozen=True, slots=True)
class Member:
    """A declared server of a declared service, by name."""

    service: str
    server: str

    def __str__(self) -> str:
        return f"{self.service}/{self.server}"


def effective(config: Config, down: Set[Member] = frozenset()) -> Table:
    """The table that *config* means while the members in *down* fail their checks."""
    services: dict[ServiceKey, VirtualService] = {}
    for declared in config.services:
        chosen = _weights(declared, down)
        for key in declared.keys:
            services[key] = VirtualService(declared.service, _servers(key, declared, chosen))
    daemons = {daemon.role: daemon for daemon in config.sync_daemons}
    return Table(services, config.timeouts, daemons or None)


def _servers(
    key: ServiceKey, declared: DeclaredService, weights: Mapping[str, int]
) -> dict[ServerKey, Server]:
    own = key.port if isinstance(key, AddressKey) else Port(0)
    return {
        ServerKey(server.address, own if server.port is None else server.port): _settings(
            server, weights[server.name]
        )
        for server in declared.servers
        if server.name in weights
    }


def _settings(server: DeclaredServer, weight: int) -> Server:
    return Server(
        forwarding=server.forwarding,
        weight=weight,
        upper_threshold=server.upper_threshold,
        lower_threshold=server.lower_threshold,
        tunnel=server.tunnel,
    )


def _weights(declared: DeclaredService, down: Set[Member]) -> dict[str, int]:
    """The kernel weight of every server that is in, by name."""
    enabled = [server for server in declared.servers if not server.disabled]
    failing = {server.name for server in enabled if Member(declared.name, server.name) in down}
    if _panics(declared, len(enabled) - len(failing), len(enabled)):
        failing = set()
    able = [server for server in enabled if server.name not in failing]
    tier = min((server.tier for server in able if server.weight), default=0)
    weights = {server.name: server.weight for server in able if server.tier == tier}
    if declared.policy.on_down is OnDown.QUIESCE:
        weights |= {
            server.name: 0 for server in enabled if server.name in failing and server.tier <= tier
        }
    return weights


def _panics(declared: DeclaredService, healthy: int, total: int) -> bool:
    return healthy < declared.policy.panic_threshold * total
