"""What holds for the policy whatever is declared and whatever happens."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ipvs_lb.health import NEW, Health, Reported, Status
from ipvs_lb.model.checks import HealthCheck, PingCheck
from ipvs_lb.model.config import (
    Config,
    FlapDamping,
    OnDown,
    Quorum,
    QuorumAction,
    SlowStart,
    VipDownWhen,
)
from ipvs_lb.model.identity import Port
from ipvs_lb.model.results import AgentMode
from ipvs_lb.model.settings import Server
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import (
    Inputs,
    Removed,
    all_layouts,
    decide,
    decide_service,
    effective,
    merge,
)
from tests.unit.policy_world import (
    FAIL,
    HTTP,
    HTTPS,
    PASS,
    START,
    TCP,
    down,
    member,
    server,
    service,
    up,
)

ALTERNATE = replace(HTTP, port=Port(8080))
LAW = settings(deadline=None, max_examples=25)
PING = HealthCheck(method=PingCheck())
CHECKS = st.sampled_from([(), (TCP,), (TCP, PING)])
maybe = st.none
ahead = st.floats(0.1, 500.0).map(lambda after: START + after)
past = st.floats(0.0, 500.0).map(lambda before: START - before)

servers = st.lists(
    st.builds(
        server,
        last=st.integers(1, 30),
        checks=CHECKS,
        weight=st.integers(0, 5) | st.integers(0, 65535),
        tier=st.integers(0, 2),
        disabled=st.sampled_from([False, False, False, True]),
    ),
    unique_by=lambda one: one.name,
    max_size=4,
)
policies = st.fixed_dictionaries(
    {
        "on_down": st.sampled_from(OnDown),
        "required": maybe() | st.integers(1, 3),
        "panic_threshold": st.sampled_from([0.0, 0.0, 0.5, 1.0]),
        "quorum": maybe()
        | st.builds(
            Quorum,
            servers=st.integers(1, 4),
            hysteresis=st.integers(0, 2),
            action=st.sampled_from(QuorumAction),
        ),
        "slow_start": maybe()
        | st.builds(SlowStart, duration=st.floats(0.5, 300.0), steps=st.integers(1, 20)),
        "flap_damping": maybe()
        | st.just(FlapDamping(changes=2, window=100.0, hold=50.0, max_hold=300.0)),
        "drain_timeout": st.floats(0.5, 300.0),
        "vip_down_when": st.sampled_from(VipDownWhen),
    }
)
reports = st.builds(
    Reported,
    weight=maybe() | st.integers(0, 65535),
    percent=maybe() | st.integers(0, 1000),
    mode=st.sampled_from([AgentMode.READY, AgentMode.READY, AgentMode.DRAIN, AgentMode.MAINT]),
    mode_since=past,
)
healths = st.builds(
    Health,
    status=st.sampled_from(Status),
    streak=st.integers(0, 2),
    since=past,
    changes=st.lists(past, max_size=5).map(lambda times: tuple(sorted(times))),
    reported=st.just(Reported()) | reports,
)
orders = st.builds(
    Override,
    action=st.sampled_from(Action),
    weight=st.just(None),
    since=past,
    expires=maybe() | ahead | past,
).map(lambda one: replace(one, weight=7) if one.action is Action.WEIGHT else one)
records = st.builds(
    Removed, server=st.builds(Server, weight=st.integers(0, 9)), since=past, deadline=ahead | past
)


@st.composite
def configs(draw):
    first = service(*draw(servers), keys=(HTTP, HTTPS), **draw(policies))
    other = service(*draw(servers), name="other", keys=(ALTERNATE,), **draw(policies))
    return Config(services=(first, other))


@st.composite
def states(draw, config):
    """Inputs as they may be at any time, with the memory of a decision made from other ones."""
    laid_out = list(all_layouts(config))
    seats = [seat for layout in laid_out for seat in layout.seats]
    probes = [probe for seat in seats for probe in seat.probes]
    some = [seat.member for seat in seats]

    def mapping(keys, values):
        return st.dictionaries(st.sampled_from(keys), values) if keys else st.just({})

    def inputs(now, memory):
        gone = {
            member(last).server: draw(records)
            for last in draw(st.sets(st.integers(1, 40), max_size=2))
        }
        return Inputs(
            now=now,
            health={probe: draw(healths) for probe in probes if draw(st.booleans())},
            overrides=draw(mapping(some, orders)),
            removed={HTTP: gone},
            connections=draw(mapping(some, st.integers(0, 3))),
            memory=memory,
        )

    before = decide(config, inputs(START - draw(st.floats(0.0, 100.0)), {})).memory
    return inputs(START, draw(st.sampled_from([{}, before])))


@st.composite
def situations(draw):
    config = draw(configs())
    return config, draw(states(config))


@LAW
@given(situations())
def test_weights_are_ones_the_kernel_takes(situation):
    for virtual in decide(*situation).table.services.values():
        assert all(0 <= one.weight <= 65535 for one in virtual.servers.values())


@LAW
@given(situations())
def test_only_one_tier_serves(situation):
    for one in decide(*situation).services.values():
        assert {ruling.tier for ruling in one.rulings if ruling.weight} <= {one.tier}


@LAW
@given(situations())
def test_no_server_is_both_in_and_drained(situation):
    for one in decide(*situation).services.values():
        assert len({ruling.member for ruling in one.rulings}) == len(one.rulings)
        drained = {key for key, drain in one.memory.drains.items() if not drain.ended}
        weights = {key: settings.weight for key, settings in one.virtual.servers.items()}
        assert all(weights[key] == 0 for key in drained)
        assert not drained & one.memory.serving.keys()


@LAW
@given(situations())
def test_what_is_told_is_what_is_in_the_table(situation):
    for one in decide(*situation).services.values():
        told = {r.member.server: r.weight for r in one.rulings if r.weight is not None}
        assert {key: settings.weight for key, settings in one.virtual.servers.items()} == told
        assert one.memory.present == told.keys()
        assert one.serves == any(told.values())


@LAW
@given(situations())
def test_nobody_disabled_or_told_to_stay_out_has_weight(situation):
    config, inputs = situation
    decision = decide(config, inputs)
    for layout in all_layouts(config):
        table = decision.table.services[layout.key].servers
        for seat in layout.seats:
            order = inputs.overrides.get(seat.member)
            out = (
                order is not None and order.is_in_force(START) and order.action in {"down", "drain"}
            )
            if seat.server.disabled or out:
                assert table.get(seat.member.server, Server(weight=0)).weight == 0


@LAW
@given(situations())
def test_deciding_again_changes_nothing(situation):
    config, inputs = situation
    first = decide(config, inputs)
    assert decide(config, replace(inputs, memory=first.memory)) == first


@LAW
@given(situations(), st.floats(0.0, 1.0, exclude_max=True))
def test_nothing_changes_by_itself_before_it_was_said_to(situation, part):
    config, inputs = situation
    first = decide(config, inputs)
    if first.wake_at is not None:
        assert first.wake_at > inputs.now
    until = inputs.now + 1e6 if first.wake_at is None else first.wake_at
    later = min(inputs.now + part * (until - inputs.now), until - 1e-6)
    if later > inputs.now:
        assert decide(config, replace(inputs, now=later, memory=first.memory)) == first


@LAW
@given(situations())
def test_sleeping_from_one_wake_to_the_next_comes_to_rest(situation):
    config, inputs = situation
    for _ in range(500):
        decision = decide(config, inputs)
        if decision.wake_at is None:
            return
        inputs = replace(inputs, now=decision.wake_at, memory=decision.memory)
    raise AssertionError("it goes on for ever")


@LAW
@given(situations(), st.randoms(use_true_random=False))
def test_the_whole_is_its_parts_in_any_order(situation, chance: random.Random):
    config, inputs = situation
    laid_out = tuple(all_layouts(config))
    parts = [decide_service(layout, inputs) for layout in laid_out]
    chance.shuffle(parts)
    assert merge(config, laid_out, parts) == decide(config, inputs)


@LAW
@given(configs())
def test_the_effective_table_is_the_decision_when_all_is_well(config):
    health = {p: up() for layout in all_layouts(config) for s in layout.seats for p in s.probes}
    assert decide(config, Inputs(now=START, health=health)).table == effective(config)


@LAW
@given(configs(), st.data())
def test_the_effective_table_is_the_decision_when_some_fail(config, data):
    seats = [seat for layout in all_layouts(config) for seat in layout.seats if seat.probes]
    probes = sorted({probe for seat in seats for probe in seat.probes}, key=str)
    bad = data.draw(st.sets(st.sampled_from(probes))) if probes else set()
    config = replace(
        config,
        services=tuple(
            replace(one, policy=replace(one.policy, required=None)) for one in config.services
        ),
    )
    failing = {seat.member for seat in seats if bad & set(seat.probes)}
    health = {probe: down() if probe in bad else up() for probe in probes}
    assert decide(config, Inputs(now=START, health=health)).table == effective(config, failing)


calm = policies.map(
    lambda policy: {
        **policy,
        "quorum": policy["quorum"] and replace(policy["quorum"], hysteresis=0),
    }
)


@LAW
@given(servers, calm, st.data(), st.randoms(use_true_random=False))
def test_no_order_of_events_changes_the_final_table(declared, policy, data, chance: random.Random):
    """The results of one probe keep their order; those of several come in any. Time then goes by."""
    config = Config(services=(service(*declared, keys=(HTTP, HTTPS), **policy),))
    probes = list(
        {p: None for layout in all_layouts(config) for s in layout.seats for p in s.probes}
    )
    courses = {
        probe: data.draw(st.lists(st.sampled_from([PASS, FAIL]), min_size=1, max_size=6))
        for probe in probes
    }
    events = [probe for probe, results in courses.items() for _ in results]
    straight = final_table(config, courses, events)
    chance.shuffle(events)
    assert final_table(config, courses, events) == straight


def final_table(config, courses, events):
    left = {probe: iter(results) for probe, results in courses.items()}
    inputs = Inputs(now=START)
    for probe in events:
        before = inputs.health.get(probe, NEW)
        after = before.after(next(left[probe]), probe.check, inputs.now)
        inputs = replace(inputs, health={**inputs.health, probe: after})
        inputs = replace(inputs, memory=decide(config, inputs).memory)
    return decide(config, replace(inputs, now=START + 1e6)).table
