"""A generic netlink socket of one family, in the network namespace of the thread that opens it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from struct import Struct

from ipvs_lb.errors import KernelError
from ipvs_lb.netlink import messages
from ipvs_lb.netlink.attributes import Attributes, text
from ipvs_lb.netlink.messages import Message, frame, frame_batch, generic, split

BATCH_MESSAGES = 1000
BATCH_BYTES = 512 * 1024
RECEIVE_BUFFER = 8 * 1024 * 1024  # a refusal of every message of a batch fits

_DATAGRAM = 64 * 1024  # the kernel fills 32 KiB at most, and no more than is asked for
_PATIENCE = Struct("=qq").pack(30, 0)  # struct timeval; an answer is there when its request returns
_NETLINK_GENERIC, _SOL_NETLINK, _NETLINK_CAP_ACK = 16, 270, 10
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_CONTROL, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2  # linux/genetlink.h
_DONE = Struct("=IH").pack(20, messages.DONE)


class LostAnswersError(KernelError):
    """The receive buffer ran over: answers are missing. `drain` before the next exchange."""


class Transport:
    """Requests to one generic netlink family and their answers, one exchange at a time.

    Raises OSError with the errno the kernel answered, CodecError for an answer that makes no sense.
    """

    def __init__(self, family_name: str, *, receive_buffer: int = RECEIVE_BUFFER) -> None:
        self._name = family_name
        self._receive_buffer = receive_buffer
        self._socket: socket.socket | None = None
        self._family = 0
        self._sequence = 0
        self._batch_bytes = BATCH_BYTES
        self._buffer = memoryview(bytearray(_DATAGRAM))

    def open(self) -> None:
        """Connect to the family. Raises FileNotFoundError when the kernel does not have it."""
        self.close()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        try:
            self._prepare(self._socket)
            self._family = self._resolve()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the socket back; without one does nothing."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self._socket is not None

    def is_current(self) -> bool:
        """Whether the family is still the one we speak to: a module that was loaded anew has another number.

        Raises FileNotFoundError when it is gone.
        """
        return self._resolve() == self._family

    def drain(self) -> None:
        """Read away what is left of an exchange that was given up, so that the next one starts clean."""
        while True:
            try:
                self._opened().recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def ask(self, payload: bytes) -> Message:
        """The one answer to a question that is no dump. Raises LostAnswersError."""
        return self._ask(self._family, payload)

    def dump(self, payload: bytes) -> list[bytes]:
        """The datagrams a dump consists of, without its closing message. Raises LostAnswersError."""
        sequence = self._next(1)
        self._send(frame(self._family, messages.DUMP, sequence, payload))
        found: list[bytes] = []
        while True:
            datagram = self._receive()
            kind, answered = messages.head(datagram)
            if answered != sequence:
                continue  # of an exchange that was given up
            if kind < messages.FIRST_FAMILY:
                _check(next(split(datagram)))
                return found
            if datagram[-20:-14] == _DONE and datagram[-12:-8] == datagram[8:12]:
                _check(next(split(datagram[-20:])))
                return [*found, datagram[:-20]]
            found.append(datagram)

    def execute(self, payloads: Sequence[bytes]) -> dict[int, int]:
        """Send all requests in as few system calls as possible: the errno of each that failed, by its index.

        Raises LostAnswersError when it is unknown which failed.
        """
        failed: dict[int, int] = {}
        for start, stop in messages.batches(payloads, BATCH_MESSAGES, self._batch_bytes):
            batch = payloads[start:stop]
            first = self._next(len(batch) + 1)
            self._send(frame_batch(self._family, first, batch))
            failed |= {start + index: code for index, code in self._results(first, len(batch))}
        return failed

    def _prepare(self, opened: socket.socket) -> None:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        opened.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)  # refusals without the refused message
        _grow(opened, _SO_RCVBUFFORCE, socket.SO_RCVBUF, self._receive_buffer)
        _grow(opened, _SO_SNDBUFFORCE, socket.SO_SNDBUF, 2 * BATCH_BYTES)
        granted = opened.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self._batch_bytes = min(BATCH_BYTES, granted // 2)
        opened.bind((0, 0))

    def _resolve(self) -> int:
        answer = self._ask(_CONTROL, generic(_GETFAMILY, 1) + text(_FAMILY_NAME, self._name))
        return Attributes("family", answer.content).u16(_FAMILY_ID)

    def _ask(self, kind: int, payload: bytes) -> Message:
        sequence = self._next(1)
        self._send(frame(kind, 0, sequence, payload))
        while True:
            for message in split(self._receive()):
                if message.sequence != sequence:
                    continue
                if message.kind < messages.FIRST_FAMILY:
                    _check(message)
                else:
                    return message

    def _results(self, first: int, count: int) -> list[tuple[int, int]]:
        """The failures among *count* requests numbered from *first* on, known when the fence is answered."""
        failed: list[tuple[int, int]] = []
        while True:
            for message in split(self._receive()):
                index = (message.sequence - first) % messages.SEQUENCES
                if index > count or message.kind != messages.ERROR:
                    continue  # of an exchange that was given up
                if index == count:
                    return failed
                failed.append((index, message.code))

    def _next(self, count: int) -> int:
        """The first of *count* unused sequence numbers."""
        first = self._sequence
        self._sequence = (first + count) % messages.SEQUENCES
        return first

    def _send(self, request: bytes) -> None:
        self._opened().send(request)

    def _receive(self) -> bytes:
        try:
            size = self._opened().recv_into(self._buffer)
        except BlockingIOError:
            raise TimeoutError(errno.ETIMEDOUT, "no answer within 30 s") from None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise LostAnswersError("answers of the kernel were lost") from error
            raise
        return bytes(self._buffer[:size])

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise OSError(errno.EBADF, "not open")
        return self._socket


def _check(message: Message) -> None:
    if message.code:
        raise OSError(message.code, os.strerror(message.code))


def _grow(opened: socket.socket, forced: int, limited: int, size: int) -> None:
    """Buffers beyond the sysctl's limit need CAP_NET_ADMIN, which changing the table needs anyway."""
    with contextlib.suppress(PermissionError):
        opened.setsockopt(socket.SOL_SOCKET, forced, size)
        return
    opened.setsockopt(socket.SOL_SOCKET, limited, size)
