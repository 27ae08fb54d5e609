"""The page: every family with its series, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from operator import attrgetter

from ipvs_lb.metrics import families as f
from ipvs_lb.metrics import gateway, process, services
from ipvs_lb.metrics.kernel import Row
from ipvs_lb.metrics.reading import Reading
from ipvs_lb.metrics.services import Lines, of_servers, of_services, server_traffic, service_traffic
from ipvs_lb.metrics.text import Family

BATCH = 64
"""Rows of the kernel's table in one piece."""


def page(reading: Reading) -> Iterator[bytes]:
    """All of it; each piece is made in a moment, and an empty one is time that has passed."""
    for family in f.FAMILIES:
        if family.of_server and not reading.settings.servers:
            continue
        head = family.head
        for lines in _LINES[family.name](reading):
            yield (head + lines).encode() if lines else b""
            head = "" if lines else head


def _rows(family: Family, value: Callable[[Row], int]) -> Lines:
    """One series for each row of the kernel's table."""

    def lines(reading: Reading) -> Iterator[str]:
        if reading.table is None or not reading.settings.kernel:
            return
        rows = iter(reading.table.rows.items())
        while batch := list(islice(rows, BATCH)):
            yield "".join([family.set_line(value(row), labels) for labels, row in batch])

    return lines


def _total(number: int) -> Lines:
    """One of the totals."""

    def lines(reading: Reading) -> Iterator[str]:
        if reading.table is not None and reading.table.totals and reading.settings.kernel:
            yield f.NODE_TOTALS[number].line(reading.table.totals[number])

    return lines


def _alone(lines: Callable[[], Iterator[str]]) -> Lines:
    """Lines that need no reading."""
    return lambda _: lines()


_OF: tuple[tuple[Family, Lines], ...] = (
    (f.BUILD_INFO, gateway.build_info),
    (f.KERNEL_UP, gateway.kernel_up),
    (f.KERNEL_FAILURES, gateway.kernel_failures),
    (f.HOST_FAILURES, gateway.host_failures),
    (f.RECONCILE_DURATION, gateway.reconcile_duration),
    (f.RECONCILE_LAST, gateway.reconcile_last),
    (f.RECONCILE_INTERVAL, gateway.reconcile_interval),
    (f.PLAN_COMMANDS, gateway.plan_commands),
    (f.DRIFT, gateway.drift),
    (f.CONFIG_GENERATION, gateway.config_generation),
    (f.CONFIG_RELOADS, gateway.config_reloads),
    (f.CONFIG_SUCCESSFUL, gateway.config_successful),
    (f.CONFIG_LOADED, gateway.config_loaded),
    (f.PROBES, gateway.probes),
    (f.PROBE_USERS, gateway.probe_users),
    (f.PROBE_DURATION, gateway.probe_duration),
    (f.PROBE_RESULTS, gateway.probe_results),
    (f.OVERRIDES, gateway.overrides),
    (f.EVENTS, gateway.events),
    (f.HOOK_FAILURES, gateway.hook_failures),
    (f.HOOK_DROPS, gateway.hook_drops),
    (f.API_REQUESTS, gateway.api_requests),
    (f.API_REFUSED, gateway.api_refused),
    (f.VIP_UP, gateway.vip_up),
    (f.SERVICE_UP, of_services(f.SERVICE_UP, lambda one: int(one.serves))),
    (f.SERVICE_SERVERS, services.servers),
    (f.SERVICE_TIER, of_services(f.SERVICE_TIER, lambda one: -1 if one.tier is None else one.tier)),
    (f.SERVICE_PANICKING, of_services(f.SERVICE_PANICKING, lambda one: int(one.panicking))),
    (f.SERVICE_QUORUM_LOST, of_services(f.SERVICE_QUORUM_LOST, lambda one: int(one.quorum_lost))),
    (f.SERVICE_TRANSITIONS, services.transitions),
    (f.SERVICE_CONNECTIONS, service_traffic(f.SERVICE_CONNECTIONS, attrgetter("connections"))),
    (f.SERVICE_IN_PACKETS, service_traffic(f.SERVICE_IN_PACKETS, attrgetter("in_packets"))),
    (f.SERVICE_OUT_PACKETS, service_traffic(f.SERVICE_OUT_PACKETS, attrgetter("out_packets"))),
    (f.SERVICE_IN_BYTES, service_traffic(f.SERVICE_IN_BYTES, attrgetter("in_bytes"))),
    (f.SERVICE_OUT_BYTES, service_traffic(f.SERVICE_OUT_BYTES, attrgetter("out_bytes"))),
    (f.SERVER_UP, of_servers(f.SERVER_UP, services.is_up)),
    (f.SERVER_STATE, services.server_state),
    (f.SERVER_WEIGHT, of_servers(f.SERVER_WEIGHT, lambda one: one.weight or 0)),
    (f.SERVER_CONNECTIONS, server_traffic(f.SERVER_CONNECTIONS, attrgetter("connections"))),
    (f.SERVER_IN_BYTES, server_traffic(f.SERVER_IN_BYTES, attrgetter("in_bytes"))),
    (f.SERVER_OUT_BYTES, server_traffic(f.SERVER_OUT_BYTES, attrgetter("out_bytes"))),
    *((family, _total(number)) for number, family in enumerate(f.NODE_TOTALS)),
    (f.NODE_WEIGHT, _rows(f.NODE_WEIGHT, attrgetter("weight"))),
    (f.NODE_ACTIVE, _rows(f.NODE_ACTIVE, attrgetter("active"))),
    (f.NODE_INACTIVE, _rows(f.NODE_INACTIVE, attrgetter("inactive"))),
    (f.PROCESS_CPU, _alone(process.cpu)),
    (f.PROCESS_MEMORY, _alone(process.memory)),
    (f.PROCESS_START, gateway.process_start),
    (f.PROCESS_FDS, _alone(process.files)),
    (f.PROCESS_MAX_FDS, _alone(process.most_files)),
)
_LINES: Mapping[str, Lines] = {family.name: lines for family, lines in _OF}
