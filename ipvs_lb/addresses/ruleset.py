"""Our firewall as a script for nft, and back from what nft lists: one table per family, all of it ours.

    map marks, services, addresses      who is restricted: each service leads to the chain of its networks
    set allowed_N, chain allowed_N      those networks, and that everyone else is dropped
    chain input                         looks every packet up in the maps, in the order in which IPVS does
    chain postrouting                   source NAT
    and the guard of VIPs               (vip_guard.py), to which the input chain leads what is for none of those

The input hook at priority 90 is the last place before IPVS, which is at 98 and 99 there (ip_vs_core.c, ip_vs_ops4):
fragments are put together, marks are set and addresses translated, so that nothing gets by in disguise. What is only
forwarded does not come along. A lookup costs the same for one service as for thousands.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network, summarize_address_range
from typing import Any

from ipvs_lb.addresses import vip_guard
from ipvs_lb.addresses.expressions import (
    ADDRESS,
    FAMILIES,
    Entries,
    addressed_service,
    element,
    marked_service,
    match,
    meta,
    payload,
    several,
)
from ipvs_lb.model.firewall import EVERYONE, AccessRule, Firewall, SourceNatRule, canonical
from ipvs_lb.model.identity import FwmarkKey, ServiceKey, family_of

TABLE = "ipvs_lb"
STRANGE = (AttributeError, KeyError, TypeError, ValueError)
"""What reading JSON of another shape than expected raises."""

_MARKS, _SERVICES, _HOSTS = "marks", "services", "addresses"
_MAPS = (_MARKS, _SERVICES, _HOSTS)  # in the order of ip_vs_ctl.c, ip_vs_service_find()
_POSTROUTING = {"type": "nat", "hook": "postrouting", "prio": 100, "policy": "accept"}
_INPUT = {"type": "filter", "hook": "input", "prio": 90, "policy": "accept"}
_HOOKS: Mapping[str, Mapping[str, Any]] = {
    "postrouting": _POSTROUTING,
    "input": _INPUT,
    "output": vip_guard.OUTPUT,
}

Group = tuple[str, ...]


def needed(firewall: Firewall) -> set[str]:
    """The families in which *firewall* has a table."""
    return {family for family in FAMILIES if _part(firewall, family)}


def render(firewall: Firewall, families: Iterable[str]) -> str:
    """The nft script that makes *firewall* all there is in our tables of *families*, in one transaction."""
    lines = []
    for family in sorted(families):
        lines += [f"add table {family} {TABLE}", f"delete table {family} {TABLE}"]
        own = _part(firewall, family)
        if own:
            lines += [f"table {family} {TABLE} {{", *_access(own, family)]
            lines += [*vip_guard.script(own, family), *_input(own, family)]
            lines += [*_source_nat(own, family), "}"]
    return "\n".join(lines) + "\n"


def _part(firewall: Firewall, family: str) -> Firewall:
    ours = FAMILIES[family]
    return Firewall(
        source_nat=frozenset(rule for rule in firewall.source_nat if family_of(rule.vip) is ours),
        access=frozenset(rule for rule in firewall.access if rule.service.family is ours),
        guarded=frozenset(vip for vip in firewall.guarded if family_of(vip) is ours),
        opened=frozenset(service for service in firewall.opened if service.family is ours),
    )


def _source_nat(own: Firewall, family: str) -> Iterator[str]:
    if not own.source_nat:
        return
    yield "  chain postrouting {"
    yield "    type nat hook postrouting priority 100; policy accept;"
    for rule in sorted(own.source_nat, key=SourceNatRule.order):
        where = f"ct original {family} daddr {rule.vip} {family} saddr {rule.subnet}"
        yield f"    {where} masquerade"
    yield "  }"


def _access(own: Firewall, family: str) -> Iterator[str]:
    """What is named comes before what names it."""
    groups: dict[Group, str] = {}
    elements: defaultdict[str, list[str]] = defaultdict(list)
    for rule in sorted(own.access, key=lambda rule: rule.service.order()):
        verdict = _verdict(rule, groups)
        elements[_place(rule.service)].append(f"{element(rule.service)} : {verdict}")
    for networks, name in groups.items():
        yield f"  set {name} {{"
        yield f"    type {ADDRESS[family]}; flags interval;"
        yield f"    elements = {{ {', '.join(networks)} }}"
        yield "  }"
        yield f"  chain {name} {{"
        yield f"    {family} saddr != @{name} drop"
        yield "  }"
    for place in (place for place in _MAPS if place in elements):
        yield f"  map {place} {{"
        yield f"    type {' . '.join(_types(place, family))} : verdict;"
        yield f"    elements = {{ {', '.join(elements[place])} }}"
        yield "  }"


def _input(own: Firewall, family: str) -> Iterator[str]:
    if not (own.access or own.guarded):
        return
    places = {_place(rule.service) for rule in own.access}
    yield "  chain input {"
    yield "    type filter hook input priority 90; policy accept;"
    yield from (f"    {_lookup(place, family)}" for place in _MAPS if place in places)
    if own.guarded:
        yield f"    {vip_guard.lookup(family)}"
    yield "  }"


def _place(service: ServiceKey) -> str:
    """The map of *service*."""
    if isinstance(service, FwmarkKey):
        return _MARKS
    return _SERVICES if service.port else _HOSTS


def _verdict(rule: AccessRule, groups: dict[Group, str]) -> str:
    """What becomes of the packets of *rule*; equal networks are one group."""
    if rule.is_open:
        return "return"
    if not rule.networks:
        return "drop"
    return f"goto {groups.setdefault(rule.networks, f'allowed_{len(groups) + 1}')}"


def _types(place: str, family: str) -> list[str]:
    if place == _MARKS:
        return ["mark"]
    host = [ADDRESS[family], "inet_proto"]
    return [*host, "inet_service"] if place == _SERVICES else host


def _lookup(place: str, family: str) -> str:
    if place == _MARKS:
        return f"meta mark vmap @{place}"
    ports = " . th dport" if place == _SERVICES else ""
    return f"{family} daddr . meta l4proto{ports} vmap @{place}"


def entries(listing: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `nft -j list` told, by kind. Raises one of `STRANGE`."""
    for wrapped in json.loads(listing)["nftables"]:
        yield from wrapped.items()


@lru_cache(
    maxsize=2
)  # one table of each family, which is listed again and again and mostly as it was
def parse(listing: str) -> Firewall:
    """The rules in the JSON of `nft -j list table`; none when there is anything else in it."""
    try:
        found: Entries = {"table": [], "set": [], "map": [], "chain": [], "rule": []}
        for kind, entry in entries(listing):
            if kind != "metainfo":
                found[kind].append(entry)
        (table,) = found["table"]
        return _firewall(found, table["family"])
    except STRANGE:
        return Firewall()


def _firewall(found: Entries, family: str) -> Firewall:
    """Raises one of `STRANGE` for all that is not as `render` writes it."""
    guards = [entry for entry in found["set"] if vip_guard.is_ours(entry["name"])]
    guarded, opened = vip_guard.parse(guards, family)
    sets = {
        entry["name"]: _networks(entry, family) for entry in found["set"] if entry not in guards
    }
    maps = {entry["name"]: entry for entry in found["map"]}
    places = [place for place in _MAPS if place in maps]
    rules: defaultdict[str, list[Any]] = defaultdict(list)
    for entry in found["rule"]:
        rules[entry["chain"]].append(entry["expr"])
    source_nat = rules.pop("postrouting", [])
    expected = {name: [_others_expression(name, family)] for name in sets}
    if places or guarded:
        expected["input"] = [_lookup_expression(place, family) for place in places]
    if guarded:
        expected["input"].append(vip_guard.lookup_expression(family))
    if all(rules != expected | more for more in vip_guard.chains(guards, family)):
        raise ValueError(TABLE)
    if len(places) != len(maps):
        raise ValueError(TABLE)
    for entry in found["chain"]:
        _check_chain(entry, {*sets, vip_guard.CHAIN} if guarded else sets)
    return Firewall(
        source_nat=frozenset(_source_nat_rule(expression, family) for expression in source_nat),
        access=frozenset(
            AccessRule(_service(place, key, family), _meaning(verdict, sets, family))
            for place in places
            for key, verdict in _elements(maps[place], place, family)
        ),
        guarded=guarded,
        opened=opened,
    )


def _check_chain(entry: Mapping[str, Any], unhooked: Collection[str]) -> None:
    wanted = {} if entry["name"] in unhooked else _HOOKS[entry["name"]]
    if {key: entry[key] for key in entry.keys() & _INPUT.keys()} != wanted:
        raise ValueError(entry["name"])


def _networks(entry: Mapping[str, Any], family: str) -> Group:
    if (entry["type"], [*several(entry["flags"])]) != (ADDRESS[family], ["interval"]):
        raise ValueError(entry["name"])
    return canonical(text for element in entry["elem"] for text in _texts(element))


def _texts(element: str | dict[str, Any]) -> Iterator[str]:
    """One element of a set as networks; nft may make a range of neighbours."""
    if isinstance(element, dict) and "range" in element:
        first, last = map(ip_address, element["range"])
        yield from map(str, summarize_address_range(first, last))
    else:
        yield _network(element)


def _network(right: str | dict[str, Any]) -> str:
    """An ip_network's text from nft's address or `{"prefix": ...}`."""
    if isinstance(right, str):
        return str(ip_network(right))
    return str(ip_network((right["prefix"]["addr"], right["prefix"]["len"])))


def _elements(
    entry: Mapping[str, Any], place: str, family: str
) -> Iterable[tuple[Any, dict[str, Any]]]:
    if entry["map"] != "verdict" or [*several(entry["type"])] != _types(place, family):
        raise ValueError(place)
    elements: list[tuple[Any, dict[str, Any]]] = entry["elem"]
    return elements


def _service(place: str, key: Any, family: str) -> ServiceKey:
    if place == _MARKS:
        return marked_service(key, family)
    return addressed_service(key)


def _meaning(verdict: dict[str, Any], sets: Mapping[str, Group], family: str) -> Group:
    """The inverse of `_verdict`."""
    if verdict == {"return": None}:
        return EVERYONE[FAMILIES[family]]
    if verdict == {"drop": None}:
        return ()
    return sets[verdict["goto"]["target"]]


def _source_nat_rule(expression: Sequence[Any], family: str) -> SourceNatRule:
    to, source, verdict = expression
    if to["match"]["left"] != {"ct": {"key": f"{family} daddr", "dir": "original"}}:
        raise ValueError(to)
    if source["match"]["left"] != payload(family, "saddr"):
        raise ValueError(source)
    if verdict != {"masquerade": None} or {to["match"]["op"], source["match"]["op"]} != {"=="}:
        raise ValueError(verdict)
    return SourceNatRule(ip_address(to["match"]["right"]), _network(source["match"]["right"]))


def _others_expression(name: str, family: str) -> list[Any]:
    source = payload(family, "saddr")
    return [match(source, f"@{name}", "!="), {"drop": None}]


def _lookup_expression(place: str, family: str) -> list[Any]:
    key = meta("mark")
    if place != _MARKS:
        parts = [payload(family, "daddr"), meta("l4proto"), payload("th", "dport")]
        key = {"concat": parts if place == _SERVICES else parts[:2]}
    return [{"vmap": {"key": key, "data": f"@{place}"}}]
