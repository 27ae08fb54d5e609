"""Hearing what becomes of links and addresses, as the kernel tells it over rtnetlink.

Rules kept here:
1. A message only says that it is time to look; what is there is read anew by whoever is told.
2. What says nothing new is not passed on: traffic counters, renewed lifetimes, and what we did ourselves.
3. Messages that were lost may have said anything: then everything has changed, and every link came up.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct

from ipvs_lb.addresses.trouble import translated
from ipvs_lb.model.host import InterfaceAddress

_NETLINK_ROUTE = 0
_RTMGRP = (
    0x1 | 0x10 | 0x100
)  # linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR = 16, 17, 18, 20, 21
_F_MULTI, _F_DUMP = 0x2, 0x301  # linux/netlink.h: part of an answer; NLM_F_REQUEST | NLM_F_DUMP
_IFLA_IFNAME, _IFLA_CARRIER_CHANGES = 3, 35  # linux/if_link.h
_IFA_ADDRESS, _IFA_LOCAL = 1, 2  # linux/if_addr.h
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h
_HEADER, _LINK, _ADDRESS, _ATTRIBUTE = (
    Struct("=IHHII"),
    Struct("=BxHiII"),
    Struct("=BBBBI"),
    Struct("=HH"),
)
_NUMBER = Struct("=I")
_DATAGRAM = 64 * 1024

_AddressKey = tuple[int, bytes, int]


@dataclass(frozen=True, slots=True)
class _Link:
    """`changes` counts how often the carrier came and went: a flap too short to be told on its own is in it."""

    name: str
    is_up: bool
    changes: int


class Picture:
    """What is known of links and addresses, so that a message that says nothing new can be told from one that does.

    Our own changes are put in by `expecting`, from whichever thread makes them, before the kernel tells them.
    """

    def __init__(self) -> None:
        self._links: dict[int, _Link] = {}
        self._addresses: dict[_AddressKey, bool] = {}

    def forget(self) -> None:
        """Know nothing."""
        self._links.clear()
        self._addresses.clear()

    @contextmanager
    def expecting(self, place: InterfaceAddress, *, present: bool) -> Iterator[None]:
        """*place* comes or goes by our own hand inside; if that fails, it was not us."""
        try:
            key = (
                socket.if_nametoindex(place.interface),
                place.address.packed,
                place.prefix_length,
            )
        except OSError:  # then nothing will happen to it
            yield
            return
        self._addresses[key] = present
        try:
            yield
        except BaseException:
            self._addresses.pop(key, None)
            raise

    def take(self, datagram: bytes) -> frozenset[str] | None:
        """The interfaces whose link came up by what *datagram* tells; None when nothing in it is new."""
        came_up: set[str] = set()
        is_new = False
        for kind, flags, content in _messages(datagram):
            name = self._take_link(kind, content) if kind in {_NEWLINK, _DELLINK} else None
            changed = name is not None or (
                kind in {_NEWADDR, _DELADDR} and self._take_address(kind, content)
            )
            if changed and not flags & _F_MULTI:
                is_new = True
                came_up |= {name} if name else set()
        return frozenset(came_up) if is_new else None

    def _take_link(self, kind: int, content: bytes) -> str | None:
        """The name of a link that came up, "" for another change, None for none."""
        family, _, index, flags, _ = _LINK.unpack_from(content)
        if family != socket.AF_UNSPEC:  # a bridge about its port
            return None
        if kind == _DELLINK:
            self._links.pop(index, None)
            self._addresses = {key: at for key, at in self._addresses.items() if key[0] != index}
            return ""
        attributes = _attributes(content[_LINK.size :])
        name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        counted = attributes.get(_IFLA_CARRIER_CHANGES, b"\0\0\0\0")
        is_up = flags & _IFF_UP and flags & _IFF_RUNNING
        link = _Link(name, bool(is_up), _NUMBER.unpack(counted)[0])
        before, self._links[index] = self._links.get(index), link
        if link == before:
            return None
        return name if link.is_up else ""

    def _take_address(self, kind: int, content: bytes) -> bool:
        """Whether it is news that this address is there or gone."""
        _, length, _, _, index = _ADDRESS.unpack_from(content)
        attributes = _attributes(content[_ADDRESS.size :])
        address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
        key, present = (index, address, length), kind == _NEWADDR
        known = self._addresses.get(key)
        if present:
            self._addresses[key] = True
        else:
            self._addresses.pop(key, None)
        return known is not present


def _messages(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and content of each message."""
    start = 0
    while start + _HEADER.size <= len(datagram):
        length, kind, flags, _, _ = _HEADER.unpack_from(datagram, start)
        if length < _HEADER.size:
            return
        yield kind, flags, datagram[start + _HEADER.size : start + length]
        start += (length + 3) & ~3


def _attributes(content: bytes) -> dict[int, bytes]:
    found, start = {}, 0
    while start + _ATTRIBUTE.size <= len(content):
        length, kind = _ATTRIBUTE.unpack_from(content, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = content[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
    return found


async def changes(picture: Picture) -> AsyncIterator[frozenset[str]]:
    """Each time there is something new in *picture*: the interfaces whose link came up.

    In the network namespace of this thread. Raises HostError.
    """
    loop = asyncio.get_running_loop()
    with translated("hear of changes to links"), _listening() as heard:
        picture.forget()
        _ask(heard)
        while True:
            try:
                news = picture.take(await loop.sock_recv(heard, _DATAGRAM))
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                picture.forget()
                _ask(heard)
                news = frozenset(name for _, name in socket.if_nameindex())
            if news is not None:
                yield news


@contextmanager
def _listening() -> Iterator[socket.socket]:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_ROUTE) as heard:
        heard.bind((0, _RTMGRP))
        yield heard


def _ask(heard: socket.socket) -> None:
    """Have every link told as part of an answer, so that it is known what is new."""
    size = _HEADER.size + _LINK.size
    question = _HEADER.pack(size, _GETLINK, _F_DUMP, 1, 0) + _LINK.pack(0, 0, 0, 0, 0)
    try:
        heard.send(question)
    except OSError as error:
        if error.errno != errno.EBUSY:  # an earlier answer is still being given
            raise
