"""Every endpoint, asked over the real socket."""

import json
import os
import pwd
import socket
import threading
import time

import jsonschema
import pytest

from ipvs_lb.api import app
from ipvs_lb.api.endpoints import ENDPOINTS
from ipvs_lb.api.openapi import openapi
from ipvs_lb.errors import ConfigError, HostError, KernelError, StoreError, UsageError
from tests.fake_control import START, FakeControl, many
from tests.running_api import Running

OVERRIDE = "/v1/servers/override"
DRAIN = {"servers": ["web/server-1"], "action": "drain"}


def fits(answer, name):
    """Whether *answer* is as the OpenAPI document promises, with nothing that it does not mention."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": openapi()["components"]}
    jsonschema.validate(answer, schema)
    properties = openapi()["components"]["schemas"][name]["properties"]
    assert set(answer) <= set(properties)


def states(answer):
    return [(one["name"], one["service"], one["state"]) for one in answer["servers"]]


def test_the_status_is_the_whole_gateway(running):
    answer = running.get("/v1/status")
    fits(answer, "Status")
    assert [one["name"] for one in answer["services"]] == ["web", "web", "mail"]
    assert answer["health"]["status"] == "fine"
    assert answer["services"][0]["servers"][0]["active_connections"] == 12
    server = openapi()["components"]["schemas"]["Server"]["properties"]
    assert set(answer["services"][0]["servers"][0]) == set(server)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=disabled", [("mx-2", "tcp/[2001:db8::25]:25", "disabled")]),
        ("server=10.0.0.4:443", [("server-1", "tcp/10.0.0.16:443", "up")]),
        ("service=mail&state=up", [("mx-1", "tcp/[2001:db8::25]:25", "up")]),
        ("server=mx-1&server=10.0.0.6:80", [
            ("server-2", "tcp/10.0.0.16:80", "up"), ("mx-1", "tcp/[2001:db8::25]:25", "up")
        ]),
        ("state=down", []),
    ],
)  # fmt: skip
def test_servers_are_filtered(running, query, found):
    answer = running.get(f"/v1/servers?{query}")
    fits(answer, "Servers")
    assert states(answer) == found


def test_services_come_without_servers(running):
    answer = running.get("/v1/services?service=web")
    fits(answer, "Services")
    assert [one["service"] for one in answer["services"]] == [
        "tcp/10.0.0.16:80",
        "tcp/10.0.0.16:443",
    ]
    assert answer["services"][0]["states"] == {"up": 2}


@pytest.mark.parametrize("name", ["web%2Fserver-1", "web/server-1", "10.0.0.4", "server-1"])
def test_a_server_is_explained_by_any_of_its_names(running, name):
    answer = running.get(f"/v1/servers/{name}/explain")
    fits(answer, "Explanations")
    assert len(answer["servers"]) == 2
    assert answer["servers"][0]["change"] == [
        "http check of 10.0.0.4:80 is down after 3 failures in a row, 0 so far"
    ]


def test_an_explanation_can_be_of_one_service(running):
    answer = running.get("/v1/servers/server-1/explain?service=tcp/10.0.0.16:443")
    assert [one["server"]["service"] for one in answer["servers"]] == ["tcp/10.0.0.16:443"]


def test_names_are_there_to_be_completed(running):
    answer = running.get("/v1/names?prefix=web/")
    fits(answer, "Names")
    assert answer["servers"] == ["web/server-1", "web/server-2"]


def test_a_drain_is_ordered_with_who_why_and_how_long(running):
    status, answer = running.ask("POST", OVERRIDE, {**DRAIN, "for": 1800, "reason": "new kernel"})
    assert status == 200
    fits(answer, "Ordered")
    assert [one["state"] for one in answer["servers"]] == ["draining", "draining"]
    assert answer["servers"][0]["override"] == {
        "action": "drain",
        "weight": None,
        "since": START,
        "expires": START + 1800,
        "reason": "new kernel",
        "who": pwd.getpwuid(os.getuid()).pw_name,
    }


def test_a_weight_is_ordered_within_a_service(running):
    body = {"servers": ["*"], "services": ["mail"], "action": "weight", "weight": 7}
    status, answer = running.ask("POST", OVERRIDE, body)
    assert status == 200
    assert [(one["name"], one["weight"]) for one in answer["servers"]] == [("mx-1", 7)]
    assert [(one["name"], one["reason"]) for one in answer["skipped"]] == [
        ("mx-2", "it is disabled in the configuration")
    ]


def test_an_order_is_taken_back(running):
    running.ask("POST", OVERRIDE, DRAIN)
    status, answer = running.ask("DELETE", f"{OVERRIDE}?server=web/server-1")
    assert (status, [one["state"] for one in answer["servers"]]) == (200, ["up", "up"])
    assert running.control.overrides == {}


def test_an_order_is_answered_when_it_is_decided(running):
    running.control.pondering = 0.1
    _, answer = running.ask("POST", OVERRIDE, DRAIN)
    assert [one["state"] for one in answer["servers"]] == ["draining", "draining"]


def test_an_order_that_is_not_decided_soon_is_answered_all_the_same(running, monkeypatch):
    monkeypatch.setattr(app, "DECISION_TIME", 0.1)
    running.ask("POST", OVERRIDE, DRAIN)
    running.control.pondering = 3600
    status, answer = running.ask("DELETE", f"{OVERRIDE}?server=web/server-1")
    assert status == 200
    assert answer["servers"][0]["why"] == [
        "what led to this has just changed, and it is being decided anew"
    ]
    assert running.get("/v1/servers/server-1/explain")["servers"][0]["change"] == []


def test_taking_back_what_was_never_ordered_is_fine(running):
    assert running.ask("DELETE", f"{OVERRIDE}?server=*")[0] == 200


def test_servers_are_probed_now(running):
    running.do(lambda control: control.failing.add("10.0.0.6"))
    status, answer = running.ask("POST", "/v1/check", {"servers": ["10.0.0.*:80", "mx-1"]})
    assert status == 200
    fits(answer, "CheckResults")
    assert answer["passed"] is False
    assert [(one["check"], one["result"]["passed"]) for one in answer["probes"]] == [
        ("http check of 10.0.0.4:80", True),
        ("http check of 10.0.0.6:80", False),
        ("tcp check of [2001:db8::4]:25", True),
    ]
    assert answer["probes"][0]["servers"] == ["web/server-1"]


@pytest.mark.parametrize("what", ["reload", "announce"])
def test_an_errand_is_run(running, what):
    status, answer = running.ask("POST", f"/v1/{what}")
    assert status == 200
    fits(answer, "Done")
    assert (answer["done"], answer["service_count"], answer["server_count"]) == (what, 3, 6)
    assert running.control.calls == [what]


def test_events_are_listed_after_a_number(running):
    for number in range(5):
        running.do(lambda control, n=number: control.tell("server.down", server=f"s{n}"))
    answer = running.get("/v1/events?after=3")
    fits(answer, "Events")
    assert [event["number"] for event in answer["events"]] == [4, 5]
    assert (answer["last"], answer["lost"]) == (5, False)


def test_a_number_of_an_earlier_life_starts_from_the_beginning(running):
    running.do(lambda control: control.tell("daemon.started"))
    assert len(running.get("/v1/events?after=900")["events"]) == 1


def test_events_that_are_not_kept_any_more_are_told_to_be_lost(running):
    for _ in range(1010):
        running.control.ring.add("server.down", START)
    assert running.get("/v1/events?after=3")["lost"] is True


def frames(running, target="/v1/events?follow=true", **headers):
    """A connection that follows events, and its lines from the first `data:` on."""
    connection = running.connect()
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"GET {target} HTTP/1.0\r\n{lines}\r\n".encode())
    return connection, (line.strip() for line in connection.makefile("rb"))


def numbers(lines, count):
    found = (json.loads(line[6:])["number"] for line in lines if line.startswith(b"data: "))
    return [next(found) for _ in range(count)]


def test_events_are_followed_as_they_happen(running):
    running.do(lambda control: control.tell("daemon.started"))
    connection, lines = frames(running)
    with connection:
        assert numbers(lines, 1) == [1]
        running.do(lambda control: control.tell("server.down"))
        running.do(lambda control: control.tell("server.up"))
        assert numbers(lines, 2) == [2, 3]


def test_an_interrupted_follower_goes_on_where_it_was(running):
    for _ in range(4):
        running.do(lambda control: control.tell("server.down"))
    connection, lines = frames(running, last_event_id="2")
    with connection:
        assert numbers(lines, 2) == [3, 4]


def test_a_follower_that_goes_is_forgotten(running):
    connection, lines = frames(running)
    assert next(lines).startswith(b"HTTP/1.1 200")
    connection.shutdown(socket.SHUT_RDWR)
    lines.close()
    connection.close()
    deadline = time.monotonic() + 5
    while running.do(lambda control: len(control.listeners)) and time.monotonic() < deadline:
        running.do(lambda control: control.tell("server.down"))
        time.sleep(0.02)
    assert running.control.listeners == []


def test_followers_are_not_unlimited(running):
    connections = [frames(running) for _ in range(32)]
    for _, lines in connections:
        next(lines)
    status, answer = running.ask("GET", "/v1/events?follow=true")
    assert (status, answer["error"]["message"]) == (503, "32 others follow events already")
    assert running.get("/v1/health")["status"] == "fine"
    for connection, lines in connections:
        lines.close()
        connection.close()


def test_health_is_200_when_clients_are_served_and_503_when_not(running):
    fits(running.get("/v1/health"), "Health")
    running.do(lambda control: control.fail("10.0.0.6"))
    assert running.get("/v1/health")["status"] == "degraded"
    running.do(lambda control: control.fail("10.0.0.4"))
    status, answer = running.ask("GET", "/v1/health")
    assert (status, answer["status"]) == (503, "failing")
    fits(answer, "Health")


def test_the_document_describes_every_endpoint(running):
    document = running.get("/openapi.json")
    assert document == running.get("/v1/openapi.json")
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(one.method, one.path.replace(":path", "")) for one in ENDPOINTS}
    assert document["openapi"] == "3.1.0"


def test_every_reference_of_the_document_leads_somewhere():
    text = json.dumps(openapi())
    for part in text.split('"$ref": "#/components/schemas/')[1:]:
        assert part.split('"')[0] in openapi()["components"]["schemas"]


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        (("GET", "/v1/nothing", None), 404, "Not Found"),
        (("DELETE", "/v1/status", None), 405, "Method Not Allowed"),
        (("GET", "/v1/status?color=red", None), 422, "color: extra inputs are not permitted"),
        (("GET", "/v1/status?state=sick", None), 422, "state.0: input should be 'up', 'idle'"),
        (("GET", "/v1/events?after=-1", None), 422, "after: input should be greater than or equal"),
        (("GET", "/v1/events?after=x", None), 422, "after: input should be a valid integer"),
        (("GET", "/v1/servers/web/x/explain", None), 404, "web/x: no such server"),
        (("GET", "/v1/servers?service=wob", None), 404, "wob: no such service, did you mean web?"),
        (("DELETE", OVERRIDE, None), 422, "server: field required"),
        (("POST", OVERRIDE, b"{"), 400, "the body is not JSON"),
        (("POST", OVERRIDE, b"[" * 100_000), 400, "the body is not JSON"),
        (("POST", OVERRIDE, b"\xff"), 400, "the body is not JSON"),
        (("POST", OVERRIDE, []), 422, "input should be a valid dictionary"),
        (("POST", OVERRIDE, {**DRAIN, "wieght": 1}), 422, "wieght: extra inputs are not permitted"),
        (("POST", OVERRIDE, {**DRAIN, "weight": 1}), 422, "weight is given with the action weight"),
        (("POST", OVERRIDE, {**DRAIN, "action": "weight"}), 422, "weight is given with the action"),
        (("POST", OVERRIDE, {**DRAIN, "action": "kill"}), 422, "action: input should be 'up'"),
        (("POST", OVERRIDE, {**DRAIN, "for": 0}), 422, "for: input should be greater than 0"),
        (("POST", OVERRIDE, {**DRAIN, "for": 1e300}), 422, "for: input should be less than"),
        (("POST", OVERRIDE, {**DRAIN, "for": float("nan")}), 422, "for: input should be"),
        (("POST", OVERRIDE, {**DRAIN, "reason": "a\nb"}), 422, "reason: expected printable"),
        (("POST", OVERRIDE, {**DRAIN, "reason": "a" * 201}), 422, "reason: string should have at"),
        (("POST", OVERRIDE, {**DRAIN, "servers": []}), 422, "servers: list should have at least 1"),
        (
            ("POST", OVERRIDE, {**DRAIN, "servers": "web/*"}),
            422,
            "servers: input should be a valid",
        ),
        (("POST", OVERRIDE, {**DRAIN, "servers": ["a"] * 1001}), 422, "servers: list should have"),
        (("POST", OVERRIDE, {**DRAIN, "servers": ["web/*", "x"]}), 404, "x: no such server"),
        (("POST", OVERRIDE, {**DRAIN, "servers": ["mx-2"]}), 409, "it is disabled"),
        (("POST", OVERRIDE, b" " * 600_000), 413, "the body is larger than 524288 bytes"),
        (("POST", "/v1/check", {"servers": ["x"]}), 404, "x: no such server"),
        (("POST", "/v1/check", {"servers": ["web/*"], "now": True}), 422, "now: extra inputs"),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(running, asked, status, told):
    got, answer = running.ask(*asked)
    fits(answer, "Refused")
    assert (got, running.control.overrides) == (status, {})
    assert told in answer["error"]["message"]


def test_a_body_is_said_to_be_json(running):
    status, answer = running.ask("POST", OVERRIDE, DRAIN, content_type="text/plain")
    assert (status, answer["error"]["hint"]) == (415, "send it with Content-Type: application/json")


def test_all_problems_of_a_body_are_told_at_once(running):
    body = {"servers": [""], "action": "weight", "weight": 70000, "x": 1}
    _, answer = running.ask("POST", OVERRIDE, body)
    assert [problem.split(":")[0] for problem in answer["error"]["problems"]] == [
        "servers.0",
        "weight",
        "x",
    ]


@pytest.mark.parametrize(
    ("asked", "what", "error", "status"),
    [
        (("/v1/reload", None), "reload", ConfigError(["lb.yaml:3:1: what", "lb.yaml:4:1: x"]), 422),
        (("/v1/announce", None), "announce", HostError("eth0 is gone"), 500),
        (("/v1/check", {"servers": ["mx-1"]}), "check", KernelError("no ip_vs"), 503),
        ((OVERRIDE, DRAIN), "order", StoreError("disk full"), 500),
        ((OVERRIDE, DRAIN), "order", KernelError("no ip_vs", hint="modprobe ip_vs"), 503),
        ((OVERRIDE, DRAIN), "order", UsageError("it has gone"), 404),
    ],
)  # fmt: skip
def test_what_the_gateway_refuses_is_told(running, asked, what, error, status):
    running.control.broken[what] = error
    got, answer = running.ask("POST", *asked)
    fits(answer, "Refused")
    told = answer["error"]
    assert (got, told["kind"], told["message"]) == (status, type(error).__name__, str(error))
    assert told["hint"] == error.hint
    assert told["problems"] == list(getattr(error, "problems", ()))


def test_without_its_kernel_the_gateway_still_tells_its_status(running):
    running.control.broken["kernel"] = KernelError("ip_vs is not loaded")
    answer = running.get("/v1/status")
    fits(answer, "Status")
    assert answer["kernel"]["error"] == "ip_vs is not loaded"
    assert answer["services"][0]["servers"][0]["traffic"] is None


def test_a_bug_is_answered_without_its_details(running, caplog):
    running.do(lambda control: setattr(control, "decision", None))
    status, answer = running.ask("GET", "/v1/health")
    assert (status, answer["error"]["message"]) == (
        500,
        "a fault of ipvs-lb; its log has the details",
    )
    deadline = time.monotonic() + 5
    while "AttributeError" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "AttributeError" in caplog.text


def test_many_ask_and_order_at_the_same_time(running):
    outcomes = []

    def work(number):
        for turn in range(5):
            action = ("drain", "up", "down")[(number + turn) % 3]
            outcomes.append(
                running.ask("POST", OVERRIDE, {"servers": ["web/*"], "action": action})[0]
            )
            outcomes.append(running.ask("GET", "/v1/status")[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == [200] * 80
    actions = {override.action for override in running.control.overrides.values()}
    assert len(actions) == 1


def test_thousands_of_servers_are_told_completely(tmp_path):
    control = FakeControl(config=many(150, 20)).everything_up()
    with Running(control, tmp_path / "api.sock").up() as running:
        answer = running.get("/v1/status")
        assert sum(len(service["servers"]) for service in answer["services"]) == 3_000
        one = running.get("/v1/servers?server=service-50/server-50-7")
        assert [server["name"] for server in one["servers"]] == ["server-50-7"]
        too_many = running.ask("POST", "/v1/check", {"servers": ["*"]})
        assert too_many[1]["error"]["message"] == "3000 servers at once, expected at most 1000"
