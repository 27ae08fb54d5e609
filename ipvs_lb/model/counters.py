"""What the kernel has counted; never compared, never wanted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Totals since the last zeroing, and rates per second as the kernel's estimator has them."""

    connections: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    connection_rate: int = 0
    in_packet_rate: int = 0
    out_packet_rate: int = 0
    in_byte_rate: int = 0
    out_byte_rate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCounters:
    """A real server's connections right now, and its traffic."""

    active: int = 0
    inactive: int = 0
    persistent: int = 0
    traffic: Counters = Counters()  # frozen, so sharing one is safe
