"""When the address of a service goes, and what comes of everything together."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.model.config import Config, Quorum, QuorumAction, VipDownWhen
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.policy import Inputs, decide, layouts
from tests.unit.policy_world import HTTP, HTTPS, START, VIP, down, server, service, up

WITHDRAW = Quorum(servers=2)
BACKUP = Quorum(servers=2, action=QuorumAction.BACKUP)
NEVER, ANY, ALL = VipDownWhen.NEVER, VipDownWhen.ANY, VipDownWhen.ALL


def decided(states, *services):
    """The whole decision when the servers of the n-th service are up or down as `+-` says."""
    config = Config(services=services)
    health = {
        probe: up() if letter == "+" else down()
        for one, letters in zip(services, states, strict=True)
        for layout in layouts(one)
        for seat, letter in zip(layout.seats, letters, strict=True)
        for probe in seat.probes
    }
    return decide(config, Inputs(now=START, health=health))


@pytest.mark.parametrize(
    ("first", "second", "states", "because"),
    [
        pytest.param({}, {}, ("--", "--"), [], id="never"),
        pytest.param({"vip_down_when": ANY}, {}, ("++", "--"), [], id="any-of-those-that-say-so"),
        pytest.param({"vip_down_when": ANY}, {}, ("--", "++"), [HTTP], id="any"),
        pytest.param({"vip_down_when": ALL}, {}, ("--", "++"), [], id="all-are-not"),
        pytest.param({"vip_down_when": ALL}, {}, ("--", "--"), [HTTP], id="all"),
        pytest.param({"quorum": WITHDRAW}, {}, ("+-", "++"), [HTTP], id="quorum"),
        pytest.param(
            {"quorum": BACKUP}, {}, ("+-", "++"), [], id="a-quorum-that-does-not-withdraw"
        ),
        pytest.param(
            {"quorum": WITHDRAW, "vip_down_when": ALL}, {}, ("+-", "++"), [], id="quorum-with-all"
        ),
        pytest.param(
            {"quorum": WITHDRAW, "vip_down_when": ALL}, {}, ("+-", "--"), [HTTP], id="all-unable"
        ),
        pytest.param(
            {"vip_down_when": ANY}, {"vip_down_when": ANY}, ("--", "--"), [HTTP, HTTPS], id="both"
        ),
    ],
)
def test_who_takes_the_vip_down(first, second, states, because):
    services = (
        service(server(4), server(6), name="http", **first),
        service(server(4), server(6), name="https", keys=(HTTPS,), **second),
    )
    ruling = decided(states, *services).vips[VIP]
    assert list(ruling.because) == because
    assert ruling.is_up == (not because)


@pytest.mark.parametrize(
    ("states", "awaited"),
    [
        pytest.param("..", True, id="all-are"),
        pytest.param("-.", True, id="one-is-down"),
        pytest.param("+.", False, id="one-serves"),
        pytest.param("--", False, id="none-can-serve"),
    ],
)
def test_a_vip_is_awaited_until_a_server_serves_or_none_may_come(states, awaited):
    """`.` has no result yet."""
    (layout,) = layouts(service(server(4), server(6)))
    known = {"+": up(), "-": down()}
    health = {
        probe: known[letter]
        for seat, letter in zip(layout.seats, states, strict=True)
        for probe in seat.probes
        if letter in known
    }
    decision = decide(Config(services=(layout.declared,)), Inputs(now=START, health=health))
    assert decision.vips[VIP].awaited is awaited
    assert decision.vips[VIP].is_up


def test_a_mark_answers_on_all_vips_of_its_family():
    v6 = ip_address("2001:db8::16")
    marked = replace(
        service(server(4), keys=(FwmarkKey(5, Family.IPV4),), vip_down_when=ANY),
        vips=(Vip(address=VIP), Vip(address=v6)),
    )
    vips = decided(["-"], marked).vips
    assert {address: ruling.is_up for address, ruling in vips.items()} == {VIP: False}


def test_a_service_on_somebody_elses_address_has_no_vip():
    other = AddressKey(IPProtocol.TCP, ip_address("10.0.0.99"), Port(80))
    assert decided(["-"], service(server(4), keys=(other,), vip_down_when=ANY)).vips == {}


def test_the_whole_table_has_every_service_and_what_to_remember():
    decision = decided(["+-"], service(server(4), server(6), keys=(HTTP, HTTPS)))
    assert {key: len(one.servers) for key, one in decision.table.services.items()} == {
        HTTP: 1,
        HTTPS: 1,
    }
    assert decision.memory == {key: one.memory for key, one in decision.services.items()}
    assert decision.wake_at is None
