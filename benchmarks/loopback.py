"""IPVS where the kernel has none: a process of its own keeps the table and answers netlink messages as the kernel does.

Everything on this side is the real thing: plan, codec, batches, fence, decoding of dumps. Only the socket is another,
and what answers is slower than a kernel (a message to another process and back, and Python there).
"""

from __future__ import annotations

import errno
import gc
import os
import selectors
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence

from ipvs_lb.model.settings import Timeouts
from ipvs_lb.netlink import NetlinkKernel, daemons, requests, servers, services
from ipvs_lb.netlink.attributes import attribute, attributes, nested, u32
from ipvs_lb.netlink.messages import DONE, DUMP, ERROR, NOOP, Message, split
from ipvs_lb.netlink.transport import Transport

_FAMILY, _MULTI = 28, 2
_DATAGRAM = 32 * 1024
_LARGEST = 1024 * 1024
_HEADER = struct.Struct("=IHHII")
_SEQUENCE = struct.Struct("=I")
_GENERIC = 4
_CLOSING = 20
_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, _GET_SERVICE = 1, 2, 3, 4
_NEW_SERVER, _SET_SERVER, _DEL_SERVER, _GET_SERVER = 5, 6, 7, 8
_GET_CONFIG = 13
_WRITTEN = (
    servers.ADDRESS, servers.PORT, servers.METHOD, servers.WEIGHT, servers.TUNNEL_TYPE,
    servers.TUNNEL_PORT, servers.TUNNEL_FLAGS, servers.UPPER, servers.LOWER,
)  # fmt: skip  # in the order of ip_vs_genl_fill_dest()
_COUNTED = (servers.ACTIVE, servers.INACTIVE, servers.PERSISTENT)
_COUNTERS = (
    nested(services.STATS, b"".join(attribute(n, bytes(8 if n in {4, 5} else 4)) for n in range(1, 11))),
    nested(services.STATS64, b"".join(attribute(n, struct.pack("=Q", n * 123_456)) for n in range(1, 11))),
)  # fmt: skip  # every server has had traffic: telling of one that has not costs less
_TIMEOUTS = daemons.encode_timeouts(Timeouts(tcp=900, tcp_fin=120, udp=300))


class LoopbackKernel(NetlinkKernel):
    """`NetlinkKernel` whose messages go to *peer*, the other end of which a `serve` has."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__(load=lambda _name: False)
        self._transport = _Loopback(peer)


class _Loopback(Transport):
    def __init__(self, peer: socket.socket) -> None:
        super().__init__(requests.FAMILY_NAME)
        self._peer = peer

    def open(self) -> None:
        """Talk to the peer; the family's number is known."""
        self.close()
        self._socket, self._family = self._peer.dup(), _FAMILY


def kernels(count: int = 2) -> tuple[list[LoopbackKernel], int]:
    """Connections to one new table, and the process that keeps it until they are closed."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    for pair in pairs:
        for end in pair:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
    child = os.fork()
    if child == 0:
        try:
            for ours, _ in pairs:
                ours.close()
            gc.disable()
            serve([theirs for _, theirs in pairs])
        finally:
            os._exit(0)
    for _, theirs in pairs:
        theirs.close()
    return [LoopbackKernel(ours) for ours, _ in pairs], child


def serve(ends: Sequence[socket.socket]) -> None:
    """Answer what comes from *ends* until all are closed at the other side."""
    table = _Table()
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                request = key.fileobj.recv(_LARGEST)
                if not request:
                    selector.unregister(key.fileobj)
                for answer in table.answers(request):
                    key.fileobj.send(answer)


class _Table:
    """Services and servers as the messages that a dump sends of them, by the attributes that name them."""

    def __init__(self) -> None:
        self._services: dict[tuple[bytes | None, ...], bytes] = {}
        self._servers: dict[tuple[bytes | None, ...], dict[tuple[bytes, ...], bytes]] = {}
        self._kept: dict[bytes, list[bytes]] = {}

    def answers(self, request: bytes) -> Iterator[bytes]:
        """The datagrams that answer *request*."""
        for message in split(request):
            if message.kind == NOOP:
                yield _HEADER.pack(20, ERROR, 0, message.sequence, 0) + bytes(4)
            elif message.flags & DUMP == DUMP:
                *others, last = self._dump(message.payload)
                yield from (_numbered(datagram, message.sequence, 0) for datagram in others)
                yield _numbered(last, message.sequence, 0, len(last) - _CLOSING)
            elif message.payload[0] == _GET_CONFIG:
                yield _message(_GET_CONFIG, _TIMEOUTS, message.sequence)
            elif message.payload[0] == _GET_SERVICE:
                yield self._service(message)
            else:
                self._change(message.payload[0], message.content)

    def _service(self, question: Message) -> bytes:
        """The one service that is asked for, or that it is not there."""
        named = dict(attributes(question.content))[requests.SERVICE]
        found = self._services.get(_service_key(named))
        if found is None:
            head = _HEADER.pack(_CLOSING, ERROR, 0, question.sequence, 0)
            return head + struct.pack("=i", -errno.ESRCH)
        return _numbered(found, question.sequence, 0)

    def _dump(self, payload: bytes) -> list[bytes]:
        """The datagrams of a dump without the number of its question; kept until something changes."""
        if payload not in self._kept:
            self._kept[payload] = [*_datagrams(self._rows(payload))]
        return self._kept[payload]

    def _rows(self, payload: bytes) -> Iterator[bytes]:
        command = payload[0]
        if command == _GET_SERVICE:
            yield from self._services.values()
        elif command == _GET_SERVER:
            named = dict(attributes(payload[_GENERIC:]))[requests.SERVICE]
            yield from self._servers.get(_service_key(named), {}).values()

    def _change(self, command: int, content: bytes) -> None:
        found = dict(attributes(content))
        key = _service_key(found[requests.SERVICE])
        self._kept.clear()
        match command:
            case 1 | 2:
                settings = nested(requests.SERVICE, found[requests.SERVICE] + b"".join(_COUNTERS))
                self._services[key] = _message(_NEW_SERVICE, settings, 0)
                self._servers.setdefault(key, {})
            case 3:
                del self._services[key], self._servers[key]
            case 5 | 6:
                named = dict(attributes(found[requests.SERVER]))
                self._servers[key][_server_key(named)] = _message(_NEW_SERVER, _server(named), 0)
            case 7:
                named = dict(attributes(found[requests.SERVER]))
                del self._servers[key][_server_key(named)]
            case _:
                raise AssertionError(command)


def _service_key(content: bytes) -> tuple[bytes | None, ...]:
    found = dict(attributes(content))
    kinds = (services.AF, services.PROTOCOL, services.ADDRESS, services.PORT, services.FWMARK)
    return tuple(found.get(kind) for kind in kinds)


def _server_key(named: Mapping[int, bytes]) -> tuple[bytes, ...]:
    return named[servers.ADDRESS], named[servers.PORT]


def _server(named: Mapping[int, bytes]) -> bytes:
    return nested(
        requests.SERVER,
        b"".join(attribute(kind, named[kind]) for kind in _WRITTEN)
        + b"".join(u32(kind, 0) for kind in _COUNTED)
        + attribute(servers.FAMILY, named[servers.FAMILY])
        + b"".join(_COUNTERS),
    )


def _message(command: int, content: bytes, sequence: int) -> bytes:
    payload = struct.pack("=BBH", command, 1, 0) + content
    return _HEADER.pack(16 + len(payload), _FAMILY, _MULTI, sequence, 77) + payload


def _datagrams(messages: Iterator[bytes]) -> Iterator[bytes]:
    """*messages* in datagrams as the kernel fills them, the closing message behind the last."""
    filling: list[bytes] = []
    size = 0
    for message in messages:
        if size + len(message) > _DATAGRAM:
            yield b"".join(filling)
            filling, size = [], 0
        filling.append(message)
        size += len(message)
    yield b"".join((*filling, _HEADER.pack(20, DONE, _MULTI, 0, 77) + bytes(4)))


def _numbered(datagram: bytes, sequence: int, *messages: int) -> bytes:
    """*datagram* with the number of its question in those *messages* where it is looked at, told by their offsets."""
    numbered = bytearray(datagram)
    for offset in messages:
        _SEQUENCE.pack_into(numbered, offset + 8, sequence)
    return bytes(numbered)


def main() -> None:
    """Run `ipvs-lb` with the words of this command line on a loopback table."""
    from ipvs_lb import cli, netlink

    made, _child = kernels()
    netlink.NetlinkKernel = made.pop  # type: ignore[assignment,misc]  # whoever asks for a kernel is given one of these
    cli.main()


if __name__ == "__main__":
    main()
