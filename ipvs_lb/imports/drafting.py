"""What every translation does with the servers of a service before they stand in the draft."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ipvs_lb.config.draft import Checks, DraftServer
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.model.identity import Port
from ipvs_lb.model.settings import MAX_WEIGHT

Marked = tuple[DraftServer, Mark]


def unlike(servers: Iterable[Marked], owner: str, findings: Findings) -> list[DraftServer]:
    """*servers* without those that stand twice, which are told."""
    first: dict[object, Mark] = {}
    kept = []
    for server, mark in servers:
        place = (server.address, server.port)
        if place in first:
            what = f"{owner}: {server.address}" + (f" {server.port}" if server.port else "")
            findings.left_out(mark, what, f"the same server is at {first[place]} already")
            continue
        first[place] = mark
        kept.append(server)
    return kept


def with_plain_port(server: DraftServer, ports: Sequence[tuple[int, int]]) -> DraftServer:
    """*server* without a port that is the service's only one anyway."""
    if server.port is not None and list(ports) == [(server.port, server.port)]:
        return replace(server, port=None)
    return server


def with_shared_checks(
    servers: Sequence[DraftServer],
) -> tuple[Checks | None, tuple[DraftServer, ...]]:
    """The checks that all servers of the first tier have, and the servers with what they have besides."""
    wanted = {server.checks for server in servers if not server.tier}
    if len(wanted) != 1:
        return None, tuple(servers)
    (shared,) = wanted
    if not shared:
        return None, tuple(replace(server, checks=server.checks or None) for server in servers)
    mine = (replace(one, checks=None if one.checks == shared else one.checks) for one in servers)
    return shared, tuple(mine)


def weight(wanted: int, mark: Mark, what: str, findings: Findings) -> int:
    """*wanted*, at most what the kernel is meant to take."""
    if wanted > MAX_WEIGHT:
        findings.changed(mark, what, f"a weight is at most {MAX_WEIGHT}")
    return min(wanted, MAX_WEIGHT)


def port_of(number: int) -> Port | None:
    """A port of a server; 0 is the service's own."""
    return Port(number) if number else None
