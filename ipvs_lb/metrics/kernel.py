"""`/proc/net/ip_vs` and `/proc/net/ip_vs_stats`, which node_exporter reads, as the same series. Pure.

A row that is no row is left out: what the kernel shows while the table changes need not be whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from ipvs_lb.metrics.families import NODE_WEIGHT

_TOTALS_LINE = 2
_TOTALS = 5
_ROW_FIELDS = 6
_V4_DIGITS = 8
_set_of = NODE_WEIGHT.set_of


@dataclass(frozen=True, slots=True)
class Row:
    """A real server's numbers."""

    weight: int
    active: int
    inactive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTable:
    """The totals (connections, packets in and out, bytes in and out) and the rows by their labels."""

    totals: tuple[int, ...] = ()
    rows: Mapping[str, Row] = field(default_factory=dict)


def parse(table: str, totals: str) -> KernelTable:
    """What the two files say."""
    return KernelTable(totals=_totals(totals), rows=dict(_rows(table)))


def _totals(text: str) -> tuple[int, ...]:
    lines = text.splitlines()
    fields = lines[_TOTALS_LINE].split() if len(lines) > _TOTALS_LINE else []
    if len(fields) != _TOTALS:
        return ()
    try:
        return tuple(int(number, 16) for number in fields)
    except ValueError:
        return ()


def _rows(text: str) -> Iterator[tuple[str, Row]]:
    local = None
    for line in text.splitlines():
        fields = line.split()
        try:
            if fields[:1] != ["->"]:
                local = _local(fields)
            elif local is not None and len(fields) >= _ROW_FIELDS:
                proto, address, port, mark = local
                remote, remote_port = _endpoint(fields[1])
                labels = _set_of(address, port, remote, remote_port, proto, mark)
                yield labels, Row(int(fields[3]), int(fields[4]), int(fields[5]))
        except ValueError:
            continue


def _local(fields: list[str]) -> tuple[str, str, str, str] | None:
    """Protocol, address, port and mark of a virtual service; None of another line."""
    match fields:
        case ["FWM", mark, *_]:
            return "FWM", "", "0", mark
        case ["TCP" | "UDP" | "SCTP" as proto, where, *_]:
            return proto, *_endpoint(where), ""
        case _:
            return None


def _endpoint(text: str) -> tuple[str, str]:
    """Address and port of `0A000004:0050` or `[2001:0db8:...]:0050`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if host.startswith("["):
        return str(IPv6Address(host[1:-1])), str(int(port, 16))
    if len(host) != _V4_DIGITS:
        raise ValueError(text)
    return ".".join(map(str, bytes.fromhex(host))), str(int(port, 16))
