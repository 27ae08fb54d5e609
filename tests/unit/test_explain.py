"""Why a server is out, or in with its weight, and what brings it back: for every rule."""

from copy import copy
from dataclasses import replace

import pytest

from ipvs_lb.explain import Hearing, explain, explain_vip
from ipvs_lb.health import NEW, Reported
from ipvs_lb.model.checks import HealthCheck, PingCheck, Via
from ipvs_lb.model.config import FlapDamping, Quorum, QuorumAction, SlowStart, VipDownWhen
from ipvs_lb.model.results import AgentMode, ErrorClass, Result
from ipvs_lb.model.settings import Server
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Removed, Rule
from tests.unit.policy_world import (
    FAIL,
    HTTP,
    START,
    TCP,
    VIP,
    World,
    down,
    member,
    server,
    service,
    up,
)

PING = HealthCheck(method=PingCheck())
CHECK, OTHER = "tcp check of 10.0.0.4:80", "ping check of 10.0.0.4"
IS_UP = f"{CHECK} is up since 5 s"
FALLS = f"{CHECK} is down after 3 failures in a row, 0 so far"
TAKE_BACK = "`ipvs-lb enable` takes the override back"
OVER = "the drain is over"


def pair(**policy):
    return World(service(server(4), server(6), **policy)).all_up().decide()


def told(world, result=None):
    """What is said of server 4 five seconds later."""
    world.wait(5).decide()
    (seat, *_) = world.layout.seats
    results = {} if result is None else dict.fromkeys(seat.probes, result)
    said = explain(world.layout, world.decision, member(4).server, world.inputs, results)
    rule = next(r.rule for r in world.decision.rulings if r.member == member(4))
    return rule, said.state, list(said.why), list(said.change)


def order(action, **more):
    return Override(action=action, since=START, **more)


def damped():
    world = pair(flap_damping=FlapDamping(changes=3, window=60.0, hold=30.0, max_hold=99.0))
    return world.health(4, up(changes=(START - 9, START - 5, START)))


def slow():
    declared = service(
        server(4, weight=30), server(6), slow_start=SlowStart(duration=60.0, steps=3)
    )
    world = World(declared).all_up().health(4, down()).decide()
    return world.health(4, up()).decide()


def removed(*, deadline):
    record = Removed(server=Server(), since=START, deadline=deadline)
    return World(service(server(6)), removed={HTTP: {member(4).server: record}}).all_up()


def backups():
    quorum = Quorum(servers=2, action=QuorumAction.BACKUP)
    return World(service(server(4), server(6), server(9, tier=1), quorum=quorum)).all_up().decide()


def agent(mode):
    return up(reported=Reported(mode=mode, mode_since=START, reason="upgrade"))


CASES = [
    pytest.param(
        World(service(server(4, disabled=True))),
        "disabled",
        "out",
        ["it is disabled in the configuration"],
        ["take `disabled` out of the configuration"],
        id="disabled",
    ),
    pytest.param(
        pair().order(4, order(Action.DOWN, who="anna", reason="new disk", expires=START + 65)),
        "forced_down",
        "out",
        ["taken out by anna 5 s ago: new disk"],
        [TAKE_BACK, "it expires in 1 m"],
        id="taken-out",
    ),
    pytest.param(
        pair().health(4, down()).order(4, order(Action.UP)),
        "forced_up",
        "in with weight 1",
        ["kept in whatever its checks say 5 s ago", f"{CHECK} is down since 5 s"],
        [TAKE_BACK],
        id="kept-in",
    ),
    pytest.param(
        pair().order(4, order(Action.WEIGHT, weight=7)),
        "set_weight",
        "in with weight 7",
        ["weight set 5 s ago", IS_UP],
        [TAKE_BACK, FALLS],
        id="weight-set",
    ),
    pytest.param(
        pair().order(4, order(Action.DRAIN)).connections(4, 3),
        "drain",
        "in with weight 0",
        ["told to drain 5 s ago", "3 connections left"],
        ["it goes when no connection is left, in 4 m 55 s at the latest", TAKE_BACK],
        id="draining",
    ),
    pytest.param(
        pair().order(4, order(Action.DRAIN)),
        "drain",
        "in with weight 0",
        ["told to drain 5 s ago", "the number of its connections is not known yet"],
        ["it goes when no connection is left, in 4 m 55 s at the latest", TAKE_BACK],
        id="draining-and-not-counted-yet",
    ),
    pytest.param(
        pair().order(4, order(Action.DRAIN)).connections(4, 0),
        "drain",
        "out",
        ["told to drain 5 s ago", OVER],
        [TAKE_BACK],
        id="drained",
    ),
    pytest.param(
        pair().health(4, agent(AgentMode.MAINT)),
        "agent_maint",
        "out",
        ["its agent says maint since 5 s: upgrade"],
        ["its agent has to say ready"],
        id="agent-maint",
    ),
    pytest.param(
        pair().health(4, agent(AgentMode.DRAIN)).connections(4, 1),
        "agent_drain",
        "in with weight 0",
        ["its agent says drain since 5 s: upgrade", "1 connection left"],
        [
            "it goes when no connection is left, in 4 m 55 s at the latest",
            "its agent has to say ready",
        ],
        id="agent-drains",
    ),
    pytest.param(
        pair().health(4, agent(AgentMode.DRAIN)).connections(4, 0),
        "agent_drain",
        "out",
        ["its agent says drain since 5 s: upgrade", OVER],
        ["its agent has to say ready"],
        id="agent-drained",
    ),
    pytest.param(
        pair().health(4, NEW),
        "awaited",
        "out",
        [f"{CHECK} has no result yet"],
        ["the first result decides"],
        id="awaited",
    ),
    pytest.param(
        pair().health(4, down(streak=1)),
        "failing",
        "out",
        [f"{CHECK} is down since 5 s"],
        [f"{CHECK} is up after 2 successes in a row, 1 so far"],
        id="failing",
    ),
    pytest.param(
        World(service(server(4, checks=(TCP, PING)), required=None)).health(4, down(), NEW),
        "failing",
        "out",
        [
            "2 of its 2 checks must be up, 0 now",
            f"{CHECK} is down since 5 s",
            f"{OTHER} has no result yet",
        ],
        [f"{CHECK} is up after 2 successes in a row, 0 so far"],
        id="failing-with-several-checks",
    ),
    pytest.param(
        damped(),
        "damped",
        "out",
        ["held down: its checks changed 3 times within 1 m", IS_UP],
        ["the hold ends in 25 s"],
        id="damped",
    ),
    pytest.param(
        pair(panic_threshold=0.6).health(4, down()),
        "panic",
        "in with weight 1",
        [
            "1 of 2 servers healthy is below the panic threshold of 60%, so the checks are not believed",
            f"{CHECK} is down since 5 s",
        ],
        ["the panic ends when 60% of the servers are healthy"],
        id="panic",
    ),
    pytest.param(
        World(service(server(4, tier=1), server(6))).all_up(),
        "standby",
        "out",
        ["it is a backup of tier 1, and tier 0 serves"],
        ["it serves when no lower tier can"],
        id="standby",
    ),
    pytest.param(
        World(service(server(4, tier=1, weight=0), server(6, weight=0))).all_up(),
        "standby",
        "out",
        ["no server has weight, so its tier 1 waits like the others"],
        ["its tier serves when one of its servers has weight"],
        id="standby-and-nobody-serves",
    ),
    pytest.param(
        backups().health(6, down()).connections(4, 2),
        "stepping_back",
        "in with weight 0",
        [
            "tier 1 serves in place of tier 0, which has lost its quorum of 2 with 1 server",
            "2 connections left",
        ],
        [
            "it goes when no connection is left, in 5 m at the latest",
            "its tier serves again with 2 healthy servers",
        ],
        id="stepping-back-for-want-of-a-quorum",
    ),
    pytest.param(
        World(service(server(4, weight=0), server(9, tier=1))).all_up(),
        "standby",
        "out",
        ["tier 1 serves in place of tier 0, which has no server with weight"],
        ["its tier serves when one of its servers has weight"],
        id="its-tier-has-no-weight",
    ),
    pytest.param(
        slow(),
        "slow_start",
        "in with weight 1",
        ["it came back and starts slowly: 1 of weight 30"],
        ["the next step is in 15 s", FALLS],
        id="slow-start",
    ),
    pytest.param(
        pair().health(4, up(reported=Reported(weight=7))),
        "reported_weight",
        "in with weight 7",
        ["weight 7 reported by its checks"],
        [FALLS],
        id="reported-weight",
    ),
    pytest.param(
        World(service(server(4, weight=0))).all_up(),
        "zero_weight",
        "in with weight 0",
        ["it is declared with weight 0"],
        ["declare a weight above 0, or `ipvs-lb weight` sets one"],
        id="weight-0",
    ),
    pytest.param(
        World(service(server(4, checks=()))),
        "unchecked",
        "in with weight 1",
        ["it has no checks, so it is believed healthy"],
        ["only an operator takes it out"],
        id="unchecked",
    ),
    pytest.param(
        World(service(server(4, checks=(replace(TCP, fall=1),)))).all_up(),
        "healthy",
        "in with weight 1",
        [IS_UP],
        [f"{CHECK} is down after 1 failure"],
        id="healthy",
    ),
    pytest.param(
        World(service(server(4, checks=(TCP, PING)), required=1)).health(4, up(streak=2), down()),
        "healthy",
        "in with weight 1",
        ["1 of its 2 checks must be up, 1 now", IS_UP, f"{OTHER} is down since 5 s"],
        [f"{CHECK} is down after 3 failures in a row, 2 so far"],
        id="healthy-with-one-of-two",
    ),
    pytest.param(
        pair().health(4, NEW.adopt(START)),
        "healthy",
        "in with weight 1",
        [f"{CHECK} is believed up because the server was serving already"],
        [FALLS],
        id="adopted",
    ),
    pytest.param(
        removed(deadline=START + 60).connections(4, 1),
        "removed",
        "in with weight 0",
        ["it is not in the configuration any more", "1 connection left"],
        ["it goes when no connection is left, in 55 s at the latest"],
        id="removed",
    ),
    pytest.param(
        removed(deadline=START + 5),
        "removed",
        "out",
        ["it is not in the configuration any more", OVER],
        [],
        id="removed-and-drained",
    ),
]


@pytest.mark.parametrize(("world", "rule", "state", "why", "change"), CASES)
def test_every_rule_is_explained(world, rule, state, why, change):
    assert told(copy(world)) == (rule, state, why, change)


def test_no_rule_is_left_out():
    assert {case.values[1] for case in CASES} == set(Rule)


def test_failures_are_told_in_detail():
    _, _, why, _ = told(pair().health(4, down()), FAIL)
    assert why == [f"{CHECK} is down since 5 s: refused (connection refused)"]


def test_a_check_that_cannot_be_carried_out_is_told():
    _, _, why, _ = told(pair().health(4, NEW), Result(error=ErrorClass.LOCAL))
    assert why == [f"{CHECK} has no result yet: local"]


class Counting:
    """A sequence that counts how often somebody goes through it."""

    def __init__(self, items):
        self.items, self.walks = items, 0

    def __iter__(self):
        self.walks += 1
        return iter(self.items)


def test_explaining_every_server_of_a_service_does_not_go_through_the_others_for_each():
    world = backups().health(4, down())
    world.decide()
    layout, decision = copy(world.layout), copy(world.decision)
    rulings, seats = decision.rulings, layout.seats
    for whole, name, items in ((decision, "rulings", rulings), (layout, "seats", seats)):
        object.__setattr__(whole, name, Counting(items))
    hearing = Hearing(layout=layout, decision=decision, inputs=world.inputs)
    said = [
        hearing.explain(ruling, seat.probes) for ruling, seat in zip(rulings, seats, strict=True)
    ]
    again = [explain(world.layout, world.decision, r.member.server, world.inputs) for r in rulings]
    assert said == again
    assert decision.rulings.walks == 0
    assert layout.seats.walks <= 1, "once for all: how many servers bring the quorum back"


def test_a_server_nobody_knows_is_a_key_error():
    world = pair()
    with pytest.raises(KeyError):
        explain(world.layout, world.decision, member(99).server, world.inputs)


@pytest.mark.parametrize(
    ("policy", "states", "expected"),
    [
        pytest.param({}, (up(), up()), [f"{VIP} is up"], id="up"),
        pytest.param(
            {"quorum": Quorum(servers=2)},
            (up(), down()),
            [
                f"{VIP} is withdrawn",
                f"{HTTP} has 1 healthy server of a quorum of 2, and needs 2",
            ],
            id="quorum",
        ),
        pytest.param(
            {"vip_down_when": VipDownWhen.ANY},
            (down(), down()),
            [f"{VIP} is withdrawn", f"{HTTP} has no server with weight, and needs one"],
            id="no-server",
        ),
    ],
)
def test_a_vip_is_explained(policy, states, expected):
    world = pair(**policy).health(4, states[0]).health(6, states[1])
    decision = world.whole()
    said = explain_vip(decision.vips[VIP], decision.services, {HTTP: world.layout})
    assert list(said) == expected


def test_a_check_through_the_vip_is_told_as_one():
    through = replace(HealthCheck(method=PING.method), via=Via.VIP)
    world = World(service(server(4, checks=(through,)))).decide()
    why = [f"{OTHER} through tcp/10.0.0.16:80 has no result yet"]
    assert told(world) == (Rule.AWAITED, "out", why, ["the first result decides"])
