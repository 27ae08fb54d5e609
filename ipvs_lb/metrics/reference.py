"""The reference of the metrics as Markdown: `python -m ipvs_lb.metrics.reference [FILE]` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ipvs_lb.metrics.families import FAMILIES
from ipvs_lb.metrics.text import Family, Kind

LABELS: Mapping[str, str] = {
    "version": "of ipvs_lb",
    "python_version": "of the interpreter",
    "action": "of drift `repaired` or `reported`; of orders `up`, `down`, `drain`, `weight`",
    "outcome": "`loaded` or `refused`",
    "check": "the type of health check, as in the configuration: at most 16",
    "result": "`passed`, or the class of the error, as `ipvs-lb explain` names it: at most 18",
    "event": "the event's name: those in [the list](../how-to/hooks.md#the-events)",
    "level": "`info`, `warning`, `error`",
    "hook": "the hook's name in the configuration",
    "face": "`native` (the daemon's own API), `octavia`, `metrics`",
    "method": "the HTTP method, `other` for unusual ones",
    "route": "the path as the documentation writes it, `other` for all that are not there",
    "code": "the HTTP status",
    "reason": "`full`, `handshake`, `no_http`, `long_head`, `slow`, `unread`",
    "vip": "the address",
    "service": "the service's name in the configuration",
    "virtual_service": "one of its addresses and ports, `tcp/10.0.0.16:80`, or its mark, `fwmark/5`",
    "state": "as `ipvs-lb status` says it: `up`, `idle`, `draining`, `drained`, `down`, `unknown`, `standby`, `disabled`",
    "to": "`up` or `down`",
    "server": "the server's name in the configuration",
    "address": "its address and port",
    "local_address": "the virtual service's address, empty with a mark",
    "local_port": "its port, 0 with a mark",
    "remote_address": "the real server's address",
    "remote_port": "its port",
    "proto": "`TCP`, `UDP`, `SCTP`, `FWM`",
    "local_mark": "the mark in hexadecimal, `0000000A`, else empty",
}
_INTRODUCTION = """\
# Metrics reference

Made from the code; `python -m ipvs_lb.metrics.reference` writes it anew. [How to use them](../how-to/metrics.md).

`GET /metrics` answers in Prometheus' text format, version 0.0.4, compressed for those who take gzip: on the daemon's
unix socket, on the API's TCP listeners behind their token, and on a [port of its own](config.md#metrics) where one is
configured. Counters start at 0 with the daemon, those of traffic when the kernel got the service or the server.

## How many series

| for each | series |
|---|---|
"""
_NOTES = """
Labels are taken from the configuration and from fixed lists, never from what clients or servers send. What belongs to a
service, a server or a hook goes with it. 1,000 virtual services with 20 servers each are about 200,000 series, of which
180,000 are those of single servers: `metrics: {servers: no}` leaves them out.
"""


def text() -> str:
    """The whole reference."""
    return "\n".join([_INTRODUCTION + "\n".join(_sizes()), _NOTES, *_sections(), *_labels(), ""])


def _sizes() -> Iterator[str]:
    service = 8 + 2 + sum(_is_of(family, "virtual_service", but="state to") for family in FAMILIES)
    server = sum(_is_of(family, "server") for family in FAMILIES)
    row = sum(_is_of(family, "remote_address") for family in FAMILIES)
    yield f"| virtual service | {service} |"
    yield f"| real server of a virtual service | {server} `ipvs_lb_server_...`, and {row} `node_ipvs_backend_...` |"
    yield "| type of health check in use | 16 of the histogram, and one for each result seen |"
    yield "| VIP, hook, name of an event seen, kind of request seen | 1 |"
    yield "| gateway | about 60 more |"


def _is_of(family: Family, label: str, but: str = "") -> bool:
    excluded = {"server", *but.split()} if label == "virtual_service" else set()
    return label in family.labels and not excluded & set(family.labels)


def _sections() -> Iterator[str]:
    titles = {
        "The gateway": [f for f in FAMILIES if f.name.startswith("ipvs_lb_") and not _where(f)],
        "Services": [f for f in FAMILIES if _where(f) == "service"],
        "Servers": [f for f in FAMILIES if _where(f) == "server"],
        "The kernel's table, as node_exporter shows it": [
            f for f in FAMILIES if f.name.startswith("node_ipvs_")
        ],
        "The process": [f for f in FAMILIES if f.name.startswith("process_")],
    }
    for title, families in titles.items():
        yield f"## {title}\n"
        if title.startswith("The kernel"):
            yield (
                "Names, labels and values are those of node_exporter's collector `ipvs`, of everything in the kernel's\n"
                "table, whoever put it there; `metrics: {kernel: no}` leaves them out.\n"
            )
        yield "| name | type | unit | labels | meaning |"
        yield "|---|---|---|---|---|"
        yield from map(_row, families)
        yield ""


def _where(family: Family) -> str:
    if "server" in family.labels:
        return "server"
    return "service" if "virtual_service" in family.labels else ""


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    name = f"`{family.name}`"
    if family.kind is Kind.HISTOGRAM:
        labels = f"{labels}, `le`" if labels else "`le`"
    return f"| {name} | {family.kind} | {family.unit} | {labels} | {family.meaning} |"


def _labels() -> Iterator[str]:
    yield "## Labels\n"
    yield "| label | values |"
    yield "|---|---|"
    yield from (f"| `{label}` | {meaning} |" for label, meaning in LABELS.items())


if __name__ == "__main__":
    Path(*(sys.argv[1:2] or ["docs/reference/metrics.md"])).write_text(text())
