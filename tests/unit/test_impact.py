"""What a change does to people: connections on servers that go, and clients that move."""

from ipaddress import ip_address

import pytest

from ipvs_lb import impact as impact_module
from ipvs_lb.impact import (
    Closing,
    Impact,
    Leaving,
    Moved,
    closings,
    impacts,
    in_kernel_order,
    moved_clients,
)
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.firewall import Firewall
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import SchedulerFlags, Server, Service
from ipvs_lb.model.table import ServiceStatistics, Statistics, Table, VirtualService

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
MARK = FwmarkKey(7, Family.IPV4)
A, B, C = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 6, 7))
PORT_FLAG, FALLBACK = SchedulerFlags.FLAG_2, SchedulerFlags.FLAG_1


def service(
    scheduler: str,
    weights: dict[ServerKey, int],
    flags: SchedulerFlags = SchedulerFlags.NONE,
) -> VirtualService:
    servers = {key: Server(weight=weight) for key, weight in weights.items()}
    return VirtualService(Service(scheduler=scheduler, flags=flags), servers)


def table(virtual: VirtualService) -> Table:
    return Table({WEB: virtual})


BUSY: Statistics = {
    WEB: ServiceStatistics(servers={A: ServerCounters(active=5, inactive=2), B: ServerCounters()})
}


def test_ports_close_on_addresses_that_are_there_and_become_guarded() -> None:
    own, vip, before, new = (ip_address(f"10.0.0.{last}") for last in (2, 16, 17, 18))
    six = ip_address("2001:db8::16")
    ours = {InterfaceAddress("eth0", address, 32) for address in (vip, before)}
    present = ours | {InterfaceAddress("eth0", own, 24), InterfaceAddress("eth0", six, 64)}
    guarded = Firewall(guarded=frozenset({own, vip, before, new, six}))
    found = closings(Firewall(guarded=frozenset({before})), guarded, present, ours)
    assert found == (
        Closing(own, is_own=True),
        Closing(vip, is_own=False),
        Closing(six, is_own=True),
    )
    assert closings(guarded, guarded, present, ours) == ()


def test_what_stays_as_it_is_is_not_mentioned() -> None:
    same = table(service("rr", {A: 1, B: 1}))
    assert impacts(same, same, BUSY) == ()


def test_what_only_grows_is_not_mentioned() -> None:
    before, after = service("rr", {A: 1}), service("rr", {A: 2, B: 1})
    assert impacts(table(before), table(after), BUSY) == ()


def test_a_server_that_goes_is_told_with_its_connections() -> None:
    before, after = service("rr", {A: 1, B: 1}), service("rr", {B: 1})
    expected = Impact(key=WEB, leaving=(Leaving(A, False, 5, 2),))
    assert impacts(table(before), table(after), BUSY) == (expected,)


def test_a_server_that_drains_is_told_as_draining() -> None:
    before, after = service("rr", {A: 1, B: 1}), service("rr", {A: 0, B: 1})
    assert impacts(table(before), table(after), BUSY)[0].leaving == (Leaving(A, True, 5, 2),)


def test_a_server_that_was_drained_already_goes_when_it_goes() -> None:
    before, after = service("rr", {A: 0, B: 1}), service("rr", {B: 1})
    assert impacts(table(before), table(after), BUSY)[0].leaving == (Leaving(A, False, 5, 2),)


def test_a_service_that_goes_takes_all_its_servers_and_is_unserved() -> None:
    (told,) = impacts(table(service("sh", {A: 1, B: 1})), Table(), {})
    assert told == Impact(
        key=WEB, leaving=(Leaving(A, False, 0, 0), Leaving(B, False, 0, 0)), unserved=True
    )


def test_a_service_whose_last_server_drains_is_unserved() -> None:
    (told,) = impacts(table(service("rr", {A: 1})), table(service("rr", {A: 0})), {})
    assert told.unserved


def test_the_kernel_puts_new_servers_in_front() -> None:
    ordered = in_kernel_order(service("sh", {B: 1, A: 1}), service("sh", {A: 1, C: 1}))
    assert list(ordered.servers) == [C, A]


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        pytest.param(service("rr", {A: 1, B: 1}), service("rr", {B: 1}), None, id="rr-ties-nobody"),
        pytest.param(service("sh", {A: 1}), service("rr", {A: 1}), None, id="no-longer-hashing"),
        pytest.param(
            service("sh", {A: 1, B: 1}), service("sh", {B: 1}), Moved(0.5, True), id="half-leaves"
        ),
        pytest.param(
            service("sh", {A: 1, B: 1}),
            service("sh", {A: 0, B: 1}),
            Moved(0.5, True, refused=0.5),
            id="drained-keeps-its-slots-and-refuses",
        ),
        pytest.param(
            service("sh", {A: 1, B: 1}, FALLBACK),
            service("sh", {A: 0, B: 1}, FALLBACK),
            Moved(0.5, True),
            id="drained-with-fallback-refuses-nobody",
        ),
        pytest.param(
            service("sh", {A: 1, B: 1}),
            service("sh", {A: 1, B: 1}, PORT_FLAG),
            Moved(0.5, False),
            id="other-hash",
        ),
        pytest.param(
            service("sh", {A: 1, B: 1}),
            service("mh", {A: 1, B: 1}),
            Moved(0.5, False),
            id="other-hashing-scheduler",
        ),
        pytest.param(
            service("sh", {A: 1, B: 1}, FALLBACK),
            service("sh", {A: 1, B: 1}),
            Moved(0.0, True),
            id="fallback-alone-moves-nobody",
        ),
        pytest.param(
            service("sh", {A: 0, B: 1}, FALLBACK),
            service("sh", {B: 1}, FALLBACK),
            Moved(0.0, False),
            id="fallback-clients-are-an-estimate",
        ),
        pytest.param(service("sh", {A: 0}), service("sh", {A: 1}), None, id="nobody-was-served"),
        pytest.param(service("sh", {A: 1}), service("sh", {}), None, id="nobody-is-left"),
        pytest.param(
            service("mh", {A: 1, B: 1}),
            service("mh", {A: 1, B: 0}),
            Moved(2046 / 4093, True, refused=2046 / 4093),
            id="mh-drained-keeps-its-slots",
        ),
    ],
)
def test_clients_that_move(
    before: VirtualService, after: VirtualService, moved: Moved | None
) -> None:
    assert moved_clients(WEB, before, after) == moved


def test_source_hashing_moves_most_clients_when_a_server_comes() -> None:
    moved = moved_clients(WEB, service("sh", {A: 1, B: 1}), service("sh", {A: 1, B: 1, C: 1}))
    assert moved is not None
    assert moved.exact
    assert 0.6 < moved.share < 0.7


def test_maglev_moves_few_clients_when_a_server_comes() -> None:
    moved = moved_clients(WEB, service("mh", {A: 1, B: 1}), service("mh", {A: 1, B: 1, C: 1}))
    assert moved is not None
    assert moved.exact
    assert 0.33 < moved.share < 0.45


def test_maglev_hides_the_weight_a_drained_server_had() -> None:
    moved = moved_clients(WEB, service("mh", {A: 0, B: 1}), service("mh", {A: 1, B: 1}))
    assert moved is not None
    assert not moved.exact


def test_destination_hashing_sends_everybody_on_one_vip_to_one_server() -> None:
    before, after = service("dh", {A: 1, B: 1}), service("dh", {B: 1})
    moved = moved_clients(WEB, before, after)
    assert moved in {Moved(0.0, True), Moved(1.0, True)}
    assert moved_clients(MARK, before, after) == Moved(0.5, True)


def test_destination_hashing_that_led_nobody_anywhere_moves_nobody() -> None:
    drained = [
        moved_clients(WEB, service("dh", {A: a, B: 1 - a}), service("dh", {C: 1})) for a in (0, 1)
    ]
    assert Moved(0.0, True) in drained


def test_beyond_the_simulated_services_the_share_is_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(impact_module, "SIMULATED_SERVICES", 0)
    before, after = service("mh", {A: 1, B: 1}), service("mh", {B: 1})
    (told,) = impacts(table(before), table(after), {})
    assert told.moved == Moved(0.5, False)


def test_an_estimate_towards_servers_without_weight_is_everybody() -> None:
    before, after = service("mh", {A: 1, B: 1}), service("mh", {A: 0, B: 0})
    assert moved_clients(WEB, before, after, simulate=False) == Moved(1.0, False)
