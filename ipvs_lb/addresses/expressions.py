"""The words that our rules for nft are made of, and the JSON it lists them as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from ipvs_lb.model.identity import (
    NO_PORT,
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServiceKey,
)

FAMILIES = {"ip": Family.IPV4, "ip6": Family.IPV6}
ADDRESS = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
_PROTOCOLS: Mapping[object, IPProtocol] = {
    name: protocol for protocol in IPProtocol for name in (str(protocol), int(protocol))
}

Entries = dict[str, list[dict[str, Any]]]


def element(service: ServiceKey) -> str:
    """What tells the packets of *service*: its mark, or its address, protocol and port if it has one."""
    if isinstance(service, FwmarkKey):
        return str(service.mark)
    host = f"{service.address} . {service.protocol:d}"
    return f"{host} . {service.port}" if service.port else host


def marked_service(key: Any, family: str) -> FwmarkKey:
    """The service of a mark as nft lists it."""
    return FwmarkKey(int(key), FAMILIES[family])


def addressed_service(key: Any) -> AddressKey:
    """The service of an address, a protocol and maybe a port as nft lists them."""
    address, protocol, *port = key["concat"]
    where = Port(int(port[0])) if port else NO_PORT
    return AddressKey(_PROTOCOLS[protocol], ip_address(address), where)


def several(one_or_more: str | Sequence[str]) -> Sequence[str]:
    """What nft lists as a string when it is a single one."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def payload(protocol: str, name: str) -> dict[str, Any]:
    """A field of a header."""
    return {"payload": {"protocol": protocol, "field": name}}


def meta(key: str) -> dict[str, Any]:
    """What is known of a packet besides its headers."""
    return {"meta": {"key": key}}


def match(left: object, right: object, operator: str = "==") -> dict[str, Any]:
    """A comparison."""
    return {"match": {"op": operator, "left": left, "right": right}}
