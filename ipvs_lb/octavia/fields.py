"""The fields of every kind of object: their types, ranges, defaults, and what a client may set and when.

One table per kind says it all; reading a body is looking it up. A value that is not as the table says is a
`Fault` in Octavia's words.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any
from uuid import UUID

from ipvs_lb.model.identity import IPAddress
from ipvs_lb.octavia.faults import Fault, invalid, option, unsupported, validation
from ipvs_lb.octavia.objects import Algorithm, Kind, SessionPersistence

MAX_TEXT = 255
MAX_WEIGHT = 256
MAX_TAGS = 100
_IPV6_BITS = 128
Values = dict[str, object]
"""Fields that a client set, by name, each of the type its object has it in."""


class Reset(enum.Enum):
    """What `null` means for a field that has no default of its own: a fault, or as if it were not there."""

    REFUSED = "refused"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a body. `parse` gets its name and a value that is not null.

    `default` is what it is without being set, and after a null in an update unless `reset` says otherwise.
    """

    name: str
    parse: Callable[[str, object], object]
    default: object = None
    is_required: bool = False
    is_fixed: bool = False
    reset: object = ...

    @property
    def after_null(self) -> object:
        """The value that a null in an update leaves, or a `Reset`."""
        return self.default if self.reset is ... else self.reset


def text(name: str, value: object, *, longest: int = MAX_TEXT) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise invalid(name, value, "Value should be string")
    if any("\ud800" <= sign <= "\udfff" or sign == "\0" for sign in value):
        raise invalid(name, value, "Value should be a string of Unicode characters")
    if len(value) > longest:
        raise invalid(
            name, value, f"Value should have a maximum character requirement of {longest}"
        )
    return value


def whole(name: str, value: object, *, least: int, most: int) -> int:
    """A whole number, or text that is one."""
    number = _as_whole(name, value)
    if number < least:
        raise invalid(name, value, f"Value should be greater or equal to {least}")
    if number > most:
        raise invalid(name, value, f"Value should be lower or equal to {most}")
    return number


def _as_whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise invalid(name, value, "Value should be an integer")
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        raise invalid(name, value, "Value should be an integer")
    if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value, re.ASCII):
        raise invalid(name, value, f"invalid literal for int() with base 10: '{value}'")
    return int(value)


def flag(name: str, value: object) -> bool:
    """A truth value, or one of the words for it."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in {"true", "t", "yes", "y", "on", "1"}:
        return True
    if word in {"false", "f", "no", "n", "off", "0"}:
        return False
    raise invalid(name, value, f"Value not an unambiguous boolean: {str(value)[:MAX_TEXT]}")


def choice(name: str, value: object, *, among: Iterable[str]) -> str:
    """One of several words."""
    words = list(among)
    if not isinstance(value, str) or value not in words:
        raise invalid(name, value, f"Value should be one of: {', '.join(words)}")
    return value


def uuid(name: str, value: object) -> str:
    """A UUID, in whatever form; its canonical one."""
    try:
        return str(UUID(value)) if isinstance(value, str) else _refuse(name, value, "UUID format")
    except ValueError:
        return _refuse(name, value, "UUID format")


def address(name: str, value: object) -> IPAddress:
    """An IPv4 or IPv6 address without a zone."""
    try:
        if isinstance(value, str) and "%" not in value:
            return ip_address(value)
    except ValueError:
        pass
    raise invalid(name, value, "Value should be IPv4 or IPv6 format")


def server_address(name: str, value: object) -> IPAddress:
    """An address that a member can have."""
    found = address(name, value)
    if str(found) == "169.254.169.254" or found.is_multicast or found.is_unspecified:
        raise option(value, "member address")
    return found


def cidrs(name: str, value: object) -> tuple[str, ...] | None:
    """Networks, host bits masked; none at all lets everyone in."""
    try:
        return tuple(dict.fromkeys(map(_cidr, nested(name, value)))) or None
    except (TypeError, ValueError):
        raise invalid(name, value, "Value should be IPv4 or IPv6 CIDR format") from None


def _cidr(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)  # a number would be an address
    return str(ip_network(value, strict=False))


def tags(name: str, value: object) -> tuple[str, ...]:
    """Words to find an object by, each once and in order."""
    given = nested(name, value)
    if len(given) > MAX_TAGS:
        raise invalid(name, value, f"Value should have at most {MAX_TAGS} entries")
    return tuple(sorted({text(name, one) for one in given}))


def session_persistence(name: str, value: object) -> SessionPersistence:
    """That clients stay on their member, and how; which ways there are depends on the pool."""
    if not isinstance(value, Mapping):
        raise invalid(name, value, "Value should be an object")
    for unknown in value.keys() - _PERSISTENCE.keys():
        raise Fault(400, f"Unknown attribute for argument pool_.pool.{name}: {unknown}")
    given = {
        own: parse(key, value[key])
        for key, (own, parse) in _PERSISTENCE.items()
        if value.get(key) is not None
    }
    return SessionPersistence(**{"type": "", **given})


def _granularity(name: str, value: object) -> str:
    """A netmask of either IP version, or the length of a prefix."""
    given = text(name, value)
    if re.fullmatch(r"[0-9]{1,3}", given, re.ASCII) and 1 <= int(given) <= _IPV6_BITS:
        return str(int(given))
    mask = address(name, given)
    if prefix_of(mask) is None:
        raise invalid(name, value, "Value should be IPv4 or IPv6 format")
    return str(mask)


def prefix_of(mask: IPAddress) -> int | None:
    """How many ones *mask* begins with, if nothing but zeroes follows and there is a one."""
    ones = int(mask).bit_count()
    width = mask.max_prefixlen
    return ones if ones and int(mask) == (1 << width) - (1 << (width - ones)) else None


_PERSISTENCE: Mapping[str, tuple[str, Callable[[str, object], Any]]] = {
    "type": ("type", partial(choice, among=("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"))),
    "cookie_name": ("cookie_name", text),
    "persistence_timeout": ("timeout", partial(whole, least=1, most=31 * 86400)),
    "persistence_granularity": ("granularity", _granularity),
}


def url_path(name: str, value: object) -> str:
    """The path and query of a request."""
    path = text(name, value)
    if not re.fullmatch(r"/[!-~]*", path, re.ASCII):
        raise invalid(name, value, "Value must be a valid URL Path string")
    return path


def expected_codes(name: str, value: object) -> str:
    """One code, a list, or one range."""
    codes = text(name, value)
    return _matching(name, codes, _CODES)


_CODES = r"^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$"
_HOST_NAME = (
    r"^(?=.{1,253}\.?$)(?:(?!-|[^.]+_)[A-Za-z0-9-_]{1,63}(?<!-)(?:\.|$))+$"  # a fault quotes it
)


def _matching(name: str, value: str, pattern: str) -> str:
    if not re.fullmatch(pattern, value, re.ASCII):
        raise invalid(name, value, f"Value should match the pattern {pattern}")
    return value


def http_version(name: str, value: object) -> float:
    """1.0 or 1.1."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        number = math.nan
    if number not in {1.0, 1.1}:
        raise invalid(name, value, "Value should be one of: 1.0, 1.1")
    return number


def domain_name(name: str, value: object) -> str:
    """The name of a host."""
    return _matching(name, text(name, value), _HOST_NAME)


def empty_only(what: str) -> Callable[[str, object], None]:
    """A field of layer 7: only nothing can be asked of it."""

    def parse(name: str, value: object) -> None:
        if value not in ({}, [], "", False, 0, "NONE"):
            raise unsupported(f"{name}: {what}")

    return parse


def no_flavor(name: str, value: object) -> None:
    """There are no flavors, so that every identifier is a wrong one."""
    uuid(name, value)
    raise validation(f"Invalid {name}.")


def no_zone(name: str, value: object) -> None:
    """There are no availability zones, so that every name is a wrong one."""
    text(name, value)
    raise validation("Invalid availability zone.")


def nested(name: str, value: object) -> list[object]:
    """A list; objects in it are read by the tables of their own kinds."""
    if not isinstance(value, list):
        raise invalid(name, value, f"Value not a valid list: {str(value)[:MAX_TEXT]}")
    return value


def nested_one(name: str, value: object) -> Mapping[str, object]:
    """One object inside of an object."""
    if not isinstance(value, Mapping):
        raise invalid(name, value, "Value should be an object")
    return value


def _refuse(name: str, value: object, expected: str) -> str:
    raise invalid(name, value, f"Value should be {expected}")


_LONG = partial(whole, least=0, most=2**31 - 1)
_PORT = partial(whole, least=1, most=65535)
_TIMEOUT_MS = partial(whole, least=0, most=24 * 24 * 3600 * 1000)
_PROJECT = partial(text, longest=36)
_COMMON = (
    Field(name="name", parse=text, default=""),
    Field(name="admin_state_up", parse=flag, default=True, reset=False),
    Field(name="tags", parse=tags, default=(), reset=Reset.NOTHING),
    Field(name="project_id", parse=_PROJECT, is_fixed=True),
    Field(name="tenant_id", parse=_PROJECT, is_fixed=True),
)
_DESCRIBED = (*_COMMON, Field(name="description", parse=text, default=""))
_LAYER_7 = "it belongs to layer 7"
_TLS = "TLS is not ended here"

LISTENER_PROTOCOLS = ("TCP", "UDP", "SCTP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS")
POOL_PROTOCOLS = ("TCP", "UDP", "SCTP", "HTTP", "HTTPS", "PROXY", "PROXYV2")
MONITOR_TYPES = ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP")
HTTP_METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")

FIELDS: Mapping[Kind, tuple[Field, ...]] = MappingProxyType(
    {
        Kind.LOAD_BALANCER: (
            *_DESCRIBED,
            Field(name="vip_address", parse=address, is_fixed=True),
            Field(name="vip_port_id", parse=uuid, is_fixed=True),
            Field(name="vip_subnet_id", parse=uuid, is_fixed=True),
            Field(name="vip_network_id", parse=uuid, is_fixed=True),
            Field(name="additional_vips", parse=nested, is_fixed=True),
            Field(name="vip_qos_policy_id", parse=empty_only("there is no QoS policy")),
            Field(name="vip_sg_ids", parse=empty_only("there are no security groups")),
            Field(name="provider", parse=text, is_fixed=True),
            Field(name="flavor_id", parse=no_flavor, is_fixed=True),
            Field(name="availability_zone", parse=no_zone, is_fixed=True),
            Field(name="listeners", parse=nested, is_fixed=True),
            Field(name="pools", parse=nested, is_fixed=True),
        ),
        Kind.LISTENER: (
            *_DESCRIBED,
            Field(name="loadbalancer_id", parse=uuid, is_fixed=True),
            Field(
                name="protocol",
                parse=partial(choice, among=LISTENER_PROTOCOLS),
                is_required=True,
                is_fixed=True,
            ),
            Field(name="protocol_port", parse=_PORT, is_required=True, is_fixed=True),
            Field(
                name="connection_limit", parse=partial(whole, least=-1, most=2**31 - 1), default=-1
            ),
            Field(name="default_pool_id", parse=uuid),
            Field(name="default_pool", parse=nested_one, is_fixed=True),
            Field(name="timeout_client_data", parse=_TIMEOUT_MS, default=50000),
            Field(name="timeout_member_connect", parse=_TIMEOUT_MS, default=5000),
            Field(name="timeout_member_data", parse=_TIMEOUT_MS, default=50000),
            Field(name="timeout_tcp_inspect", parse=_TIMEOUT_MS, default=0),
            Field(name="allowed_cidrs", parse=cidrs),
            Field(name="insert_headers", parse=empty_only(_LAYER_7)),
            Field(name="l7policies", parse=empty_only(_LAYER_7), is_fixed=True),
            Field(name="default_tls_container_ref", parse=empty_only(_TLS)),
            Field(name="sni_container_refs", parse=empty_only(_TLS)),
            Field(name="client_ca_tls_container_ref", parse=empty_only(_TLS)),
            Field(name="client_authentication", parse=empty_only(_TLS)),
            Field(name="client_crl_container_ref", parse=empty_only(_TLS)),
            Field(name="tls_ciphers", parse=empty_only(_TLS)),
            Field(name="tls_versions", parse=empty_only(_TLS)),
            Field(name="alpn_protocols", parse=empty_only(_TLS)),
            Field(name="hsts_max_age", parse=empty_only(_TLS)),
            Field(name="hsts_include_subdomains", parse=empty_only(_TLS)),
            Field(name="hsts_preload", parse=empty_only(_TLS)),
        ),
        Kind.POOL: (
            *_DESCRIBED,
            Field(name="loadbalancer_id", parse=uuid, is_fixed=True),
            Field(name="listener_id", parse=uuid, is_fixed=True),
            Field(
                name="protocol",
                parse=partial(choice, among=POOL_PROTOCOLS),
                is_required=True,
                is_fixed=True,
            ),
            Field(
                name="lb_algorithm",
                parse=lambda name, value: Algorithm(choice(name, value, among=Algorithm)),
                is_required=True,
                reset=Reset.REFUSED,
            ),
            Field(name="session_persistence", parse=session_persistence),
            Field(name="healthmonitor", parse=nested_one, is_fixed=True),
            Field(name="members", parse=nested, is_fixed=True),
            Field(name="tls_enabled", parse=empty_only(_TLS)),
            Field(name="tls_container_ref", parse=empty_only(_TLS)),
            Field(name="ca_tls_container_ref", parse=empty_only(_TLS)),
            Field(name="crl_container_ref", parse=empty_only(_TLS)),
            Field(name="tls_ciphers", parse=empty_only(_TLS)),
            Field(name="tls_versions", parse=empty_only(_TLS)),
            Field(name="alpn_protocols", parse=empty_only(_TLS)),
        ),
        Kind.MEMBER: (
            *_COMMON,
            Field(name="address", parse=server_address, is_required=True, is_fixed=True),
            Field(name="protocol_port", parse=_PORT, is_required=True, is_fixed=True),
            Field(name="weight", parse=partial(whole, least=0, most=MAX_WEIGHT), default=1),
            Field(name="backup", parse=flag, default=False),
            Field(name="subnet_id", parse=uuid, is_fixed=True),
            Field(name="monitor_address", parse=address),
            Field(name="monitor_port", parse=_PORT),
            Field(
                name="request_sriov",
                parse=empty_only("there are no virtual functions"),
                is_fixed=True,
            ),
        ),
        Kind.HEALTH_MONITOR: (
            *_COMMON,
            Field(name="pool_id", parse=uuid, is_required=True, is_fixed=True),
            Field(
                name="type",
                parse=partial(choice, among=MONITOR_TYPES),
                is_required=True,
                is_fixed=True,
            ),
            Field(name="delay", parse=_LONG, is_required=True, reset=Reset.REFUSED),
            Field(name="timeout", parse=_LONG, is_required=True, reset=Reset.REFUSED),
            Field(
                name="max_retries",
                parse=partial(whole, least=1, most=10),
                is_required=True,
                reset=Reset.REFUSED,
            ),
            Field(name="max_retries_down", parse=partial(whole, least=1, most=10), default=3),
            Field(name="http_method", parse=partial(choice, among=HTTP_METHODS)),
            Field(name="url_path", parse=url_path),
            Field(name="expected_codes", parse=expected_codes),
            Field(name="http_version", parse=http_version),
            Field(name="domain_name", parse=domain_name),
        ),
    }
)

_ARGUMENTS = {
    Kind.LOAD_BALANCER: "load_balancer.loadbalancer",
    Kind.LISTENER: "listener_.listener",
    Kind.POOL: "pool_.pool",
    Kind.MEMBER: "member_.member",
    Kind.HEALTH_MONITOR: "health_monitor_.healthmonitor",
}
_BY_NAME = {kind: {field.name: field for field in fields} for kind, fields in FIELDS.items()}


def read_new(
    kind: Kind, body: Mapping[str, object], *, argument: str = "", without: Iterable[str] = ()
) -> Values:
    """What *body* says about a new object: every field of its table, with defaults.

    A fault calls it *argument* when it is inside of another. A field named in *without* need not be there: it follows
    from where the object is made. Raises Fault.
    """
    _refuse_unknown(kind, body, argument)
    needed = [field for field in FIELDS[kind] if field.is_required and field.name not in without]
    for field in needed:
        if body.get(field.name) is None:
            raise _missing(kind, field, body)
    return {
        field.name: field.default
        if (given := body.get(field.name)) is None
        else field.parse(field.name, given)
        for field in FIELDS[kind]
    }


def _missing(kind: Kind, field: Field, body: Mapping[str, object]) -> Fault:
    is_null = field.name in body and field.reset is Reset.REFUSED
    if is_null and kind is Kind.HEALTH_MONITOR:
        return option(None, field.name)
    return invalid(field.name, None, "Mandatory field missing.")


def read_update(kind: Kind, body: Mapping[str, object]) -> Values:
    """What *body* changes of an object: the fields it has, null reset. Raises Fault."""
    _refuse_unknown(kind, body)
    known = _BY_NAME[kind]
    for name in body:
        if known[name].is_fixed:
            raise Fault(400, f"Unknown attribute for argument {_ARGUMENTS[kind]}: {name}")
    return {
        name: _updated(known[name], given)
        for name, given in body.items()
        if given is not None or known[name].reset is not Reset.NOTHING
    }


def _updated(field: Field, given: object) -> object:
    if given is not None:
        return field.parse(field.name, given)
    if field.after_null is Reset.REFUSED:
        raise option(given, field.name)
    return field.after_null


def _refuse_unknown(kind: Kind, body: Mapping[str, object], argument: str = "") -> None:
    for name in body:
        if name not in _BY_NAME[kind]:
            raise Fault(
                400, f"Unknown attribute for argument {argument or _ARGUMENTS[kind]}: {name}"
            )
