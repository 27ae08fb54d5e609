"""The sysctls without which a gateway does not hear dr and tunnel servers answer its probes through the VIP."""

from ipaddress import ip_address

import pytest

from ipvs_lb.hostplan import answer_needs, answer_sysctls, place
from ipvs_lb.model.checks import HealthCheck, TcpCheck, Via
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.host import HostState, InterfaceAddress, Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, family_of
from ipvs_lb.model.settings import Forwarding, Service

VIP, VIP_6 = "10.0.0.16", "2001:db8::16"


def own(address, length, interface):
    return InterfaceAddress(interface, ip_address(address), length)


ADDRESSES = frozenset({own("10.0.0.2", 24, "eth0.5"), own("192.0.2.1", 24, "eth1")})


def host(**sysctls):
    named = {name.replace("__", "."): value for name, value in sysctls.items()}
    return HostState(
        interfaces=frozenset({"lo", "eth0.5", "eth1"}), addresses=ADDRESSES, sysctls=named
    )


def strict(interface):
    name = f"net.ipv4.conf.{interface}.rp_filter"
    return HostState(interfaces=host().interfaces, addresses=ADDRESSES, sysctls={name: "1"})


def web(address="10.0.0.4", forwarding=Forwarding.DR, via=Via.VIP, vip=VIP, on=None, **settings):
    check = HealthCheck(method=TcpCheck(), via=via)
    server = DeclaredServer(
        name="s", address=ip_address(address), forwarding=forwarding, checks=(check,), **settings
    )
    where = Vip(address=ip_address(vip), interface=on)
    key = AddressKey(IPProtocol.TCP, where.address, Port(80))
    return DeclaredService(
        name=f"web-{family_of(where.address)}",
        keys=(key,),
        service=Service(scheduler="rr"),
        servers=(server,),
        vips=(where,),
    )


def needs(state, *services):
    config = Config(services=services)
    vips = place([vip for one in services for vip in one.vips], state)
    found = answer_needs(config, vips, state)
    assert all(need.reason for need in found)
    assert {need.name for need in found} <= set(answer_sysctls(config, state))
    return {need.name: need.value for need in found}


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(web(via=Via.DIRECT), id="direct"),
        pytest.param(web(forwarding=Forwarding.MASQ), id="masq-servers-answer-from-their-own"),
        pytest.param(web(disabled=True), id="disabled"),
        pytest.param(web("2001:db8::4", vip=VIP_6), id="ipv6-does-not-look"),
    ],
)
def test_nothing_is_needed_where_no_answer_comes_from_an_own_address(declared):
    assert answer_sysctls(Config(services=(declared,)), strict("all")) == ()
    assert needs(strict("all"), declared) == {}


def test_own_addresses_are_accepted_where_the_servers_are():
    assert needs(host(), web()) == {"net.ipv4.conf.eth0/5.accept_local": "1"}


def test_beyond_a_router_answers_may_come_in_anywhere():
    far = web("198.51.100.4", Forwarding.TUNNEL)
    assert needs(host(), far) == {"net.ipv4.conf.all.accept_local": "1"}


def test_what_holds_for_all_interfaces_is_enough():
    assert needs(host(net__ipv4__conf__all__accept_local="1"), web()) == {}


@pytest.mark.parametrize("interface", ["eth0/5", "all"])
def test_a_strict_filter_is_loosened_unless_the_vip_is_where_the_servers_are(interface):
    accept = {"net.ipv4.conf.eth0/5.accept_local": "1"}
    assert needs(strict(interface), web()) == accept
    loose = {"net.ipv4.conf.eth0/5.rp_filter": "2"}
    assert needs(strict(interface), web(on="lo")) == accept | loose
    assert needs(strict("eth1"), web(on="lo")) == accept


def test_beyond_a_router_no_filter_may_be_strict():
    far = web("198.51.100.4", Forwarding.TUNNEL)
    wanted = {"net.ipv4.conf.all.accept_local": "1", "net.ipv4.conf.all.rp_filter": "2"}
    assert needs(strict("eth1"), far) == wanted
    assert needs(strict("lo"), far) == {"net.ipv4.conf.all.accept_local": "1"}


def test_services_that_need_the_same_are_named_together():
    other = web("10.0.0.6", vip="10.0.0.17")
    config = Config(services=(web(), other))
    (need,) = answer_needs(config, place([], host()), host())
    assert need.reason.startswith("servers of web-ipv4, web-ipv4 answer probes")
