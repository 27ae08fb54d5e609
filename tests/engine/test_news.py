"""Which changes of a decision are told, at which level, and in which words."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.engine.news import of_service, of_vip
from ipvs_lb.model.identity import Port, ServerKey
from ipvs_lb.model.settings import Service
from ipvs_lb.model.table import VirtualService
from ipvs_lb.policy import Member, Memory, Rule, Ruling, ServiceDecision, VipRuling
from tests.daemon_world import VIP, WEB

A, B = (Member(WEB, ServerKey(ip_address(f"10.0.0.{last}"), Port(80))) for last in (4, 6))
SERVING = Memory(serving={A.server: None})
QUIET = ServiceDecision(
    key=WEB,
    virtual=VirtualService(Service(scheduler="rr"), {}),
    rulings=(),
    tier=0,
    healthy=2,
    counted=2,
    panicking=False,
    live=2,
    quorum_lost=False,
    memory=SERVING,
    wake_at=None,
)


def ruling(rule: Rule, member: Member = A) -> Ruling:
    return Ruling(member=member, name="web-1", tier=0, rule=rule, weight=1, rest=1)


def told(before: Rule | None, after: Rule) -> list[tuple[str, str]]:
    was = None if before is None else replace(QUIET, rulings=(ruling(before),))
    stories = of_service(was, replace(QUIET, rulings=(ruling(after),)))
    return [(story.name, story.level.value) for story in stories]


DOWN, UP, CHANGED = ("server.down", "warning"), ("server.up", "info"), ("server.changed", "info")
SERVER_NEWS = [
    (None, Rule.AWAITED, []),
    (None, Rule.STANDBY, []),
    (None, Rule.HEALTHY, []),
    (None, Rule.FAILING, [DOWN]),
    (None, Rule.DAMPED, [DOWN]),
    (Rule.AWAITED, Rule.HEALTHY, [UP]),
    (Rule.AWAITED, Rule.FAILING, [DOWN]),
    (Rule.AWAITED, Rule.STANDBY, []),
    (Rule.STANDBY, Rule.AWAITED, []),
    (Rule.HEALTHY, Rule.HEALTHY, []),
    (Rule.HEALTHY, Rule.FAILING, [DOWN]),
    (Rule.HEALTHY, Rule.DRAIN, [CHANGED]),
    (Rule.DRAIN, Rule.HEALTHY, [CHANGED]),
    (Rule.HEALTHY, Rule.STANDBY, [CHANGED]),
    (Rule.STANDBY, Rule.HEALTHY, [CHANGED]),
    (Rule.FAILING, Rule.FAILING, []),
    (Rule.FAILING, Rule.DAMPED, []),
    (Rule.DAMPED, Rule.FAILING, []),
    (Rule.FAILING, Rule.HEALTHY, [UP]),
    (Rule.FAILING, Rule.SLOW_START, [UP]),
    (Rule.DAMPED, Rule.HEALTHY, [UP]),
    (Rule.SLOW_START, Rule.HEALTHY, [CHANGED]),
    (Rule.STANDBY, Rule.FAILING, [DOWN]),
]


@pytest.mark.parametrize(
    ("before", "after", "news"), SERVER_NEWS, ids=[f"{b}-{a}" for b, a, _ in SERVER_NEWS]
)
def test_what_is_told_of_a_server(before, after, news):
    assert told(before, after) == news


def test_only_a_server_that_goes_down_is_told_with_its_member():
    was, now = (replace(QUIET, rulings=(ruling(rule),)) for rule in (Rule.HEALTHY, Rule.FAILING))
    assert [story.member for story in of_service(was, now)] == [A]
    assert [story.member for story in of_service(now, was)] == [None]


def test_a_story_names_service_server_weight_and_rule():
    was, now = (replace(QUIET, rulings=(ruling(rule),)) for rule in (Rule.HEALTHY, Rule.DRAIN))
    (story,) = of_service(was, now)
    assert story.facts == {
        "service": "tcp/10.0.0.16:80",
        "server": "10.0.0.4:80",
        "name": "web-1",
        "weight": 1,
        "rule": "drain",
        "before": "healthy",
    }


def test_a_server_that_is_no_longer_there_is_told():
    was = replace(QUIET, rulings=(ruling(Rule.HEALTHY), ruling(Rule.HEALTHY, B)))
    now = replace(QUIET, rulings=(ruling(Rule.HEALTHY),))
    (story,) = of_service(was, now)
    assert (story.name, story.facts["server"]) == ("server.removed", "10.0.0.6:80")


UNSERVED = replace(QUIET, memory=Memory(), live=0)
SERVICE_NEWS = [
    pytest.param(QUIET, QUIET, [], id="nothing"),
    pytest.param(QUIET, UNSERVED, [("service.unserved", "error")], id="unserved"),
    pytest.param(UNSERVED, QUIET, [("service.served", "info")], id="served"),
    pytest.param(
        QUIET, replace(QUIET, panicking=True), [("panic.began", "warning")], id="panic-begins"
    ),
    pytest.param(
        replace(QUIET, panicking=True), QUIET, [("panic.ended", "warning")], id="panic-ends"
    ),
    pytest.param(
        QUIET, replace(QUIET, quorum_lost=True), [("quorum.lost", "warning")], id="quorum-lost"
    ),
    pytest.param(
        replace(QUIET, quorum_lost=True),
        QUIET,
        [("quorum.regained", "warning")],
        id="quorum-regained",
    ),
    pytest.param(QUIET, replace(QUIET, tier=1), [("tier.changed", "warning")], id="tier"),
    pytest.param(QUIET, replace(QUIET, tier=None), [], id="no-tier-is-no-change-of-tier"),
    pytest.param(None, UNSERVED, [], id="the-first-decision-is-no-change"),
]


@pytest.mark.parametrize(("before", "after", "news"), SERVICE_NEWS)
def test_what_is_told_of_a_service_as_a_whole(before, after, news):
    assert [(story.name, story.level.value) for story in of_service(before, after)] == news


VIP_UP, VIP_DOWN = VipRuling(address=VIP), VipRuling(address=VIP, because=(WEB,))


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        pytest.param(None, VIP_DOWN, [], id="the-first-decision-is-no-change"),
        pytest.param(VIP_UP, VIP_UP, [], id="nothing"),
        pytest.param(VIP_UP, VIP_DOWN, [("vip.withdrawn", "warning")], id="withdrawn"),
        pytest.param(VIP_DOWN, VIP_UP, [("vip.restored", "info")], id="restored"),
    ],
)
def test_what_is_told_of_a_vip(before, after, news):
    assert [(story.name, story.level.value) for story in of_vip(before, after)] == news


def test_a_vip_that_goes_says_because_of_which_service():
    (story,) = of_vip(VIP_UP, VIP_DOWN)
    assert story.facts == {"vip": "10.0.0.16", "because": "tcp/10.0.0.16:80"}
