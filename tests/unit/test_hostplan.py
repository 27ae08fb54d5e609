"""What a gateway needs besides the table: tables of cases, and the laws of the host's plan."""

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.errors import HostError
from ipvs_lb.hostplan import (
    SYSCTLS,
    homeless,
    host_plan,
    missing_sysctls,
    place,
    reuse_needs,
    source_nat_rules,
    sysctl_needs,
    undo,
    unmanaged,
)
from ipvs_lb.model.checks import DnsCheck, HealthCheck
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.desired import Desired, Owned, PlacedVip, SysctlNeed, owned_by
from ipvs_lb.model.firewall import SourceNatRule
from ipvs_lb.model.host import (
    AddAddress,
    HostState,
    InterfaceAddress,
    RemoveAddress,
    SetSysctl,
    SourceNat,
    Vip,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import Forwarding, Persistence, Service
from ipvs_lb.model.table import Table
from ipvs_lb.policy import effective
from tests.fake_host import FakeHost

VIP, VIP6 = ip_address("10.0.0.16"), ip_address("2001:db8::16")


def at(text, interface="eth0"):
    address, _, length = text.partition("/")
    return InterfaceAddress(interface, ip_address(address), int(length))


OWN, OWN6, WIDE = at("10.0.0.2/24"), at("2001:db8::2/64"), at("10.0.9.1/8", "eth1")
LOOP = at("127.0.0.1/8", "lo")
GATEWAY = HostState(
    interfaces=frozenset({"lo", "eth0", "eth1"}), addresses=frozenset({OWN, OWN6, WIDE, LOOP})
)


def having(*places, **more):
    return HostState(interfaces=GATEWAY.interfaces, addresses=GATEWAY.addresses | {*places}, **more)


@pytest.mark.parametrize(
    ("vip", "state", "expected"),
    [
        pytest.param(Vip(address=VIP), GATEWAY, at("10.0.0.16/32"), id="narrowest-subnet"),
        pytest.param(Vip(address=VIP6), GATEWAY, at("2001:db8::16/128"), id="ipv6-subnet"),
        pytest.param(
            Vip(address=ip_address("10.7.0.1")),
            GATEWAY,
            at("10.7.0.1/32", "eth1"),
            id="wide-subnet",
        ),
        pytest.param(
            Vip(address=ip_address("192.0.2.1")), GATEWAY, at("192.0.2.1/32", "lo"), id="no-subnet"
        ),
        pytest.param(
            Vip(address=ip_address("127.0.0.9")), GATEWAY, at("127.0.0.9/32", "lo"), id="loopback"
        ),
        pytest.param(
            Vip(address=VIP), having(at("10.0.0.16/32", "lo")), at("10.0.0.16/32"), id="itself"
        ),
        pytest.param(
            Vip(address=VIP), having(at("10.0.0.16/24", "lo")), at("10.0.0.16/32"), id="itself-wide"
        ),
        pytest.param(
            Vip(address=VIP, interface="eth1"), GATEWAY, at("10.0.0.16/32", "eth1"), id="interface"
        ),
        pytest.param(Vip(address=VIP, prefix_length=24), GATEWAY, at("10.0.0.16/24"), id="prefix"),
    ],
)
def test_a_vip_goes_to(vip, state, expected):
    """kubernetes #55923, seesaw #107 #41 #25"""
    on_loopback = expected.interface == "lo"
    assert place([vip], state) == (PlacedVip(expected, announce=not on_loopback),)


def test_two_interfaces_in_one_subnet_are_chosen_between_by_name():
    state = HostState(
        interfaces=frozenset({"eth1", "eth0"}),
        addresses=frozenset({at("10.0.0.3/24", "eth1"), OWN}),
    )
    assert place([Vip(address=VIP)], state)[0].place.interface == "eth0"


def test_a_vip_of_several_services_is_placed_once_and_announced_if_one_asks():
    vips = [Vip(address=VIP, announce=False), Vip(address=VIP), Vip(address=VIP, announce=False)]
    assert place(vips, GATEWAY) == (PlacedVip(at("10.0.0.16/32"), announce=True),)


def test_a_vip_that_wants_no_announcement_gets_none():
    assert not place([Vip(address=VIP, announce=False)], GATEWAY)[0].announce


def test_a_vip_that_is_not_managed_is_not_placed():
    assert place([Vip(address=VIP, managed=False, interface="none")], GATEWAY) == ()


def test_an_unknown_interface_is_refused_with_those_there_are():
    with pytest.raises(HostError, match=r"10\.0\.0\.16: there is no interface eth9") as caught:
        place([Vip(address=VIP, interface="eth9")], GATEWAY)
    assert caught.value.hint == "the interfaces here are eth0, eth1, lo"


def test_vips_whose_interface_is_not_there_are_the_ones_that_cannot_be_placed():
    lost = Vip(address=VIP, interface="eth9")
    vips = [
        lost,
        Vip(address=VIP, interface="eth0"),
        Vip(address=VIP),
        Vip(address=VIP, interface="eth9", managed=False),
    ]
    assert homeless(vips, GATEWAY) == (lost,)
    assert place(vips[1:], GATEWAY)


def server(address, **settings):
    return DeclaredServer(name=address, address=ip_address(address), **settings)


def service(*servers, key=None, name="web", **settings):
    keys = (key or AddressKey(IPProtocol.TCP, VIP, Port(80)),)
    kernel = settings.pop("service", Service(scheduler="rr"))
    return DeclaredService(name=name, keys=keys, service=kernel, servers=servers, **settings)


def rules_of(declared, state=GATEWAY):
    config = Config(services=(declared,))
    return set(map(str, source_nat_rules(config, effective(config), state)))


NEAR, FAR = server("10.0.0.4"), server("172.16.0.4")
MARK = FwmarkKey(5, Family.IPV4)
BOTH = {"10.0.0.0/24 to 10.0.0.16", "10.0.0.0/8 to 10.0.0.16"}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param(service(NEAR, source_nat=SourceNat.OFF), set(), id="off"),
        pytest.param(service(NEAR, source_nat=SourceNat.AUTO), BOTH, id="auto-connected"),
        pytest.param(service(NEAR, source_nat=SourceNat.ON), BOTH, id="on-connected"),
        pytest.param(service(FAR, source_nat=SourceNat.AUTO), set(), id="auto-elsewhere"),
        pytest.param(
            service(FAR, source_nat=SourceNat.ON), {"0.0.0.0/0 to 10.0.0.16"}, id="on-elsewhere"
        ),
        pytest.param(
            service(server("10.0.0.4", forwarding=Forwarding.DR), source_nat=SourceNat.ON),
            set(),
            id="not-masq",
        ),
        pytest.param(
            service(server("10.0.0.4", disabled=True), source_nat=SourceNat.ON),
            set(),
            id="disabled",
        ),
        pytest.param(service(server("10.0.0.2"), source_nat=SourceNat.ON), set(), id="own-address"),
        pytest.param(
            service(
                server("10.9.0.4"),
                key=MARK,
                vips=(Vip(address=VIP, managed=False), Vip(address=VIP6)),
                source_nat=SourceNat.AUTO,
            ),
            {"10.0.0.0/8 to 10.0.0.16"},
            id="fwmark",
        ),
        pytest.param(
            service(
                server("2001:db8::4"),
                key=AddressKey(IPProtocol.TCP, VIP6, Port(80)),
                source_nat=SourceNat.AUTO,
            ),
            {"2001:db8::/64 to 2001:db8::16"},
            id="ipv6",
        ),
        pytest.param(
            service(
                server("2001:db9::4"),
                key=AddressKey(IPProtocol.TCP, VIP6, Port(80)),
                source_nat=SourceNat.ON,
            ),
            {"::/0 to 2001:db8::16"},
            id="ipv6-elsewhere",
        ),
    ],
)
def test_source_nat_of(declared, expected):
    assert rules_of(declared) == expected


def test_a_service_that_is_not_in_the_table_needs_nothing():
    config = Config(services=(service(NEAR, source_nat=SourceNat.ON),))
    assert source_nat_rules(config, Table(), GATEWAY) == frozenset()
    assert sysctl_needs(config, Table(), frozenset()) == ()


STICKY = Service(scheduler="rr", persistence=Persistence(300, IPv4Address("255.255.255.255")))
DIRECT = server("10.0.0.4", forwarding=Forwarding.DR)
DNS = AddressKey(IPProtocol.UDP, VIP, Port(53))


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        pytest.param(service(DIRECT), [], id="dr"),
        pytest.param(service(NEAR), ["net.ipv4.ip_forward"], id="masq"),
        pytest.param(service(), [], id="no-servers"),
        pytest.param(
            service(server("2001:db8::4"), key=AddressKey(IPProtocol.TCP, VIP6, Port(80))),
            ["net.ipv6.conf.all.forwarding"],
            id="masq-ipv6",
        ),
        pytest.param(
            service(DIRECT, service=STICKY),
            ["net.ipv4.vs.expire_quiescent_template"],
            id="persistent",
        ),
        pytest.param(service(DIRECT, key=DNS), ["net.ipv4.vs.expire_nodest_conn"], id="udp"),
        pytest.param(
            service(DIRECT, key=DNS, service=Service(scheduler="rr", one_packet=True)),
            [],
            id="udp-without-connections",
        ),
        pytest.param(service(DIRECT, key=MARK), [], id="fwmark"),
        pytest.param(
            service(replace(DIRECT, checks=(HealthCheck(method=DnsCheck()),)), key=MARK),
            ["net.ipv4.vs.expire_nodest_conn"],
            id="fwmark-checked-over-udp",
        ),
    ],
)
def test_sysctls_needed_by(declared, names):
    config = Config(services=(declared,))
    needs = sysctl_needs(config, effective(config), frozenset())
    assert [(need.name, need.value) for need in needs] == [(name, "1") for name in names]
    assert {need.name for need in needs} <= {*SYSCTLS}


def test_source_nat_needs_connection_tracking():
    config = Config()
    rule = SourceNatRule(VIP, "10.0.0.0/24")
    assert sysctl_needs(config, Table(), frozenset({rule})) == (
        SysctlNeed("net.ipv4.vs.conntrack", "1", "source NAT of 10.0.0.0/24 to 10.0.0.16"),
    )
    assert "net.ipv4.vs.conntrack" in SYSCTLS


RULE = SourceNatRule(VIP, "10.0.0.0/24")
TRACKED = {"net.ipv4.vs.conntrack": "1", "net.ipv4.vs.conn_reuse_mode": "1"}
UNTRACKED = {**TRACKED, "net.ipv4.vs.conntrack": "0"}


@pytest.mark.parametrize(
    ("kernel", "sysctls", "rules", "needed"),
    [
        pytest.param((5, 8), TRACKED, (), True, id="tracked"),
        pytest.param((4, 19), UNTRACKED, (RULE,), True, id="to-be-tracked-for-source-nat"),
        pytest.param((5, 8), UNTRACKED, (), False, id="not-tracked"),
        pytest.param((5, 9), TRACKED, (RULE,), False, id="mended-kernel"),
        pytest.param((6, 1), TRACKED, (RULE,), False, id="new-kernel"),
        pytest.param(None, TRACKED, (RULE,), False, id="unknown-kernel"),
        pytest.param((3, 10), {"net.ipv4.vs.conntrack": "1"}, (), False, id="before-the-sysctl"),
    ],
)
def test_before_linux_5_9_clients_that_use_a_port_again_do_not_wait_for_a_second(
    kernel, sysctls, rules, needed
):
    """kubernetes #70747 #71114 #93297."""
    config = Config(services=(service(NEAR),))
    state = HostState(sysctls=sysctls, kernel=kernel)
    needs = reuse_needs(effective(config), frozenset(rules), state)
    assert [(need.name, need.value) for need in needs] == (
        [("net.ipv4.vs.conn_reuse_mode", "0")] if needed else []
    )
    assert reuse_needs(Table(), frozenset(rules), state) == ()
    assert "net.ipv4.vs.conn_reuse_mode" in SYSCTLS


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (1, "masq servers of web0 answer through this gateway"),
        (3, "masq servers of web0, web1, web2 answer through this gateway"),
        (4, "masq servers of web0, web1 and 2 more answer through this gateway"),
    ],
)
def test_a_reason_names_the_services(count, reason):
    config = Config(
        services=tuple(
            service(NEAR, name=f"web{n}", key=AddressKey(IPProtocol.TCP, VIP, Port(80 + n)))
            for n in range(count)
        )
    )
    (need,) = sysctl_needs(config, effective(config), frozenset())
    assert need.reason == reason


FORWARD = SysctlNeed("net.ipv4.ip_forward", "1", "masq")
SET_FORWARD = SetSysctl("net.ipv4.ip_forward", "1", "masq")


@pytest.mark.parametrize("present", [{}, {"net.ipv4.ip_forward": "0"}])
def test_a_sysctl_is_set_when_managed_and_else_reported(present):
    state = having(sysctls=present)
    managed = Desired(sysctls=(FORWARD,), manage_sysctls=True)
    left = Desired(sysctls=(FORWARD,))
    assert host_plan(state, managed, Owned()) == ((SET_FORWARD,), ())
    assert missing_sysctls(state, managed) == ()
    assert host_plan(state, left, Owned()) == ((), ())
    assert missing_sysctls(state, left) == (FORWARD,)


def test_a_sysctl_that_is_right_is_neither_set_nor_reported():
    state = having(sysctls={"net.ipv4.ip_forward": "1"})
    assert host_plan(state, Desired(sysctls=(FORWARD,), manage_sysctls=True), Owned()) == ((), ())
    assert missing_sysctls(state, Desired(sysctls=(FORWARD,))) == ()


def wanting(*texts, interface="eth0"):
    return Desired(vips=tuple(PlacedVip(at(text, interface)) for text in texts))


def owning(*places):
    return Owned(addresses=frozenset(places))


HERE, HERE24 = at("10.0.0.16/32"), at("10.0.0.16/24")
SIX, SIX64 = at("2001:db8::16/128"), at("2001:db8::16/64")


@pytest.mark.parametrize(
    ("state", "desired", "owned", "expected"),
    [
        pytest.param(GATEWAY, Desired(), Owned(), ((), ()), id="nothing"),
        pytest.param(
            GATEWAY, wanting("10.0.0.16/32"), Owned(), ((AddAddress(HERE, True),), ()), id="new"
        ),
        pytest.param(having(HERE), wanting("10.0.0.16/32"), owning(HERE), ((), ()), id="there"),
        pytest.param(having(HERE), wanting("10.0.0.16/32"), Owned(), ((), ()), id="adopted"),
        pytest.param(
            having(HERE), Desired(), owning(HERE), ((), (RemoveAddress(HERE),)), id="unwanted"
        ),
        pytest.param(having(HERE), Desired(), Owned(), ((), ()), id="somebody-elses"),
        pytest.param(GATEWAY, Desired(), owning(HERE), ((), ()), id="gone-already"),
        pytest.param(GATEWAY, wanting("10.0.0.2/32"), Owned(), ((), ()), id="own-address"),
        pytest.param(
            GATEWAY, Desired(), owning(at("10.0.0.2/32")), ((), ()), id="own-address-given-up"
        ),
        pytest.param(
            having(HERE24),
            wanting("10.0.0.16/32"),
            owning(HERE24),
            ((AddAddress(HERE, True),), (RemoveAddress(HERE24),)),
            id="other-prefix-ipv4",
        ),
        pytest.param(
            having(SIX64),
            wanting("2001:db8::16/128"),
            owning(SIX64),
            ((RemoveAddress(SIX64), AddAddress(SIX, True)), ()),
            id="other-prefix-ipv6",
        ),
        pytest.param(
            having(SIX), wanting("2001:db8::16/128"), owning(SIX), ((), ()), id="there-ipv6"
        ),
        pytest.param(
            GATEWAY,
            wanting("2001:db8::16/128"),
            owning(SIX64),
            ((AddAddress(SIX, True),), ()),
            id="other-prefix-gone-already",
        ),
        pytest.param(
            having(SIX),
            wanting("2001:db8::17/128"),
            owning(SIX),
            ((AddAddress(at("2001:db8::17/128"), True),), (RemoveAddress(SIX),)),
            id="another-address-ipv6",
        ),
        pytest.param(
            having(HERE),
            wanting("10.0.0.16/32", interface="eth1"),
            owning(HERE),
            ((AddAddress(at("10.0.0.16/32", "eth1"), True),), (RemoveAddress(HERE),)),
            id="other-interface",
        ),
    ],
)
def test_addresses_are_changed_when(state, desired, owned, expected):
    assert host_plan(state, desired, owned) == expected


def test_undo_takes_back_what_was_new_and_nothing_else():
    state = having(HERE, sysctls={"net.ipv4.ip_forward": "0"})
    new, loop = at("10.0.0.17/32"), at("10.0.0.18/32", "lo")
    done = (
        SET_FORWARD,
        SetSysctl("net.ipv4.vs.conntrack", "1", "unknown before"),
        AddAddress(new, True),
        AddAddress(HERE, True),
        RemoveAddress(HERE),
        RemoveAddress(loop),
    )
    assert undo(done, state) == (
        AddAddress(HERE, True),
        RemoveAddress(new),
        SetSysctl("net.ipv4.ip_forward", "0", "as it was"),
    )


def test_undo_announces_nothing_on_the_loopback():
    loop = at("10.0.0.18/32", "lo")
    assert undo((RemoveAddress(loop),), having(loop)) == (AddAddress(loop, False),)


addresses = st.sampled_from(
    [ip_address(f"10.0.0.{n}") for n in (2, 16, 17)]
    + [ip_address(f"2001:db8::{n}") for n in (2, 16, 17)]
)
places = st.builds(
    lambda interface, address, host: InterfaceAddress(
        interface, address, address.max_prefixlen if host else address.max_prefixlen * 3 // 4
    ),
    st.sampled_from(["lo", "eth0", "eth1"]),
    addresses,
    st.booleans(),
)


def one_prefix_each(found):
    """The wanted places of a config: one prefix length per address."""
    return {(where.interface, where.address): where for where in found}.values()


desires = st.builds(
    lambda found: Desired(
        vips=tuple(PlacedVip(where) for where in one_prefix_each(found)),
        sysctls=(FORWARD,),
        manage_sysctls=True,
    ),
    st.lists(places),
)
own_places = st.lists(places).map(lambda found: list(one_prefix_each(found)))


@given(own_places, st.lists(desires, max_size=4))
def test_whatever_is_applied_in_turn_the_second_plan_is_empty_and_giving_up_leaves_the_rest(
    own, sequence
):
    state = HostState(
        interfaces=GATEWAY.interfaces,
        addresses=frozenset(own),
        sysctls={"net.ipv4.ip_forward": "0"},
    )
    host, owned = FakeHost(state), Owned()
    adopted: frozenset[InterfaceAddress] = frozenset()
    for desired in [*sequence, Desired()]:
        follow(host, host_plan(host.read(SYSCTLS), desired, owned))
        owned = owned_by(desired)
        adopted |= owned.addresses & frozenset(own)
        after = host.read(SYSCTLS)
        held = {(where.interface, where.address) for where in after.addresses}
        assert {(vip.place.interface, vip.place.address) for vip in desired.vips} <= held
        assert host_plan(after, desired, owned) == ((), ())
    assert frozenset(own) - adopted == host.state.addresses


@given(own_places, desires, st.integers(0, 20))
def test_undo_after_any_number_of_steps_brings_the_state_back(own, desired, steps):
    state = HostState(
        interfaces=GATEWAY.interfaces,
        addresses=frozenset(own),
        sysctls={"net.ipv4.ip_forward": "0"},
    )
    host = FakeHost(state)
    before, after = host_plan(state, desired, Owned(addresses=frozenset(own[:1])))
    commands = (*before, *after)
    for command in commands[:steps]:
        host.execute(command)
    for command in undo(commands, state):
        host.execute(command)
    assert host.state == state


def follow(host, stages):
    for commands in stages:
        for command in commands:
            host.execute(command)


def test_an_address_that_is_no_longer_managed_is_left_to_its_new_owner():
    vip = Vip(address=HERE.address, managed=False)
    desired = Desired(unmanaged=unmanaged([vip, Vip(address=ip_address("10.0.0.99"))]))
    assert desired.unmanaged == {HERE.address}
    assert host_plan(having(HERE), desired, owning(HERE)) == ((), ())
