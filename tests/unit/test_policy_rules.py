"""Each rule of the policy, by what it does to the kernel's weights as time goes by."""

from dataclasses import replace

import pytest

from ipvs_lb.health import HISTORY, Reported
from ipvs_lb.model.checks import HealthCheck, PingCheck
from ipvs_lb.model.config import FlapDamping, OnDown, Quorum, QuorumAction, SlowStart
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.results import AgentMode, AgentReport, Result
from ipvs_lb.model.settings import Server
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Drain, Memory, Removed, unfinished
from ipvs_lb.policy.damping import held_until
from ipvs_lb.policy.ramp import ramped
from tests.unit.policy_world import (
    FAIL,
    HTTP,
    PASS,
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
PAIR = service(server(4), server(6))


def order(action, since=START, **more):
    return Override(action=action, since=since, **more)


# Checks


def test_a_new_server_is_out_until_its_first_result_which_decides():
    world = World(PAIR)
    assert world.weights == {}
    assert world.result(4, PASS).weights == {4: 1}
    assert world.result(6, FAIL).weights == {4: 1}
    assert world.rules == {4: "healthy", 6: "failing"}


def test_a_server_without_checks_is_believed():
    world = World(service(server(4, checks=())))
    assert world.weights == {4: 1}
    assert world.rules == {4: "unchecked"}


@pytest.mark.parametrize(
    ("required", "states", "rule"),
    [
        pytest.param(None, (up(), up()), "healthy", id="all-of-all"),
        pytest.param(None, (up(), down()), "failing", id="all-but-one-fails"),
        pytest.param(None, (up(),), "awaited", id="all-but-one-is-awaited"),
        pytest.param(1, (down(), up()), "healthy", id="any"),
        pytest.param(1, (down(),), "awaited", id="any-may-still-come"),
        pytest.param(1, (down(), down()), "failing", id="none-of-any"),
        pytest.param(9, (up(), up()), "healthy", id="more-than-there-are-is-all"),
    ],
)
def test_several_checks_decide_together(required, states, rule):
    world = World(service(server(4, checks=(TCP, PING)), required=required))
    known = dict(zip(world.layout.seats[0].probes, states, strict=False))
    assert world.put(health=known).rules == {4: rule}


@pytest.mark.parametrize(
    ("on_down", "expected"),
    [
        pytest.param(OnDown.REMOVE, {6: 1}, id="remove"),
        pytest.param(OnDown.QUIESCE, {4: 0, 6: 1}, id="quiesce"),
    ],
)
def test_a_server_that_is_down_is_removed_or_quiesced(on_down, expected):
    world = World(service(server(4), server(6), on_down=on_down))
    assert world.health(4, down()).health(6, up()).weights == expected


def test_a_disabled_server_stays_out_whatever_is_said():
    world = World(service(server(4, disabled=True), server(6))).all_up()
    assert world.order(4, order(Action.UP)).weights == {6: 1}
    assert world.rules[4] == "disabled"


# Weights


@pytest.mark.parametrize(
    ("declared", "reports", "expected"),
    [
        pytest.param(10, [Reported(weight=3)], 3, id="absolute"),
        pytest.param(10, [Reported(weight=3), Reported(weight=2)], 2, id="the-least"),
        pytest.param(10, [Reported(percent=50)], 5, id="percent"),
        pytest.param(10, [Reported(percent=1)], 1, id="rounded-up"),
        pytest.param(10, [Reported(percent=0)], 0, id="nothing"),
        pytest.param(10, [Reported(percent=50), Reported(weight=4)], 2, id="percent-of-absolute"),
        pytest.param(60000, [Reported(percent=1000)], 65535, id="clamped"),
        pytest.param(10, [Reported(weight=65535)], 65535, id="does-not-add-up"),
    ],
)
def test_checks_report_weights(declared, reports, expected):
    checks = (TCP, PING)[: len(reports)]
    world = World(service(server(4, weight=declared, checks=checks)))
    world.health(4, *(up(reported=report) for report in reports))
    assert world.weights == {4: expected}
    assert world.rules == {4: "reported_weight"}


def test_a_failing_check_reports_nothing():
    world = World(service(server(4, weight=10, checks=(TCP, PING)), required=1))
    world.health(4, up(), down(reported=Reported(weight=3)))
    assert world.weights == {4: 10}


def test_a_declared_weight_of_zero_is_kept():
    world = World(service(server(4, weight=0), server(6))).all_up()
    assert world.weights == {4: 0, 6: 1}
    assert world.rules[4] == "zero_weight"
    assert world.order(4, order(Action.WEIGHT, weight=5)).weights == {4: 5, 6: 1}


def test_an_agent_keeps_its_server_out_until_it_is_ready():
    world = World(PAIR).all_up()
    world.result(4, Result(agent=AgentReport(mode=AgentMode.MAINT)))
    assert world.weights == {6: 1}
    assert world.rules[4] == "agent_maint"
    world.result(4, Result(agent=AgentReport(mode=AgentMode.READY)))
    assert world.weights == {4: 1, 6: 1}


def test_an_agent_drains_its_server_until_the_deadline():
    world = World(service(server(4), server(6), drain_timeout=60.0)).all_up().decide()
    world.result(4, Result(agent=AgentReport(mode=AgentMode.DRAIN)))
    assert world.weights == {4: 0, 6: 1}
    assert world.rules[4] == "agent_drain"
    assert world.decision.wake_at == START + 60
    assert world.wait(60).weights == {6: 1}
    world.result(4, Result(agent=AgentReport(mode=AgentMode.READY)))
    assert world.weights == {4: 1, 6: 1}


# Overrides


@pytest.mark.parametrize(
    ("override", "state", "expected"),
    [
        pytest.param(order(Action.UP), down(), {4: 3, 6: 1}, id="up-though-down"),
        pytest.param(order(Action.UP), None, {4: 3, 6: 1}, id="up-though-unknown"),
        pytest.param(
            order(Action.UP), up(reported=Reported(weight=9)), {4: 3, 6: 1}, id="up-is-as-declared"
        ),
        pytest.param(
            order(Action.UP),
            up(reported=Reported(mode=AgentMode.MAINT)),
            {4: 3, 6: 1},
            id="over-agent",
        ),
        pytest.param(order(Action.DOWN), up(), {6: 1}, id="down-though-up"),
        pytest.param(order(Action.DRAIN), up(), {4: 0, 6: 1}, id="drain"),
        pytest.param(order(Action.WEIGHT, weight=9), up(), {4: 9, 6: 1}, id="weight"),
        pytest.param(order(Action.WEIGHT, weight=0), up(), {4: 0, 6: 1}, id="weight-0"),
        pytest.param(order(Action.WEIGHT, weight=10**9), up(), {4: 65535, 6: 1}, id="clamped"),
        pytest.param(order(Action.WEIGHT, weight=9), down(), {6: 1}, id="weight-does-not-revive"),
        pytest.param(
            order(Action.WEIGHT, weight=9),
            up(reported=Reported(percent=50)),
            {4: 9, 6: 1},
            id="weight-over-reports",
        ),
        pytest.param(order(Action.DOWN, expires=START), up(), {4: 3, 6: 1}, id="expired"),
    ],
)
def test_an_override_stands_above_health(override, state, expected):
    world = World(service(server(4, weight=3), server(6))).all_up().decide()
    world.put(health={k: v for k, v in world.inputs.health.items() if "4:80" not in str(k.target)})
    if state is not None:
        world.health(4, state)
    assert world.order(4, override).weights == expected


def test_an_override_that_takes_out_follows_on_down():
    world = World(service(server(4), server(6), on_down=OnDown.QUIESCE)).all_up()
    assert world.order(4, order(Action.DOWN)).weights == {4: 0, 6: 1}


@pytest.mark.parametrize("action", [Action.UP, Action.DOWN, Action.DRAIN, Action.WEIGHT])
def test_the_end_of_an_override_is_foreseen(action):
    world = World(PAIR).all_up().order(4, order(action, weight=5, expires=START + 30)).decide()
    assert world.decision.wake_at == START + 30
    assert world.wait(30).weights == {4: 1, 6: 1}


def test_the_end_of_an_override_is_foreseen_while_it_does_not_show():
    world = World(PAIR).order(4, order(Action.WEIGHT, weight=5, expires=START + 30)).decide()
    assert world.decision.wake_at == START + 30


# Drains


def draining(**policy):
    world = World(service(server(4), server(6), drain_timeout=60.0, **policy)).all_up().decide()
    return world.order(4, order(Action.DRAIN)).decide()


def test_a_drain_ends_with_the_last_connection():
    world = draining().connections(4, 2)
    assert world.weights == {4: 0, 6: 1}
    assert world.connections(4, 0).weights == {6: 1}


@pytest.mark.parametrize(
    ("key", "left"),
    [
        pytest.param(AddressKey(IPProtocol.TCP, VIP, Port(80)), 2, id="tcp-active-only"),
        pytest.param(AddressKey(IPProtocol.SCTP, VIP, Port(80)), 2, id="sctp-active-only"),
        pytest.param(AddressKey(IPProtocol.UDP, VIP, Port(53)), 7, id="udp-is-never-active"),
        pytest.param(FwmarkKey(5, Family.IPV4), 7, id="a-mark-may-have-both-behind-it"),
    ],
)
def test_a_drain_waits_for_connections_that_somebody_uses(key, left):
    assert unfinished(key, ServerCounters(active=2, inactive=5)) == left


def test_a_drain_that_is_over_stays_over():
    world = draining().connections(4, 0).decide().put(connections={})
    assert world.weights == {6: 1}
    assert world.decision.wake_at is None
    assert world.connections(4, 7).weights == {6: 1}


def test_a_drain_ends_at_its_deadline():
    world = draining().connections(4, 2).decide()
    assert world.decision.wake_at == START + 60
    assert world.wait(59.9).weights == {4: 0, 6: 1}
    assert world.wait(0.1).weights == {6: 1}


def test_the_end_of_a_drain_order_may_come_before_the_deadline():
    world = World(PAIR).all_up().decide().order(4, order(Action.DRAIN, expires=START + 5)).decide()
    assert world.decision.wake_at == START + 5
    assert world.wait(5).weights == {4: 1, 6: 1}


def test_a_drain_that_is_taken_back_can_begin_again():
    world = draining().connections(4, 0).decide().order(4, None).put(connections={})
    assert world.weights == {4: 1, 6: 1}
    world.wait(10).order(4, order(Action.DRAIN, since=START + 10))
    assert world.weights == {4: 0, 6: 1}
    assert world.decision.wake_at == START + 70


def test_a_drain_ordered_anew_between_two_decisions_is_a_new_one():
    world = draining().connections(4, 3).wait(30)
    world.order(4, order(Action.DRAIN, since=START + 30)).decide()
    assert world.decision.wake_at == START + 90


def test_a_server_that_is_not_in_has_nothing_to_drain():
    world = World(PAIR).all_up().health(4, down()).decide()
    assert world.order(4, order(Action.DRAIN)).weights == {6: 1}
    assert world.decision.wake_at is None


def test_a_drain_goes_on_after_a_restart_without_memory():
    world = World(PAIR).all_up().order(4, order(Action.DRAIN))
    assert world.weights == {4: 0, 6: 1}


def test_a_failing_server_goes_on_draining():
    assert draining().health(4, down()).weights == {4: 0, 6: 1}


GONE = Removed(server=Server(weight=5, upper_threshold=9), since=START, deadline=START + 60)


def removing():
    record = {HTTP: {member(9).server: GONE}}
    return World(service(server(4)), removed=record).all_up().decide()


def test_a_removed_server_is_drained_with_its_own_settings():
    world = removing()
    assert world.weights == {4: 1, 9: 0}
    assert world.decision.virtual.servers[member(9).server] == Server(weight=0, upper_threshold=9)
    assert world.decision.wake_at == START + 60
    assert world.wait(60).weights == {4: 1}


def test_a_removed_server_goes_with_its_last_connection_for_good():
    world = removing().connections(9, 0).decide().put(connections={})
    assert world.weights == {4: 1}
    assert [r.weight for r in world.decision.rulings if r.rule == "removed"] == [None]


def test_a_removed_server_that_is_declared_again_is_in_and_not_drained():
    world = removing()
    world.declare(service(server(4), server(9)))
    assert world.health(9, up()).weights == {4: 1, 9: 1}
    assert world.rules == {4: "healthy", 9: "healthy"}


# Tiers


LADDER = service(server(4), server(7, tier=1), server(8, tier=2, checks=()))


def test_backups_are_checked_and_only_one_tier_serves():
    """keepalived #2703"""
    world = World(LADDER).all_up()
    assert world.weights == {4: 1}
    assert world.rules == {4: "healthy", 7: "standby", 8: "standby"}
    world.put(memory={})
    assert world.health(4, down()).weights == {7: 1}
    world.put(memory={})
    assert world.health(7, down()).weights == {8: 1}


def test_backups_that_step_back_keep_their_connections():
    world = World(LADDER).all_up().health(4, down()).decide()
    assert world.health(4, up()).weights == {4: 1, 7: 0}
    assert world.rules[7] == "stepping_back"
    assert world.decision.wake_at == START + 300
    assert world.connections(7, 0).weights == {4: 1}
    assert world.put(connections={}).weights == {4: 1}


def test_backups_that_step_back_go_at_the_deadline():
    world = World(LADDER).all_up().health(4, down()).decide().health(4, up()).decide()
    assert world.wait(300).weights == {4: 1}


def test_a_backup_that_is_needed_while_it_steps_back_serves():
    world = World(LADDER).all_up().health(4, down()).decide().health(4, up()).decide()
    assert world.health(4, down()).weights == {7: 1}


def test_an_unchecked_last_tier_is_the_sorry_server():
    sorry = service(server(4), server(6), server(9, tier=5, checks=()))
    world = World(sorry).health(4, down()).health(6, down())
    assert world.weights == {9: 1}


def test_without_a_first_tier_the_lowest_there_is_comes_first():
    world = World(service(server(7, tier=1), server(8, tier=2))).all_up()
    assert world.weights == {7: 1}


# Quorum


def quorum(action, servers=2, hysteresis=0):
    return Quorum(servers=servers, hysteresis=hysteresis, action=action)


def test_a_lost_quorum_brings_in_the_backups():
    backup = quorum(QuorumAction.BACKUP)
    world = World(service(server(4), server(6), server(9, tier=1), quorum=backup)).all_up()
    assert world.weights == {4: 1, 6: 1}
    assert world.health(6, down()).weights == {4: 0, 9: 1}
    assert world.rules == {4: "stepping_back", 6: "failing", 9: "healthy"}
    assert world.wait(300).weights == {9: 1}
    assert world.health(6, up()).weights == {4: 1, 6: 1, 9: 0}


def test_without_a_backup_that_can_serve_the_few_go_on():
    backup = quorum(QuorumAction.BACKUP)
    world = World(service(server(4), server(6), server(9, tier=1), quorum=backup))
    assert world.health(4, up()).health(6, down()).health(9, down()).weights == {4: 1}
    assert world.decision.quorum_lost


def test_a_lost_quorum_that_withdraws_leaves_the_table():
    world = World(service(server(4), server(6), quorum=quorum(QuorumAction.WITHDRAW)))
    assert world.health(4, up()).health(6, down()).weights == {4: 1}
    assert world.decision.quorum_lost


@pytest.mark.parametrize(
    ("hysteresis", "course", "expected"),
    [
        pytest.param(2, [9, 8, 6, 5, 4, 5, 8, 9], "HHHHLLLH", id="keepalived-sample"),
        pytest.param(0, [7, 6, 7], "HLH", id="none"),
        pytest.param(2, [6, 8, 9], "LLH", id="the-first-decision-compares-with-the-quorum"),
        pytest.param(2, [7, 5], "HH", id="and-then-hysteresis-counts"),
        pytest.param(9, [7, 1, 0, 9, 10], "HHLLH", id="none-is-always-too-few-and-all-are-enough"),
    ],
)
def test_the_quorum_has_hysteresis(hysteresis, course, expected):
    declared = service(
        *(server(last) for last in range(1, 11)),
        quorum=quorum(QuorumAction.WITHDRAW, 7, hysteresis),
    )
    world, got = World(declared), ""
    for count in course:
        for last in range(1, 11):
            world.health(last, up() if last <= count else down())
        world.decide()
        got += "L" if world.decision.quorum_lost else "H"
    assert got == expected


def test_a_quorum_of_more_than_there_are_is_never_regained():
    declared = service(server(4), quorum=quorum(QuorumAction.WITHDRAW, 3, 1))
    assert World(declared).all_up().decide().decide().decision.quorum_lost


def test_servers_that_cannot_serve_do_not_count_for_the_quorum():
    declared = service(
        server(4, weight=0), server(6), server(7), quorum=quorum(QuorumAction.WITHDRAW, 2)
    )
    world = World(declared).all_up().order(7, order(Action.DRAIN)).decide()
    assert world.decision.live == 1
    assert world.decision.quorum_lost


# Panic


def test_below_the_threshold_the_checks_are_not_believed():
    world = World(service(*map(server, range(1, 5)), panic_threshold=0.5)).all_up()
    world.health(1, down()).health(2, down())
    assert world.weights == {3: 1, 4: 1}
    assert world.health(3, down()).weights == {1: 1, 2: 1, 3: 1, 4: 1}
    assert world.rules == {1: "panic", 2: "panic", 3: "panic", 4: "healthy"}
    assert (world.decision.healthy, world.decision.counted) == (1, 4)
    assert world.health(3, up()).weights == {3: 1, 4: 1}


def test_panic_respects_the_operator_and_the_agent():
    world = World(service(*map(server, range(1, 6)), panic_threshold=1.0)).all_up().decide()
    world.order(1, order(Action.DOWN)).order(2, order(Action.DRAIN))
    world.health(3, up(reported=Reported(mode=AgentMode.MAINT))).health(4, down())
    assert world.weights == {2: 0, 4: 1, 5: 1}


def test_servers_without_a_result_do_not_make_a_panic():
    world = World(service(*map(server, range(1, 5)), panic_threshold=0.5))
    assert world.weights == {}
    assert world.health(1, down()).health(2, down()).weights == {}
    assert world.health(3, down()).weights == {1: 1, 2: 1, 3: 1}


def test_panic_keeps_the_quorum():
    declared = service(
        server(4), server(6), panic_threshold=0.9, quorum=quorum(QuorumAction.WITHDRAW)
    )
    assert not World(declared).health(4, up()).health(6, down()).decide().decision.quorum_lost


# Slow start


SLOW = SlowStart(duration=60.0, steps=3)


def slow(*servers):
    return World(service(*servers, slow_start=SLOW))


def test_a_server_that_comes_back_starts_slowly():
    world = slow(server(4, weight=30), server(6, weight=30)).all_up().health(4, down()).decide()
    assert world.wait(100).health(4, up()).weights[4] == 1
    steps = [world.put(now=world.decision.wake_at).weights[4] for _ in range(3)]
    assert steps == [10, 20, 30]
    assert world.inputs.now == START + 160
    assert world.decision.wake_at is None
    assert world.rules == {4: "healthy", 6: "healthy"}


def test_nothing_starts_slowly_with_the_process():
    world = slow(server(4, weight=30), server(6, weight=30))
    assert world.weights == {}
    assert world.result(4, PASS).weights == {4: 30}
    assert world.wait(2).result(6, PASS).weights == {4: 30, 6: 30}


def test_a_server_that_fails_its_first_check_starts_slowly_later():
    world = slow(server(4, weight=30), server(6, weight=30)).decide()
    world.result(4, PASS).result(6, FAIL).decide()
    assert world.wait(9).result(6, PASS).result(6, PASS).weights == {4: 30, 6: 1}


def test_a_server_declared_later_starts_slowly():
    world = slow(server(4, weight=30)).all_up().decide()
    world.declare(service(server(4, weight=30), server(6, weight=30), slow_start=SLOW))
    assert world.weights == {4: 30}
    assert world.result(6, PASS).weights == {4: 30, 6: 1}


def test_the_first_server_to_come_back_carries_the_whole_load():
    world = slow(server(4, weight=30), server(6, weight=30))
    world.health(4, down()).health(6, down()).decide()
    assert world.health(4, up()).weights == {4: 30}
    assert world.health(6, up()).weights == {4: 30, 6: 1}


def test_a_tier_that_takes_over_starts_at_once():
    world = slow(server(4), server(8, weight=30, tier=1)).all_up().decide()
    assert world.health(4, down()).weights == {8: 30}


@pytest.mark.parametrize("action", [Action.UP, Action.WEIGHT])
def test_an_operator_is_obeyed_at_once(action):
    world = slow(server(4, weight=30), server(6)).all_up().order(4, order(Action.DOWN)).decide()
    assert world.order(4, order(action, weight=30)).weights == {4: 30, 6: 1}


def test_in_panic_nobody_starts_slowly():
    declared = service(server(4, weight=30), server(6), panic_threshold=1.0, slow_start=SLOW)
    world = World(declared).all_up().order(4, order(Action.DOWN)).decide().order(4, None)
    assert world.health(4, down()).weights == {4: 30, 6: 1}


def test_a_slow_start_goes_on_after_a_restart():
    serving = {member(4).server: START - 30, member(6).server: None}
    world = slow(server(4, weight=30), server(6)).all_up()
    world.put(memory={HTTP: Memory(decided=True, serving=serving)})
    assert world.weights == {4: 10, 6: 1}


def test_a_slow_start_from_the_future_is_over():
    world = slow(server(4, weight=30), server(6)).all_up()
    world.put(memory={HTTP: Memory(decided=True, serving={member(4).server: START + 1})})
    assert world.weights[4] == 30
    assert world.wait(2).weights[4] == 30


def test_a_slow_start_ends_when_the_policy_has_none_any_more():
    world = slow(server(4, weight=30), server(6)).all_up().health(4, down()).decide()
    world.health(4, up()).decide()
    world.declare(service(server(4, weight=30), server(6)))
    assert world.weights == {4: 30, 6: 1}


@pytest.mark.parametrize(
    ("weight", "elapsed", "expected"),
    [
        pytest.param(10, 0, (1, 12.0), id="begins-with-1"),
        pytest.param(10, 6, (1, 12.0), id="the-first-share-is-1-as-well"),
        pytest.param(10, 12, (2, 18.0), id="second-step"),
        pytest.param(10, 59.9, (9, 60.0), id="just-before-the-end"),
        pytest.param(10, 60, (10, None), id="the-end"),
        pytest.param(1, 0, (1, None), id="weight-1-has-no-steps"),
        pytest.param(3, 0, (1, 42.0), id="steps-that-change-nothing-are-left-out"),
        pytest.param(65535, 6, (6553, 12.0), id="biggest"),
    ],
)
def test_the_ramp(weight, elapsed, expected):
    assert ramped(weight, 0.0, SlowStart(duration=60.0, steps=10), elapsed) == expected


# Flap damping


DAMPING = FlapDamping(changes=3, window=60.0, hold=30.0, max_hold=100.0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param([1, 2], None, id="too-few"),
        pytest.param([1, 31, 61], None, id="too-slow"),
        pytest.param([1, 2, 3], 33.0, id="held"),
        pytest.param([1, 2, 3, 10, 20], 33.0, id="changes-while-held-do-not-lengthen-it"),
        pytest.param([1, 2, 3, 33], 93.0, id="the-next-hold-is-twice-as-long"),
        pytest.param([1, 2, 3, 30, 40, 105, 110, 111], 211.0, id="never-longer-than-the-longest"),
        pytest.param([1, 2, 3, 100, 101, 102], 132.0, id="calm-for-a-window-starts-over"),
    ],
)
def test_holds_grow_exponentially(changes, expected):
    assert held_until([float(one) for one in changes], DAMPING) == expected


def test_damping_asks_for_no_more_changes_than_are_remembered():
    many = replace(DAMPING, changes=HISTORY + 1, window=1e6)
    assert held_until([float(one) for one in range(HISTORY)], many) == HISTORY - 1 + 30.0


def test_a_flapping_server_is_held_down():
    world = World(service(server(4), server(6), flap_damping=DAMPING)).all_up()
    world.health(4, up(changes=(START - 3, START - 2, START)))
    assert world.weights == {6: 1}
    assert world.rules == {4: "damped", 6: "healthy"}
    assert world.decision.wake_at == START + 30
    assert world.wait(30).weights == {4: 1, 6: 1}


def test_panic_does_not_believe_damping_and_still_sees_its_end():
    world = World(service(server(4), server(6), flap_damping=DAMPING, panic_threshold=1.0)).all_up()
    world.health(4, up(changes=(START - 3, START - 2, START)))
    assert world.weights == {4: 1, 6: 1}
    assert world.rules[4] == "panic"
    assert world.decision.wake_at == START + 30


def test_a_drain_is_remembered_with_its_deadline():
    world = draining()
    drains = world.decision.memory.drains
    assert drains == {member(4).server: Drain(since=START, deadline=START + 60)}
