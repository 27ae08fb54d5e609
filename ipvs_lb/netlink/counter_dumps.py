"""The counters of whole server dumps, fast.

As in `ipvs_lb.netlink.dumps`: messages of one size are an array of records, every header in them is compared before a
number is believed, and what does not fit is decoded message by message.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from struct import Struct

from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import Family, Port, ServerKey
from ipvs_lb.netlink import servers
from ipvs_lb.netlink.attributes import NESTED, Attributes, header, parse_address, parse_family
from ipvs_lb.netlink.dumps import messages
from ipvs_lb.netlink.messages import INTERRUPTED
from ipvs_lb.netlink.requests import SERVER

_SETTINGS = 56  # bytes from the weight's neighbours to the counts of connections
_OLD = 92  # bytes of the counters of before Linux 4.1
_RECORD = Struct(f"=8s12x4s4s16s4s2s2x{_SETTINGS}x4sI4sI4sI4sH2x{_OLD}x4s" + "4sQ" * 10)
_WIDE_AT = 12  # among the fields after the first two
_HEADERS = (
    header(servers.ADDRESS, 16),
    header(servers.PORT, 2),
    header(servers.ACTIVE, 4),
    header(servers.INACTIVE, 4),
    header(servers.PERSISTENT, 4),
    header(servers.FAMILY, 2),
    *(header(kind, 8) for kind in range(1, 11)),
)


def _either(kind: int, size: int) -> frozenset[bytes]:
    """The header of an attribute that contains others: not every kernel sets the flag that says so."""
    return frozenset({header(kind, size), header(kind | NESTED, size)})


_NEST, _WIDE = _either(SERVER, _RECORD.size - 24), _either(servers.STATS64, 120)
_IDLE = Counters()
_Names = dict[tuple[bytes, bytes, int], ServerKey]


class CounterDumps:
    """Decodes the counters of one table after the other; servers seen in the last read are not named anew."""

    def __init__(self) -> None:
        self._before: _Names = {}
        self._now: _Names = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A read of services; servers that are not in it are forgotten at its end."""
        self._now = {}
        yield
        self._before, self._now = self._now, {}

    def read(
        self, datagrams: Sequence[bytes], service_family: Family
    ) -> dict[ServerKey, ServerCounters]:
        """The counters of one service's servers. Raises InterruptedDumpError, CodecError."""
        found: dict[ServerKey, ServerCounters] = {}
        for datagram in datagrams:
            records = self._records(datagram)
            found.update(_one_by_one(datagram, service_family) if records is None else records)
        return found

    def _records(self, datagram: bytes) -> dict[ServerKey, ServerCounters] | None:
        """The counters in records of the expected layout; None when they do not have it."""
        size = int.from_bytes(datagram[:4], sys.byteorder)
        flags = int.from_bytes(datagram[6:8], sys.byteorder)
        if size != _RECORD.size or len(datagram) % size or flags & INTERRUPTED:
            return None
        found: dict[ServerKey, ServerCounters] = {}
        same = datagram[:8]
        for head, nest, *rest in _RECORD.iter_unpack(datagram):
            wide = rest.pop(_WIDE_AT)
            if (
                head != same
                or nest not in _NEST
                or wide not in _WIDE
                or tuple(rest[::2]) != _HEADERS
            ):
                return None
            address, port, active, inactive, persistent, family, *values = rest[1::2]
            found[self._name(address, port, family)] = ServerCounters(
                active=active,
                inactive=inactive,
                persistent=persistent,
                traffic=Counters._make(values) if any(values) else _IDLE,
            )
        return found

    def _name(self, address: bytes, port: bytes, family: int) -> ServerKey:
        packed = address, port, family
        name = self._now.get(packed) or self._before.get(packed)
        if name is None:
            number = Port(int.from_bytes(port, "big"))
            name = ServerKey(parse_address(address, parse_family(family)), number)
        self._now[packed] = name
        return name


def _one_by_one(datagram: bytes, family: Family) -> dict[ServerKey, ServerCounters]:
    contents = (
        Attributes("answer", message.content).payload(SERVER) for message in messages([datagram])
    )
    return dict(servers.decode_counters(content, family) for content in contents)
