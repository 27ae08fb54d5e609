"""VIPs on a real network: they answer, neighbours are told, and a second holder is found."""

import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from pyroute2 import netns
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from ipvs_lb.addresses import LinuxHost, Repetition
from ipvs_lb.errors import HostError
from ipvs_lb.hostplan import host_plan, place
from ipvs_lb.lab.network import Host
from ipvs_lb.model.desired import Desired, Owned, owned_by
from ipvs_lb.model.host import (
    AddAddress,
    HostState,
    InterfaceAddress,
    RemoveAddress,
    SetSysctl,
    Vip,
)
from tests.fake_host import FakeHost

GATEWAY_MAC, NEIGHBOUR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
ETH_P_ALL = 3
FORWARD = "net.ipv4.ip_forward"


def ip(command):
    return subprocess.run(
        ["ip", *command.split()], check=True, capture_output=True, text=True
    ).stdout


@contextmanager
def inside(host):
    netns.pushns(host.namespace)
    try:
        yield
    finally:
        netns.popns()


@dataclass(frozen=True)
class Lan:
    """A gateway (.1) and a neighbour (.2) on one cable, eth0 of both."""

    gateway: Host
    neighbour: Host


@pytest.fixture
def lan(network):
    lan = Lan(network.host("gateway"), network.host("neighbour"))
    network.cable(lan.gateway, "10.0.0.1/24", lan.neighbour, "10.0.0.2/24")
    for host, number, mac in ((lan.gateway, 1, GATEWAY_MAC), (lan.neighbour, 2, NEIGHBOUR_MAC)):
        host.address("eth0", f"2001:db8::{number}/64")
        host.run(["ip", "link", "set", "eth0", "address", mac])
        host.sysctl(FORWARD, 0)
    return lan


@pytest.fixture
def gateway(lan):
    """The test itself runs on the gateway."""
    with inside(lan.gateway):
        yield LinuxHost(repetition=Repetition(count=3, pause=0.05))


def at(text, interface="eth0"):
    address, _, length = text.partition("/")
    return InterfaceAddress(interface, ip_address(address), int(length))


VIPS = pytest.mark.parametrize("vip", [at("10.0.0.16/32"), at("2001:db8::16/128")], ids=str)


def holder(neighbour, where):
    """The MAC address the neighbour finds behind an address."""
    return neighbour.call(LinuxHost().probe_duplicate, where)


@VIPS
def test_a_vip_answers_at_once_on_its_interface_until_it_is_removed(lan, gateway, vip):
    gateway.execute(AddAddress(vip, announce=False))
    listener = socket.create_server(
        (str(vip.address), 8080),
        family=socket.AF_INET if vip.address.version == 4 else socket.AF_INET6,
    )
    with listener, inside(lan.neighbour):
        socket.create_connection((str(vip.address), 8080), timeout=2).close()
    assert holder(lan.neighbour, vip) == GATEWAY_MAC
    gateway.execute(RemoveAddress(vip))
    assert holder(lan.neighbour, vip) is None


@VIPS
def test_adding_and_removing_twice_is_fine_and_read_shows_it(gateway, vip):
    before = gateway.read()
    assert before.interfaces == {"lo", "eth0"}
    assert {at("10.0.0.1/24"), at("2001:db8::1/64"), at("127.0.0.1/8", "lo")} <= before.addresses
    for _ in range(2):
        gateway.execute(AddAddress(vip, announce=True))
        assert gateway.read().addresses - before.addresses == {vip}
    for _ in range(2):
        gateway.execute(RemoveAddress(vip))
        assert gateway.read().addresses == before.addresses


def test_a_vip_with_a_prefix_length_brings_its_subnet_and_a_host_address_does_not(gateway):
    gateway.execute(AddAddress(at("10.8.0.1/24"), announce=False))
    gateway.execute(AddAddress(at("10.9.0.1/32"), announce=False))
    gateway.execute(AddAddress(at("2001:db8:9::1/128"), announce=False))
    assert "10.8.0.0/24 dev eth0" in ip("route")
    assert "10.9" not in ip("route")
    assert "2001:db8:9::" not in ip("-6 route")


def test_removing_the_first_address_of_a_subnet_leaves_the_others(gateway):
    for number in (1, 2, 3):
        gateway.execute(AddAddress(at(f"10.8.0.{number}/24"), announce=False))
    gateway.execute(RemoveAddress(at("10.8.0.1/24")))
    assert {at("10.8.0.2/24"), at("10.8.0.3/24")} <= gateway.read().addresses
    switch = "net.ipv4.conf.eth0.promote_secondaries"
    assert gateway.read([switch]).sysctls[switch] == "0"


@contextmanager
def ears(lan):
    """What arrives at the neighbour, as scapy reads it."""
    with inside(lan.neighbour):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        wire.bind(("eth0", ETH_P_ALL))
    wire.settimeout(0.3)
    heard = []

    def listen():
        try:
            while True:
                heard.append(Ether(wire.recv(2048)))
        except TimeoutError:
            return heard

    with wire:
        yield listen


def test_a_new_ipv4_vip_is_announced_in_both_forms_three_times(lan, gateway):
    with ears(lan) as listen:
        gateway.execute(AddAddress(at("10.0.0.16/32"), announce=True))
        gateway.repeat_announcements()
        heard = [frame for frame in listen() if ARP in frame and frame[ARP].psrc == "10.0.0.16"]
    assert [frame[ARP].op for frame in heard] == [1, 2] * 3
    for frame in heard:
        assert (frame.src, frame.dst) == (GATEWAY_MAC, "ff:ff:ff:ff:ff:ff")
        assert (frame[ARP].hwsrc, frame[ARP].pdst) == (GATEWAY_MAC, "10.0.0.16")


@pytest.mark.parametrize("forwarding", ["0", "1"])
def test_a_new_ipv6_vip_is_announced_with_override_three_times(lan, gateway, forwarding):
    gateway.execute(SetSysctl("net.ipv6.conf.all.forwarding", forwarding, "a router says so"))
    with ears(lan) as listen:
        with gateway:
            gateway.execute(AddAddress(at("2001:db8::16/128"), announce=True))
        claims = [frame for frame in listen() if ICMPv6ND_NA in frame]
    heard = [frame for frame in claims if frame[ICMPv6ND_NA].tgt == "2001:db8::16"]
    assert len(heard) == 3
    for frame in heard:
        assert (frame[IPv6].src, frame[IPv6].dst, frame[IPv6].hlim) == (
            "2001:db8::16",
            "ff02::1",
            255,
        )
        advertisement = frame[ICMPv6ND_NA]
        flags = {name: advertisement.getfieldval(name) for name in "RSO"}
        assert flags == {"R": int(forwarding), "S": 0, "O": 1}
        assert frame[ICMPv6NDOptDstLLAddr].lladdr == GATEWAY_MAC


@VIPS
def test_a_neighbour_that_knew_another_holder_turns_to_the_gateway(lan, gateway, vip):
    where = f"{vip.address} dev eth0"
    ip(f"-n {lan.neighbour.namespace} neighbour add {where} lladdr 02:00:00:00:00:99 nud stale")
    gateway.execute(AddAddress(vip, announce=True))
    assert GATEWAY_MAC in ip(f"-n {lan.neighbour.namespace} neighbour show {where}")


@pytest.mark.parametrize("command", ["nothing", "an address that was there", "one that went again"])
def test_there_is_nothing_to_repeat_after(lan, gateway, command):
    vip = at("10.0.0.16/32")
    if command != "nothing":
        gateway.execute(AddAddress(vip, announce=command == "one that went again"))
        gateway.execute(AddAddress(vip, announce=True))
    if command == "one that went again":
        gateway.execute(RemoveAddress(vip))
    with ears(lan) as listen:
        gateway.repeat_announcements()
        assert [frame for frame in listen() if ARP in frame] == []


def test_an_address_that_is_there_is_announced_on_request(lan, gateway):
    with ears(lan) as listen:
        gateway.announce([at("10.0.0.1/24")])
        heard = [frame for frame in listen() if ARP in frame]
    assert [frame[ARP].psrc for frame in heard] == ["10.0.0.1"] * 2


def test_a_link_that_is_down_is_a_warning_and_the_vip_is_there(lan):
    vip = at("10.0.0.16/32")
    warnings: list[str] = []
    lan.neighbour.link_down("eth0")
    deadline = time.monotonic() + 5
    while "LOWER_UP" in lan.gateway.run(["ip", "link", "show", "eth0"]).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with inside(lan.gateway), LinuxHost(warn=warnings.append) as gateway:
        gateway.execute(AddAddress(vip, announce=True))
        assert vip in gateway.read().addresses
        assert gateway.probe_duplicate(vip) is None
    assert warnings == [
        "10.0.0.16/32 on eth0 is not announced: eth0 has no link; neighbours learn of it when they ask"
    ]


def test_on_the_loopback_nothing_is_announced_or_warned_of(lan):
    warnings: list[str] = []
    with inside(lan.gateway), LinuxHost(warn=warnings.append) as gateway:
        gateway.execute(AddAddress(at("10.0.0.16/32", "lo"), announce=True))
        gateway.announce([at("10.0.0.16/32", "none")])
        assert gateway.probe_duplicate(at("10.0.0.16/32", "lo")) is None
    assert [text.split("; ")[0] for text in warnings] == [
        "10.0.0.16/32 on none is not announced: No such device"
    ]


@VIPS
def test_a_vip_that_another_host_has_is_found_with_its_mac_address(lan, gateway, vip):
    assert gateway.probe_duplicate(vip) is None
    lan.neighbour.call(LinuxHost().execute, AddAddress(vip, announce=False))
    assert gateway.probe_duplicate(vip) == NEIGHBOUR_MAC


def test_many_addresses_are_probed_in_one_waiting_time(gateway):
    places = [at(f"10.0.0.{number}/24") for number in range(2, 60)]
    places += [at(f"2001:db8::{number:x}/64") for number in range(2, 60)]
    start = time.monotonic()
    found = gateway.probe_duplicates(places, wait=0.5)
    assert time.monotonic() - start < 1.5
    assert found == {at("10.0.0.2/24"): NEIGHBOUR_MAC, at("2001:db8::2/64"): NEIGHBOUR_MAC}


def test_an_answered_probe_does_not_wait(gateway):
    start = time.monotonic()
    assert gateway.probe_duplicate(at("10.0.0.2/32"), wait=20) == NEIGHBOUR_MAC
    assert time.monotonic() - start < 5


def test_the_gateways_own_addresses_are_no_duplicates(gateway):
    assert gateway.probe_duplicates([at("10.0.0.1/24"), at("2001:db8::1/64")]) == {}


def test_a_sysctl_is_set_in_this_namespace_only(lan, gateway):
    gateway.execute(SetSysctl(FORWARD, "1", "masq"))
    assert gateway.read([FORWARD, "net.ipv4.none"]).sysctls == {FORWARD: "1"}
    assert lan.neighbour.read_sysctl(FORWARD) == "0"


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        (
            AddAddress(at("10.0.0.16/32", "none"), announce=True),
            "add address 10.0.0.16/32 on none: No such device",
            "see `ip link` for the interfaces there are",
        ),
        (
            AddAddress(at("2001:db8::16/128", "lo"), announce=True),
            "add address 2001:db8::16/128 on lo: Permission denied",
            "IPv6 is off: sysctl -w net.ipv6.conf.lo.disable_ipv6=0",
        ),
        (
            SetSysctl("net.ipv4.vs.none", "1", "test"),
            "set sysctl net.ipv4.vs.none=1: No such file or directory",
            "`modprobe ip_vs` first",
        ),
    ],
)
def test_what_cannot_be_done_is_said_with_a_hint(gateway, command, message, hint):
    gateway.execute(SetSysctl("net.ipv6.conf.lo.disable_ipv6", "1", "test"))
    with pytest.raises(HostError) as caught:
        gateway.execute(command)
    assert (str(caught.value), caught.value.hint) == (message, hint)


@pytest.fixture(params=["fake", "linux"])
def any_host(request):
    """The gateway, and the fake with the same addresses."""
    if request.param == "linux":
        yield request.getfixturevalue("gateway")
        return
    own = {at("10.0.0.1/24"), at("2001:db8::1/64"), at("127.0.0.1/8", "lo"), at("::1/128", "lo")}
    yield FakeHost(HostState(interfaces=frozenset({"lo", "eth0"}), addresses=frozenset(own)))


@pytest.mark.parametrize(
    "vips",
    [
        pytest.param(["10.0.0.16", "2001:db8::16"], id="in-the-subnets"),
        pytest.param(["192.0.2.1", "2001:db9::1"], id="elsewhere"),
        pytest.param(["10.0.0.1", "2001:db8::1"], id="own-addresses"),
    ],
)
def test_planned_and_carried_out_the_next_plan_is_empty_and_giving_up_restores(any_host, vips):
    before = any_host.read()
    wanted = [Vip(address=ip_address(text)) for text in vips]
    owned = Owned()
    for given in (wanted, wanted[:1], wanted, []):
        desired = Desired(vips=place(given, any_host.read()))
        for stage in host_plan(any_host.read(), desired, owned):
            for command in stage:
                any_host.execute(command)
        owned = owned_by(desired)
        assert host_plan(any_host.read(), desired, owned) == ((), ())
        held = {(own.interface, own.address) for own in any_host.read().addresses}
        assert {(vip.place.interface, vip.place.address) for vip in desired.vips} <= held
    assert link_local_apart(any_host.read()) == link_local_apart(before)


def link_local_apart(state):
    return {own for own in state.addresses if not own.address.is_link_local}


@pytest.mark.parametrize("lengths", [(24, 32), (32, 24)])
def test_another_prefix_length_is_taken_over(any_host, lengths):
    owned, desired = Owned(), Desired()
    for length in lengths:
        six = length * 4
        vips = [
            Vip(address=ip_address("10.0.0.16"), prefix_length=length),
            Vip(address=ip_address("2001:db8::16"), prefix_length=six),
        ]
        desired = Desired(vips=place(vips, any_host.read()))
        for stage in host_plan(any_host.read(), desired, owned):
            for command in stage:
                any_host.execute(command)
        owned = owned_by(desired)
    assert owned.addresses <= any_host.read().addresses
    assert host_plan(any_host.read(), desired, owned) == ((), ())
