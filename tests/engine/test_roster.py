"""What follows from a configuration alone."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.engine.roster import lay_out, lay_out_after
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Service
from tests.daemon_world import TCP, VIP, WEB, server, web

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


def other(*last_bytes, name="other", port=8080, **settings):
    key = AddressKey(IPProtocol.TCP, VIP, Port(port))
    return replace(web(*last_bytes, **settings), name=name, keys=(key,))


def test_what_has_not_changed_is_laid_out_as_the_identical_objects():
    before = lay_out(Config(services=(web(4, 6), other(8))))
    step = lay_out_after(before, Config(services=(web(4, 6), other(8, 9))))
    key = other().keys[0]
    assert step.roster.layouts[WEB] is before.layouts[WEB]
    assert step.roster.layouts[key].seats[0] is before.layouts[key].seats[0]
    assert step.changed == {WEB, key}  # the first on an address speaks for all that are there
    assert [int(probe.target.address) & 255 for probe in step.probes] == [9]


def test_a_service_that_only_moved_in_its_file_is_not_decided_again():
    declared = web(4, 6)
    before = lay_out(Config(services=(replace(declared, origin="lb.yaml:3"),)))
    step = lay_out_after(before, Config(services=(replace(declared, origin="lb.yaml:9"),)))
    assert not step.changed
    assert not step.probes
    assert step.roster.layouts[WEB].declared.origin == "lb.yaml:9"
    assert step.roster.layouts[WEB].seats is before.layouts[WEB].seats


def test_when_a_service_leaves_an_address_the_address_is_decided_again():
    before = lay_out(Config(services=(web(4), other(8))))
    step = lay_out_after(before, Config(services=(web(4),)))
    assert step.gone == set(other().keys)
    assert step.changed == {WEB}


def _declared(number: int, servers: tuple[int, ...], origin: str) -> DeclaredService:
    address = ip_address(f"10.0.0.{100 + number % 2}")
    return DeclaredService(
        name=f"s{number}",
        keys=tuple(AddressKey(IPProtocol.TCP, address, Port(80 + number + n)) for n in (0, 100)),
        service=Service(scheduler="rr"),
        servers=tuple(
            DeclaredServer(
                name=f"r{n}",
                address=ip_address(f"10.0.1.{n % 4}"),
                port=Port(8000 + n // 8),
                disabled=n % 8 == 7,
                checks=(TCP,),
            )
            for n in servers
        ),
        vips=(Vip(address=address),),
        origin=origin,
    )


configs = st.builds(
    lambda services: Config(services=tuple(services)),
    st.lists(
        st.builds(
            _declared,
            st.integers(0, 3),
            st.lists(
                st.sampled_from([0, 1, 2, 7, 8, 9]), max_size=3, unique_by=lambda n: (n % 4, n // 8)
            ).map(tuple),
            st.sampled_from(["a:1", "a:2"]),
        ),
        max_size=4,
        unique_by=lambda declared: declared.name,
    ),
)


@given(st.lists(configs, min_size=2, max_size=4))
def test_a_roster_that_follows_others_is_the_one_that_stands_alone(path):
    roster = lay_out(path[0])
    for config in path[1:]:
        step, fresh = lay_out_after(roster, config), lay_out(config)
        assert step.roster == fresh
        assert list(step.roster.layouts) == list(fresh.layouts)
        old, new = roster.layouts, fresh.layouts
        assert step.gone == old.keys() - new.keys()
        assert step.changed >= {key for key in new if old.get(key) != new[key]}
        assert step.probes == roster.users.keys() ^ fresh.users.keys()
        roster = step.roster
