"""What goes between a lab and those who ask it: frames of many channels over one stream of bytes.

Rules kept here:
1. A channel is one request with its answer: REQUEST comes first, END is last.
2. Each frame of INPUT, OUTPUT or ERRORS is answered with TAKEN before the next one of its kind is sent: nobody has to
   keep more than one, and no channel waits for another one's reader.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CHUNK = 1 << 15
"""The most that one frame of a program's input or output carries."""

_HEAD = struct.Struct(">IBI")
_MOST = 1 << 20


class Kind(enum.IntEnum):
    """What a frame is."""

    REQUEST = 1
    INPUT = 2
    SIZE = 3
    OUTPUT = 4
    ERRORS = 5
    TOLD = 6
    END = 7
    TAKEN = 8
    GONE = 9
    RECEIVED = 10


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. TAKEN names the kind it answers; RECEIVED, of no channel, how many bytes of the stream were read."""

    channel: int
    kind: Kind
    payload: bytes = b""

    def encode(self) -> bytes:
        """Its bytes."""
        return _HEAD.pack(self.channel, self.kind, len(self.payload)) + self.payload

    @property
    def value(self) -> Any:
        """The JSON it carries. Raises ValueError."""
        return json.loads(self.payload)


def told(channel: int, kind: Kind, value: object) -> Frame:
    """A frame that carries JSON."""
    return Frame(channel, kind, json.dumps(value).encode())


class Decoder:
    """Frames out of a stream, however it is cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises ValueError for what is no frame."""
        self._rest += received
        while len(self._rest) >= _HEAD.size:
            channel, kind, length = _HEAD.unpack_from(self._rest)
            if length > _MOST:
                raise ValueError(f"a frame of {length} bytes")
            end = _HEAD.size + length
            if len(self._rest) < end:
                return
            frame = Frame(channel, Kind(kind), self._rest[_HEAD.size : end])
            self._rest = self._rest[end:]
            yield frame
