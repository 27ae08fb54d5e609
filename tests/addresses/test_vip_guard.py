"""The guard of VIPs as an nft script, and back from what nft 1.0.6 lists of it (`listed_guard.json`)."""

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
from ipvs_lb.model.firewall import AccessRule, Firewall
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port

VIP, MORE, VIP6 = map(ip_address, ("10.0.0.16", "10.0.0.17", "2001:db8::16"))
TCP, UDP, SCTP = IPProtocol.TCP, IPProtocol.UDP, IPProtocol.SCTP
WEB = AddressKey(TCP, VIP, Port(80))
FOUR = Firewall(
    access=frozenset({AccessRule(WEB, ("192.0.2.0/24",))}),
    guarded=frozenset({VIP, MORE}),
    opened=frozenset(
        {
            WEB,
            AddressKey(TCP, VIP, Port(443)),
            AddressKey(SCTP, VIP, Port(0)),
            FwmarkKey(7, Family.IPV4),
        }
    ),
)
SIX = Firewall(guarded=frozenset({VIP6}), opened=frozenset({AddressKey(UDP, VIP6, Port(53))}))
OF = {"ip": FOUR, "ip6": SIX}
BOTH = Firewall(
    access=FOUR.access, guarded=FOUR.guarded | SIX.guarded, opened=FOUR.opened | SIX.opened
)
SCRIPT_4 = """\
add table ip ipvs_lb
delete table ip ipvs_lb
table ip ipvs_lb {
  set allowed_1 {
    type ipv4_addr; flags interval;
    elements = { 192.0.2.0/24 }
  }
  chain allowed_1 {
    ip saddr != @allowed_1 drop
  }
  map services {
    type ipv4_addr . inet_proto . inet_service : verdict;
    elements = { 10.0.0.16 . 6 . 80 : goto allowed_1 }
  }
  set guarded {
    type ipv4_addr;
    elements = { 10.0.0.16, 10.0.0.17 }
  }
  set open_marks {
    type mark;
    elements = { 7 }
  }
  set open_services {
    type ipv4_addr . inet_proto . inet_service;
    elements = { 10.0.0.16 . 6 . 80, 10.0.0.16 . 6 . 443 }
  }
  set open_addresses {
    type ipv4_addr . inet_proto;
    elements = { 10.0.0.16 . 1, 10.0.0.17 . 1, 10.0.0.16 . 132 }
  }
  set asked {
    type ipv4_addr . inet_proto . inet_service . ipv4_addr . inet_service;
    size 16384; flags dynamic,timeout; timeout 120s;
  }
  chain guard {
    iifname "lo" return
    meta mark @open_marks return
    ip daddr . meta l4proto . th dport @open_services return
    ip daddr . meta l4proto @open_addresses return
    tcp flags ack return
    tcp flags rst return
    ip daddr . meta l4proto . th dport . ip saddr . th sport @asked return
    drop
  }
  chain output {
    type filter hook output priority 0; policy accept;
    ip saddr != @guarded return
    ip saddr . meta l4proto . th sport @open_services return
    ip saddr . meta l4proto @open_addresses return
    meta l4proto != 17 return
    update @asked { ip saddr . meta l4proto . th sport . ip daddr . th dport }
  }
  chain input {
    type filter hook input priority 90; policy accept;
    ip daddr . meta l4proto . th dport vmap @services
    ip daddr @guarded goto guard
  }
}
"""
SCRIPT_6 = """\
add table ip6 ipvs_lb
delete table ip6 ipvs_lb
table ip6 ipvs_lb {
  set guarded {
    type ipv6_addr;
    elements = { 2001:db8::16 }
  }
  set open_services {
    type ipv6_addr . inet_proto . inet_service;
    elements = { 2001:db8::16 . 17 . 53 }
  }
  set open_addresses {
    type ipv6_addr . inet_proto;
    elements = { 2001:db8::16 . 58 }
  }
  set asked {
    type ipv6_addr . inet_proto . inet_service . ipv6_addr . inet_service;
    size 16384; flags dynamic,timeout; timeout 120s;
  }
  chain guard {
    iifname "lo" return
    ip6 daddr . meta l4proto . th dport @open_services return
    ip6 daddr . meta l4proto @open_addresses return
    tcp flags ack return
    tcp flags rst return
    ip6 daddr . meta l4proto . th dport . ip6 saddr . th sport @asked return
    drop
  }
  chain output {
    type filter hook output priority 0; policy accept;
    ip6 saddr != @guarded return
    ip6 saddr . meta l4proto . th sport @open_services return
    ip6 saddr . meta l4proto @open_addresses return
    meta l4proto != 17 return
    update @asked { ip6 saddr . meta l4proto . th sport . ip6 daddr . th dport }
  }
  chain input {
    type filter hook input priority 90; policy accept;
    ip6 daddr @guarded goto guard
  }
}
"""
LISTED: dict[str, Any] = json.loads((Path(__file__).parent / "listed_guard.json").read_text())


def test_the_guard_comes_behind_the_restrictions_of_services():
    assert render(BOTH, {"ip", "ip6"}) == SCRIPT_4 + SCRIPT_6
    assert needed(BOTH) == {"ip", "ip6"}


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_what_nft_lists_is_read_as_it_was_set(family):
    assert parse(json.dumps(LISTED[family])) == OF[family]


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_where_protocols_have_no_names_they_are_numbers(family):
    text = json.dumps(LISTED[family])
    for name, number in (("tcp", 6), ("udp", 17), ("sctp", 132), ("icmp", 1), ("ipv6-icmp", 58)):
        text = text.replace(f'"{name}"', str(number))
    text = text.replace('"protocol": 6,', '"protocol": "tcp",')
    assert parse(text) == OF[family]


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


@pytest.mark.parametrize("flags", ["timeout", ["timeout", "dynamic"]])
def test_other_versions_list_flags_otherwise(flags):
    listing = deepcopy(LISTED["ip"])
    named(listing, "set", "asked")["flags"] = flags
    named(listing, "set", "allowed_1")["flags"] = "interval"
    assert parse(json.dumps(listing)) == FOUR


def test_with_whom_the_gateway_speaks_is_no_difference():
    listing = deepcopy(LISTED["ip"])
    assert named(listing, "set", "asked")["elem"]
    del named(listing, "set", "asked")["elem"]
    assert parse(json.dumps(listing)) == FOUR


Change = Callable[[dict[str, Any]], object]
CHANGES: dict[str, Change] = {
    "an accept": lambda one: rules(one, "guard")[0].update(expr=[{"accept": None}]),
    "no drop": lambda one: rules(one, "guard")[-1].update(expr=[{"return": None}]),
    "another interface": lambda one: rules(one, "guard")[0]["expr"][0]["match"].update(
        right="eth0"
    ),
    "another answer": lambda one: rules(one, "output")[-1].update(expr=[{"drop": None}]),
    "not led there": lambda one: one["nftables"].remove({"rule": rules(one, "input")[-1]}),
    "hooked": lambda one: named(one, "chain", "guard").update(hook="input"),
    "other hook": lambda one: named(one, "chain", "output").update(hook="postrouting"),
    "no ICMP": lambda one: named(one, "set", "open_addresses")["elem"].remove(
        {"concat": ["10.0.0.17", "icmp"]}
    ),
    "ICMP of another": lambda one: named(one, "set", "open_addresses")["elem"].append(
        {"concat": ["10.0.0.18", "icmp"]}
    ),
    "no VIP": lambda one: without(one, "set", "guarded"),
    "nobody asked": lambda one: without(one, "set", "asked"),
    "no mark": lambda one: without(one, "set", "open_marks"),
    "ports of another kind": lambda one: named(one, "set", "open_services").update(type="mark"),
    "answers for ever": lambda one: named(one, "set", "asked").update(flags=["constant"]),
    "VIPs for a while": lambda one: named(one, "set", "guarded").update(flags=["timeout"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_guard_that_others_changed_counts_as_none(change):
    listing = deepcopy(LISTED["ip"])
    change(listing)
    assert listing != LISTED["ip"]
    assert parse(json.dumps(listing)) == Firewall()


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(junk, st.data())
def test_no_listing_makes_the_reader_fail(value, data):
    listing = deepcopy(LISTED["ip"])
    wrapped = data.draw(st.sampled_from(listing["nftables"]))
    ((name, members),) = wrapped.items()
    wrapped[name] = {**members, data.draw(st.sampled_from(sorted(members))): value}
    parse(json.dumps(listing))
