"""Traffic counters as IPVS reports them: 64 bits wide since Linux 4.1, 32 before."""

from __future__ import annotations

from collections.abc import Sequence

from ipvs_lb.model.counters import Counters
from ipvs_lb.netlink.attributes import Attributes

_BYTE_TOTALS = (4, 5)  # these two are 64 bits wide in the old block as well


def decode(attributes: Attributes, old: int, wide: int) -> Counters:
    """The counters in attribute *wide*, else in *old*, else zeros. Raises CodecError."""
    if wide in attributes:
        block = Attributes("counters", attributes.payload(wide))
        return from_values([block.u64(kind, 0) for kind in range(1, 11)])
    if old in attributes:
        block = Attributes("counters", attributes.payload(old))
        return from_values(
            [
                block.u64(kind, 0) if kind in _BYTE_TOTALS else block.u32(kind, 0)
                for kind in range(1, 11)
            ]
        )
    return Counters()


def from_values(values: Sequence[int]) -> Counters:
    """From the values of IPVS_STATS_ATTR_CONNS (1) to IPVS_STATS_ATTR_OUTBPS (10)."""
    return Counters(
        connections=values[0],
        in_packets=values[1],
        out_packets=values[2],
        in_bytes=values[3],
        out_bytes=values[4],
        connection_rate=values[5],
        in_packet_rate=values[6],
        out_packet_rate=values[7],
        in_byte_rate=values[8],
        out_byte_rate=values[9],
    )
