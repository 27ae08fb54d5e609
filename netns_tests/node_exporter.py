"""node_exporter on a host, and what it says of the kernel's IPVS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from ipvs_lb.lab.hosts import Host

PORT = 9100
_PROGRAM = (
    "prometheus-node-exporter",
    "--collector.disable-defaults",
    "--collector.ipvs",
    "--web.disable-exporter-metrics",
    f"--web.listen-address=127.0.0.1:{PORT}",
)
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""


@contextmanager
def exporting(host: Host) -> Iterator[None]:
    """node_exporter runs on *host*."""
    exporter = host.start(_PROGRAM)
    try:
        host.wait_for_listener(PORT, exporter)
        yield
    finally:
        exporter.terminate()
        exporter.wait(10)


def shown_by(host: Host) -> Series:
    """The kernel's series as node_exporter on *host* shows them."""
    return of_kernel(read(host.run(["curl", "-sS", f"http://127.0.0.1:{PORT}/metrics"]).stdout))


def read(text: str) -> Series:
    """Every series of *text*."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of_kernel(series: Mapping[tuple[str, frozenset[tuple[str, str]]], float]) -> Series:
    """Those of node_exporter's collector ipvs."""
    return {key: value for key, value in series.items() if key[0].startswith("node_ipvs_")}
