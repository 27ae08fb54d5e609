"""From objects to declared services: the table of what each thing comes to, and laws over random trees."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.model.checks import HttpCheck, PingCheck, SctpCheck, TcpCheck, Tls, TlsCheck, UdpCheck
from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.host import SourceNat, Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import SCHEDULER_FLAGS, Persistence, SchedulerFlags
from ipvs_lb.octavia.catalogue import Catalogue, Tree
from ipvs_lb.octavia.compile import declared
from ipvs_lb.octavia.objects import (
    Algorithm,
    AnyObject,
    HealthMonitor,
    Listener,
    LoadBalancer,
    Member,
    Pool,
    Provisioning,
    SessionPersistence,
    VipAddress,
)
from ipvs_lb.policy import all_layouts

OWN: dict[str, Any] = {"project_id": "p", "created_at": 0.0, "provisioning": Provisioning.ACTIVE}
FOUR, SIX = ip_address("10.0.0.3"), ip_address("fd00::3")
SH = SCHEDULER_FLAGS["sh"]


def balancer(*vips: str, **fields: Any) -> LoadBalancer:
    first, *more = (
        VipAddress(address=ip_address(vip), port_id=vip, subnet_id="s", network_id="n")
        for vip in (vips or ("10.0.0.3",))
    )
    return LoadBalancer(id="lb", vip=first, additional_vips=tuple(more), **{**OWN, **fields})


def listener(**fields: Any) -> Listener:
    given: dict[str, Any] = {
        "id": "li",
        "load_balancer_id": "lb",
        "protocol": "TCP",
        "protocol_port": 80,
        "default_pool_id": "po",
    }
    return Listener(**{**OWN, **given, **fields})


def pool(**fields: Any) -> Pool:
    given: dict[str, Any] = {
        "id": "po",
        "load_balancer_id": "lb",
        "protocol": "TCP",
        "lb_algorithm": Algorithm.ROUND_ROBIN,
    }
    return Pool(**{**OWN, **given, **fields})


def member(number: int = 4, **fields: Any) -> Member:
    address = ip_address(f"10.0.0.{number}")
    given: dict[str, Any] = {
        "id": f"m{number}",
        "pool_id": "po",
        "address": address,
        "protocol_port": 80,
    }
    return Member(**{**OWN, **given, **fields})


def monitor(**fields: Any) -> HealthMonitor:
    given: dict[str, Any] = {
        "id": "hm",
        "pool_id": "po",
        "type": "HTTP",
        "delay": 60,
        "timeout": 20,
        "max_retries": 2,
    }
    return HealthMonitor(**{**OWN, **given, **fields})


def tree(*things: AnyObject) -> Tree:
    kinds = {type(thing) for thing in things}
    rest: list[AnyObject] = [
        made
        for kind, made in ((LoadBalancer, balancer()), (Listener, listener()))
        if kind not in kinds
    ]
    return Catalogue([*rest, *things]).tree("lb")


def services(of: Tree, **options: Any) -> tuple[DeclaredService, ...]:
    vips = tuple(Vip(address=vip.address) for vip in of.load_balancer.vips)
    return declared(of, vips, **options)


def test_the_walkthrough_comes_to_round_robin_over_two_checked_servers():
    walk = tree(
        pool(),
        member(4),
        member(6),
        monitor(http_method="GET", url_path="/health", expected_codes="200"),
    )
    (service,) = services(walk, source_nat=SourceNat.AUTO)
    assert service.keys == (AddressKey(IPProtocol.TCP, FOUR, Port(80)),)
    assert (service.service.scheduler, service.source_nat) == ("rr", SourceNat.AUTO)
    assert [(str(one.address), one.port, one.weight) for one in service.servers] == [
        ("10.0.0.4", 80, 1),
        ("10.0.0.6", 80, 1),
    ]
    (check,) = service.servers[0].checks
    assert check.method == HttpCheck(path="/health", http_version="1.0")
    assert (check.interval, check.fast_interval, check.timeout) == (60, 60, 20)
    assert (check.rise, check.fall) == (2, 3)


@pytest.mark.parametrize(
    ("algorithm", "weights", "scheduler", "flags"),
    [
        (Algorithm.ROUND_ROBIN, (1, 1), "rr", SchedulerFlags.NONE),
        (Algorithm.ROUND_ROBIN, (5, 5, 0), "rr", SchedulerFlags.NONE),
        (Algorithm.ROUND_ROBIN, (1, 2), "wrr", SchedulerFlags.NONE),
        (Algorithm.ROUND_ROBIN, (), "rr", SchedulerFlags.NONE),
        (Algorithm.LEAST_CONNECTIONS, (1,), "wlc", SchedulerFlags.NONE),
        (Algorithm.SOURCE_IP, (1,), "sh", SH["sh-fallback"]),
        (Algorithm.SOURCE_IP_PORT, (1,), "sh", SH["sh-fallback"] | SH["sh-port"]),
    ],
)
def test_an_algorithm_comes_to_a_scheduler(algorithm, weights, scheduler, flags):
    members = [member(n + 1, weight=weight) for n, weight in enumerate(weights)]
    (service,) = services(tree(pool(lb_algorithm=algorithm), *members))
    assert (service.service.scheduler, service.service.flags) == (scheduler, flags)


@pytest.mark.parametrize(
    ("vip", "wanted", "expected"),
    [
        ("10.0.0.3", SessionPersistence(), (360, IPv4Address("255.255.255.255"))),
        ("10.0.0.3", SessionPersistence(timeout=60), (60, IPv4Address("255.255.255.255"))),
        (
            "10.0.0.3",
            SessionPersistence(granularity="255.255.0.0"),
            (360, IPv4Address("255.255.0.0")),
        ),
        ("10.0.0.3", SessionPersistence(granularity="24"), (360, IPv4Address("255.255.255.0"))),
        ("10.0.0.3", SessionPersistence(granularity="64"), (360, IPv4Address("255.255.255.255"))),
        (
            "10.0.0.3",
            SessionPersistence(granularity="ffff::"),
            (360, IPv4Address("255.255.255.255")),
        ),
        ("fd00::3", SessionPersistence(), (360, 128)),
        ("fd00::3", SessionPersistence(granularity="64"), (360, 64)),
        ("fd00::3", SessionPersistence(granularity="ffff:ffff::"), (360, 32)),
        ("fd00::3", SessionPersistence(granularity="255.255.0.0"), (360, 128)),
    ],
)
def test_persistence_is_of_the_family_of_the_vip(vip, wanted, expected):
    (service,) = services(tree(balancer(vip), pool(session_persistence=wanted)))
    assert service.service.persistence == Persistence(*expected)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("HTTP", HttpCheck(http_version="1.0")),
        ("HTTPS", HttpCheck(http_version="1.0", tls=Tls())),
        ("PING", PingCheck()),
        ("TCP", TcpCheck()),
        ("TLS-HELLO", TlsCheck()),
        ("UDP-CONNECT", UdpCheck()),
        ("SCTP", SctpCheck()),
    ],
)
def test_a_type_of_monitor_comes_to_a_method(kind, method):
    (service,) = services(tree(pool(), member(), monitor(type=kind)))
    assert service.servers[0].checks[0].method == method


@pytest.mark.parametrize(
    ("codes", "ranges"),
    [
        ("200", ((200, 200),)),
        ("200,404", ((200, 200), (404, 404))),
        ("404 , 200,404", ((200, 200), (404, 404))),
        ("200-299", ((200, 299),)),
        ("299-200", ((200, 299),)),
    ],
)
def test_expected_codes_are_ranges(codes, ranges):
    (service,) = services(tree(pool(), member(), monitor(expected_codes=codes)))
    method = service.servers[0].checks[0].method
    assert isinstance(method, HttpCheck)
    assert method.expect_codes == ranges


def test_a_host_is_named_and_another_target_is_tested():
    elsewhere = member(monitor_address=ip_address("10.0.0.9"), monitor_port=8080)
    (service,) = services(
        tree(pool(), elsewhere, monitor(http_version=1.1, domain_name="a.example"))
    )
    (check,) = service.servers[0].checks
    assert isinstance(check.method, HttpCheck)
    assert (check.method.host, check.method.http_version) == ("a.example", "1.1")
    assert (str(check.address), check.port) == ("10.0.0.9", 8080)


def test_no_pace_is_too_quick_for_a_probe():
    (service,) = services(tree(pool(), member(), monitor(delay=0, timeout=0)))
    check = service.servers[0].checks[0]
    assert (check.interval, check.timeout) == (1.0, 0.1)


@pytest.mark.parametrize(
    "state", [{"admin_state_up": False}, {"provisioning": Provisioning.PENDING_DELETE}]
)
def test_what_is_disabled_or_going_is_left_out(state):
    whole = (pool(), member(4), member(6), monitor())
    assert services(tree(balancer(**state), *whole)) == ()
    assert services(tree(listener(**state), *whole)) == ()
    (service,) = services(tree(pool(**state), *whole[1:]))
    assert service.servers == ()
    (service,) = services(tree(pool(), member(4, **state), member(6), monitor()))
    assert [one.name for one in service.servers] == ["m6"]
    (service,) = services(tree(*whole[:3], monitor(**state)))
    assert [one.checks for one in service.servers] == [(), ()]


@pytest.mark.parametrize(
    ("cidrs", "allowed"),
    [
        (None, ()),
        (("192.0.2.7/32", "10.1.0.0/16", "10.0.0.0/8"), ("10.0.0.0/8", "192.0.2.7/32")),
        (("fd00::/8", "10.0.0.0/8"), ("10.0.0.0/8", "fd00::/8")),
    ],
)
def test_allowed_cidrs_are_the_networks_of_who_gets_in(cidrs, allowed):
    (service,) = services(tree(listener(allowed_cidrs=cidrs), pool(), member()))
    assert service.allow == allowed


def test_a_listener_without_a_pool_answers_to_nobody():
    (service,) = services(tree(listener(default_pool_id=None)))
    assert service.servers == ()
    assert service.service.scheduler == "rr"


def test_backups_are_another_tier_and_limits_are_per_server():
    (service,) = services(
        tree(listener(connection_limit=7), pool(), member(4), member(6, backup=True, weight=0))
    )
    assert [(one.tier, one.weight, one.upper_threshold) for one in service.servers] == [
        (0, 1, 7),
        (1, 0, 7),
    ]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("TCP", IPProtocol.TCP),
        ("HTTPS", IPProtocol.TCP),
        ("UDP", IPProtocol.UDP),
        ("SCTP", IPProtocol.SCTP),
    ],
)
def test_every_protocol_has_its_transport(protocol, expected):
    (service,) = services(tree(listener(protocol=protocol)))
    assert {key.protocol for key in service.keys if isinstance(key, AddressKey)} == {expected}


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    states = st.sampled_from(list(Provisioning))
    vips = draw(
        st.lists(st.sampled_from(["10.0.0.3", "10.0.1.3", "fd00::3"]), min_size=1, unique=True)
    )
    listeners = [
        listener(
            id=f"li{port}",
            protocol_port=port,
            protocol=draw(st.sampled_from(["TCP", "UDP", "SCTP", "HTTPS"])),
            default_pool_id=draw(st.sampled_from([None, "po0", "po1"])),
            connection_limit=draw(st.integers(-1, 5)),
            provisioning=draw(states),
        )
        for port in draw(st.lists(st.integers(1, 65535), max_size=4, unique=True))
    ]
    pools: list[AnyObject] = []
    inside: list[AnyObject] = []
    for number in range(2):
        name = f"po{number}"
        wanted = draw(st.sampled_from([None, "255.255.0.0", "64", "ffff::"]))
        pools.append(
            pool(
                id=name,
                lb_algorithm=draw(st.sampled_from(list(Algorithm))),
                session_persistence=draw(
                    st.sampled_from([None, SessionPersistence(granularity=wanted)])
                ),
                admin_state_up=draw(st.booleans()),
            )
        )
        addresses = ["10.0.0.4", "10.0.0.5", "fd00::4"]
        inside += [
            member(
                id=f"{name}-{address}",
                pool_id=name,
                address=ip_address(address),
                weight=draw(st.integers(0, 256)),
                backup=draw(st.booleans()),
                provisioning=draw(states),
            )
            for address in draw(st.lists(st.sampled_from(addresses), unique=True))
        ]
        if draw(st.booleans()):
            kinds = ["HTTP", "PING", "UDP-CONNECT"]
            inside.append(
                monitor(id=f"hm{number}", pool_id=name, type=draw(st.sampled_from(kinds)))
            )
    made = balancer(*vips, admin_state_up=draw(st.booleans()))
    return Catalogue([made, *listeners, *pools, *inside]).tree("lb")


@given(trees())
def test_every_tree_comes_to_services_that_a_gateway_can_have(some):
    made = services(some)
    keys = [key for service in made for key in service.keys]
    assert len(keys) == len(set(keys))
    assert len({service.name for service in made}) == len(made)
    for service in made:
        versions = {vip.address.version for vip in service.vips}
        assert len(versions) == 1
        assert {server.address.version for server in service.servers} <= versions
        persistence = service.service.persistence
        if persistence is not None:
            is_four = isinstance(persistence.granularity, IPv4Address)
            assert is_four == (versions == {4})
    assert len(list(all_layouts(Config(services=made)))) == len(keys)
