"""When steps are done and expectations judged, what is told of it, and what reports make of that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from click.testing import CliRunner

from ipvs_lb import loads
from ipvs_lb.cli.program import program
from ipvs_lb.config import loads as config_of
from ipvs_lb.errors import LabError
from ipvs_lb.lab.traffic import Goal, Request
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.policy import members
from ipvs_lb.scenario import steps as s
from ipvs_lb.scenario.layout import Socket, layout
from ipvs_lb.scenario.play import Kind, News, play
from ipvs_lb.scenario.record import Record, line, to_json, to_junit
from ipvs_lb.scenario.verdicts import against_demand, summary

CONFIG = config_of("""\
version: 1
services:
  - {name: web, vip: 10.0.0.16, ports: [80, 443], servers: [{name: a, address: 10.0.0.4}]}
""")
A = s.Who(ip_address("10.0.0.4"), frozenset({"web"}))
B = s.Who(ip_address("10.0.0.6"), frozenset({"web"}))
NAMES = {A.address: "a", B.address: "b"}
IN, OUT = s.Place(A, is_in=True), s.Place(A, is_in=False)
GOAL = Goal(protocol="tcp", address="10.0.0.16", port=80, source="198.51.100.2")


def table(weight):
    """The kernel's table with `a` in it, in both virtual services; None: without it."""
    (web,) = CONFIG.services
    rows = {key: {own: Server(weight=weight or 0)} for key, own, _ in members(web)}
    return Table(
        {
            key: VirtualService(web.service, {} if weight is None else servers)
            for key, servers in rows.items()
        }
    )


class FakeStage:
    """Time passes only by waiting; the table is what the last time in `changes` says. Actions may take long or fail."""

    names = NAMES

    def __init__(self, changes=None, takes=0.0, sent=()):
        self.changes = changes or {0.0: 1}
        self.takes = takes
        self.sent = sent
        self.time = 0.0
        self.done = []
        self.fault: Callable[[], None] = lambda: None
        self.answered_at_4: Request | None = None

    def now(self):
        return self.time

    def wait(self, until):
        assert until > self.time
        self.time = round(until, 6)
        if self.answered_at_4 is not None and self.time >= 4:
            self.answered_at_4.server = "a"

    def do(self, action):
        self.fault()
        self.done.append((round(self.time, 3), action))
        self.time += self.takes

    def look(self):
        last = max(at for at in self.changes if at <= self.time + 1e-9)
        return CONFIG, table(self.changes[last])

    def requests(self, service):
        return [request for request in self.sent if request.sent <= self.time]


def step(at, doing, *, waits=False):
    when = "then" if waits else f"at {at}s"
    return s.Step(
        text=f"{type(doing).__name__}",
        when=when,
        origin="s.yaml:1:1",
        doing=doing,
        at=at,
        waits=waits,
    )


def scenario(*steps):
    return s.Scenario(
        name="story",
        file="s.yaml",
        config=Path("lb.yaml"),
        configs={Path("lb.yaml"): CONFIG},
        steps=steps,
    )


def played(stage, *steps, slack=0.0):
    told: list[News] = []
    play(scenario(*steps), stage, told.append, slack=slack)
    return [
        (round(one.at, 1), one.kind, one.detail)
        for one in told
        if one.kind in {Kind.HELD, Kind.FAILED}
    ]


STOP, START = s.Daemon(s.Life.STOP), s.Daemon(s.Life.START)


def test_steps_are_done_at_their_times_and_late_ones_are_not_left_out():
    stage = FakeStage(takes=3.0)
    played(stage, step(1, STOP), step(2, START), step(9, STOP))
    assert stage.done == [(1.0, STOP), (4.0, START), (9.0, STOP)]


def test_a_step_that_waits_is_done_when_no_expectation_is_open():
    stage = FakeStage({0.0: None, 2.5: 1})
    played(stage, step(0, s.Expect(IN, within=9)), step(0, STOP, waits=True), step(0, START))
    assert stage.done == [(2.5, STOP), (2.5, START)]


@pytest.mark.parametrize(
    ("expectation", "changes", "slack", "verdict"),
    [
        (s.Expect(IN), {0.0: 1}, 0, (0.0, Kind.HELD)),
        (s.Expect(IN), {0.0: None}, 0, (0.0, Kind.FAILED)),
        (s.Expect(IN, within=3), {0.0: None, 2.0: 1}, 0, (2.0, Kind.HELD)),
        (s.Expect(IN, within=1), {0.0: None, 2.0: 1}, 0, (1.0, Kind.FAILED)),
        (s.Expect(IN, within=1), {0.0: None, 2.0: 1}, 1.5, (2.0, Kind.HELD)),
        (s.Expect(IN, lasting=3), {0.0: 1}, 0, (3.0, Kind.HELD)),
        (s.Expect(IN, lasting=3), {0.0: 1, 2.0: 0, 2.5: 1}, 9, (2.0, Kind.FAILED)),
        (s.Expect(OUT), {0.0: 0}, 0, (0.0, Kind.HELD)),
        (s.Expect(OUT), {0.0: None}, 0, (0.0, Kind.HELD)),
        (s.Expect(OUT), {0.0: 2}, 0, (0.0, Kind.FAILED)),
        (s.Expect(s.Place(A, is_in=True, weight=2)), {0.0: 2}, 0, (0.0, Kind.HELD)),
        (s.Expect(s.Place(A, is_in=True, weight=2)), {0.0: 1}, 0, (0.0, Kind.FAILED)),
        (s.Expect(s.Place(B, is_in=False)), {0.0: 1}, 0, (0.0, Kind.HELD)),
        (s.Expect(s.Place(B, is_in=True)), {0.0: 1}, 0, (0.0, Kind.FAILED)),
    ],
)
def test_a_place_is_judged_by_what_the_table_is_in_time(expectation, changes, slack, verdict):
    (told,) = played(FakeStage(changes), step(0, expectation), slack=slack)
    assert told[:2] == verdict


def test_what_is_wrong_with_a_place_is_told_for_each_virtual_service():
    (told,) = played(FakeStage({0.0: None}), step(0, s.Expect(IN)))
    assert told[2] == "not there in tcp/10.0.0.16:80, not there in tcp/10.0.0.16:443"


def request(sent, server="a", error="", took=0.01):
    return Request(GOAL, sent, server, error, took)


def test_requests_are_judged_when_all_of_their_time_are_over():
    under_way = request(1.9, server="")
    stage = FakeStage(sent=[request(0.5, "b"), request(1.0), under_way, request(2.0, "b")])
    stage.answered_at_4 = under_way
    told = played(stage, step(0.9, s.Watch(s.Only("web", (A,)), 1.1)))
    assert told == [(4.0, Kind.HELD, "a 2, 0 errors")]


BAD = request(0, server="", error="Connection refused")


@pytest.mark.parametrize(
    ("demand", "requests", "against"),
    [
        (s.Errors("web"), [request(0)], ""),
        (s.Errors("web"), [], "no request was sent"),
        (
            s.Errors("web"),
            [request(0), BAD],
            "1 of 2 requests without an answer (1 x Connection refused)",
        ),
        (s.Errors("web", 0.5), [request(0), BAD], ""),
        (s.Errors("web", 0.4), [request(0), BAD], "1 of 2 requests without"),
        (s.Only("web", (A,)), [request(0), BAD], ""),
        (s.Only("web", (A,)), [request(0), request(0, "b")], "answered by b 1 times"),
        (s.Only("web", (A, B)), [request(0), request(0, "b")], ""),
        (s.Only("web", (A,)), [BAD], "1 of 1 request without an answer"),
        (s.Share("web", A, 0.5, 0.1), [request(0), request(0, "b")], ""),
        (
            s.Share("web", A, 0.5, 0.1),
            [request(0)] * 3 + [request(0, "b")],
            "3 of 4 answers from a, 75%",
        ),
        (s.Share("web", A, 0.5, 0.25), [request(0)] * 3 + [request(0, "b")], ""),
        (s.Latency("web", 0.05), [request(0)], ""),
        (s.Latency("web", 0.05), [request(0, took=0.08)], "the slowest answer took 80 ms"),
    ],
)
def test_requests_hold_what_is_demanded_or_it_is_told_why_not(demand, requests, against):
    told = against_demand(demand, requests, NAMES)
    assert told.startswith(against)
    assert bool(told) is bool(against)


def test_what_clients_saw_is_told_in_a_line():
    assert summary([request(0, "b"), request(0), request(0), BAD]) == "a 2, b 1, 1 error"


@pytest.fixture
def record():
    """Of a scenario with an expectation that held, one that failed, and one that an error came before."""
    stage = FakeStage({0.0: 1, 3.0: None})
    steps = [step(0, s.Expect(IN)), step(1, STOP), step(3, s.Expect(IN, within=1))]
    record = Record(scenario(*steps, step(5, START), step(0, s.Expect(OUT), waits=True)))

    def break_down():
        if stage.time > 2:
            raise LabError("the daemon is gone")

    stage.fault = break_down
    with pytest.raises(LabError) as error:
        play(record.scenario, stage, record.news.append, slack=0)
    record.error, record.seconds = str(error.value), 5.25
    return record


def test_everything_is_told_in_lines(record):
    assert [line(news) for news in record.news if news.kind is not Kind.TABLE] == [
        "   0.0 s  ok     Expect",
        "   1.0 s  do     Daemon",
        "   4.0 s  FAILED Expect (after 1.0 s): not there in tcp/10.0.0.16:80, not there in tcp/10.0.0.16:443",
        "   5.0 s  do     Daemon",
    ]
    table = [line(news) for news in record.news if news.kind is Kind.TABLE]
    assert table[0] == "   0.0 s  table  add service tcp/10.0.0.16:80 scheduler wrr"
    assert table[-1] == "   3.0 s  table  delete server 10.0.0.4:443 of tcp/10.0.0.16:443"
    assert (record.passed, record.result) == (False, "1 of 3 expectations held, 1 failed, 5.2 s")


def test_json_has_everything_that_happened(record):
    told = to_json([record])
    assert (told["schema"], told["passed"]) == ("ipvs_lb/lab-test/1", False)
    (story,) = json.loads(json.dumps(told))["scenarios"]
    assert (story["name"], story["error"], story["seconds"]) == (
        "story",
        "the daemon is gone",
        5.25,
    )
    assert [one["kind"] for one in story["happened"]].count("failed") == 1
    assert story["happened"][-1] == {
        "at": 5.0,
        "kind": "done",
        "text": "Daemon",
        "detail": None,
        "took": 0.0,
        "place": "s.yaml:1:1",
    }


def test_junit_has_a_case_for_each_expectation_and_for_what_ended_the_scenario(record):
    record.news[0] = replace(record.news[0], detail="odd \x00 text")
    (suite,) = Xml.fromstring(to_junit([record]))
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert [case.get("time") for case in suite] == ["0.000", "1.000", "0.000", "5.250"]
    outcomes = [(case.get("name"), [child.tag for child in case]) for case in suite]
    assert outcomes == [
        ("at 0s: Expect", []),
        ("at 3s: Expect", ["failure"]),
        ("then: Expect", ["skipped"]),
        ("the scenario comes to its end", ["error"]),
    ]


def test_a_record_passes_when_everything_held():
    record = Record(scenario(step(0, s.Expect(IN))))
    play(record.scenario, FakeStage(), record.news.append, slack=0)
    assert (record.passed, to_json([record])["passed"]) == (True, True)


SERVICE = "version: 1\nservices:\n  - {name: web, vip: 10.0.0.16, port: 80, "


def plan(text):
    return layout([loads(SERVICE + text)])


def test_gateway_and_router_have_addresses_that_nobody_else_has():
    made = plan("servers: [{address: 10.0.0.254}, {address: 10.9.0.4}, {address: 10.0.0.252}]}")
    assert [(str(one.network), str(one.gateway), str(one.router)) for one in made.subnets] == [
        ("10.0.0.0/24", "10.0.0.253", "10.0.0.251"),
        ("10.9.0.0/24", "10.9.0.254", "10.9.0.253"),
    ]
    assert [str(network) for network in made.outside] == ["198.51.100.0/24"]


def test_the_client_is_in_a_network_of_its_own():
    made = plan("servers: [{address: 198.51.100.4}]}")
    assert [str(network) for network in made.outside] == ["203.0.113.0/24"]
    assert made.goals["web"][0].source == "203.0.113.2"


def test_servers_listen_where_clients_and_checks_ask_them_and_hold_vips_where_the_method_wants_it():
    made = plan(
        "forwarding: dr, servers: [{name: a, address: 10.0.0.4}, {name: b, address: 10.0.0.6, forwarding: masq}],"
        " health_checks: [{type: ping}, {type: tcp, port: 8080}, {type: http, address: 10.0.0.9}]}"
    )
    by_name = {machine.name: machine for machine in made.machines}
    assert set(by_name) == {"a", "b", "10.0.0.9"}
    assert set(by_name["a"].manners) == {Socket("tcp", 80), Socket("tcp", 8080)}
    assert set(by_name["10.0.0.9"].manners[Socket("tcp", 80)].pages) == {"/"}
    assert {str(vip) for vip in by_name["a"].vips} == {"10.0.0.16"}
    assert by_name["b"].vips == frozenset()


def test_two_servers_of_one_name_are_told_apart():
    text = SERVICE + "servers: [{name: a, address: 10.0.0.4}]}\n"
    more = "  - {name: mail, vip: 10.0.0.17, port: 25, servers: [{name: a, address: 10.0.0.5}]}\n"
    made = layout([loads(text + more)])
    assert {machine.name for machine in made.machines} == {"a@10.0.0.4", "a@10.0.0.5"}


def test_clients_come_from_where_they_are_let_in_and_that_needs_nftables():
    made = plan("allow: [192.0.2.0/30], servers: [{address: 192.0.2.1}]}")
    assert made.goals["web"][0].source == "192.0.2.2"
    assert {str(source) for source in made.sources} == {"192.0.2.2"}
    assert made.needs == {"nftables"}
    assert plan("servers: [{address: 10.0.0.4}]}").needs == frozenset()


def test_addresses_and_interfaces_that_others_bring_are_there():
    text = (
        "version: 1\nservices:\n  - name: web\n    port: 80\n    servers: [{address: 10.0.0.4}]\n"
    )
    vips = "    vips: [{address: 10.0.0.16, managed: no}, {address: 10.0.0.17, interface: ens3}]\n"
    check = "    health_check: {type: tcp, source: 10.0.0.99}\n"
    made = layout([loads(text + vips + check)])
    assert {str(address) for address in made.own} == {"10.0.0.16", "10.0.0.99"}
    assert made.interfaces == ("ens3",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("servers: []}", "no servers"),
        ("servers: [{address: 127.0.0.1}]}", "a server that is the gateway itself"),
        (
            "servers: [{address: 10.0.0.4}], forwarding: tunnel, tunnel: {type: gre}}",
            "unwrap ipip over IPv4 only, not gre",
        ),
        (
            "servers: [{name: a, address: 10.0.0.4}], health_check: {type: grpc}}",
            "do not speak gRPC",
        ),
        (
            "servers: [{address: 10.0.0.4}], health_check: {type: http, body_regex: x}}",
            "do not know what fits a body_regex",
        ),
        (
            "servers: [{address: 10.0.0.4}], health_check: {type: tls, tls: {verify: yes}}}",
            "certificates of their own making",
        ),
        (
            "servers: [{address: 10.0.0.4}], health_checks: [{type: smtp}, {type: mysql}]}",
            "smtp and mysql checks on the same port cannot all be answered",
        ),
        (
            "servers: [{address: 10.0.0.4}], health_checks: [{type: http, expect: 201}, {type: http}]}",
            "two checks of / want different answers",
        ),
    ],
)
def test_what_a_lab_cannot_be_is_told(text, problem):
    with pytest.raises(LabError) as error:
        plan(text)
    assert problem in str(error.value)


def test_a_scenario_that_is_refused_is_told_before_anything_is_built(tmp_path):
    (tmp_path / "lb.yaml").write_text(SERVICE + "servers: [{name: a, address: 10.0.0.4}]}\n")
    (tmp_path / "s.yaml").write_text("version: 1\nsteps:\n  - at 1s: stop b\n")
    words = ["lab", "test", "-c", str(tmp_path / "lb.yaml"), str(tmp_path / "s.yaml")]
    ran = CliRunner().invoke(program, words)
    assert ran.exit_code == 2
    assert f'{tmp_path}/s.yaml:3:12: steps.0."at 1s": unknown server "b"' in ran.stderr
