"""Traffic counters as IPVS reports them: 64 bits wide since Linux 4.1, 32 before."""

from __future__ import annotations

from ipvs_lb.model.counters import Counters
from ipvs_lb.netlink.attributes import Attributes

_BYTE_TOTALS = (4, 5)  # these two are 64 bits wide in the old block as well


def decode(attributes: Attributes, old: int, wide: int) -> Counters:
    """The counters in attribute *wide*, else in *old*, else zeros. Raises CodecError."""
    if wide in attributes:
        block = Attributes("counters", attributes.payload(wide))
        return Counters._make([block.u64(kind, 0) for kind in range(1, 11)])
    if old in attributes:
        block = Attributes("counters", attributes.payload(old))
        return Counters._make(
            [
                block.u64(kind, 0) if kind in _BYTE_TOTALS else block.u32(kind, 0)
                for kind in range(1, 11)
            ]
        )
    return Counters()
