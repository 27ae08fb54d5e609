"""Which probes judge a server, which of them are one, and what they begin with."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.health import NEW, Status
from ipvs_lb.model.checks import (
    ExecCheck,
    FileCheck,
    HealthCheck,
    HttpCheck,
    PingCheck,
    TcpCheck,
    Tls,
    Via,
    method_name,
)
from ipvs_lb.model.identity import Family, FwmarkKey, Port
from ipvs_lb.model.probe import content_of
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.policy import layouts, probes_of, starting_health
from tests.unit.policy_world import (
    HTTP,
    HTTPS,
    START,
    TCP,
    address,
    down,
    member,
    server,
    service,
    up,
)

MARK = FwmarkKey(5, Family.IPV4)


def target_of(check, key=HTTP, **settings):
    one = server(4, checks=(check,), **settings)
    (probe,) = probes_of(service(one, keys=(key,)), key, one)
    return str(probe.target)


@pytest.mark.parametrize(
    ("check", "key", "settings", "expected"),
    [
        pytest.param(TCP, HTTP, {}, "10.0.0.4:80", id="the-services-port"),
        pytest.param(TCP, HTTP, {"port": Port(8080)}, "10.0.0.4:8080", id="the-servers-port"),
        pytest.param(
            replace(TCP, port=Port(81)), HTTP, {"port": Port(8080)}, "10.0.0.4:81", id="own"
        ),
        pytest.param(
            replace(TCP, address=ip_address("10.9.9.9")), HTTP, {}, "10.9.9.9:80", id="own-address"
        ),
        pytest.param(TCP, MARK, {}, "10.0.0.4:0", id="a-mark-has-no-port"),
        pytest.param(replace(TCP, port=Port(81)), MARK, {}, "10.0.0.4:81", id="a-mark-with-a-port"),
        pytest.param(HealthCheck(method=PingCheck()), HTTP, {}, "10.0.0.4:0", id="ping"),
        pytest.param(HealthCheck(method=FileCheck(path="/a")), HTTP, {}, "10.0.0.4:0", id="file"),
        pytest.param(
            HealthCheck(method=ExecCheck(command=("/a",))),
            HTTP,
            {},
            "10.0.0.4:80",
            id="exec-is-told",
        ),
    ],
)
def test_where_a_probe_goes(check, key, settings, expected):
    assert target_of(check, key, **settings) == expected


def test_the_same_check_of_the_same_target_is_one_probe_for_all_services():
    check = replace(TCP, port=Port(80))
    one = server(4, checks=(check,))
    both = service(one, keys=(HTTP, HTTPS))
    assert probes_of(both, HTTP, one) == probes_of(both, HTTPS, one)
    assert hash(probes_of(both, HTTP, one)) == hash(probes_of(both, HTTPS, one))
    assert probes_of(both, HTTP, one) == probes_of(both, HTTP, server(4))


def test_a_probe_through_the_vip_belongs_to_its_service():
    one = server(4, checks=(replace(TCP, via=Via.VIP, port=Port(80)),))
    both = service(one, keys=(HTTP, HTTPS))
    (first,), (second,) = probes_of(both, HTTP, one), probes_of(both, HTTPS, one)
    assert (first.through, second.through) == (HTTP, HTTPS)
    assert first != second


def test_probes_are_asked_for_a_services_own_key_only():
    with pytest.raises(AssertionError, match="443 is not of web"):
        probes_of(service(server(4)), HTTPS, server(4))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        pytest.param(TcpCheck(), "tcp", id="tcp"),
        pytest.param(HttpCheck(), "http", id="http"),
        pytest.param(HttpCheck(tls=Tls()), "https", id="https"),
    ],
)
def test_methods_have_names(method, name):
    assert method_name(method) == name


def laid_out(*servers, **policy):
    return layouts(service(*servers, **policy))


def kernel(**weights):
    servers = {member(int(name[1:])).server: Server(weight=w) for name, w in weights.items()}
    return Table({HTTP: VirtualService(Service(scheduler="wrr"), servers)})


def statuses(layout, table, known=None):
    health = starting_health(layout, table, known or {}, START)
    return [str(health[probe].status) for seat in layout[0].seats for probe in seat.probes]


TWO = laid_out(server(4), server(6))
FOUR, SIX = (seat.probes[0] for seat in TWO[0].seats)


@pytest.mark.parametrize(
    ("table", "known", "expected"),
    [
        pytest.param(Table(), {}, ["unknown", "unknown"], id="nothing-known"),
        pytest.param(kernel(s4=1), {}, ["up", "unknown"], id="in-the-kernel"),
        pytest.param(kernel(s4=0), {}, ["unknown", "unknown"], id="weight-0-is-no-evidence"),
        pytest.param(Table(), {FOUR: up(), SIX: down()}, ["up", "down"], id="remembered"),
        pytest.param(kernel(s4=1), {FOUR: down()}, ["up", "unknown"], id="the-kernel-is-newer"),
        pytest.param(kernel(s4=0), {FOUR: down()}, ["down", "unknown"], id="quiesced-stays-down"),
    ],
)
def test_what_a_server_begins_with(table, known, expected):
    assert statuses(TWO, table, known) == expected


def test_only_what_has_to_be_is_adopted():
    layout = laid_out(server(4, checks=(TCP, HealthCheck(method=PingCheck()))), required=1)
    tcp, ping = layout[0].seats[0].probes
    assert statuses(layout, kernel(s4=1), {tcp: up(), ping: down()}) == ["up", "down"]
    assert statuses(layout, kernel(s4=1), {tcp: down(), ping: down()}) == ["up", "up"]


def test_a_probe_whose_times_or_thresholds_change_keeps_its_history():
    before = down(streak=1, changes=(1.0,))
    slower = laid_out(server(4, checks=(replace(TCP, interval=60.0, rise=5, fall=5, timeout=9.0),)))
    (probe,) = slower[0].seats[0].probes
    assert probe != FOUR
    assert content_of(probe) == content_of(FOUR)
    assert starting_health(slower, Table(), {FOUR: before}, START) == {probe: before}


def test_a_probe_of_something_else_begins_anew():
    other = laid_out(server(4, checks=(replace(TCP, method=HttpCheck()),)))
    (probe,) = other[0].seats[0].probes
    assert starting_health(other, Table(), {FOUR: up()}, START) == {probe: NEW}


def test_a_shared_probe_is_adopted_if_one_of_its_servers_is_in():
    one = server(4, checks=(replace(TCP, port=Port(80)),))
    both = layouts(service(one, keys=(HTTP, HTTPS)))
    health = starting_health(both, kernel(s4=1), {}, START)
    assert [state.status for state in health.values()] == [Status.UP]
    assert address(4) == one.address
