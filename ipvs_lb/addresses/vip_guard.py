"""The guard of VIPs as a part of our table: on them nothing answers but services.

    set guarded                         the VIPs
    set open_marks, open_services,      what gets in: the packets of services, and ICMP, which pings, path MTU discovery
        open_addresses                  and neighbour discovery (IPv6) need
    set asked, chain output             the UDP conversations that the gateway itself began from a VIP
    chain guard                         everything else is dropped

It comes behind the restrictions of services, so before IPVS. A restricted service is open here as well: whoever it is
not for has been dropped there. What the gateway sends to itself passes. Connections are not tracked for all this, which would cost
every packet that IPVS forwards: over TCP only what begins a connection is dropped (a packet that neither acknowledges
nor resets), so that answers to the gateway's own connections, and connections that are open already, go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from ipvs_lb.addresses.expressions import (
    ADDRESS,
    FAMILIES,
    addressed_service,
    element,
    marked_service,
    match,
    meta,
    payload,
    several,
)
from ipvs_lb.model.firewall import Firewall, in_order
from ipvs_lb.model.identity import Family, FwmarkKey, IPAddress, ServiceKey

CHAIN = "guard"
OUTPUT = {"type": "filter", "hook": "output", "prio": 0, "policy": "accept"}

_GUARDED, _ASKED = "guarded", "asked"
_MARKS, _SERVICES, _HOSTS = "open_marks", "open_services", "open_addresses"
_SETS = frozenset({_GUARDED, _ASKED, _MARKS, _SERVICES, _HOSTS})
_ICMP = {Family.IPV4: 1, Family.IPV6: 58}  # RFC 792, RFC 4443
_ICMP_NAMES = {
    Family.IPV4: frozenset({"icmp", 1}),
    Family.IPV6: frozenset({"ipv6-icmp", "icmpv6", 58}),
}
_UDP_NAMES = ("udp", 17)  # a name where /etc/protocols has it
_SECONDS = 120  # how long an answer may take, as with connection tracking (nf_conntrack_udp_timeout_stream)
_CONVERSATIONS = 16384


def script(own: Firewall, family: str) -> Iterator[str]:
    """The sets and chains of the guard; nothing if nothing is guarded."""
    if not own.guarded:
        return
    elements = _elements(own, family)
    for name, members in elements.items():
        yield f"  set {name} {{"
        yield f"    type {' . '.join(_types(name, family))};"
        yield f"    elements = {{ {', '.join(members)} }}"
        yield "  }"
    yield f"  set {_ASKED} {{"
    yield f"    type {' . '.join(_types(_ASKED, family))};"
    yield f"    size {_CONVERSATIONS}; flags dynamic,timeout; timeout {_SECONDS}s;"
    yield "  }"
    yield f"  chain {CHAIN} {{"
    yield '    iifname "lo" return'
    yield from (f"    {_key(name, family, 'd')} @{name} return" for name in _lookups(elements))
    yield "    tcp flags ack return"
    yield "    tcp flags rst return"
    yield f"    {_conversation(family, 'd', 's')} @{_ASKED} return"
    yield "    drop"
    yield "  }"
    yield "  chain output {"
    yield "    type filter hook output priority 0; policy accept;"
    yield f"    {family} saddr != @{_GUARDED} return"
    yield from (
        f"    {_key(name, family, 's')} @{name} return"
        for name in _lookups(elements)
        if name != _MARKS
    )
    yield "    meta l4proto != 17 return"
    yield f"    update @{_ASKED} {{ {_conversation(family, 's', 'd')} }}"
    yield "  }"


def lookup(family: str) -> str:
    """The rule that leads packets for VIPs to the guard."""
    return f"{family} daddr @{_GUARDED} goto {CHAIN}"


def lookup_expression(family: str) -> list[Any]:
    """`lookup` as nft lists it."""
    return [match(payload(family, "daddr"), f"@{_GUARDED}"), {"goto": {"target": CHAIN}}]


def is_ours(set_name: str) -> bool:
    """Whether *set_name* is one of the guard's sets."""
    return set_name in _SETS


def parse(
    entries: Iterable[Mapping[str, Any]], family: str
) -> tuple[frozenset[IPAddress], frozenset[ServiceKey]]:
    """What is guarded, and what opened, by the guard's sets as nft lists them. Raises as `ruleset.STRANGE`."""
    sets = {entry["name"]: entry for entry in entries}
    for name, entry in sets.items():
        if [*several(entry["type"])] != _types(name, family):
            raise ValueError(name)
        if (name == _ASKED) != ("timeout" in several(entry.get("flags", []))):
            raise ValueError(name)
    if not sets:
        return frozenset(), frozenset()
    members = {name: entry["elem"] for name, entry in sets.items() if name != _ASKED}
    guarded = frozenset(ip_address(address) for address in members[_GUARDED])
    if _ASKED not in sets or _with_icmp(members[_HOSTS], family) != guarded:
        raise ValueError(_GUARDED)
    marks = {marked_service(key, family) for key in members.get(_MARKS, [])}
    addressed = {
        addressed_service(key)
        for key in (*members.get(_SERVICES, []), *members[_HOSTS])
        if not _is_icmp(key, family)
    }
    return guarded, frozenset(marks | addressed)


def chains(entries: Iterable[Mapping[str, Any]], family: str) -> list[dict[str, list[Any]]]:
    """The rules that belong to these sets, by chain, in each form in which nft may list them."""
    names = {entry["name"] for entry in entries}
    if not names:
        return [{}]
    every = _lookups(names)
    arriving, leaving = _concat(family, "d", "s"), _concat(family, "s", "d")
    inside = [
        [match(meta("iifname"), "lo")],
        *([match(_key_expression(name, family, "d"), f"@{name}")] for name in every),
        *([match(payload("tcp", "flags"), flag, "in")] for flag in ("ack", "rst")),
        [match(arriving, f"@{_ASKED}")],
    ]
    own = [match(payload(family, "saddr"), f"@{_GUARDED}", "!=")]
    outside = [
        [match(_key_expression(name, family, "s"), f"@{name}")] for name in every if name != _MARKS
    ]
    update = {"set": {"op": "update", "elem": leaving, "set": f"@{_ASKED}"}}
    return [
        {
            CHAIN: [*_returning(inside), [{"drop": None}]],
            "output": [
                *_returning([own, *outside, [match(meta("l4proto"), udp, "!=")]]),
                [update],
            ],
        }
        for udp in _UDP_NAMES
    ]


def _returning(rules: Iterable[list[Any]]) -> list[list[Any]]:
    return [[*rule, {"return": None}] for rule in rules]


def _elements(own: Firewall, family: str) -> dict[str, list[str]]:
    """The members of each set that has any."""
    found: dict[str, list[str]] = {_GUARDED: [], _MARKS: [], _SERVICES: [], _HOSTS: []}
    for address in in_order(own.guarded):
        found[_GUARDED].append(str(address))
        found[_HOSTS].append(f"{address} . {_ICMP[FAMILIES[family]]}")
    for service in sorted(own.opened, key=lambda key: key.order()):
        found[_set_of(service)].append(element(service))
    return {name: members for name, members in found.items() if members}


def _set_of(service: ServiceKey) -> str:
    if isinstance(service, FwmarkKey):
        return _MARKS
    return _SERVICES if service.port else _HOSTS


def _types(name: str, family: str) -> list[str]:
    address = ADDRESS[family]
    return {
        _GUARDED: [address],
        _MARKS: ["mark"],
        _SERVICES: [address, "inet_proto", "inet_service"],
        _HOSTS: [address, "inet_proto"],
        _ASKED: [address, "inet_proto", "inet_service", address, "inet_service"],
    }[name]


def _lookups(names: Iterable[str]) -> list[str]:
    """The sets that packets are looked up in, in order."""
    there = set(names)
    return [name for name in (_MARKS, _SERVICES, _HOSTS) if name in there]


def _key(name: str, family: str, side: str) -> str:
    """What is looked up in set *name* of a packet's source (`s`) or destination (`d`)."""
    if name == _MARKS:
        return "meta mark"
    host = f"{family} {side}addr . meta l4proto"
    return f"{host} . th {side}port" if name == _SERVICES else host


def _key_expression(name: str, family: str, side: str) -> dict[str, Any]:
    if name == _MARKS:
        return meta("mark")
    parts = [payload(family, f"{side}addr"), meta("l4proto"), payload("th", f"{side}port")]
    return {"concat": parts if name == _SERVICES else parts[:2]}


def _conversation(family: str, own: str, other: str) -> str:
    """Both ends of a packet, the gateway's *own* side (`s` or `d`) first."""
    return f"{_key(_SERVICES, family, own)} . {family} {other}addr . th {other}port"


def _concat(family: str, own: str, other: str) -> dict[str, Any]:
    (parts,) = _key_expression(_SERVICES, family, own).values()
    return {"concat": [*parts, payload(family, f"{other}addr"), payload("th", f"{other}port")]}


def _is_icmp(key: Mapping[str, Any], family: str) -> bool:
    return key["concat"][1] in _ICMP_NAMES[FAMILIES[family]]


def _with_icmp(hosts: Iterable[Mapping[str, Any]], family: str) -> frozenset[IPAddress]:
    return frozenset(ip_address(key["concat"][0]) for key in hosts if _is_icmp(key, family))
