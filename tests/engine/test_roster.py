"""What follows from a configuration alone."""

from __future__ import annotations

from ipvs_lb.engine.roster import lay_out
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from tests.daemon_world import VIP, WEB, server, web

TLS = AddressKey(IPProtocol.TCP, VIP, Port(443))


def test_nothing_declared_is_nothing_to_do():
    roster = lay_out(Config())
    assert not any((roster.layouts, roster.seats, roster.users, roster.concerned, roster.tenants))


def test_every_virtual_service_has_a_layout_and_every_server_of_it_a_seat():
    roster = lay_out(Config(services=(web(4, 6, ports=(80, 443)),)))
    assert set(roster.layouts) == {WEB, TLS}
    assert {(m.key, int(m.server.address) & 255) for m in roster.seats} == {
        (key, last) for key in (WEB, TLS) for last in (4, 6)
    }
    assert all(seat.member == member for member, seat in roster.seats.items())


def test_the_same_check_of_the_same_target_is_one_probe_that_concerns_all_who_use_it():
    shared = server(4, port=Port(8080))
    roster = lay_out(Config(services=(web(servers=(shared,), ports=(80, 443)),)))
    ((probe, users),) = roster.users.items()
    assert users == 2
    assert roster.concerned == {probe: frozenset({WEB, TLS})}


def test_a_disabled_server_is_seated_but_not_probed():
    roster = lay_out(Config(services=(web(4, servers=(server(6, disabled=True),)),)))
    assert len(roster.seats) == 2
    assert [int(probe.target.address) & 255 for probe in roster.users] == [4]


def test_a_server_without_checks_is_seated_but_not_probed():
    roster = lay_out(Config(services=(web(servers=(server(4, checks=()),)),)))
    assert len(roster.seats) == 1
    assert not roster.users


def test_all_services_on_a_vip_are_its_tenants():
    roster = lay_out(Config(services=(web(4, ports=(80, 443)),)))
    assert {layout.key for layout in roster.tenants[VIP]} == {WEB, TLS}
