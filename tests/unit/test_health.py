"""The state machine of one probe."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.health import HISTORY, NEW, Health, Reported, Status, clamped
from ipvs_lb.model.checks import HealthCheck, TcpCheck
from ipvs_lb.model.results import AgentMode, AgentReport, ErrorClass, Result

CHECK = HealthCheck(method=TcpCheck(), rise=2, fall=3, interval=5.0, fast_interval=1.0)
PASS, FAIL = Result(), Result(error=ErrorClass.TIMEOUT)
RESULTS = {
    "+": PASS,
    "-": FAIL,
    "L": Result(error=ErrorClass.LOCAL),
    "C": Result(error=ErrorClass.CHECK),
    "u": Result(agent=AgentReport(up=True)),
    "d": Result(error=ErrorClass.AGENT_DOWN, agent=AgentReport(up=False)),
}
LETTERS = {Status.UNKNOWN: "?", Status.UP: "U", Status.DOWN: "D"}
UP, DOWN = Health(status=Status.UP), Health(status=Status.DOWN)


def run(results, health=NEW, check=CHECK):
    states = []
    for now, letter in enumerate(results):
        health = health.after(RESULTS[letter], check, float(now))
        states.append(health)
    return states


def letters(results, health=NEW, check=CHECK):
    return "".join(LETTERS[state.status] for state in run(results, health, check))


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param("+", "U", id="first-success-decides"),
        pytest.param("-", "D", id="first-failure-decides"),
        pytest.param("+--+---", "UUUUUUD", id="fall-in-a-row"),
        pytest.param("-+-++", "DDDDU", id="rise-in-a-row"),
        pytest.param("+---++", "UUUDDU", id="there-and-back"),
        pytest.param("+--L-", "UUUUD", id="our-own-failure-neither-counts-nor-breaks-a-row"),
        pytest.param("CL+", "??U", id="a-failure-that-is-not-the-servers-is-no-first-result"),
        pytest.param("+d", "UD", id="an-agent-says-down-at-once"),
        pytest.param("-u", "DU", id="an-agent-says-up-at-once"),
    ],
)
def test_results_decide(results, expected):
    assert letters(results) == expected


def test_rise_and_fall_of_one_follow_every_result():
    assert letters("+-+-", check=replace(CHECK, rise=1, fall=1)) == "UDUD"


def test_a_status_knows_since_when_it_is():
    assert [state.since for state in run("+---")] == [0.0, 0.0, 0.0, 3.0]


def test_the_streak_counts_what_contradicts():
    assert [state.streak for state in run("+--+-")] == [0, 1, 2, 0, 1]


def test_nothing_new_is_the_same_object():
    assert UP.after(PASS, CHECK, 9.0) is UP
    assert DOWN.after(FAIL, CHECK, 9.0) is DOWN


def test_an_adopted_server_is_up_until_fall_results_of_its_own():
    adopted = NEW.adopt(5.0)
    assert (adopted.status, adopted.adopted, adopted.since) == (Status.UP, True, 5.0)
    assert letters("---", adopted) == "UUD"
    assert [state.adopted for state in run("--+", adopted)] == [True, True, False]
    assert not run("---", adopted)[-1].adopted


def test_adopting_keeps_what_is_remembered():
    assert UP.adopt(5.0) is UP
    remembered = replace(DOWN, changes=(1.0, 2.0), streak=1)
    assert remembered.adopt(5.0) == Health(
        status=Status.UP, since=5.0, adopted=True, changes=(1.0, 2.0)
    )


def test_changes_are_remembered_but_not_the_first_result():
    assert run("+---++")[-1].changes == (3.0, 5.0)


def test_the_memory_of_changes_is_bounded():
    flapping = run("+" + "-+" * HISTORY, check=replace(CHECK, rise=1, fall=1))[-1]
    assert len(flapping.changes) == HISTORY
    assert flapping.changes[-1] == 2.0 * HISTORY


@pytest.mark.parametrize(
    ("health", "seconds"),
    [
        pytest.param(NEW, 1.0, id="unknown"),
        pytest.param(UP, 5.0, id="settled"),
        pytest.param(replace(UP, streak=1), 1.0, id="may-go-down"),
        pytest.param(replace(DOWN, streak=1), 1.0, id="may-come-up"),
    ],
)
def test_the_pause_is_short_while_the_status_may_change(health, seconds):
    assert health.pause(CHECK) == seconds


def test_the_fast_pause_is_never_the_longer_one():
    assert NEW.pause(replace(CHECK, interval=0.5)) == 0.5


def report(up=None, mode=None, percent=None, reason=""):
    return Result(agent=AgentReport(up=up, mode=mode, percent=percent, reason=reason))


def test_what_was_reported_stays_until_something_else_is():
    health = UP.after(Result(weight=7), CHECK, 1.0)
    assert health.reported == Reported(weight=7)
    health = health.after(PASS, CHECK, 2.0).after(FAIL, CHECK, 3.0)
    assert health.reported.weight == 7


def test_a_reported_weight_is_clamped():
    assert UP.after(Result(weight=10**6), CHECK, 1.0).reported.weight == 65535
    assert clamped(-1) == 0


def test_an_agents_words_are_kept_one_by_one():
    health = UP.after(report(percent=50), CHECK, 1.0)
    health = health.after(report(mode=AgentMode.DRAIN, reason="upgrade"), CHECK, 2.0)
    health = health.after(report(mode=AgentMode.DRAIN, reason="upgrade"), CHECK, 3.0)
    assert health.reported == Reported(
        percent=50, mode=AgentMode.DRAIN, mode_since=2.0, reason="upgrade"
    )
    health = health.after(report(mode=AgentMode.READY), CHECK, 4.0)
    assert health.reported == Reported(percent=50, mode_since=4.0)


def test_the_same_report_again_is_the_same_object():
    health = UP.after(report(percent=50), CHECK, 1.0)
    assert health.after(report(percent=50), CHECK, 2.0) is health


@given(st.text(alphabet="+-L", max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_a_status_only_changes_after_enough_results_in_a_row(results, rise, fall):
    states = run(results, check=replace(CHECK, rise=rise, fall=fall))
    for number in range(1, len(states)):
        before, after = states[number - 1].status, states[number].status
        if before in {Status.UNKNOWN, after}:
            continue
        judging = results[: number + 1].replace("L", "")
        assert judging.endswith("+" * rise if after is Status.UP else "-" * fall)
