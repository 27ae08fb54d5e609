"""What the kernel has counted; never compared, never wanted.

Named tuples, since tens of thousands are made at once: a frozen dataclass takes four times as long.
"""

from __future__ import annotations

from typing import NamedTuple


class Counters(NamedTuple):
    """Totals since the last zeroing, and rates per second as the kernel's estimator has them.

    In the order of IPVS_STATS_ATTR_CONNS (1) to IPVS_STATS_ATTR_OUTBPS (10).
    """

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


class ServerCounters(NamedTuple):
    """A real server's connections right now, and its traffic."""

    active: int = 0
    inactive: int = 0
    persistent: int = 0
    traffic: Counters = Counters()
