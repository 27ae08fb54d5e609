"""Interfaces and their addresses, over rtnetlink."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipvs_lb.addresses.sysctls import PROC_SYS
from ipvs_lb.addresses.trouble import host_error, translated
from ipvs_lb.model.host import InterfaceAddress

if TYPE_CHECKING:
    from pyroute2 import IPRoute

IFA_F_NODAD = 0x02  # linux/if_addr.h
IFA_F_NOPREFIXROUTE = 0x200
_DUMP_ATTEMPTS = 5
_FOREVER = 0xFFFFFFFF  # INFINITY_LIFE_TIME of linux/addrconf.h


def interfaces() -> frozenset[str]:
    """The names of all interfaces. Raises HostError."""
    with translated("list interfaces"):
        return frozenset(name for _, name in socket.if_nameindex())


def addresses() -> frozenset[InterfaceAddress]:
    """Every address of every interface. Raises HostError."""
    from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

    with _rtnetlink("list addresses") as route:
        for _ in range(_DUMP_ATTEMPTS):
            try:
                messages = tuple(route.get_addr())
            except NetlinkDumpInterrupted:
                continue
            return frozenset(_decode(messages))
    raise host_error("list addresses", errno.EINTR)


def _decode(messages: tuple[Any, ...]) -> Iterator[InterfaceAddress]:
    """The addresses of a dump. On point-to-point links IFA_ADDRESS is the peer, IFA_LOCAL is ours."""
    names = dict(socket.if_nameindex())
    for message in messages:
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if message["index"] in names and text:
            yield InterfaceAddress(
                names[message["index"]], ip_address(text), int(message["prefixlen"])
            )


def add(place: InterfaceAddress) -> bool:
    """Add an address, usable at once; False when it was there.

    A host address (/32, /128) brings no route with it; a shorter prefix length brings the route to
    its subnet, as `ip address add` does. Raises HostError.

    An IPv6 host address is deprecated (RFC 4862, 5.5.4): else it would be the preferred source of packets to its
    subnet, and a server that has the VIP too would answer our probes to itself.
    """
    flags = IFA_F_NODAD if place.address.version == 6 else 0  # noqa: PLR2004  # IP versions
    lifetimes = {}
    if place.prefix_length == place.address.max_prefixlen:
        flags |= IFA_F_NOPREFIXROUTE
        if place.address.version == 6:  # noqa: PLR2004  # IP versions
            lifetimes = {"preferred_lft": 0, "valid_lft": _FOREVER}
    return _request("add", place, {errno.EEXIST}, flags=flags, **lifetimes)


def remove(place: InterfaceAddress, proc_sys: Path = PROC_SYS) -> bool:
    """Remove an address and no other; False when it was not there. Raises HostError."""
    gone = {errno.EADDRNOTAVAIL, errno.ENODEV}
    keeping = _keeping_secondaries if place.address.version == 4 else nullcontext  # noqa: PLR2004  # IP versions
    with keeping(proc_sys / "net/ipv4/conf" / place.interface / "promote_secondaries"):
        return _request("del", place, gone)


@contextmanager
def _keeping_secondaries(switch: Path) -> Iterator[None]:
    """Without `promote_secondaries` the first IPv4 address of a subnet takes the later ones with it."""
    try:
        before = switch.read_text()
        switch.write_text("1")
    except OSError:  # no such interface, or read-only: the removal itself will tell
        yield
        return
    try:
        yield
    finally:
        switch.write_text(before)


def _request(command: str, place: InterfaceAddress, fine: set[int], **more: int) -> bool:
    """Send one address request; False when the kernel answered with one of the *fine* errors."""
    from pyroute2.netlink.exceptions import NetlinkError

    action = f"{'add' if command == 'add' else 'remove'} address {place}"
    hints = {errno.EACCES: f"IPv6 is off: sysctl -w net.ipv6.conf.{place.interface}.disable_ipv6=0"}
    with _rtnetlink(action, hints) as route:
        try:
            route.addr(
                command,
                index=_index(place.interface),
                address=str(place.address),
                prefixlen=place.prefix_length,
                **more,
            )
        except (NetlinkError, OSError) as error:
            if _code(error) in fine:
                return False
            raise
    return True


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:  # it comes without an errno
        raise OSError(errno.ENODEV, interface) from error


@contextmanager
def _rtnetlink(action: str, hints: dict[int, str] | None = None) -> Iterator[IPRoute]:
    """A socket to the kernel's tables, and its errors as HostErrors."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as route:
            yield route
    except (NetlinkError, OSError) as error:
        raise host_error(action, _code(error), hints) from error


def _code(error: Exception) -> int:
    """The errno of an OSError or of pyroute2's NetlinkError."""
    return int(getattr(error, "code", None) or getattr(error, "errno", None) or 0)
