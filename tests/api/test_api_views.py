"""What is shown of a snapshot."""

import asyncio
import gc
import json
import time
import weakref
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.api.health import MAX_REASONS, reasons
from ipvs_lb.api.long_list import LongList
from ipvs_lb.api.scene import Scene, Shown, only
from ipvs_lb.api.servers import OVERTAKEN, explanations_to_json, servers_to_json
from ipvs_lb.api.states import State, state_of
from ipvs_lb.api.streams import TURN, in_parts, pieces
from ipvs_lb.api.views import overview_to_json, services_to_json
from ipvs_lb.engine.control import ProbeView
from ipvs_lb.errors import KernelError
from ipvs_lb.model.config import Config, HealthPolicy, VipDownWhen
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Member, Rule, Ruling, all_layouts
from tests.fake_control import CONFIG, START, TCP, FakeControl, many, server, service

HTTP_KEY = CONFIG.services[0].keys[0]
FOREIGN_KEY = AddressKey(IPProtocol.UDP, ip_address("10.9.9.9"), Port(53))
FOREIGN = Table(
    {
        FOREIGN_KEY: VirtualService(
            Service(scheduler="rr"), {ServerKey(ip_address("10.9.9.1"), Port(53)): Server(weight=3)}
        )
    }
)


def told(values):
    """As a client sees it: plain values of any type."""
    if isinstance(values, dict):
        return json.loads(json.dumps(values))
    return json.loads(b"".join(pieces(LongList({"all": 0}, "values", values))))["values"]


def scene(control, statistics=None):
    return Scene(snapshot=control.snapshot(), statistics=statistics)


def shown(control, key=HTTP_KEY):
    return {one["name"]: one for one in told(servers_to_json(scene(control), key))}


def seat(control, name, key=HTTP_KEY):
    return next(s.member for s in control.layouts[key].seats if s.server.name == name)


def give(control, name, action, **more):
    control.overrides[seat(control, name)] = Override(action=action, since=control.now, **more)
    control.wait(0)


def ruling(rule, weight):
    member = Member(HTTP_KEY, ServerKey(ip_address("10.0.0.4"), Port(80)))
    return Ruling(member=member, name="a", tier=0, rule=rule, weight=weight, rest=1)


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("weight", [None, 0, 5])
def test_every_ruling_is_in_one_state_and_out_of_the_table_is_never_up(rule, weight):
    state = state_of(ruling(rule, weight))
    assert state is not State.FOREIGN
    if not weight:
        assert state is not State.UP


@pytest.mark.parametrize(
    ("rule", "weight", "state"),
    [
        (Rule.HEALTHY, 1, State.UP),
        (Rule.PANIC, 1, State.UP),
        (Rule.SLOW_START, 1, State.UP),
        (Rule.ZERO_WEIGHT, 0, State.IDLE),
        (Rule.SET_WEIGHT, 0, State.IDLE),
        (Rule.DRAIN, 0, State.DRAINING),
        (Rule.DRAIN, None, State.DRAINED),
        (Rule.REMOVED, 0, State.DRAINING),
        (Rule.STEPPING_BACK, 0, State.DRAINING),
        (Rule.STEPPING_BACK, None, State.STANDBY),
        (Rule.FAILING, 0, State.DOWN),
        (Rule.FORCED_DOWN, None, State.DOWN),
        (Rule.AWAITED, None, State.UNKNOWN),
        (Rule.DISABLED, None, State.DISABLED),
    ],
)
def test_a_state_is_one_word_for_a_rule(rule, weight, state):
    assert state_of(ruling(rule, weight)) is state


def test_a_healthy_server_is_up_without_many_words():
    one = shown(FakeControl().everything_up())["server-2"]
    assert (one["state"], one["health"], one["rule"]) == ("up", "up", "healthy")
    assert (one["weight"], one["full_weight"], one["kernel_weight"]) == (5, 5, 5)
    assert (one["why"], one["last_error"], one["since"]) == ([], None, START)


def test_a_failing_server_is_down_with_its_reason_and_last_error():
    one = shown(FakeControl().everything_up().fail("10.0.0.6"))["server-2"]
    assert (one["state"], one["health"], one["weight"]) == ("down", "down", None)
    assert one["why"] == [
        "http check of 10.0.0.6:80 is down since 0 s: status (500 Internal Server Error)"
    ]
    assert one["last_error"] == {
        "at": START,
        "check": "http check of 10.0.0.6:80",
        "error": "status",
        "detail": "500 Internal Server Error",
    }


def test_an_error_that_was_not_the_last_word_stays_visible():
    control = FakeControl().everything_up().fail("10.0.0.6", times=1)
    control.wait(5)
    one = shown(control.everything_up())["server-2"]
    assert (one["state"], one["last_error"]["at"]) == ("up", START)


@pytest.mark.parametrize(
    ("action", "more", "state", "rule"),
    [
        (Action.DOWN, {}, "down", "forced_down"),
        (Action.UP, {}, "up", "forced_up"),
        (Action.DRAIN, {}, "draining", "drain"),
        (Action.WEIGHT, {"weight": 9}, "up", "set_weight"),
        (Action.WEIGHT, {"weight": 0}, "idle", "set_weight"),
    ],
)
def test_an_order_is_shown_with_who_gave_it(action, more, state, rule):
    control = FakeControl().everything_up()
    control.wait(7)
    give(control, "server-1", action, reason="why not", who="alice", **more)
    one = shown(control)["server-1"]
    assert (one["state"], one["rule"], one["since"]) == (state, rule, START + 7)
    assert one["override"]["who"] == "alice"
    assert "by alice" in one["why"][0]


def test_what_the_kernel_has_is_told_beside_what_is_wanted():
    control = FakeControl().everything_up()
    snapshot = control.snapshot()
    assert snapshot.kernel is not None
    virtual = snapshot.kernel.services[HTTP_KEY]
    other = {key: replace(value, weight=77) for key, value in virtual.servers.items()}
    kernel = Table({HTTP_KEY: replace(virtual, servers=other)})
    drifted = Scene(snapshot=replace(snapshot, kernel=kernel))
    assert {one["kernel_weight"] for one in told(servers_to_json(drifted, HTTP_KEY))} == {77}


def test_without_a_kernel_what_it_has_is_not_known():
    control = FakeControl().everything_up()
    control.broken["kernel"] = KernelError("ip_vs is not loaded")
    assert shown(control)["server-1"]["kernel_weight"] is None
    assert told(overview_to_json(scene(control)))["kernel"]["error"] == "ip_vs is not loaded"


def test_unknown_counters_are_null_and_absent_ones_nothing():
    control = FakeControl().everything_up()
    assert shown(control)["server-1"]["traffic"] is None
    (one, _) = told(servers_to_json(scene(control, {}), HTTP_KEY))
    assert one["active_connections"] == 0


def test_foreign_services_are_shown_as_such():
    control = FakeControl(foreign=FOREIGN).everything_up()
    (foreign,) = [
        one for one in told(services_to_json(scene(control))) if one["owner"] == "foreign"
    ]
    (one,) = foreign["servers"]
    assert (one["state"], one["weight"], one["rule"], one["name"]) == ("foreign", 3, None, None)


def test_services_without_a_server_to_show_are_left_out():
    control = FakeControl(foreign=FOREIGN).everything_up().fail("10.0.0.6")
    down = Shown(states=frozenset({State.DOWN}))
    names = [
        (one["name"], len(one["servers"])) for one in told(services_to_json(scene(control), down))
    ]
    assert names == [("web", 1), ("web", 1)]


def test_a_service_without_servers_is_shown_when_everything_is():
    control = FakeControl(config=Config(services=(service("empty", "10.0.0.9"),)))
    (one,) = told(services_to_json(scene(control)))
    assert (one["name"], one["servers"], one["serves"]) == ("empty", [], False)


def test_an_explanation_has_checks_with_their_last_results():
    control = FakeControl().everything_up().fail("10.0.0.6", times=2)
    everything = Shown(members=frozenset({seat(control, "server-2")}))
    (one,) = told(explanations_to_json(scene(control), everything))
    (check,) = one["checks"]
    assert (check["streak"], check["fall"], check["status"]) == (2, 3, "up")
    assert [result["passed"] for result in check["results"]] == [True, False, False]
    assert one["change"] == [
        "http check of 10.0.0.6:80 is down after 3 failures in a row, 2 so far"
    ]


def test_every_server_can_be_explained():
    control = FakeControl(foreign=FOREIGN)
    every = told(explanations_to_json(scene(control), Shown()))
    assert len(every) == 7
    assert all(one["why"] for one in every)


def reloaded(control, *declared):
    """The moment after a reload: what is declared has changed, what was decided has not."""
    config = Config(services=declared)
    layouts = {layout.key: layout for layout in all_layouts(config)}
    snapshot = control.snapshot()
    services = {k: v for k, v in snapshot.decision.services.items() if k in layouts}
    decision = replace(snapshot.decision, services=services)
    return Scene(snapshot=replace(snapshot, config=config, layouts=layouts, decision=decision))


def test_right_after_a_reload_rulings_and_seats_are_not_mixed_up():
    web = CONFIG.services[0]
    turned = replace(web, servers=(server("new", "10.0.0.9", TCP), web.servers[1]))
    control = FakeControl().everything_up().fail("10.0.0.4").fail("10.0.0.6")
    found = reloaded(control, turned)
    gone, kept = told(servers_to_json(found, HTTP_KEY))
    assert (gone["name"], kept["name"], kept["address"]) == ("server-1", "server-2", "10.0.0.6")
    assert gone["why"] == [OVERTAKEN]
    assert kept["last_error"]["check"] == "http check of 10.0.0.6:80"
    assert told(overview_to_json(found))["health"]["status"] == "failing"
    assert len(told(explanations_to_json(found, Shown()))) == 5


def test_a_vip_whose_service_has_just_gone_is_still_told():
    control = FakeControl(
        config=Config(
            services=(
                replace(CONFIG.services[0], policy=HealthPolicy(vip_down_when=VipDownWhen.ANY)),
            )
        )
    )
    found = reloaded(control, CONFIG.services[1])
    (vip,) = told(overview_to_json(found))["vips"]
    assert vip["why"] == ["10.0.0.16 is withdrawn", "it is being decided anew"]


@pytest.mark.parametrize(
    "rule", [Rule.FORCED_UP, Rule.AGENT_MAINT, Rule.AGENT_DRAIN, Rule.DAMPED, Rule.SET_WEIGHT]
)
def test_a_ruling_whose_cause_has_gone_is_told_to_be_overtaken(rule):
    snapshot = FakeControl().everything_up().snapshot()
    old = snapshot.decision.services[HTTP_KEY]
    rulings = tuple(replace(one, rule=rule) for one in old.rulings)
    services = {HTTP_KEY: replace(old, rulings=rulings)}
    decision = replace(snapshot.decision, services=services)
    found = Scene(snapshot=replace(snapshot, decision=decision))
    assert {one["why"][0] for one in told(servers_to_json(found, HTTP_KEY))} == {OVERTAKEN}


def test_a_gateway_in_order_is_fine():
    assert reasons(FakeControl().everything_up().snapshot()).status == "fine"


def health_policy_control(**policy):
    declared = service(
        "web", "10.0.0.16", *(server(f"s{n}", f"10.0.0.{n}", TCP) for n in (1, 2, 3))
    )
    return FakeControl(
        config=Config(services=(replace(declared, policy=HealthPolicy(**policy)),))
    ).everything_up()


def test_a_server_that_is_down_is_a_degradation():
    found = reasons(health_policy_control().fail("10.0.0.1").snapshot())
    assert found.failing == ()
    assert found.degraded == ("web (tcp/10.0.0.16:80) has 1 of 3 servers down",)


def test_a_service_without_servers_is_a_failure():
    control = health_policy_control()
    for last in (1, 2, 3):
        control.fail(f"10.0.0.{last}")
    assert reasons(control.snapshot()).failing == (
        "web (tcp/10.0.0.16:80) has no server for new connections",
    )


def test_panic_is_a_degradation():
    control = health_policy_control(panic_threshold=0.9).fail("10.0.0.1")
    assert (
        "does not believe its checks: 2 of 3 servers healthy"
        in reasons(control.snapshot()).degraded[0]
    )


def test_a_backup_tier_that_serves_is_a_degradation():
    declared = service(
        "web", "10.0.0.16", server("a", "10.0.0.1", TCP), server("b", "10.0.0.2", TCP, tier=1)
    )
    control = FakeControl(config=Config(services=(declared,))).everything_up().fail("10.0.0.1")
    assert (
        "web (tcp/10.0.0.16:80) is served by its backup tier 1"
        in reasons(control.snapshot()).degraded
    )


def test_a_kernel_that_cannot_be_asked_is_a_failure():
    control = FakeControl().everything_up()
    control.broken["kernel"] = KernelError("ip_vs is not loaded")
    assert reasons(control.snapshot()).failing == (
        "the kernel cannot be asked: ip_vs is not loaded",
    )


def test_a_refused_reload_and_a_table_not_compared_for_long_are_degradations():
    snapshot = FakeControl().everything_up().snapshot()
    stale = replace(snapshot, config_error=("lb.yaml:3: what",), at=START + 1000)
    found = reasons(stale).degraded
    assert found[0] == "the last reload was refused: lb.yaml:3: what"
    assert found[1].startswith("the kernel was last compared with what is wanted 16 m 40 s ago")


def test_reasons_are_bounded():
    control = FakeControl(config=many(MAX_REASONS + 10, 1))
    listed = told(overview_to_json(scene(control)))["health"]["reasons"]
    assert len(listed) == MAX_REASONS + 1
    assert listed[-1] == "and 10 more"


class Asked(dict[Probe, ProbeView]):
    """The views of all probes, which counts whom somebody asked about."""

    def __init__(self, views):
        super().__init__(views)
        self.probes = set()

    def get(self, probe, default=None):
        self.probes.add(probe)
        return super().get(probe, default)

    def __iter__(self):
        raise AssertionError("all probes were gone through")

    values = items = keys = __iter__


def test_explaining_one_server_asks_only_about_its_own_probes():
    control = FakeControl(config=many(5, 5)).everything_up().fail("10.2.3.2")
    views = Asked(control.snapshot().probes)
    found = Scene(snapshot=replace(control.snapshot(), probes=views))
    (one,) = [
        s.member
        for lo in control.layouts.values()
        for s in lo.seats
        if s.server.name == "server-3-1"
    ]
    (said,) = told(explanations_to_json(found, only([one])))
    assert said["state"] == "out"
    assert {str(probe.target.address) for probe in views.probes} == {"10.2.3.2"}


def test_what_is_left_out_of_an_answer_gives_the_loop_a_chance_all_the_same():
    items = [None, {"a": 1}, None, LongList({"b": 2}, "c", [None, {"d": 3}]), {"e": 4}]
    made = list(pieces(LongList({"all": 0}, "items", items)))
    assert made.count(b"") >= 3
    assert json.loads(b"".join(made)) == {
        "all": 0,
        "items": [{"a": 1}, {"b": 2, "c": [{"d": 3}]}, {"e": 4}],
    }


def test_every_item_of_an_answer_is_a_line_of_its_own():
    items = [None, {"a": "\n"}, LongList({"b": 2}, "c", [{"d": 3}, {"e": 4}])]
    made = b"".join(pieces(LongList({"all": 0}, "items", items)))
    _, *lines, _ = made.splitlines()
    assert [json.loads(line.rstrip(b",")) for line in lines] == [
        {"a": "\n"},
        {"b": 2, "c": [{"d": 3}, {"e": 4}]},
    ]


@pytest.mark.real_time
async def test_an_answer_that_takes_long_to_make_lets_others_in():
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def slowly():
        for _ in range(5):
            time.sleep(2 * TURN)
            yield b""

    running = asyncio.get_running_loop().create_task(other())
    assert [part async for part in in_parts(slowly())] == [b""]
    running.cancel()
    assert turns >= 5


def test_a_scene_that_was_looked_at_takes_no_memory_once_nobody_has_it():
    looked_at = scene(FakeControl().everything_up(), statistics={})
    told(services_to_json(looked_at))
    assert [*looked_at.inputs.health, *looked_at.inputs.connections, *looked_at.results]
    assert looked_at.listings
    gone = weakref.ref(looked_at)
    gc.disable()  # which would find what refers to itself, some time
    try:
        del looked_at
        assert gone() is None
    finally:
        gc.enable()
