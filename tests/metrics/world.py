"""A page of metrics of a gateway that is not real, read by Prometheus' own parser and checked by its own tool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from ipvs_lb.metrics.counts import Counts
from ipvs_lb.metrics.kernel import KernelTable, parse
from ipvs_lb.metrics.page import page
from ipvs_lb.metrics.reading import Reading, Refused, Requests
from ipvs_lb.model.metrics import MetricsSettings
from tests.fake_control import FakeControl

Labels = frozenset[tuple[str, str]]
Series = Mapping[tuple[str, Labels], float]

TABLE = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000010:0050 wrr
  -> 0A000006:0050      Masq    5      12         3
  -> 0A000004:0050      Masq    1      7          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0025]:0035 rr
  -> [2001:0db8:0000:0000:0000:0000:0000:0004]:0035      Route   1      0          2
SCTP 0A000010:0B59 rr
  -> 0A000008:0B59      Masq    9      1          1
FWM  00000009 rr  persistent 60
  -> 0A000004:0000      Tunnel  2      0          0
"""
TOTALS = """\
   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
      1F       A0       B0             C0DE       1FFFFFFFFF

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       0        0        0                0                0
"""


async def reading(
    control: FakeControl,
    *,
    counts: Counts | None = None,
    requests: Requests | None = None,
    refused: Refused | None = None,
    settings: MetricsSettings | None = None,
    table: KernelTable | None = None,
) -> Reading:
    return Reading(
        snapshot=control.snapshot(),
        statistics=None if control.broken else await control.statistics(),
        table=table or parse(TABLE, TOTALS),
        counts=counts or Counts(),
        requests=requests or {},
        refused=refused or {},
        settings=settings or MetricsSettings(),
    )


async def text(control: FakeControl, **settings) -> str:
    return b"".join(page(await reading(control, **settings))).decode()


def series(page: str) -> Series:
    """Every series of a page by its name and labels; one that is there twice is an error."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def value(page: str, name: str, **labels: str) -> float:
    return series(page)[name, frozenset(labels.items())]


def promtool(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *words], input=given, capture_output=True, text=True, check=False, timeout=60
    )
