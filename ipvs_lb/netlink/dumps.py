"""Whole dumps to model values, fast.

All server messages of one kernel have the same size, so a datagram of them is an array of records. Each record is
cut at fixed places; every header at those places is compared before a value is believed. A datagram whose servers
and settings were all seen in the read before gives the same mapping again. What does not fit (a newer kernel, an
older one, an interrupted dump) is decoded message by message.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from struct import Struct

from ipvs_lb.errors import KernelError
from ipvs_lb.model.identity import Family, Port, ServerKey, ServiceKey
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import Servers
from ipvs_lb.netlink import servers, services
from ipvs_lb.netlink.attributes import Attributes, attributes, header, parse_address, parse_family
from ipvs_lb.netlink.messages import INTERRUPTED, Message, split
from ipvs_lb.netlink.requests import SERVER, SERVICE

_FIXED = 140  # bytes up to and with the family, as ip_vs_genl_fill_dest() writes them
_ORDER = (
    servers.ADDRESS, servers.PORT, servers.METHOD, servers.WEIGHT,
    servers.TUNNEL_TYPE, servers.TUNNEL_PORT, servers.TUNNEL_FLAGS, servers.UPPER, servers.LOWER,
    servers.ACTIVE, servers.INACTIVE, servers.PERSISTENT, servers.FAMILY,
)  # fmt: skip
_ADDRESS, _PORT, _FAMILY = (
    header(servers.ADDRESS, 16), header(servers.PORT, 2), header(servers.FAMILY, 2),
)  # fmt: skip
_REMEMBERED = 1 << 16  # different settings before they are forgotten


class InterruptedDumpError(KernelError):
    """The table changed while it was dumped: ask again."""

    def __init__(self) -> None:
        super().__init__("the table changed while it was read")


@lru_cache(maxsize=256)
def _essence(size: int, count: int) -> Struct:
    """What names and sets the servers of *count* records, without sequence numbers and counters."""
    return Struct("=" + f"8s8x92s24x8s{size - _FIXED}x" * count)


@lru_cache(maxsize=256)
def _fine(size: int) -> Struct:
    """A record as: head, address, port, settings, family, each with its attribute header."""
    return Struct(f"=8s12x4s4s16s4s2s2x56s24x4sH2x{size - _FIXED}x")


def messages(datagrams: Sequence[bytes]) -> Iterator[Message]:
    """The messages of a dump. Raises InterruptedDumpError, CodecError."""
    for datagram in datagrams:
        for message in split(datagram):
            if message.flags & INTERRUPTED:
                raise InterruptedDumpError
            yield message


def read_services(datagrams: Sequence[bytes]) -> dict[ServiceKey, Service]:
    """The services of a dump; those that cannot be ours are left out. Raises KernelError, CodecError."""
    contents = (
        Attributes("answer", message.content).payload(SERVICE) for message in messages(datagrams)
    )
    return dict(found for content in contents if (found := services.decode(content)) is not None)


class ServerDumps:
    """Decodes the server dumps of one table after the other, and remembers the last read."""

    def __init__(self) -> None:
        self._before: dict[bytes, Servers] = {}
        self._now: dict[bytes, Servers] = {}
        self._settings: dict[bytes, Server] = {}
        self._sizes: set[int] = set()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A read of the whole table; what it does not see is forgotten at its end."""
        self._now = {}
        if len(self._settings) > _REMEMBERED:
            self._settings.clear()
        yield
        self._before, self._now = self._now, {}

    def read(self, datagrams: Sequence[bytes], service_family: Family) -> Servers:
        """The servers of one service. Raises InterruptedDumpError, CodecError."""
        if len(datagrams) == 1:
            return self._datagram(datagrams[0], service_family)
        found: dict[ServerKey, Server] = {}
        for datagram in datagrams:
            found.update(self._datagram(datagram, service_family))
        return found

    def _datagram(self, datagram: bytes, service_family: Family) -> Servers:
        size = int.from_bytes(datagram[:4], sys.byteorder)
        if size < _FIXED or size % 4 or len(datagram) % size:
            return _one_by_one(datagram, service_family)
        seen = b"".join(_essence(size, len(datagram) // size).unpack(datagram))
        found = self._now.get(seen) or self._before.get(seen)
        if found is None:
            found = self._records(datagram, size)
            if found is None:
                return _one_by_one(datagram, service_family)
        self._now[seen] = found
        return found

    def _records(self, datagram: bytes, size: int) -> Servers | None:
        """The servers of records never seen like this; None when they do not have the expected layout."""
        found: dict[ServerKey, Server] = {}
        flags = int.from_bytes(datagram[6:8], sys.byteorder)
        expected = (datagram[:8], datagram[20:24], _ADDRESS, _PORT, _FAMILY)
        if flags & INTERRUPTED or not self._is_known(size, datagram):
            return None
        for head, nest, a, packed, p, port, settings, f, family in _fine(size).iter_unpack(
            datagram
        ):
            if (head, nest, a, p, f) != expected:
                return None
            server = self._settings.get(settings) or self._new_settings(settings)
            address = parse_address(packed, parse_family(family))
            found[ServerKey(address, Port(int.from_bytes(port, "big")))] = server
        return found

    def _is_known(self, size: int, datagram: bytes) -> bool:
        """Whether records of *size* bytes have the expected layout, which one kernel does not change."""
        if size not in self._sizes and _fits(datagram[:size]):
            self._sizes.add(size)
        return size in self._sizes

    def _new_settings(self, content: bytes) -> Server:
        server = servers.decode_settings(Attributes("server", content))
        self._settings[content] = server
        return server


def _fits(record: bytes) -> bool:
    """Whether the attributes that a record is cut into are all there are of their kinds, and where expected."""
    content = Attributes("answer", next(split(record)).content).payload(SERVER)
    kinds = [kind for kind, _ in attributes(content)]
    return tuple(kinds[: len(_ORDER)]) == _ORDER and len(set(kinds)) == len(kinds)


def _one_by_one(datagram: bytes, service_family: Family) -> Servers:
    contents = (
        Attributes("answer", message.content).payload(SERVER) for message in messages([datagram])
    )
    return dict(servers.decode(content, service_family) for content in contents)
