"""Which mark leads a probe through a VIP to its server, and what has to be in the kernel for that."""

from dataclasses import replace
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.model.checks import HealthCheck, TcpCheck, Via
from ipvs_lb.model.config import PROBE_MARKS
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
    ServiceKey,
)
from ipvs_lb.model.settings import Forwarding, Server, Service, Tunnel
from ipvs_lb.model.table import VirtualService
from ipvs_lb.policy import NO_DATAPATH, Member, datapath, layouts
from ipvs_lb.policy.datapath import allocate
from tests.unit.policy_world import HTTP, TCP, VIP, address, member, server, service

FIRST = 1000
THROUGH = HealthCheck(method=TcpCheck(), via=Via.VIP)
VIP_6 = ip_address("2001:db8::16")


def laid(declared):
    return datapath(layouts(declared), FIRST)


def only(found):
    (item,) = found
    return item


def test_direct_checks_and_disabled_servers_need_nothing():
    declared = service(server(4), server(6, checks=(THROUGH,), disabled=True), server(8, checks=()))
    assert laid(declared) is NO_DATAPATH


def test_each_server_has_a_service_that_leads_to_it_alone():
    tunnel = Tunnel()
    one = server(4, checks=(THROUGH,), weight=0, upper_threshold=9, port=Port(8080))
    two = server(6, checks=(TCP, THROUGH), forwarding=Forwarding.TUNNEL, tunnel=tunnel)
    found = laid(service(one, two))
    ways = {only(virtual.servers): virtual for virtual in found.services.values()}
    first, second = ServerKey(address(4), Port(8080)), ServerKey(address(6), Port(80))
    assert ways == {
        first: VirtualService(Service(scheduler="rr"), {first: Server()}),
        second: VirtualService(
            Service(scheduler="rr"), {second: Server(forwarding=Forwarding.TUNNEL, tunnel=tunnel)}
        ),
    }
    assert all(FIRST <= key.mark < FIRST + PROBE_MARKS for key in found.services)


def test_a_probe_is_sent_to_the_vip_with_its_servers_mark_from_an_address_towards_the_server():
    declared = service(server(4, checks=(THROUGH, replace(THROUGH, rise=9)), port=Port(8080)))
    found = laid(declared)
    key = only(found.services)
    assert list(found.lines) == list(layouts(declared)[0].seats[0].probes)
    for probe, line in found.lines.items():
        assert line.key == key
        assert line.sent.check == replace(probe.check, mark=key.mark, via=Via.DIRECT)
        assert (str(line.sent.target), line.sent.through) == ("10.0.0.16:80", None)
        assert line.sent.towards == address(4)


def test_a_service_without_a_port_is_probed_on_the_checks():
    check = replace(THROUGH, port=Port(443))
    every = AddressKey(IPProtocol.TCP, VIP, Port(0))
    found = laid(service(server(4, checks=(check,)), keys=(every,)))
    assert str(only(found.lines.values()).sent.target) == "10.0.0.16:443"
    assert only(only(found.services.values()).servers).port == 0


def test_a_marked_service_is_probed_on_a_vip_of_its_family():
    check = replace(THROUGH, port=Port(443))
    declared = service(server(4, checks=(check,)), keys=(FwmarkKey(7, Family.IPV6),))
    declared = replace(declared, vips=(Vip(address=VIP), Vip(address=VIP_6)))
    found = laid(declared)
    assert str(only(found.lines.values()).sent.target) == "[2001:db8::16]:443"
    assert only(found.services).family is Family.IPV6


def test_what_is_there_for_probes_can_be_left_out():
    found = laid(service(server(4, checks=(THROUGH,))))
    own: dict[ServiceKey, VirtualService] = {HTTP: VirtualService(Service(scheduler="wrr"))}
    assert found.without({**own, **found.services}) == own
    assert NO_DATAPATH.without(own) == own


members = st.builds(member, st.integers(1, 254), st.just(HTTP), st.integers(0, 65535)) | st.builds(
    lambda last: Member(FwmarkKey(7, Family.IPV4), member(last).server), st.integers(1, 9)
)


@given(st.lists(members, unique=True, max_size=30), st.randoms())
def test_marks_differ_and_do_not_depend_on_the_order_of_the_declaration(some, random):
    marks = allocate(some, FIRST)
    assert marks.keys() == set(some)
    assert len(set(marks.values())) == len(some)
    random.shuffle(some)
    assert allocate(some, FIRST) == marks


def test_a_mark_stays_when_others_come_and_go():
    some = [member(last, port=port) for last in (4, 6) for port in range(1, 2000)]
    before, after = allocate(some, FIRST), allocate(some[::2], FIRST)
    moved = [one for one in after if after[one] != before[one]]
    assert len(moved) <= 2, "but for the rare two that hash to the same"


def test_two_that_hash_to_the_same_mark_get_two():
    """As many as there are marks cannot all have their first choice."""
    some = [member(last, port=port) for last in (4, 6) for port in range(1, 3000)]
    alone = [allocate([one], FIRST)[one] for one in some]
    assert len(set(alone)) < len(some)
    assert len(set(allocate(some, FIRST).values())) == len(some)
