"""Netlink messages: framing requests into one buffer, and taking answers apart (RFC 3549, linux/netlink.h)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct

from ipvs_lb.errors import CodecError

REQUEST, ACKNOWLEDGE, DUMP = 0x01, 0x04, 0x300  # NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP
INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: the table changed while it was dumped
NOOP, ERROR, DONE, FIRST_FAMILY = 1, 2, 3, 16  # NLMSG_*, the last of them NLMSG_MIN_TYPE
HEADER_SIZE, GENERIC_SIZE = 16, 4
SEQUENCES = 1 << 32

_HEADER = Struct("=IHHII")
_CODE = Struct("=i")
_GENERIC = Struct("=BBH")


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message; `payload` is what follows its header."""

    kind: int
    flags: int
    sequence: int
    payload: bytes

    @property
    def content(self) -> bytes:
        """The attributes after the generic netlink header. Raises CodecError when that is cut off."""
        if len(self.payload) < GENERIC_SIZE:
            raise CodecError(
                f"generic netlink message of {len(self.payload)} bytes, expected 4 or more"
            )
        return self.payload[GENERIC_SIZE:]

    @property
    def code(self) -> int:
        """The errno of an ERROR or DONE message; 0 is success. Raises CodecError when it is cut off."""
        if len(self.payload) < _CODE.size:
            raise CodecError(f"netlink result of {len(self.payload)} bytes, expected 4 or more")
        value: int = _CODE.unpack_from(self.payload)[0]
        return -value


def generic(command: int, version: int) -> bytes:
    """A generic netlink header (struct genlmsghdr)."""
    return _GENERIC.pack(command, version, 0)


def frame(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """One request."""
    return _HEADER.pack(HEADER_SIZE + len(payload), kind, flags | REQUEST, sequence, 0) + payload


def frame_batch(kind: int, sequence: int, payloads: Sequence[bytes]) -> bytes:
    """Requests in one buffer, numbered from *sequence* on, and a fence behind them.

    The kernel walks all of them in one system call and answers those that fail, then the fence. The fence is
    NLMSG_NOOP: an acknowledgement asked for by the last request would not do, since netlink_rcv_skb() sends none
    for the result EINTR, which stopping a sync daemon has when its thread has not run yet.
    """
    pack = _HEADER.pack
    parts = [
        pack(HEADER_SIZE + len(payload), kind, REQUEST, (sequence + index) % SEQUENCES, 0) + payload
        for index, payload in enumerate(payloads)
    ]
    parts.append(frame(NOOP, ACKNOWLEDGE, (sequence + len(payloads)) % SEQUENCES, b""))
    return b"".join(parts)


def head(datagram: bytes) -> tuple[int, int]:
    """Kind and sequence number of the first message. Raises CodecError when there is none."""
    if len(datagram) < HEADER_SIZE:
        raise CodecError(
            f"netlink datagram of {len(datagram)} bytes, expected {HEADER_SIZE} or more"
        )
    _length, kind, _flags, sequence, _port = _HEADER.unpack_from(datagram)
    return kind, sequence


def split(datagram: bytes) -> Iterator[Message]:
    """The messages in *datagram*. Raises CodecError when a length does not fit."""
    offset, end = 0, len(datagram)
    while offset < end:
        if end - offset < HEADER_SIZE:
            raise CodecError(f"netlink header cut off after {end - offset} of {HEADER_SIZE} bytes")
        length, kind, flags, sequence, _port = _HEADER.unpack_from(datagram, offset)
        if not HEADER_SIZE <= length <= end - offset:
            raise CodecError(f"netlink message says {length} bytes where {end - offset} are left")
        yield Message(kind, flags, sequence, datagram[offset + HEADER_SIZE : offset + length])
        offset += (length + 3) & ~3


def batches(
    payloads: Sequence[bytes], most_messages: int, most_bytes: int
) -> Iterator[tuple[int, int]]:
    """Where to cut *payloads* so that a batch has neither too many messages nor bytes: start and stop of each.

    A message that is too big alone has a batch of its own.
    """
    start, filled = 0, 0
    for index, payload in enumerate(payloads):
        size = HEADER_SIZE + len(payload)
        if index > start and (index - start == most_messages or filled + size > most_bytes):
            yield start, index
            start, filled = index, 0
        filled += size
    if start < len(payloads):
        yield start, len(payloads)
