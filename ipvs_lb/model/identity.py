"""What tells one virtual service, or one real server, from another."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NewType

IPAddress = IPv4Address | IPv6Address
Port = NewType("Port", int)
NO_PORT = Port(0)


class IPProtocol(enum.IntEnum):
    """The transport protocols IPVS balances; the value is the IP protocol number (RFC 790)."""

    TCP = 6
    UDP = 17
    SCTP = 132

    def __str__(self) -> str:
        return self.name.lower()


class Family(enum.IntEnum):
    """Address families; the value is Linux's AF_ number."""

    IPV4 = 2
    IPV6 = 10

    def __str__(self) -> str:
        return self.name.lower()


def family_of(address: IPAddress) -> Family:
    """The family of an address."""
    return Family.IPV4 if address.version == 4 else Family.IPV6  # noqa: PLR2004  # IP versions


def endpoint(address: IPAddress, port: int) -> str:
    """`10.0.0.4:80` or `[2001:db8::4]:80`."""
    host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004  # IP versions
    return f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class AddressKey:
    """A virtual service told apart by protocol, address and port (port 0: all ports)."""

    protocol: IPProtocol
    address: IPAddress
    port: Port

    @property
    def family(self) -> Family:
        """The address family."""
        return family_of(self.address)

    def __hash__(self) -> int:
        """An address's own hash makes a text of it first, which is most of what looking up a server costs."""
        return hash((self.protocol, int(self.address), self.port))

    def __str__(self) -> str:
        return f"{self.protocol}/{endpoint(self.address, self.port)}"

    def order(self) -> tuple[int, ...]:
        """A sort key; IPv4 and IPv6 addresses do not compare, their versions do."""
        return (0, self.address.version, int(self.address), self.protocol, self.port)


@dataclass(frozen=True, slots=True)
class FwmarkKey:
    """A virtual service told apart by a firewall mark (1 to 2**32 - 1) and a family."""

    mark: int
    family: Family

    def __str__(self) -> str:
        return f"fwmark/{self.mark}" + ("/ipv6" if self.family is Family.IPV6 else "")

    def order(self) -> tuple[int, ...]:
        """A sort key; marks come after addresses."""
        return (1, self.family, self.mark)


ServiceKey = AddressKey | FwmarkKey


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A real server of one virtual service: its address and port (0 under a port-0 or fwmark service)."""

    address: IPAddress
    port: Port

    @property
    def family(self) -> Family:
        """The address family."""
        return family_of(self.address)

    def __hash__(self) -> int:
        """As of `AddressKey`."""
        return hash((int(self.address), self.port))

    def __str__(self) -> str:
        return endpoint(self.address, self.port)

    def order(self) -> tuple[int, ...]:
        """A sort key over both families."""
        return (self.address.version, int(self.address), self.port)


def parse_endpoint(text: str) -> ServerKey:
    """The inverse of `endpoint`. Raises ValueError when *text* is not one."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004  # 16 bits
        raise ValueError(f"{text!r}: expected ADDRESS:PORT")
    bracketed = host.startswith("[") and host.endswith("]")
    address = ip_address(host[1:-1] if bracketed else host)
    if bracketed != (address.version == 6):  # noqa: PLR2004  # IP versions
        raise ValueError(f"{text!r}: an IPv6 address, and only that, stands in brackets")
    return ServerKey(address, Port(int(port)))


def parse_service_key(text: str) -> ServiceKey:
    """The inverse of `str(key)`: `tcp/10.0.0.16:80`, `fwmark/5`, `fwmark/5/ipv6`.

    Raises ValueError when *text* is not one.
    """
    kind, _, rest = text.partition("/")
    if kind == "fwmark":
        mark, _, family = rest.partition("/")
        if not (mark.isascii() and mark.isdigit()) or family not in {"", "ipv4", "ipv6"}:
            raise ValueError(f"{text!r}: expected fwmark/NUMBER or fwmark/NUMBER/ipv6")
        return FwmarkKey(int(mark), Family.IPV6 if family == "ipv6" else Family.IPV4)
    try:
        protocol = IPProtocol[kind.upper()]
    except KeyError:
        raise ValueError(f"{text!r}: expected tcp/, udp/, sctp/ or fwmark/") from None
    where = parse_endpoint(rest)
    return AddressKey(protocol, where.address, where.port)
