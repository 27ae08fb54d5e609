"""From declaration and failing members to the effective table."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.model.config import (
    Config,
    DeclaredServer,
    DeclaredService,
    HealthPolicy,
    OnDown,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import (
    Forwarding,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
)
from ipvs_lb.model.table import Table
from ipvs_lb.policy import Member, effective, members

VIP = ip_address("10.0.0.16")
HTTP = AddressKey(IPProtocol.TCP, VIP, Port(80))
HTTPS = AddressKey(IPProtocol.TCP, VIP, Port(443))


def server(name, last, **settings):
    return DeclaredServer(name=name, address=ip_address(f"10.0.0.{last}"), **settings)


def service(*servers, keys=(HTTP,), policy=None):
    return DeclaredService(
        name="web",
        keys=keys,
        service=Service(scheduler="rr"),
        servers=servers,
        policy=policy or HealthPolicy(),
    )


def down_members(declared, down):
    return {Member(key, at) for key, at, one in members(declared) if one.name in down}


def weights(declared, *down):
    """What the first key's servers weigh in the kernel, by last byte of their address."""
    table = effective(Config(services=(declared,)), down_members(declared, down))
    servers = table.services[declared.keys[0]].servers
    return {int(key.address) & 255: settings.weight for key, settings in servers.items()}


A, B, SPARE = server("a", 4), server("b", 6, weight=3), server("spare", 9, tier=1)
LAST = server("last", 10, tier=2)
QUIESCE = HealthPolicy(on_down=OnDown.QUIESCE)
HALF = HealthPolicy(panic_threshold=0.5)


@pytest.mark.parametrize(
    ("declared", "down", "expected"),
    [
        pytest.param(service(A, B), [], {4: 1, 6: 3}, id="all-healthy"),
        pytest.param(service(A, B), ["b"], {4: 1}, id="one-down-is-removed"),
        pytest.param(service(A, B, policy=QUIESCE), ["b"], {4: 1, 6: 0}, id="one-down-is-quiesced"),
        pytest.param(service(A, B), ["a", "b"], {}, id="all-down"),
        pytest.param(service(A, server("x", 6, disabled=True)), [], {4: 1}, id="disabled"),
        pytest.param(service(A, server("x", 6, disabled=True)), ["x"], {4: 1}, id="disabled-down"),
        pytest.param(service(A, SPARE, LAST), [], {4: 1}, id="backups-wait"),
        pytest.param(service(A, SPARE, LAST), ["a"], {9: 1}, id="first-backup-tier"),
        pytest.param(service(A, SPARE, LAST), ["a", "spare"], {10: 1}, id="second-backup-tier"),
        pytest.param(service(A, SPARE, policy=QUIESCE), ["a"], {4: 0, 9: 1}, id="quiesced-primary"),
        pytest.param(
            service(A, SPARE, policy=QUIESCE), ["spare"], {4: 1}, id="a-backup-that-is-down-waits"
        ),
        pytest.param(
            service(server("a", 4, weight=0), SPARE), [], {9: 1}, id="weight-0-is-not-serving"
        ),
        pytest.param(service(server("a", 4, weight=0)), [], {4: 0}, id="weight-0-stays-in"),
        pytest.param(service(A, B, policy=HALF), ["b"], {4: 1}, id="at-the-threshold"),
        pytest.param(service(A, B, policy=HALF), ["a", "b"], {4: 1, 6: 3}, id="panic"),
        pytest.param(service(), [], {}, id="no-servers"),
    ],
)
def test_who_is_in_and_with_which_weight(declared, down, expected):
    assert weights(declared, *down) == expected


def test_every_key_of_a_service_gets_its_servers_on_its_own_port():
    table = effective(Config(services=(service(A, keys=(HTTP, HTTPS)),)))
    assert [list(table.services[key].servers) for key in (HTTP, HTTPS)] == [
        [ServerKey(A.address, Port(80))],
        [ServerKey(A.address, Port(443))],
    ]


def test_a_servers_own_port_wins():
    table = effective(Config(services=(service(server("a", 4, port=Port(8080))),)))
    assert list(table.services[HTTP].servers) == [ServerKey(A.address, Port(8080))]


def test_under_a_fwmark_the_port_is_zero():
    mark = FwmarkKey(7, Family.IPV4)
    table = effective(Config(services=(service(A, keys=(mark,)),)))
    assert list(table.services[mark].servers) == [ServerKey(A.address, Port(0))]


def test_server_settings_reach_the_table():
    tunnel = Tunnel()
    declared = server(
        "a",
        4,
        weight=7,
        forwarding=Forwarding.TUNNEL,
        tunnel=tunnel,
        upper_threshold=9,
        lower_threshold=5,
    )
    table = effective(Config(services=(service(declared),)))
    assert table.services[HTTP].servers[ServerKey(A.address, Port(80))] == Server(
        forwarding=Forwarding.TUNNEL,
        weight=7,
        tunnel=tunnel,
        upper_threshold=9,
        lower_threshold=5,
    )


def test_timeouts_and_daemons_are_passed_on():
    times = Timeouts(tcp=60, tcp_fin=30, udp=20)
    master = SyncDaemon(role=SyncRole.MASTER, interface="eth0")
    config = Config(timeouts=times, sync_daemons=(master,))
    assert effective(config) == Table({}, times, {SyncRole.MASTER: master})


def test_without_daemons_nothing_is_said_about_them():
    assert effective(Config()) == Table({}, None, None)


def test_a_server_that_fails_on_one_port_leaves_that_port_only():
    declared = service(A, B, keys=(HTTP, HTTPS))
    failing = {Member(HTTPS, ServerKey(B.address, Port(443)))}
    table = effective(Config(services=(declared,)), failing)
    assert len(table.services[HTTP].servers) == 2
    assert list(table.services[HTTPS].servers) == [ServerKey(A.address, Port(443))]


def test_members_are_named_as_the_kernel_names_them():
    member = Member(HTTP, ServerKey(A.address, Port(80)))
    assert str(member) == "10.0.0.4:80 of tcp/10.0.0.16:80"
    assert member.order() < Member(HTTPS, ServerKey(A.address, Port(443))).order()


def test_every_server_is_a_member_of_every_virtual_service():
    assert [
        (str(key), str(at), one.name) for key, at, one in members(service(A, B, keys=(HTTP, HTTPS)))
    ] == [
        ("tcp/10.0.0.16:80", "10.0.0.4:80", "a"),
        ("tcp/10.0.0.16:80", "10.0.0.6:80", "b"),
        ("tcp/10.0.0.16:443", "10.0.0.4:443", "a"),
        ("tcp/10.0.0.16:443", "10.0.0.6:443", "b"),
    ]


servers = st.lists(
    st.builds(
        lambda last, **settings: server(f"s{last}", last, **settings),
        last=st.integers(1, 200),
        weight=st.integers(0, 5),
        tier=st.integers(0, 2),
        disabled=st.booleans(),
    ),
    unique_by=lambda declared: declared.name,
    max_size=6,
)
policies = st.builds(
    HealthPolicy,
    on_down=st.sampled_from(OnDown),
    panic_threshold=st.sampled_from([0.0, 0.5, 1.0]),
)


@given(servers, policies, st.data())
def test_the_rules_hold_for_any_service(declared, policy, data):
    names = [one.name for one in declared]
    down = set(data.draw(st.lists(st.sampled_from(names))) if names else [])
    got = weights(service(*declared, policy=policy), *down)
    by_byte = {int(one.address) & 255: one for one in declared}
    assert not any(by_byte[last].disabled for last in got)
    serving = {by_byte[last].tier for last, weight in got.items() if weight}
    assert len(serving) <= 1
    if not policy.panic_threshold:
        assert all(by_byte[last].name not in down for last, weight in got.items() if weight)
    if policy.on_down is OnDown.REMOVE and not policy.panic_threshold:
        assert all(by_byte[last].name not in down for last in got)
