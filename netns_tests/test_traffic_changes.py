"""Clients that are connected do not notice a change of what does not concern them, whoever made the table."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from ipvs_lb.commands import AddServer, AddService, DeleteServer, EditServer, EditService
from ipvs_lb.errors import LabError
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.netlink import open_kernel
from netns_tests.balance import (
    EMPTY,
    ONE,
    SERVERS,
    THREE,
    TWO,
    Conversation,
    alternates,
    answered,
    config,
    new_vip,
    server,
    service,
    share,
)
from netns_tests.daemon import eventually


@pytest.fixture
def vip():
    return new_vip()


def test_a_connection_survives_every_change_that_keeps_its_server(bench, balancer, vip):
    balancer.apply(config(service(vip, ONE, TWO)))
    with on(bench, vip, "server-1") as talk:
        for changed in (
            service(vip, ONE, server(TWO, weight=7)),
            service(vip, ONE),
            service(vip, ONE, THREE),
            service(vip, server(ONE, weight=5), THREE),
            service(vip, ONE, scheduler="lc"),
            service(vip, ONE, scheduler="wrr", persistence="60s"),
            service(vip, ONE, ports=[80, 443]),
            service(vip, ONE, ports=[80, 443]),
        ):
            balancer.apply(config(changed))
            assert talk.ask() == "server-1"


@contextmanager
def on(bench, vip, name):
    """A conversation with the server of that name."""
    for _ in SERVERS:
        with Conversation(bench.outsider, vip) as talk:
            if talk.server == name:
                yield talk
                return
    raise AssertionError(f"no connection to {name}")


def test_weight_0_keeps_connections_and_gives_no_new_ones(bench, balancer, vip):
    balancer.apply(config(service(vip, ONE, TWO)))
    with on(bench, vip, "server-1") as talk:
        balancer.apply(config(service(vip, server(ONE, weight=0), TWO)))
        assert share(bench.seen(vip, 3)) == {"server-2": 3}
        assert talk.ask() == "server-1"


def test_connections_are_counted_alike_whether_one_service_is_asked_for_or_all(
    bench, balancer, vip
):
    ports = (80, 443, 8080)
    balancer.apply(config(service(vip, ONE, TWO, ports=[*ports])))
    web, *_ = keys = [AddressKey(IPProtocol.TCP, ip_address(vip), Port(port)) for port in ports]
    with on(bench, vip, "server-1"), bench.gateway.call(open_kernel) as kernel:
        kernel.read()
        eventually(
            lambda: kernel.statistics({web})[web].traffic.connections > 0, 10, "it is counted"
        )
        one, every = kernel.statistics({web}), kernel.statistics()
    assert (one.keys(), every.keys()) == ({web}, {*keys})
    assert one[web].servers[ServerKey(ip_address(ONE), Port(80))].active == 1
    assert active(one[web]) == active(every[web])
    assert one[web].traffic.connections == every[web].traffic.connections > 0


def active(statistics):
    """The connections of each server; totals are made by the kernel every two seconds only."""
    return {key: counted.active for key, counted in statistics.servers.items()}


def test_a_connection_resumes_when_its_server_returns(bench, balancer, vip):
    balancer.apply(config(service(vip, ONE, TWO)))
    with on(bench, vip, "server-1") as talk:
        balancer.apply(config(service(vip, TWO)))
        balancer.apply(config(service(vip, ONE, TWO)))
        assert talk.ask() == "server-1"


def test_no_request_is_refused_while_the_servers_are_exchanged(bench, balancer, vip):
    """The one that a server has at the moment when it goes is dropped by the kernel, which cannot be helped."""
    exchanges = (TWO,), (THREE,), (ONE,), (TWO, THREE), (ONE,)
    balancer.apply(config(service(vip, ONE)))
    answers, failures = [], []
    enough = threading.Event()

    def ask_until_told():
        while not enough.is_set():
            try:
                answers.append(answered(bench.outsider, vip))
            except LabError as error:
                failures.append(error)

    client = threading.Thread(target=ask_until_told)
    client.start()
    try:
        for servers in exchanges:
            balancer.apply(config(service(vip, *servers)))
    finally:
        enough.set()
        client.join()
    assert [failure for failure in failures if "timed out" not in str(failure)] == []
    assert len(failures) <= len(exchanges)
    assert set(answers) <= {"server-1", "server-2", "server-3"}
    assert bench.seen(vip, 1) == ["server-1"]


def written_by_hand(balancer, vip):
    """A table by ipvsadm, and the VIP as an operator adds it."""
    balancer.host.run(["ip", "address", "add", f"{vip}/32", "dev", "eth1"])
    balancer.ipvsadm("-A", "-t", f"{vip}:80", "-s", "rr")
    balancer.ipvsadm("-a", "-t", f"{vip}:80", "-r", f"{ONE}:80", "-m", "-w", "1")
    balancer.ipvsadm("-a", "-t", f"{vip}:80", "-r", f"{TWO}:80", "-m", "-w", "9")


def test_adopting_a_table_of_ipvsadm_changes_only_what_differs(bench, balancer, vip):
    """keepalived #1772"""
    written_by_hand(balancer, vip)
    with on(bench, vip, "server-1") as talk:
        change = balancer.apply(config(service(vip, ONE, TWO, THREE)))
        (key,) = change.desired.table.services
        assert [(type(c), c.key, str(c.server_key.address)) for c in change.commands] == [
            (AddServer, key, THREE),
            (EditServer, key, TWO),
        ]
        assert change.foreign.services == {}
        assert talk.ask() == "server-1"
    assert set(bench.seen(vip, 6)) == {"server-1", "server-2", "server-3"}
    balancer.apply(EMPTY)
    assert balancer.rules() == [], "what was adopted is ours"


def test_adopting_what_is_as_wanted_sends_the_kernel_nothing(balancer, vip):
    written_by_hand(balancer, vip)
    change = balancer.apply(config(service(vip, ONE, server(TWO, weight=9))))
    assert change.commands == ()


def edit(balancer, vip):
    balancer.ipvsadm("-e", "-t", f"{vip}:80", "-r", f"{ONE}:80", "-m", "-w", "0")


def edit_service(balancer, vip):
    balancer.ipvsadm("-E", "-t", f"{vip}:80", "-s", "lc", "-p", "60")


def delete(balancer, vip):
    balancer.ipvsadm("-d", "-t", f"{vip}:80", "-r", f"{ONE}:80")


def add(balancer, vip):
    balancer.ipvsadm("-a", "-t", f"{vip}:80", "-r", f"{THREE}:80", "-m")


def clear(balancer, _vip):
    balancer.ipvsadm("-C")


@pytest.mark.parametrize(
    ("meddle", "repairs"),
    [
        (edit, [EditServer]),
        (edit_service, [EditService]),
        (delete, [AddServer]),
        (add, [DeleteServer]),
        (clear, [AddService, AddServer, AddServer]),
    ],
)
def test_apply_repairs_what_ipvsadm_did_and_connections_go_on(
    bench, balancer, vip, meddle, repairs
):
    wanted = config(service(vip, ONE, TWO))
    balancer.apply(wanted)
    rules = balancer.rules()
    with on(bench, vip, "server-1") as talk:
        meddle(balancer, vip)
        assert balancer.rules() != rules
        assert [type(command) for command in balancer.apply(wanted).commands] == repairs
        assert sorted(balancer.rules()) == sorted(rules)
        assert talk.ask() == "server-1"
    assert alternates(bench.seen(vip, 4))
