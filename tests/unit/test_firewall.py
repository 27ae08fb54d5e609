"""Whom declared networks keep out, and that nobody gets in while one firewall takes the place of another."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.firewall import (
    access_rules,
    between,
    guarded_vips,
    opened_services,
    steps,
    unrestricted,
)
from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.firewall import (
    EVERYONE,
    AccessRule,
    Firewall,
    SourceNatRule,
    canonical,
    of_family,
)
from ipvs_lb.model.host import SetFirewall, Vip
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import Service

VIP, VIP6 = ip_address("10.0.0.16"), ip_address("2001:db8::16")
WEB, TLS, ALL = (AddressKey(IPProtocol.TCP, VIP, Port(port)) for port in (80, 443, 0))
DNS = AddressKey(IPProtocol.UDP, VIP, Port(53))
WEB6 = AddressKey(IPProtocol.TCP, VIP6, Port(80))
MARK, MARK6 = FwmarkKey(7, Family.IPV4), FwmarkKey(7, Family.IPV6)
OFFICE, HOME, OFFICE6 = "192.0.2.0/24", "198.51.100.7/32", "2001:db8:1::/48"


def rules_of(*declared):
    """The rules of services given as (keys, networks)."""
    services = tuple(
        DeclaredService(
            name=f"s{number}",
            keys=keys,
            service=Service(scheduler="rr"),
            servers=(),
            allow=canonical(networks),
        )
        for number, (keys, networks) in enumerate(declared)
    )
    return {str(rule) for rule in access_rules(Config(services=services))}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param([([WEB], [])], set(), id="everyone"),
        pytest.param([([WEB], ["0.0.0.0/0"])], set(), id="everyone-said"),
        pytest.param([([WEB], ["0.0.0.0/1", "128.0.0.0/1"])], set(), id="everyone-in-two-halves"),
        pytest.param(
            [([WEB, TLS], [OFFICE, HOME])],
            {
                f"tcp/10.0.0.16:80 for {OFFICE}, {HOME} only",
                f"tcp/10.0.0.16:443 for {OFFICE}, {HOME} only",
            },
            id="each-port",
        ),
        pytest.param(
            [([WEB, WEB6], [OFFICE, OFFICE6])],
            {f"tcp/10.0.0.16:80 for {OFFICE} only", f"tcp/[2001:db8::16]:80 for {OFFICE6} only"},
            id="each-family-has-its-own",
        ),
        pytest.param(
            [([WEB, WEB6], [OFFICE])],
            {f"tcp/10.0.0.16:80 for {OFFICE} only", "tcp/[2001:db8::16]:80 for nobody only"},
            id="a-family-without-networks-is-closed",
        ),
        pytest.param([([MARK], [OFFICE])], {f"fwmark/7 for {OFFICE} only"}, id="mark"),
        pytest.param(
            [([ALL], [OFFICE]), ([WEB], []), ([DNS], [])],
            {f"tcp/10.0.0.16:0 for {OFFICE} only", "tcp/10.0.0.16:80 for everyone"},
            id="a-port-of-its-own-is-an-exception-from-all-ports",
        ),
        pytest.param(
            [([WEB], [OFFICE]), ([MARK], []), ([MARK6], [])],
            {f"tcp/10.0.0.16:80 for {OFFICE} only", "fwmark/7 for everyone"},
            id="a-mark-is-an-exception-from-addresses",
        ),
        pytest.param(
            [([MARK], [OFFICE]), ([FwmarkKey(8, Family.IPV4)], []), ([WEB], [])],
            {f"fwmark/7 for {OFFICE} only"},
            id="nothing-comes-before-a-mark",
        ),
    ],
)
def test_who_is_kept_out(declared, expected):
    assert rules_of(*declared) == expected


def serving(*keys, vips=(), guard=True):
    return DeclaredService(
        name="s",
        keys=keys,
        service=Service(scheduler="rr"),
        servers=(),
        vips=tuple(Vip(address=vip, guard=guard) for vip in vips),
    )


@pytest.mark.parametrize(
    ("services", "guarded", "opened"),
    [
        pytest.param([], set(), set(), id="nothing"),
        pytest.param([serving(WEB, vips=[VIP], guard=False)], set(), set(), id="off"),
        pytest.param(
            [serving(WEB, TLS, vips=[VIP]), serving(DNS, vips=[VIP])],
            {VIP},
            {WEB, TLS, DNS},
            id="every-service-of-the-vip",
        ),
        pytest.param(
            [serving(WEB, vips=[VIP], guard=False), serving(WEB6, vips=[VIP6])],
            {VIP6},
            {WEB6},
            id="one-of-two-vips",
        ),
        pytest.param([serving(ALL, vips=[VIP])], {VIP}, {ALL}, id="all-ports"),
        pytest.param(
            [serving(MARK, vips=[VIP]), serving(MARK6)], {VIP}, {MARK}, id="a-mark-of-the-family"
        ),
        pytest.param(
            [serving(WEB, vips=[VIP]), serving(MARK)], {VIP}, {WEB, MARK}, id="a-mark-of-whatever"
        ),
    ],
)
def test_what_gets_in_to_guarded_vips(services, guarded, opened):
    config = Config(services=tuple(services))
    assert guarded_vips(config) == guarded
    assert opened_services(config, guarded_vips(config)) == opened


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ([], ()),
        (["10.0.0.5/8"], ("10.0.0.0/8",)),
        (["192.0.2.7"], ("192.0.2.7/32",)),
        (["10.1.0.0/16", "10.0.0.0/8"], ("10.0.0.0/8",)),
        (["10.0.1.0/24", "10.0.0.0/24"], ("10.0.0.0/23",)),
        (
            ["2001:db8::/32", "10.0.0.0/8", "9.0.0.0/8"],
            ("9.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"),
        ),
    ],
)
def test_networks_have_one_canonical_form(networks, expected):
    assert canonical(networks) == expected


four = st.builds(
    lambda number, length: str(ip_network((number, length), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)


@given(st.lists(four), st.integers(0, 2**32 - 1))
def test_the_canonical_form_holds_the_same_addresses(networks, number):
    address = ip_address(number)
    held = any(address in ip_network(network) for network in networks)
    assert held == any(address in ip_network(network) for network in canonical(networks))
    assert canonical(canonical(networks)) == canonical(networks)


def test_networks_are_told_apart_by_family():
    networks = canonical([OFFICE, OFFICE6])
    assert of_family(networks, Family.IPV4) == (OFFICE,)
    assert of_family(networks, Family.IPV6) == (OFFICE6,)


NAT = SourceNatRule(VIP, "10.0.0.0/24")
FOR_OFFICE, FOR_HOME = AccessRule(WEB, (OFFICE,)), AccessRule(WEB, (HOME,))
WHOLE, FREE = AccessRule(ALL, (OFFICE,)), AccessRule(TLS, EVERYONE[Family.IPV4])


def wall(*access, nat=(), guarded=(), opened=()):
    return Firewall(
        source_nat=frozenset(nat),
        access=frozenset(access),
        guarded=frozenset(guarded),
        opened=frozenset(opened),
    )


ON_WEB, ON_TLS = (wall(guarded=[VIP], opened=[key]) for key in (WEB, TLS))
ON_BOTH = wall(guarded=[VIP], opened=[WEB, TLS])


@pytest.mark.parametrize(
    ("present", "wanted", "expected"),
    [
        pytest.param(wall(), wall(), [[], []], id="nothing"),
        pytest.param(wall(FOR_OFFICE), wall(FOR_OFFICE), [[], []], id="equal"),
        pytest.param(wall(), wall(FOR_OFFICE), [[wall(FOR_OFFICE)], []], id="restricted-first"),
        pytest.param(wall(FOR_OFFICE), wall(), [[], [wall()]], id="opened-last"),
        pytest.param(wall(FOR_OFFICE), wall(FOR_HOME), [[wall(FOR_HOME)], []], id="others"),
        pytest.param(
            wall(WHOLE), wall(WHOLE, FREE), [[], [wall(WHOLE, FREE)]], id="exception-last"
        ),
        pytest.param(
            wall(WHOLE, FREE), wall(WHOLE), [[wall(WHOLE)], []], id="exception-gone-first"
        ),
        pytest.param(wall(WHOLE, FREE), wall(WHOLE, FREE), [[], []], id="exception-stays"),
        pytest.param(wall(), wall(nat=[NAT]), [[wall(nat=[NAT])], []], id="source-nat-first"),
        pytest.param(wall(nat=[NAT]), wall(), [[], [wall()]], id="source-nat-last"),
        pytest.param(wall(), ON_WEB, [[ON_WEB], []], id="guarded-first"),
        pytest.param(ON_WEB, wall(), [[], [wall()]], id="unguarded-last"),
        pytest.param(ON_WEB, ON_TLS, [[ON_BOTH], [ON_TLS]], id="opened-first-closed-last"),
    ],
)
def test_the_way_from_one_firewall_to_another(present, wanted, expected):
    told = [[command.firewall for command in stage] for stage in steps(present, wanted)]
    assert told == expected


keys = st.sampled_from([WEB, TLS, ALL, DNS, MARK])
choices = st.sampled_from([(), (OFFICE,), (HOME,), EVERYONE[Family.IPV4]])
walls = st.builds(
    lambda chosen, **more: wall(*(AccessRule(*pair) for pair in chosen.items()), **more),
    st.dictionaries(keys, choices),
    nat=st.sets(st.just(NAT)),
    guarded=st.sets(st.sampled_from([VIP, VIP6])),
    opened=st.sets(keys),
)


@given(walls, walls)
def test_following_both_stages_reaches_what_is_wanted(present, wanted):
    state = present
    for stage in steps(present, wanted):
        for command in stage:
            assert isinstance(command, SetFirewall)
            state = command.firewall
    assert state == wanted
    assert steps(wanted, wanted) == ((), ())


@given(walls, walls)
def test_in_between_nobody_is_let_in_whom_either_side_keeps_out(present, wanted):
    found = {rule.service: rule for rule in between(present, wanted).access}
    assert len(found) == len(between(present, wanted).access), "one rule for each service"
    for rule in (*present.access, *wanted.access):
        if not rule.is_open:
            assert not found[rule.service].is_open
    for rule in wanted.access:
        if not rule.is_open:
            assert found[rule.service] == rule
    exceptions = {rule for rule in found.values() if rule.is_open}
    assert exceptions <= present.access & wanted.access
    assert between(present, wanted).guarded == present.guarded | wanted.guarded
    assert between(present, wanted).opened >= present.opened | wanted.opened


def test_a_service_is_unrestricted_where_nothing_restricts_it():
    assert unrestricted(wall(), wall(FOR_OFFICE, FREE)) == {WEB}
    assert unrestricted(wall(FOR_HOME), wall(FOR_OFFICE)) == frozenset()
    assert unrestricted(wall(AccessRule(WEB, EVERYONE[Family.IPV4])), wall(FOR_OFFICE)) == {WEB}
