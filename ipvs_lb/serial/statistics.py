"""What the kernel has counted, as JSON values. Written only, never read back."""

from __future__ import annotations

from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.serial.reading import JSON


def counters_to_json(counters: Counters) -> dict[str, JSON]:
    """Totals since the last zeroing, and `per_second` rates."""
    return {
        "connections": counters.connections,
        "in_packets": counters.in_packets,
        "out_packets": counters.out_packets,
        "in_bytes": counters.in_bytes,
        "out_bytes": counters.out_bytes,
        "per_second": {
            "connections": counters.connection_rate,
            "in_packets": counters.in_packet_rate,
            "out_packets": counters.out_packet_rate,
            "in_bytes": counters.in_byte_rate,
            "out_bytes": counters.out_byte_rate,
        },
    }


def server_counters_to_json(counters: ServerCounters) -> dict[str, JSON]:
    """Connections now, and traffic."""
    return {
        "active_connections": counters.active,
        "inactive_connections": counters.inactive,
        "persistent_connections": counters.persistent,
        "traffic": counters_to_json(counters.traffic),
    }
