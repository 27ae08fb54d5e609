"""The kinds of values the configuration has, as types for forms."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Annotated

from ipvs_lb.config import values
from ipvs_lb.config.fields import REFERENCE_PATTERN, Scalar, number_json, text_json, word_json
from ipvs_lb.config.problems import alternatives
from ipvs_lb.model.checks import Via
from ipvs_lb.model.config import Drift, OnDown, QuorumAction, VipDownWhen
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import Family, IPAddress, IPProtocol, Port
from ipvs_lb.model.settings import (
    MAX_WEIGHT,
    SCHEDULERS,
    Forwarding,
    SyncRole,
    TunnelChecksum,
    TunnelType,
)

MAX_MARK = 2**32 - 1
MAX_THRESHOLD = 2**32 - 1
MAX_PERSISTENCE = 31 * values.DAY
MAX_TIMEOUT = (
    2**31 - 1
) // 100  # INT_MAX / HZ of the slowest clock, ip_vs_ctl.c ip_vs_set_timeout()


def whole(low: int, high: int) -> Scalar:
    """A whole number from *low* to *high*."""
    kind = f"whole number {low}..{high}" if low < high else str(low)
    return Scalar(values.whole(low, high), kind, number_json(low, high))


def seconds(low: float, high: float) -> Scalar:
    """A duration from *low* to *high* seconds."""
    kind = f"duration {values.duration_text(low)}..{values.duration_text(high)}"
    pattern = rf"^[0-9.]+(ms|s|m|h|d)([0-9.]+(ms|s|m|h|d))*$|{REFERENCE_PATTERN}"
    return Scalar(values.seconds(low, high), kind, {"type": "string", "pattern": pattern})


def whole_seconds(low: int, high: int) -> Scalar:
    """A duration of whole seconds, as the kernel counts it."""
    like = seconds(low, high)
    return Scalar(values.whole_seconds(low, high), f"{like.kind}, whole seconds", like.json)


def text(kind: str = "text", limit: int = 4096) -> Scalar:
    """Printable text that is not empty."""
    return Scalar(values.some_text(limit), kind, text_json(minLength=1))


Name = Annotated[str, Scalar(values.name, "name", text_json(minLength=1, maxLength=200))]
MaybeName = Annotated[
    str | None, Scalar(values.name, "name", text_json(minLength=1, maxLength=200))
]
Interface = Annotated[str, Scalar(values.interface, "interface", text_json())]
MaybeInterface = Annotated[str | None, Scalar(values.interface, "interface", text_json())]
_ADDRESS = Scalar(values.address, "IP address", {"type": "string"})
Address = Annotated[IPAddress, _ADDRESS]
MaybeAddress = Annotated[IPAddress | None, _ADDRESS]
Network = Annotated[str, Scalar(values.network, "network", {"type": "string"})]
MaybeGroup = Annotated[
    IPAddress | None, Scalar(values.multicast, "multicast address", {"type": "string"})
]
MaybeNetmask = Annotated[
    IPv4Address | None, Scalar(values.netmask, "IPv4 netmask", {"type": "string"})
]
_BOOLEANS: list[dict[str, object]] = [
    {"type": "boolean"},
    {"enum": ["yes", "no", "on", "off", "true", "false"]},
    {"type": "string", "pattern": REFERENCE_PATTERN},
]
_BOOLEAN_JSON = {"anyOf": _BOOLEANS}
Boolean = Annotated[bool, Scalar(values.boolean, "yes or no", _BOOLEAN_JSON)]
MaybeBoolean = Annotated[bool | None, Scalar(values.boolean, "yes or no", _BOOLEAN_JSON)]
_PORT = Scalar(values.port, "port 1..65535", number_json(1, 65535))
MaybePort = Annotated[Port | None, _PORT]
_PORTS_JSON = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 65535},
        {"type": "string", "pattern": rf"^[0-9]+(-[0-9]+)?$|{REFERENCE_PATTERN}"},
    ]
}
PortRange = Annotated[tuple[int, int], Scalar(values.ports, "port or range", _PORTS_JSON)]
Weight = Annotated[int, whole(0, MAX_WEIGHT)]
Threshold = Annotated[int, whole(0, MAX_THRESHOLD)]
Mark = Annotated[int, whole(0, MAX_MARK)]
MaybeMark = Annotated[int | None, whole(1, MAX_MARK)]
Count = Annotated[int, whole(1, 1000)]
MaybePrefix = Annotated[int | None, whole(1, 128)]


def _backup(value: object) -> int:
    if isinstance(value, str) and values.number(value) is None:
        return int(values.boolean(value))
    return values.whole(0, 100, "yes, no or a tier")(value)


_TIER_JSON = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}, *_BOOLEANS]}
Tier = Annotated[int, Scalar(_backup, "yes, no or tier 0..100", _TIER_JSON)]


def _required(value: object) -> int | None:
    if value in {"all", "any"}:
        return None if value == "all" else 1
    return values.whole(1, 100, "all, any or a number")(value)


_REQUIRED_JSON = {"anyOf": [{"enum": ["all", "any"]}, number_json(1, 100)]}
Required = Annotated[int | None, Scalar(_required, "all, any or number", _REQUIRED_JSON)]
_SHARE_JSON = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": rf"^[0-9.]+%?$|{REFERENCE_PATTERN}"},
    ]
}
Share = Annotated[float, Scalar(values.share, "share 0..1 or percentage", _SHARE_JSON)]
_HEX_JSON = {
    "type": "object",
    "properties": {"hex": text_json()},
    "required": ["hex"],
    "additionalProperties": False,
}
_OCTETS = Scalar(values.octets, "text or {hex: ...}", {"anyOf": [text_json(), _HEX_JSON]})
Octets = Annotated[bytes, _OCTETS]
MaybeOctets = Annotated[bytes | None, _OCTETS]


def word(kind: str, members: Mapping[str, object]) -> Scalar:
    """One of some words."""
    return Scalar(values.choice(kind, members), alternatives(members), word_json(members))


Protocol = Annotated[IPProtocol, word("protocol", values.words(IPProtocol))]
MaybeFamily = Annotated[Family | None, word("family", values.words(Family))]
Scheduler = Annotated[str, word("scheduler", {name: name for name in SCHEDULERS})]
SchedulerFlag = Annotated[str, word("flag", {name: name for name in values.FLAG_NAMES})]
_FORWARDING = word("forwarding method", values.FORWARDING)
ForwardingMethod = Annotated[Forwarding, _FORWARDING]
MaybeForwarding = Annotated[Forwarding | None, _FORWARDING]
Encapsulation = Annotated[TunnelType, word("tunnel type", values.words(TunnelType))]
Checksum = Annotated[TunnelChecksum, word("checksum", values.words(TunnelChecksum))]
MaybeEngine = Annotated[str | None, word("persistence engine", {"sip": "sip"})]
Role = Annotated[SyncRole, word("role", values.words(SyncRole))]
Translation = Annotated[SourceNat, word("source NAT mode", values.words(SourceNat))]
WhenDown = Annotated[OnDown, word("action", values.words(OnDown))]
WhenLost = Annotated[QuorumAction, word("action", values.words(QuorumAction))]
WhenDrifted = Annotated[Drift, word("action", values.words(Drift))]
WhenVipGoes = Annotated[VipDownWhen, word("condition", values.words(VipDownWhen))]
Way = Annotated[Via, word("way", values.words(Via))]
