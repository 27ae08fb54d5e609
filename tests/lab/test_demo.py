"""When the demo is content, and what it plays."""

from __future__ import annotations

import json

import pytest

from ipvs_lb import loads
from ipvs_lb.lab.demo import alternates, only, played, shares, weighted
from ipvs_lb.lab.walkthrough import FLOATING_IP, VIP
from tests.docs.readme import ROOT

EXAMPLE = (ROOT / "config" / "example.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("servers", "right"),
    [
        ("1212", True),
        ("2121", True),
        ("1221", False),
        ("1111", False),
        ("1313", False),
        ("", False),
    ],
)
def test_answers_alternate_only_when_both_servers_answer_in_turn(
    servers: str, *, right: bool
) -> None:
    assert alternates(named(servers)) is right


@pytest.mark.parametrize(("servers", "right"), [("11", True), ("12", False), ("", False)])
def test_all_answers_have_to_come_from_the_one_server(servers: str, *, right: bool) -> None:
    assert only("server-1")(named(servers)) is right


@pytest.mark.parametrize(("servers", "right"), [("1121", True), ("1212", False), ("111", False)])
def test_shares_are_exact(servers: str, *, right: bool) -> None:
    assert shares({"server-1": 3, "server-2": 1})(named(servers)) is right


def test_what_is_played_is_the_example_with_quick_checks_and_a_floating_ip() -> None:
    example, shown = loads(EXAMPLE), loads(json.dumps(played(EXAMPLE)))
    (declared,) = example.services
    assert [str(vip.address) for service in shown.services for vip in service.vips] == [
        VIP,
        FLOATING_IP,
    ]
    assert [len(service.keys) for service in shown.services] == [2, 2]
    for service in shown.services:
        for server, written in zip(service.servers, declared.servers, strict=True):
            assert (server.address, server.weight) == (written.address, written.weight)
            (check,), (slow,) = server.checks, written.checks
            assert (check.method, check.rise, check.fall) == (slow.method, slow.rise, slow.fall)
            assert check.interval < slow.interval


def test_the_last_configuration_gives_the_first_server_three_times_as_much() -> None:
    web, other = loads(json.dumps(weighted(played(EXAMPLE)))).services
    assert [server.weight for server in web.servers] == [3, 1]
    assert [server.weight for server in other.servers] == [1, 1]


def named(numbers: str) -> list[str]:
    return [f"server-{number}" for number in numbers]
