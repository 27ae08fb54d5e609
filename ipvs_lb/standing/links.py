"""Streams that carry frames: a socket, or the serial line between a machine and its guest kernel."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from ipvs_lb.standing.frames import CHUNK, Decoder, Frame, Kind

WINDOW = 1024
"""How many bytes may be on their way into a guest: user-mode Linux reads no more from a line that it once held back."""


def write_whole(descriptor: int, whole: bytes) -> None:
    """Write *whole*, however little is taken at a time. Raises OSError."""
    view = memoryview(whole)
    while view:
        view = view[os.write(descriptor, view) :]


class Link:
    """Frames over one file descriptor, which is the caller's to close. Any thread may send."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._turn = threading.Lock()

    def send(self, frame: Frame) -> None:
        """Send a frame. Raises OSError when the other side is gone."""
        with self._turn:
            self._write(frame.encode())

    def frames(self) -> Iterator[Frame]:
        """What comes, until the other side is gone."""
        decoder = Decoder()
        while received := self._read():
            for frame in decoder.feed(received):
                if frame.kind is Kind.RECEIVED:
                    self._note_received(int.from_bytes(frame.payload))
                    continue
                yield frame

    def _read(self) -> bytes:
        with contextlib.suppress(OSError):
            return os.read(self.descriptor, CHUNK)
        return b""

    def _write(self, whole: bytes) -> None:
        write_whole(self.descriptor, whole)

    def _note_received(self, number: int) -> None:
        """Nobody counts here."""


class GuestEnd(Link):
    """The guest's end of a serial line: it tells how much it has read."""

    def _read(self) -> bytes:
        received = super()._read()
        self.send(Frame(0, Kind.RECEIVED, len(received).to_bytes(4)))
        return received


class HostEnd(Link):
    """The other end: never more than WINDOW bytes are on their way."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._on_the_way = 0
        self._news = threading.Condition()

    def _write(self, whole: bytes) -> None:
        for start in range(0, len(whole), WINDOW):
            part = whole[start : start + WINDOW]
            with self._news:
                self._news.wait_for(lambda: self._on_the_way + len(part) <= WINDOW)  # noqa: B023 - awaited here
                self._on_the_way += len(part)
            super()._write(part)

    def _note_received(self, number: int) -> None:
        with self._news:
            self._on_the_way -= number
            self._news.notify_all()


class Channel:
    """One request on a link, seen from either side."""

    def __init__(self, link: Link, number: int) -> None:
        self.number = number
        self.is_closed = threading.Event()
        self._link = link
        self._taken = {
            kind: threading.Semaphore(0) for kind in (Kind.INPUT, Kind.OUTPUT, Kind.ERRORS)
        }

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Send a frame. Raises OSError when the other side is gone."""
        self._link.send(Frame(self.number, kind, payload))

    def pass_on(self, kind: Kind, payload: bytes) -> None:
        """Send a part of a program's input or output, and wait until it is taken. Raises OSError."""
        self.send(kind, payload)
        self._taken[kind].acquire()
        if self.is_closed.is_set():
            raise ConnectionResetError("the other side is gone")

    def take(self, frame: Frame) -> None:
        """Say that *frame* is taken."""
        self.send(Kind.TAKEN, bytes([frame.kind]))

    def note_taken(self, frame: Frame) -> None:
        """The other side has said so."""
        self._taken[Kind(frame.payload[0])].release()

    def close(self) -> None:
        """Nobody is on the other side any more: who waits for it waits no longer."""
        self.is_closed.set()
        for semaphore in self._taken.values():
            semaphore.release()
