"""Numbers, addresses and names as ipvsadm reads and writes them: strtol(3), inet_aton(3), inet_ntop(3), services(5)."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from ipvs_lb.model.identity import IPAddress, IPProtocol, Port

_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]{1,4000}")  # Python reads no longer ones
_MAX_PORT = 65535
_LONGEST = 59  # characters of a name with its port


class Names(Protocol):
    """What is known about the names of hosts and services; None where there is none."""

    def address(self, host: str) -> IPv4Address | None:
        """The first IPv4 address of *host*."""

    def port(self, service: str, protocol: IPProtocol) -> int | None:
        """The port that *service* has."""

    def host(self, address: IPAddress) -> str | None:
        """The host that has *address*."""

    def service(self, port: int, protocol: IPProtocol) -> str | None:
        """The service on *port*."""


class NoNames:
    """Nothing has a name: for `-n`, and for rules that are read without asking anybody."""

    def address(self, host: str) -> None:
        """None."""

    def port(self, service: str, protocol: IPProtocol) -> None:
        """None."""

    def host(self, address: IPAddress) -> None:
        """None."""

    def service(self, port: int, protocol: IPProtocol) -> None:
        """None."""


NUMERIC: Names = NoNames()


def number(text: str, least: int, most: int) -> int | None:
    """The decimal number that *text* is, if it lies between *least* and *most*."""
    if not _NUMBER.fullmatch(text):
        return None
    value = int(text)
    return value if least <= value <= most else None


def leading_number(text: str) -> int:
    """The decimal number at the start of *text*, else 0: atoi(3)."""
    found = _NUMBER.match(text)
    return int(found[0]) if found else 0


def ipv4(text: str, names: Names) -> IPv4Address | None:
    """An IPv4 address in any form that inet_aton(3) takes, or of a host."""
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return names.address(text)


def ipv6(text: str) -> IPv6Address | None:
    """An IPv6 address without a scope."""
    try:
        return IPv6Address(socket.inet_pton(socket.AF_INET6, text))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """An address with the port that stood behind it, if one did."""

    address: IPAddress
    port: Port | None


def place(text: str, protocol: IPProtocol | None, names: Names) -> Place | None:
    """`host`, `host:port`, `IPv6` or `[IPv6]:port`; None when *text* is none of these."""
    if not text.strip("0123456789"):
        return None
    host, port = text, None
    if text.startswith("["):
        host, closed, behind = text[1:].partition("]")
        if not closed or not behind.startswith(":"):
            return None
        port = behind[1:]
    address: IPAddress | None = ipv6(host)
    if address is None:
        host, colon, behind = host.rpartition(":")
        host, port = (host, behind) if colon else (behind, None)
        address = ipv4(host, names)
    return _placed(address, port, protocol, names)


def _placed(
    address: IPAddress | None, port: str | None, protocol: IPProtocol | None, names: Names
) -> Place | None:
    if address is None or port is None:
        return None if address is None else Place(address, None)
    value = number(port, 0, _MAX_PORT)
    if value is None and protocol is not None:
        value = names.port(port, protocol)
    return None if value is None else Place(address, Port(value))


def endpoint(
    address: IPAddress, port: int, protocol: IPProtocol | None = None, names: Names = NUMERIC
) -> str:
    """`10.0.0.4:80` or `[2001:db8::4]:80`, with the names there are; without *protocol* the port has none."""
    host = names.host(address) or address_text(address)
    service = (names.service(port, protocol) if protocol else None) or str(port)
    return (f"[{host}]:{service}" if address.version == 6 else f"{host}:{service}")[:_LONGEST]  # noqa: PLR2004  # IP versions


def address_text(address: IPAddress) -> str:
    """As inet_ntop(3) writes addresses: it has IPv4 in some IPv6 addresses, which Python has not."""
    if address.version == 4:  # noqa: PLR2004  # IP versions
        return str(address)
    return socket.inet_ntop(socket.AF_INET6, address.packed)
