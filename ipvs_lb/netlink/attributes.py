"""Netlink attributes: a length, a kind, a payload, padded to four bytes (linux/netlink.h, struct nlattr).

Integers are in the machine's byte order, as everything in netlink that is not a network port or address.
A payload may be longer than expected (a newer kernel), never shorter.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from ipvs_lb.errors import CodecError
from ipvs_lb.model.identity import Family, IPAddress

NESTED = 0x8000
_KIND = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER
_HEADER = Struct("=HH")
_U8, _U16, _U32, _U64, _BE16 = (Struct(code) for code in ("=B", "=H", "=I", "=Q", ">H"))
_FAMILIES = {family.value: family for family in Family}
_ADDRESS_SIZES = {Family.IPV4: 4, Family.IPV6: 16}


def header(kind: int, size: int) -> bytes:
    """The four bytes before a payload of *size* bytes."""
    return _HEADER.pack(_HEADER.size + size, kind)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    return header(kind, len(payload)) + payload + bytes(-len(payload) % 4)


def nested(kind: int, content: bytes) -> bytes:
    """An attribute that contains attributes."""
    return header(kind | NESTED, len(content)) + content


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, _U8.pack(value))


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes."""
    return attribute(kind, _U16.pack(value))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes."""
    return attribute(kind, _U32.pack(value))


def port(kind: int, value: int) -> bytes:
    """An attribute of two bytes in network order."""
    return attribute(kind, _BE16.pack(value))


def text(kind: int, value: str) -> bytes:
    """An attribute of a NUL-terminated string."""
    return attribute(kind, value.encode(errors="surrogateescape") + b"\0")


def address(kind: int, value: IPAddress) -> bytes:
    """An attribute of an IPVS address: 16 bytes for either family (union nf_inet_addr)."""
    return attribute(kind, value.packed.ljust(16, b"\0"))


def attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in *content*, flags taken off their kinds.

    Raises CodecError when a length does not fit.
    """
    offset, end = 0, len(content)
    while offset < end:
        if offset + _HEADER.size > end:
            raise CodecError(f"netlink attribute header cut off after {end - offset} of 4 bytes")
        length, kind = _HEADER.unpack_from(content, offset)
        if not _HEADER.size <= length <= end - offset:
            raise CodecError(
                f"netlink attribute {kind & _KIND} says {length} bytes where {end - offset} are left"
            )
        yield kind & _KIND, content[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


class Attributes:
    """The attributes of one nest by kind (the last of a kind wins); *what* names the nest in errors."""

    __slots__ = ("_found", "_what")

    def __init__(self, what: str, content: bytes) -> None:
        self._what = what
        self._found = dict(attributes(content))

    def __contains__(self, kind: int) -> bool:
        return kind in self._found

    def payload(self, kind: int, size: int = 0) -> bytes:
        """The payload of *kind*, *size* bytes of it. Raises CodecError when it is missing or too short."""
        found = self._found.get(kind)
        if found is None:
            raise CodecError(f"netlink {self._what} without attribute {kind}")
        if len(found) < size:
            raise CodecError(
                f"netlink {self._what} attribute {kind} has {len(found)} bytes, expected {size}"
            )
        return found[:size] if size else found

    def _number(self, layout: Struct, kind: int, default: int | None) -> int:
        if default is not None and kind not in self._found:
            return default
        value: int = layout.unpack(self.payload(kind, layout.size))[0]
        return value

    def u8(self, kind: int, default: int | None = None) -> int:
        """One byte, or *default* when missing."""
        return self._number(_U8, kind, default)

    def u16(self, kind: int, default: int | None = None) -> int:
        """Two bytes, or *default* when missing."""
        return self._number(_U16, kind, default)

    def u32(self, kind: int, default: int | None = None) -> int:
        """Four bytes, or *default* when missing."""
        return self._number(_U32, kind, default)

    def u64(self, kind: int, default: int | None = None) -> int:
        """Eight bytes, or *default* when missing."""
        return self._number(_U64, kind, default)

    def port(self, kind: int, default: int | None = None) -> int:
        """Two bytes in network order, or *default* when missing."""
        return self._number(_BE16, kind, default)

    def text(self, kind: int) -> str:
        """A string up to its NUL, or to the end."""
        return self.payload(kind).split(b"\0", 1)[0].decode(errors="surrogateescape")

    def address(self, kind: int, family: Family) -> IPAddress:
        """An address of *family*."""
        return parse_address(self.payload(kind, _ADDRESS_SIZES[family]), family)


def parse_address(packed: bytes, family: Family) -> IPAddress:
    """The address at the beginning of *packed*, which is long enough."""
    if family is Family.IPV4:
        return IPv4Address(packed[:4])
    return IPv6Address(packed[:16])


def parse_family(value: int) -> Family:
    """Raises CodecError for what is neither IPv4 nor IPv6: its addresses could not be read."""
    family = _FAMILIES.get(value)
    if family is None:
        raise CodecError(f"netlink address family {value}, expected 2 or 10")
    return family
