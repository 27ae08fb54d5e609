"""What single values of a configuration mean: from text or a number to a value of the model.

Every function takes what the YAML reader gives (text, a whole number, nothing, a mapping, a list) and
raises ValueError saying what was expected.
"""

from __future__ import annotations

import enum
import re
import socket
import warnings
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TypeVar

from ipvs_lb.config.problems import Unknown, alternatives, quoted, shown
from ipvs_lb.model.identity import IPAddress, Port
from ipvs_lb.model.settings import SCHEDULER_FLAGS, Forwarding

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

DAY = 86400
HOUR = 3600
MAX_NAME = 100
MAX_REGEX = 500
_NAME = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9_.:\[\]@-]*")
_INTERFACE = re.compile(r"[^\s/\x00-\x1f\x7f]{1,15}")
_DIGITS = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DURATION = re.compile(
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)d)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)h)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)m)?(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)s)?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,6})?)ms)?"
)
_UNITS = (DAY, HOUR, 60, 1, 0.001)
_NO_HOSTS = frozenset({bytes(4), b"\xff" * 4, bytes(16)})
_MULTICAST = {4: range(224, 240), 6: range(255, 256)}  # the first byte
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def text(value: object) -> str:
    """Any text, also one that looks like a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    raise ValueError(f"expected text, found {shown(value)}")


def some_text(limit: int = 4096) -> Callable[[object], str]:
    """Text that is not empty, of at most *limit* characters, without control characters."""

    def parse(value: object) -> str:
        found = text(value)
        if not found or len(found) > limit or not found.isprintable():
            raise ValueError(f"expected 1 to {limit} printable characters, found {quoted(found)}")
        return found

    return parse


def name(value: object) -> str:
    """The name of a service, a pool or a server."""
    found = text(value)
    if len(found) > MAX_NAME or not _NAME.fullmatch(found):
        raise ValueError(
            f"{quoted(found)} is not a name, expected 1 to {MAX_NAME} letters, digits and any of . _ - : @ [ ]"
        )
    return found


def interface(value: object) -> str:
    """The name of a network interface."""
    found = text(value)
    if found in {".", ".."} or not _INTERFACE.fullmatch(found):
        raise ValueError(f"{quoted(found)} is not an interface name, expected 1 to 15 characters")
    return found


def boolean(value: object) -> bool:
    """yes or no, also as on/off and true/false."""
    found = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"expected yes or no, found {shown(value)}")
    return found


def number(value: object) -> int | None:
    """*value* as a whole number if it is one."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) else None


def whole(low: int, high: int, what: str = "a whole number") -> Callable[[object], int]:
    """A whole number from *low* to *high*."""

    def parse(value: object) -> int:
        found = value if isinstance(value, int) else number(value)
        if found is None or not low <= found <= high:
            wanted = f"{what} from {low} to {high}" if low < high else str(low)
            raise ValueError(f"expected {wanted}, found {shown(value)}")
        return found

    return parse


_port = whole(1, 65535, "a port")


def port(value: object) -> Port:
    """A port that something can listen on."""
    return Port(_port(value))


def ports(value: object) -> tuple[int, int]:
    """One port, 0 for all ports, or a range `8000-8010`; first and last."""
    first, dash, last = str(value).partition("-") if isinstance(value, str | int) else ("", "", "")
    low, high = number(first), number(last if dash else first)
    if low is None or high is None or not 0 <= low <= high <= 65535 or (dash and not low):  # noqa: PLR2004  # 16 bits
        raise ValueError(
            f"expected a port from 1 to 65535, 0 for all ports, or a range such as 8000-8010, found {shown(value)}"
        )
    return low, high


def address(value: object) -> IPAddress:
    """An IPv4 or IPv6 address of one host."""
    found = _any_address(value)
    if found is None:
        raise ValueError(f"expected an IPv4 or IPv6 address, found {shown(value)}")
    packed = found.packed
    if packed in _NO_HOSTS or packed[0] in _MULTICAST[found.version]:
        raise ValueError(f"{found} is not the address of a host")
    return found


def multicast(value: object) -> IPAddress:
    """An IPv4 or IPv6 multicast group."""
    found = _any_address(value)
    if found is None or not found.is_multicast:
        raise ValueError(f"expected a multicast address, found {shown(value)}")
    return found


def network(value: object) -> str:
    """A network such as 10.0.0.0/8, or a single address; in canonical text."""
    host, slash, length = value.partition("/") if isinstance(value, str) else ("", "", "")
    found = _any_address(host)
    bits = number(length) if slash or found is None else found.max_prefixlen
    if found is None or bits is None or not 0 <= bits <= found.max_prefixlen:
        raise ValueError(
            f"expected a network such as 10.0.0.0/8, or an address, found {shown(value)}"
        )
    result = ip_network((found, bits), strict=False)
    if result.network_address != found:
        raise ValueError(
            f"{quoted(str(value))} is an address in a network: write {result} for the network, {found} for the address"
        )
    return str(result)


def _any_address(value: object) -> IPAddress | None:
    """An address without a zone; the C library is four times quicker at it than the ipaddress module."""
    if not isinstance(value, str):
        return None
    try:
        if ":" in value:
            return IPv6Address(socket.inet_pton(socket.AF_INET6, value))
        return IPv4Address(socket.inet_pton(socket.AF_INET, value))
    except (OSError, ValueError):
        return None


def netmask(value: object) -> IPv4Address:
    """An IPv4 netmask in dotted form."""
    try:
        return IPv4Address(text(value) if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(
            f"expected an IPv4 netmask such as 255.255.255.0, found {shown(value)}"
        ) from None


class Seconds(int):
    """A whole number of seconds, written as a duration."""


def seconds(low: float, high: float) -> Callable[[object], float]:
    """A duration with units, in seconds, from *low* to *high*."""

    def parse(value: object) -> float:
        found = _seconds(value)
        if not low <= found <= high:
            raise ValueError(
                f"expected {duration_text(low)} to {duration_text(high)}, found {shown(value)}"
            )
        return found

    return parse


def whole_seconds(low: int, high: int) -> Callable[[object], int]:
    """A duration that the kernel counts in whole seconds."""
    in_range = seconds(low, high)

    def parse(value: object) -> int:
        found = in_range(value)
        if found != int(found):
            raise ValueError(f"the kernel counts whole seconds here, found {shown(value)}")
        return int(found)

    return parse


def _seconds(value: object) -> float:
    if number(value) is not None:
        raise ValueError(f'a duration needs a unit, write "{value}s" (units: ms, s, m, h, d)')
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f"expected a duration such as 60s, 500ms or 1h30m, found {shown(value)}")
    parts = zip(match.groups(), _UNITS, strict=True)
    return round(sum(float(part) * unit for part, unit in parts if part), 6)


def duration_text(duration: float) -> str:
    """A duration as the configuration writes it; the inverse of reading one."""
    if duration != int(duration):
        milliseconds = round(duration * 1000, 3)
        exact = milliseconds == int(milliseconds)
        return f"{int(milliseconds)}ms" if exact else f"{milliseconds}ms"
    whole_part = int(duration)
    if whole_part and whole_part % DAY == 0:
        return f"{whole_part // DAY}d"
    return f"{whole_part}s"


def share(value: object) -> float:
    """A share of a whole, as 0 to 1 or as a percentage."""
    found = text(value)
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(%?)", found)
    result = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= result <= 1:
        raise ValueError(f'expected a share such as 0.5 or "50%", found {shown(value)}')
    return result


def choice(kind: str, members: Mapping[str, T]) -> Callable[[object], T]:
    """One of the words in *members*."""

    def parse(value: object) -> T:
        if isinstance(value, str | int) and str(value) in members:
            return members[str(value)]
        if not isinstance(value, str):
            raise ValueError(f"expected {alternatives(members)}, found {shown(value)}")  # noqa: TRY004  # pydantic collects ValueErrors
        raise ValueError(Unknown(f"unknown {kind} {quoted(value)}", value, members))

    return parse


def words(members: type[E]) -> dict[str, E]:
    """The members of an enumeration by the word the configuration uses."""
    return {str(member): member for member in members}


FORWARDING = {
    str(method): method
    for method in (Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL, Forwarding.LOCAL)
}
"""The forwarding methods by name; `local` is what the kernel makes of a server that is the gateway itself."""

FLAG_NAMES = (
    *sorted({name for flags in SCHEDULER_FLAGS.values() for name in flags}),
    *("flag-1", "flag-2", "flag-3"),
)


def octets(value: object) -> bytes:
    """Bytes: text as UTF-8, or `{hex: 00ff}`."""
    if isinstance(value, dict) and set(value) == {"hex"}:
        digits = text(value["hex"])
        try:
            return bytes.fromhex(digits)
        except ValueError:
            raise ValueError(f"expected pairs of hex digits, found {quoted(digits)}") from None
    if isinstance(value, str | int):
        return str(value).encode()
    raise ValueError(f"expected text or {{hex: 00ff}}, found {shown(value)}")


def regex(value: object) -> str:
    """A regular expression of bounded length, as the probes' engine understands it."""
    import regex as engine

    pattern = text(value)
    if len(pattern) > MAX_REGEX:
        raise ValueError(
            f"a regular expression has at most {MAX_REGEX} characters, found {len(pattern)}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            engine.compile(pattern)
    except (engine.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"{quoted(pattern)} is not a regular expression: {error}") from None
    return pattern


def status_codes(value: object) -> tuple[int, int]:
    """A status code or a range of them, first and last."""
    first, dash, last = str(value).partition("-") if isinstance(value, str | int) else ("", "", "")
    low, high = number(first.strip()), number((last if dash else first).strip())
    if low is None or high is None or not 100 <= low <= high <= 599:  # noqa: PLR2004  # RFC 9110, section 15
        raise ValueError(
            f'expected status codes such as 200, 200-299 or "200-299,404", found {shown(value)}'
        )
    return low, high


def file_path(value: object) -> str:
    """An absolute path."""
    found = text(value)
    if not found.startswith("/") or not found.isprintable():
        raise ValueError(f"expected an absolute path, found {shown(value)}")
    return found


def http_path(value: object) -> str:
    """The path and query of a request."""
    found = text(value)
    if not found.startswith("/") or not found.isascii() or not found.isprintable() or " " in found:
        raise ValueError(f"expected a path such as /health, found {shown(value)}")
    return found


def token(value: object) -> str:
    """A method or a header's name (RFC 9110, section 5.6.2)."""
    found = text(value)
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", found):
        raise ValueError(f"{quoted(found)} is not a word HTTP allows here")
    return found
