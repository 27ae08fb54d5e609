"""What is in the kernel, as lines of 80 columns for a person; IN/S and OUT/S are bytes per second.

Our own alignment rather than a table library's: 20,000 servers are a matter of a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from ipvs_lb.amounts import plural, short
from ipvs_lb.cli.origins import Origin, Owner, Snapshot
from ipvs_lb.cli.words import service_extras
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import ServiceStatistics

_HEADING = "  SERVER                METHOD WEIGHT ACTIVE INACT CONN/S  IN/S OUT/S NAME"


def status_lines(snapshot: Snapshot) -> Iterator[str]:
    """*snapshot*, a paragraph per service."""
    services = snapshot.table.services
    if not services:
        yield "No virtual services in this kernel."
    else:
        yield click.style(_HEADING, dim=True)
    for key in services:
        yield from _service_lines(snapshot, key)
    yield from ("", *_closing_lines(snapshot))


def _service_lines(snapshot: Snapshot, key: ServiceKey) -> Iterator[str]:
    virtual, origin = snapshot.table.services[key], snapshot.origins[key]
    statistics = snapshot.statistics.get(key, ServiceStatistics())
    nothing = ServerCounters()
    yield f"{click.style(str(key), bold=True)}  {virtual.service.scheduler}  {_told(origin)}"
    if extras := service_extras(virtual.service):
        yield f"  {extras}"
    for server_key, server in virtual.servers.items():
        counters = statistics.servers.get(server_key, nothing)
        yield _server_line(server_key, server, counters, origin.servers.get(server_key, ""))
    if not virtual.servers:
        yield click.style("  no server", fg="red")


def _server_line(key: ServerKey, server: Server, counters: ServerCounters, name: str) -> str:
    traffic = counters.traffic
    line = (
        f"  {key!s:21} {server.forwarding!s:6} {server.weight:>6} {short(counters.active):>6}"
        f" {short(counters.inactive):>5} {short(traffic.connection_rate):>6}"
        f" {short(traffic.in_byte_rate):>5} {short(traffic.out_byte_rate):>5} {name}"
    ).rstrip()
    return line if server.weight else click.style(line, fg="yellow")


def _told(origin: Origin) -> str:
    if origin.owner is Owner.FOREIGN:
        declared = f"{origin.name}, not applied yet" if origin.name else "foreign"
        return click.style(f"[{declared}]", fg="magenta")
    since = f"generation {origin.generation}" if origin.generation else "left by an interrupted run"
    return click.style(f"[{origin.name}, {since}]" if origin.name else f"[{since}]", fg="green")


def _closing_lines(snapshot: Snapshot) -> Iterator[str]:
    table = snapshot.table
    servers = sum(len(virtual.servers) for virtual in table.services.values())
    foreign = sum(origin.owner is Owner.FOREIGN for origin in snapshot.origins.values())
    yield (
        f"{plural(len(table.services), 'service')} ({foreign} foreign), {plural(servers, 'server')};"
        f" IPVS {'.'.join(map(str, snapshot.kernel.version))},"
        f" connection table {snapshot.kernel.connection_table_size}"
    )
    yield "IN/S and OUT/S: bytes per second"
    if table.timeouts is not None:
        t = table.timeouts
        yield f"timeouts: tcp {t.tcp} s, tcp-fin {t.tcp_fin} s, udp {t.udp} s"
    for daemon in (table.daemons or {}).values():
        yield f"sync daemon: {daemon.role} on {daemon.interface}, sync id {daemon.sync_id}"
