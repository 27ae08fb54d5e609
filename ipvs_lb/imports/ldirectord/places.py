"""Addresses, ports and forwarding of ldirectord.cf. Host names are not looked up: they are told, with what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ipvs_lb.config import values
from ipvs_lb.model.identity import NO_PORT, IPAddress, Port
from ipvs_lb.model.settings import Forwarding

METHODS = {"gate": Forwarding.DR, "masq": Forwarding.MASQ, "ipip": Forwarding.TUNNEL}
SERVICES = {
    "ftp": 21, "smtp": 25, "dns": 53, "http": 80, "pop": 110, "nntp": 119, "imap": 143, "ldap": 389, "https": 443,
    "submission": 587, "ldaps": 636, "imaps": 993, "pops": 995, "oracle": 1521, "radius": 1812, "http_proxy": 3128,
    "mysql": 3306, "pgsql": 5432, "sip": 5060,
}  # fmt: skip
"""Services that ldirectord can check, with their ports."""

_PORT_NAMES = {
    **SERVICES, "domain": 53, "www": 80, "pop3": 110, "pop3s": 995, "postgresql": 5432, "imap2": 143, "ssh": 22, "telnet": 23,
}  # fmt: skip
_HOST = r"\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._+-]+?"
_REAL = re.compile(
    rf"(?P<first>{_HOST})(?:->(?P<last>{_HOST}))?(?::(?P<port>[\w-]+))?\s+(?P<method>\w+)"
    r"(?:\s+(?P<weight>\d+))?(?:\s+\"(?P<request>.*)\"[, ]\s*\"(?P<receive>.*)\")?"
    r"(?:\s+l:(?P<lower>\d+))?(?:\s+u:(?P<upper>\d+))?\s*"
)
_FALLBACK = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>[\w-]+))?(?:\s+(?P<method>\w+))?\s*")
_VIRTUAL = re.compile(rf"(?P<host>{_HOST}):(?P<port>[\w-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """A `real=` line."""

    addresses: tuple[IPAddress, ...]
    port: Port
    forwarding: Forwarding
    weight: int
    request: str | None
    receive: str | None
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Place:
    """An address with a port; no port where none is said."""

    address: IPAddress
    port: Port
    forwarding: Forwarding = Forwarding.DR


def virtual(text: str) -> Place | int:
    """Where a virtual service answers: an address and a port, or a firewall mark. Raises ValueError."""
    match = _VIRTUAL.match(text)
    if match:
        return Place(host(match["host"]), port(match["port"]))
    if re.match(r"\d+", text):
        return values.whole(1, 2**32 - 1)(re.split(r"\D", text)[0])
    raise ValueError("expected ADDRESS:PORT or a firewall mark")


def real(text: str) -> Real:
    """The value of `real=`. Raises ValueError."""
    match = _REAL.fullmatch(text)
    if match is None:
        raise ValueError("expected ADDRESS[->ADDRESS][:PORT] gate|masq|ipip [WEIGHT] ...")
    first = host(match["first"])
    last = host(match["last"]) if match["last"] else first
    return Real(
        addresses=tuple(_range(first, last)),
        port=port(match["port"] or "0"),
        forwarding=_method(match["method"]),
        weight=int(match["weight"] or 1),
        request=match["request"],
        receive=match["receive"],
        lower=int(match["lower"] or 0),
        upper=int(match["upper"] or 0),
    )


def fallback(text: str) -> Place:
    """The value of `fallback=`. Raises ValueError."""
    match = _FALLBACK.fullmatch(text)
    if match is None:
        raise ValueError("expected ADDRESS[:PORT] [gate|masq|ipip]")
    return Place(
        host(match["host"]), port(match["port"] or "0"), _method(match["method"] or "gate")
    )


def host(text: str) -> IPAddress:
    """An address, an IPv6 one in brackets. Raises ValueError."""
    try:
        return values.address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(
            f"{text} is no address, and names are not looked up: write its address"
        ) from None


def port(text: str) -> Port:
    """A port by number or name, 0 for none. Raises ValueError."""
    if text in _PORT_NAMES:
        return Port(_PORT_NAMES[text])
    number = values.number(text)
    if number is None:
        raise ValueError(f"port {text} is not known by name here: write its number")
    return values.port(number) if number else NO_PORT


def _method(text: str) -> Forwarding:
    return values.choice("forwarding method", METHODS)(text)


def _range(first: IPAddress, last: IPAddress) -> Iterator[IPAddress]:
    if first.version != last.version or not 0 <= int(last) - int(first) < 65536:  # noqa: PLR2004  # enough for anybody
        raise ValueError(f"{first}->{last} is not a range of addresses")
    yield from (first + step for step in range(int(last) - int(first) + 1))
