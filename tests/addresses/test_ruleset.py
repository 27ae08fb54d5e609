"""The firewall as an nft script, and back from what nft 1.0.6 lists of it (`listed.json`)."""

import json
from collections.abc import Callable
from copy import deepcopy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.addresses.ruleset import needed, parse, render
from ipvs_lb.model.firewall import EVERYONE, AccessRule, Firewall, SourceNatRule
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port

VIP, VIP6 = ip_address("10.0.0.16"), ip_address("2001:db8::16")
TCP, UDP, SCTP = IPProtocol.TCP, IPProtocol.UDP, IPProtocol.SCTP
OFFICE = ("10.0.0.0/8", "192.0.2.7/32")
FIREWALL = Firewall(
    source_nat=frozenset(
        {
            SourceNatRule(VIP, "10.0.0.0/24"),
            SourceNatRule(VIP, "192.0.2.7/32"),
            SourceNatRule(VIP6, "2001:db8::/64"),
        }
    ),
    access=frozenset(
        {
            AccessRule(AddressKey(TCP, VIP, Port(80)), OFFICE),
            AccessRule(AddressKey(TCP, VIP, Port(443)), OFFICE),
            AccessRule(AddressKey(UDP, VIP, Port(53)), ()),
            AccessRule(AddressKey(SCTP, VIP, Port(0)), ("10.0.1.0/24", "10.0.2.0/23")),
            AccessRule(AddressKey(SCTP, VIP, Port(81)), EVERYONE[Family.IPV4]),
            AccessRule(AddressKey(TCP, VIP6, Port(80)), ("2001:db8::/32",)),
            AccessRule(FwmarkKey(2**32 - 1, Family.IPV6), ("2001:db8::/32",)),
        }
    ),
)
SCRIPT = """\
add table ip ipvs_lb
delete table ip ipvs_lb
table ip ipvs_lb {
  set allowed_1 {
    type ipv4_addr; flags interval;
    elements = { 10.0.0.0/8, 192.0.2.7/32 }
  }
  chain allowed_1 {
    ip saddr != @allowed_1 drop
  }
  set allowed_2 {
    type ipv4_addr; flags interval;
    elements = { 10.0.1.0/24, 10.0.2.0/23 }
  }
  chain allowed_2 {
    ip saddr != @allowed_2 drop
  }
  map services {
    type ipv4_addr . inet_proto . inet_service : verdict;
    elements = { 10.0.0.16 . 6 . 80 : goto allowed_1, 10.0.0.16 . 6 . 443 : goto allowed_1, \
10.0.0.16 . 17 . 53 : drop, 10.0.0.16 . 132 . 81 : return }
  }
  map addresses {
    type ipv4_addr . inet_proto : verdict;
    elements = { 10.0.0.16 . 132 : goto allowed_2 }
  }
  chain input {
    type filter hook input priority 90; policy accept;
    ip daddr . meta l4proto . th dport vmap @services
    ip daddr . meta l4proto vmap @addresses
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ct original ip daddr 10.0.0.16 ip saddr 10.0.0.0/24 masquerade
    ct original ip daddr 10.0.0.16 ip saddr 192.0.2.7/32 masquerade
  }
}
add table ip6 ipvs_lb
delete table ip6 ipvs_lb
table ip6 ipvs_lb {
  set allowed_1 {
    type ipv6_addr; flags interval;
    elements = { 2001:db8::/32 }
  }
  chain allowed_1 {
    ip6 saddr != @allowed_1 drop
  }
  map marks {
    type mark : verdict;
    elements = { 4294967295 : goto allowed_1 }
  }
  map services {
    type ipv6_addr . inet_proto . inet_service : verdict;
    elements = { 2001:db8::16 . 6 . 80 : goto allowed_1 }
  }
  chain input {
    type filter hook input priority 90; policy accept;
    meta mark vmap @marks
    ip6 daddr . meta l4proto . th dport vmap @services
  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    ct original ip6 daddr 2001:db8::16 ip6 saddr 2001:db8::/64 masquerade
  }
}
"""
LISTED: dict[str, Any] = json.loads((Path(__file__).parent / "listed.json").read_text())


def of(family):
    four = family == "ip"
    return Firewall(
        source_nat=frozenset(r for r in FIREWALL.source_nat if (r.vip.version == 4) == four),
        access=frozenset(r for r in FIREWALL.access if (r.service.family is Family.IPV4) == four),
    )


def test_the_script_replaces_both_tables_as_a_whole():
    assert render(FIREWALL, {"ip", "ip6"}) == SCRIPT
    assert needed(FIREWALL) == {"ip", "ip6"}


def test_without_rules_the_table_goes():
    assert render(Firewall(), {"ip"}) == "add table ip ipvs_lb\ndelete table ip ipvs_lb\n"
    assert render(of("ip6"), {"ip"}) == "add table ip ipvs_lb\ndelete table ip ipvs_lb\n"
    assert needed(of("ip6")) == {"ip6"}
    assert needed(Firewall()) == set()


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_what_nft_lists_is_read_as_it_was_set(family):
    assert parse(json.dumps(LISTED[family])) == of(family)


def entry(listing, kind, place=0):
    return [wrapped[kind] for wrapped in listing["nftables"] if kind in wrapped][place]


def named(listing, kind, name):
    entries = [wrapped[kind] for wrapped in listing["nftables"] if kind in wrapped]
    return next(one for one in entries if one["name"] == name)


def rules(listing, chain):
    entries = [wrapped["rule"] for wrapped in listing["nftables"] if "rule" in wrapped]
    return [one for one in entries if one["chain"] == chain]


def without(listing, kind, name):
    listing["nftables"] = [
        one for one in listing["nftables"] if one.get(kind, {}).get("name") != name
    ]


def accept(listing, chain):
    listing["nftables"].append({"rule": {"chain": chain, "expr": [{"accept": None}]}})


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "an accept before IPVS": lambda one: accept(one, "input"),
    "an accept for a network": lambda one: accept(one, "allowed_1"),
    "an accept instead of translating": lambda one: accept(one, "postrouting"),
    "a rule in no chain of ours": lambda one: accept(one, "others"),
    "a table of its own": lambda one: one["nftables"].append({"table": {"family": "ip"}}),
    "a counter": lambda one: one["nftables"].append({"counter": {"name": "x"}}),
    "a chain": lambda one: one["nftables"].append({"chain": {"name": "x"}}),
    "a map": lambda one: one["nftables"].append({"map": {"name": "x"}}),
    "other policy": lambda one: named(one, "chain", "input").update(policy="drop"),
    "other priority": lambda one: named(one, "chain", "input").update(prio=100),
    "other hook": lambda one: named(one, "chain", "input").update(hook="prerouting"),
    "a hook for a network": lambda one: named(one, "chain", "allowed_1").update(hook="input"),
    "no hook": lambda one: named(one, "chain", "postrouting").pop("hook"),
    "no lookup": lambda one: rules(one, "input")[0].update(expr=[{"accept": None}]),
    "other order": lambda one: one["nftables"].reverse(),
    "no map": lambda one: without(one, "map", "services"),
    "no set": lambda one: without(one, "set", "allowed_1"),
    "only the others allowed": lambda one: rules(one, "allowed_1")[0]["expr"][0]["match"].update(
        op="=="
    ),
    "a set of another kind": lambda one: named(one, "set", "allowed_1").update(flags=["timeout"]),
    "a set of ports": lambda one: named(one, "set", "allowed_1").update(type="inet_service"),
    "a map of counters": lambda one: named(one, "map", "services").update(map="counter"),
    "a map of ports": lambda one: named(one, "map", "services").update(type="inet_service"),
    "an empty set": lambda one: named(one, "set", "allowed_1").pop("elem"),
    "an element with a comment": lambda one: named(one, "set", "allowed_1")["elem"].append(
        {"elem": {"val": "10.0.0.1", "comment": "mine"}}
    ),
    "an unknown protocol": lambda one: named(one, "map", "services")["elem"].append(
        [{"concat": ["10.0.0.16", "esp", 1]}, {"drop": None}]
    ),
    "a jump elsewhere": lambda one: named(one, "map", "services")["elem"].append(
        [{"concat": ["10.0.0.17", "tcp", 1]}, {"jump": {"target": "allowed_1"}}]
    ),
    "an inverted translation": lambda one: rules(one, "postrouting")[0]["expr"][1]["match"].update(
        op="!="
    ),
    "answers translated": lambda one: rules(one, "postrouting")[0]["expr"][0]["match"].update(
        left={"ct": {"key": "ip daddr", "dir": "reply"}}
    ),
    "targets translated": lambda one: rules(one, "postrouting")[0]["expr"][1]["match"].update(
        left={"payload": {"protocol": "ip", "field": "daddr"}}
    ),
    "another verdict": lambda one: rules(one, "postrouting")[0]["expr"].__setitem__(
        2, {"accept": None}
    ),
    "more in a rule": lambda one: rules(one, "postrouting")[0]["expr"].append({"accept": None}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_table_that_somebody_changed_counts_as_empty(change):
    listing = deepcopy(LISTED["ip"])
    change(listing)
    assert listing != LISTED["ip"]
    assert parse(json.dumps(listing)) == Firewall()


def test_other_elements_are_read_as_what_they_are():
    listing = deepcopy(LISTED["ip"])
    elements = named(listing, "set", "allowed_2")["elem"]
    elements[:] = [{"range": ["10.0.0.0", "10.0.2.255"]}, "192.0.2.7"]
    named(listing, "map", "services")["elem"][:] = [
        [{"concat": ["10.0.0.16", 6, 80]}, {"goto": {"target": "allowed_2"}}]
    ]
    networks = ("10.0.0.0/23", "10.0.2.0/24", "192.0.2.7/32")
    assert AccessRule(AddressKey(TCP, VIP, Port(80)), networks) in parse(json.dumps(listing)).access


@pytest.mark.parametrize("text", ["", "nothing", "{}", '{"nftables": []}'])
def test_what_is_no_listing_counts_as_empty(text):
    assert parse(text) == Firewall()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(junk, st.sampled_from(["chain", "rule", "table", "set", "map", "metainfo"]), st.data())
def test_no_listing_makes_the_reader_fail(value, kind, data):
    parse(json.dumps(value))
    parse(json.dumps({"nftables": value}))
    parse(json.dumps({"nftables": [{kind: value}]}))
    listing = deepcopy(LISTED["ip"])
    wrapped = data.draw(st.sampled_from(listing["nftables"]))
    ((name, members),) = wrapped.items()
    wrapped[name] = {**members, data.draw(st.sampled_from(sorted(members))): value}
    parse(json.dumps(listing))
