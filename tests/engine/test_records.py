"""What is remembered over a restart, as texts and back."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.engine import records
from ipvs_lb.events import Event, Level
from ipvs_lb.health import Health, Reported, Status
from ipvs_lb.model.checks import HealthCheck, HttpCheck, TcpCheck
from ipvs_lb.model.identity import NO_PORT, AddressKey, Family, Port, ServerKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import AgentMode, Target
from ipvs_lb.model.settings import MAX_WEIGHT
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Member, Removed
from tests.daemon_world import TCP, WEB
from tests.strategies import addresses, ports, servers, service_keys

times = st.floats(0, 2e10)
maybe_times = st.none() | times
texts = st.text(max_size=40)
weights = st.none() | st.integers(0, MAX_WEIGHT)
reported = st.builds(
    Reported,
    weight=weights,
    percent=st.none() | st.integers(0, 100),
    mode=st.sampled_from(AgentMode),
    mode_since=times,
    reason=texts,
)
healths = st.builds(
    Health,
    status=st.sampled_from(Status),
    streak=st.integers(0, 100),
    since=times,
    adopted=st.booleans(),
    changes=st.lists(times, max_size=100).map(tuple),
    reported=reported,
)
overrides = st.builds(
    Override,
    action=st.sampled_from(Action),
    since=times,
    weight=weights,
    expires=maybe_times,
    reason=texts,
    who=texts,
)
removals = st.builds(Removed, server=servers(), since=times, deadline=times)
facts = st.none() | st.booleans() | st.integers() | times | texts
events = st.builds(
    Event,
    number=st.integers(1, 10**12 - 1),
    at=times,
    name=texts,
    level=st.sampled_from(Level),
    facts=st.dictionaries(texts, facts, max_size=5),
)


@st.composite
def members(draw: st.DrawFn) -> Member:
    key = draw(service_keys())
    address = draw(addresses(draw(st.sampled_from(Family))))
    return Member(key, ServerKey(address, draw(ports | st.just(NO_PORT))))


@given(healths)
def test_health_comes_back_as_it_was(health: Health) -> None:
    assert records.health_from(records.health_text(health)) == health


@given(overrides)
def test_an_override_comes_back_as_it_was(override: Override) -> None:
    assert records.override_from(records.override_text(override)) == override


@given(removals)
def test_a_removed_server_comes_back_as_it_was(removed: Removed) -> None:
    assert records.removed_from(records.removed_text(removed)) == removed


@given(events)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    assert records.event_from(records.event_text(event)) == event


@given(members())
def test_the_name_of_a_record_tells_its_member(member: Member) -> None:
    assert records.member_from(records.override_name(member)) == member
    assert records.member_from(records.removed_name(member)) == member


@given(members(), members())
def test_no_two_members_share_a_record(one: Member, other: Member) -> None:
    assert (records.override_name(one) == records.override_name(other)) == (one == other)


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_events_sort_by_name_as_they_do_by_number(one: int, other: int) -> None:
    names = records.event_name_of(one), records.event_name_of(other)
    assert (names[0] < names[1]) == (one < other)


def test_the_name_of_a_probes_record_is_that_of_its_content() -> None:
    target = Target(ip_address("10.0.0.4"), Port(80))
    check = HealthCheck(method=TcpCheck(), interval=5, fast_interval=1, timeout=3, rise=2, fall=3)
    name = records.health_name(Probe(TCP, target))
    assert records.health_name(Probe(check, Target(ip_address("10.0.0.4"), Port(80)))) == name
    others = [
        Probe(TCP, Target(ip_address("10.0.0.6"), Port(80))),
        Probe(TCP, Target(ip_address("10.0.0.4"), Port(81))),
        Probe(TCP, target, WEB),
        Probe(HealthCheck(method=HttpCheck()), target),
    ]
    assert len({name, *map(records.health_name, others)}) == 5


DAMAGE = [
    pytest.param("", id="empty"),
    pytest.param("{", id="cut"),
    pytest.param("[]", id="list"),
    pytest.param("{}", id="nothing-in-it"),
    pytest.param("null", id="null"),
    pytest.param("7", id="number"),
    pytest.param('{"status": "sideways", "action": "dance", "level": "loud"}', id="words"),
    pytest.param('{"status": 1, "reported": 2, "server": 3, "level": 4}', id="kinds"),
    pytest.param("[" * 100, id="deep"),
]


@pytest.mark.parametrize("text", DAMAGE)
@pytest.mark.parametrize(
    "read",
    [records.health_from, records.override_from, records.removed_from, records.event_from],
    ids=lambda read: read.__name__,
)
def test_a_damaged_record_is_named_and_the_others_are_read(read, text) -> None:
    damaged: list[str] = []
    assert list(records.readable({"health/1": text}, read, damaged)) == []
    assert damaged == ["health/1"]


def test_a_record_about_nobody_is_damaged() -> None:
    override = Override(action=Action.DRAIN, since=1.0)
    good = records.override_name(Member(AddressKey(WEB.protocol, WEB.address, WEB.port), _SERVER))
    found = {name: records.override_text(override) for name in (good, "override/web", "override/")}
    damaged: list[str] = []
    assert list(records.readable(found, records.override_from, damaged)) == [(good, override)]
    assert damaged == ["override/", "override/web"]


_SERVER = ServerKey(ip_address("10.0.0.4"), Port(80))
