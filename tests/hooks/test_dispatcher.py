"""Which hook is told what, when, and in how many calls; on virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.events import Level
from ipvs_lb.hooks.calls import Outcome
from ipvs_lb.hooks.dispatcher import MAX_CALLS, MAX_CALLS_OF_HOOK, MAX_WAITING, Dispatcher
from ipvs_lb.model.hooks import Exec, Webhook
from ipvs_lb.simulation.clock import VirtualTimeLoop
from tests.hooks.world import (
    AGAIN,
    DELIVERED,
    MAIL,
    REFUSED,
    WEB,
    Receiver,
    World,
    event,
    hook,
)


async def test_what_happens_to_a_service_within_the_window_goes_in_one_call():
    world = World(hook(window=1.0))
    world.tell(event(1))
    await asyncio.sleep(0.9)
    assert world.receiver.numbers() == []
    world.tell(event(2, "server.up"))
    await asyncio.sleep(0.2)
    assert world.receiver.numbers() == [[1, 2]]
    (told,) = world.receiver.got
    assert (told.hook, told.gateway, told.service, told.service_name) == ("pager", "gw", WEB, "web")


async def test_without_a_window_an_event_is_told_at_once():
    world = World(hook(window=0.0))
    world.tell(event(1))
    await asyncio.sleep(0.01)
    assert world.receiver.numbers() == [[1]]
    assert world.receiver.times() == [0.0]


async def test_what_comes_while_a_call_runs_goes_together_in_the_next():
    world = World(hook(window=1.0), receiver=Receiver(seconds=10))
    world.tell(event(1))
    await asyncio.sleep(2)
    world.tell(event(2), event(3))
    await asyncio.sleep(5)
    world.tell(event(4))
    await asyncio.sleep(30)
    assert world.receiver.numbers() == [[1], [2, 3, 4]]
    assert world.receiver.times() == [1.0, 12.0]


async def test_services_and_what_is_about_none_have_calls_of_their_own():
    world = World(hook())
    world.tell(event(1), event(2, service=MAIL), event(3, "config.loaded", None), event(4))
    await asyncio.sleep(2)
    told = {call.service_name: [e.number for e in call.events] for call in world.receiver.got}
    assert told == {"web": [1, 4], "mail": [2], None: [3]}


async def test_a_service_without_a_name_is_told_by_its_address():
    world = World(hook())
    world.tell(event(1, service="tcp/10.9.9.9:1"), event(2, service="what?"))
    await asyncio.sleep(2)
    told = [(call.service, call.service_name) for call in world.receiver.got]
    assert told == [("tcp/10.9.9.9:1", None), ("what?", None)]


async def test_hooks_get_the_events_services_and_levels_they_ask_for():
    world = World(
        hook("down", events=["server.down"]),
        hook("mail", services=frozenset({"mail"})),
        hook("loud", level=Level.ERROR),
    )
    world.tell(
        event(1),
        event(2, service=MAIL),
        event(3, "server.up", level=Level.INFO),
        event(4, "service.unserved", level=Level.ERROR),
        event(5, "kernel.failed", None, Level.ERROR),
    )
    await asyncio.sleep(2)
    told: dict[str, set[int]] = {}
    for call in world.receiver.got:
        told.setdefault(call.hook, set()).update(e.number for e in call.events)
    assert told == {"down": {1, 2}, "mail": {2}, "loud": {4, 5}}


async def test_a_failure_of_a_hook_is_told_to_no_hook():
    world = World(hook())
    world.tell(event(1, "hook.failed"))
    await asyncio.sleep(60)
    assert world.receiver.attempts == []


async def test_of_too_many_events_the_oldest_are_dropped_and_counted():
    world = World(hook())
    world.tell(*map(event, range(1, MAX_WAITING + 4)))
    await asyncio.sleep(2)
    world.tell(event(999))
    await asyncio.sleep(2)
    assert world.receiver.numbers() == [list(range(4, MAX_WAITING + 4)), [999]]
    assert [call.dropped for call in world.receiver.got] == [3, 0]
    assert [*world.dropped.values()] == [3]


async def test_a_failed_attempt_is_made_again_with_the_same_content_until_it_succeeds():
    world = World(hook(), receiver=Receiver(AGAIN, AGAIN, DELIVERED))
    world.tell(event(1))
    await asyncio.sleep(1.5)
    world.tell(event(2))
    await asyncio.sleep(20)
    assert world.receiver.times() == [1.0, 2.0, 4.0, 5.0]
    first, second, third, fourth = (call for _, _, call in world.receiver.attempts)
    assert first == second == third
    assert first.delivery != fourth.delivery
    assert world.receiver.numbers() == [[1], [2]]
    assert world.told == []


async def test_a_receiver_that_asks_for_more_time_gets_it():
    world = World(hook(), receiver=Receiver(replace(AGAIN, wait=30.0), DELIVERED))
    world.tell(event(1))
    await asyncio.sleep(60)
    assert world.receiver.times() == [1.0, 31.0]


@pytest.mark.parametrize(
    ("action", "outcome", "attempts"),
    [
        pytest.param(Webhook(url="http://x/", attempts=3), AGAIN, 3, id="as-often-as-configured"),
        pytest.param(Webhook(url="http://x/", attempts=1), AGAIN, 1, id="once"),
        pytest.param(Webhook(url="http://x/", attempts=3), REFUSED, 1, id="no-use"),
        pytest.param(Exec(command=("/bin/false",)), AGAIN, 1, id="programs-run-once"),
    ],
)
async def test_a_call_is_given_up_and_that_is_an_event(action, outcome, attempts):
    world = World(hook(action=action), receiver=Receiver(outcome))
    world.tell(event(1), event(2))
    await asyncio.sleep(30)
    assert len(world.receiver.attempts) == attempts
    assert world.told == [
        {
            "hook": "pager",
            "service": WEB,
            "reason": outcome.reason,
            "attempts": attempts,
            "events": 2,
            "calls": 1,
        }
    ]
    world.receiver.outcomes = [DELIVERED]
    world.tell(event(3))
    await asyncio.sleep(5)
    assert world.receiver.numbers() == [[3]]


async def test_a_dead_receiver_does_not_fill_the_event_list():
    world = World(hook(window=0.0), receiver=Receiver(REFUSED))
    for number in range(100):
        world.tell(event(number, service=f"tcp/10.0.1.{number}:80"))
    await asyncio.sleep(9)
    assert [told["calls"] for told in world.told] == [1]
    await asyncio.sleep(60)
    assert [told["calls"] for told in world.told] == [1, 99]
    world.tell(event(1))
    await asyncio.sleep(1)
    assert [told["calls"] for told in world.told] == [1, 99, 1]


@pytest.mark.parametrize(("hooks", "at_once"), [(1, MAX_CALLS_OF_HOOK), (8, MAX_CALLS)])
async def test_calls_at_once_are_bounded_for_each_hook_and_in_all(hooks, at_once):
    receiver = Receiver(seconds=10)
    world = World(*(hook(f"hook-{n}", window=0.0) for n in range(hooks)), receiver=receiver)
    world.tell(*(event(n, service=f"tcp/10.0.1.{n}:80") for n in range(20)))
    await asyncio.sleep(1)
    assert len(receiver.attempts) == at_once
    await asyncio.sleep(600)
    assert len(receiver.got) == 20 * hooks
    assert receiver.most == at_once


async def test_a_hanging_receiver_does_not_hold_up_the_others():
    world = World(hook("stuck", services=frozenset({"web"})), hook("other"))
    world.receiver.seconds = 1000
    world.tell(event(1))
    await asyncio.sleep(2)
    world.receiver.seconds = 0
    world.tell(event(2, service=MAIL))
    await asyncio.sleep(2)
    assert [(call.hook, call.service_name) for call in world.receiver.got] == [("other", "mail")]


async def test_what_is_told_before_the_hooks_are_known_waits_for_them():
    receiver = Receiver()
    dispatcher = Dispatcher(gateway="gw", tell=lambda *_: None, dropped={}, send=receiver)
    dispatcher.told(event(1, "daemon.started", None))
    await asyncio.sleep(5)
    dispatcher.configure([hook()], lambda _: None)
    await asyncio.sleep(2)
    assert receiver.numbers() == [[1]]


# reload


async def test_pending_calls_of_an_unchanged_hook_survive_a_reload():
    world = World(hook(), hook("gone"), receiver=Receiver(AGAIN, AGAIN, DELIVERED))
    world.tell(event(1))
    await asyncio.sleep(0.5)
    world.configure(hook(), hook("new"))
    await asyncio.sleep(30)
    told = {call.hook: [e.number for e in call.events] for call in world.receiver.got}
    assert told == {"pager": [1]}
    world.tell(event(2))
    await asyncio.sleep(5)
    assert {call.hook for call in world.receiver.got} == {"pager", "new"}


async def test_a_hook_that_is_gone_is_not_called_any_more_even_in_the_middle():
    world = World(hook(), receiver=Receiver(seconds=60))
    world.tell(event(1))
    await asyncio.sleep(2)
    assert len(world.receiver.attempts) == 1
    world.tell(event(2))
    world.configure()
    await asyncio.sleep(0)
    assert not any(world.receiver.busy.values())
    await asyncio.sleep(200)
    assert len(world.receiver.attempts) == 1
    assert world.told == []


async def test_a_hook_of_the_same_name_again_begins_anew():
    world = World(hook(), receiver=Receiver(seconds=60))
    world.tell(event(1))
    await asyncio.sleep(2)
    world.configure()
    world.configure(hook())
    world.tell(event(2))
    await asyncio.sleep(200)
    assert world.receiver.numbers() == [[2]]


async def test_a_repaired_hook_is_called_at_once_with_what_waits():
    wrong, right = Webhook(url="http://wrong/"), Webhook(url="http://right/")
    slow = replace(AGAIN, wait=300.0)
    world = World(hook(action=wrong), receiver=Receiver(slow, DELIVERED))
    world.tell(event(1))
    await asyncio.sleep(10)
    world.configure(hook(action=right, window=5.0))
    await asyncio.sleep(0.1)
    assert [action for _, action, _ in world.receiver.attempts] == [wrong, right]
    assert world.receiver.numbers() == [[1]]


async def test_a_new_selection_holds_for_new_events():
    world = World(hook())
    world.tell(event(1))
    world.configure(hook(events=["server.up"]))
    world.tell(event(2), event(3, "server.up"))
    await asyncio.sleep(5)
    assert world.receiver.numbers() == [[1, 3]]


# the end


async def test_at_the_end_what_waits_is_told_at_once():
    world = World(hook(window=600.0))
    world.tell(event(1), event(2, service=MAIL))
    await world.dispatcher.close(1.0)
    assert asyncio.get_running_loop().time() == 0
    assert sorted(world.receiver.numbers()) == [[1], [2]]
    assert world.told == []


async def test_at_the_end_a_call_that_waits_for_its_next_attempt_gets_it_now_and_no_more():
    world = World(hook(), receiver=Receiver(replace(AGAIN, wait=200.0)))
    world.tell(event(1))
    await asyncio.sleep(2)
    await world.dispatcher.close(1.0)
    assert world.receiver.times() == [1.0, 2.0]
    assert [told["reason"] for told in world.told] == ["status 503"]


async def test_the_end_waits_for_a_hanging_receiver_no_longer_than_its_grace():
    world = World(hook(), receiver=Receiver(seconds=1000))
    world.tell(event(1), event(2))
    await asyncio.sleep(2)
    world.tell(event(3))
    await world.dispatcher.close(1.0)
    assert asyncio.get_running_loop().time() == 3
    assert not any(world.receiver.busy.values())
    (told,) = world.told
    assert (told["reason"], told["events"]) == ("the daemon ended before the call was over", 3)


async def test_after_the_end_nothing_is_told():
    world = World(hook())
    await world.dispatcher.close(1.0)
    world.tell(event(1))
    await asyncio.sleep(5)
    assert world.receiver.attempts == []


async def test_failures_that_were_not_told_yet_are_told_at_the_end():
    world = World(hook(window=0.0), receiver=Receiver(REFUSED))
    world.tell(event(1), event(2, service=MAIL), event(3, service="tcp/10.0.0.18:1"))
    await asyncio.sleep(1)
    await world.dispatcher.close(1.0)
    assert [told["calls"] for told in world.told] == [1, 2]


async def test_a_bug_in_a_call_ends_that_call_only_and_does_not_show_what_it_holds():
    class Bug(Receiver):
        async def __call__(self, action, call):
            if call.service == WEB:
                raise KeyError("s3cret")
            return await super().__call__(action, call)

    world = World(hook(), receiver=Bug())
    world.tell(event(1), event(2, service=MAIL))
    await asyncio.sleep(2)
    assert world.receiver.numbers() == [[2]]
    (told,) = world.told
    assert str(told["reason"]).startswith("a bug: KeyError (")
    assert "s3cret" not in str(told)
    world.tell(event(3, service=MAIL))
    await asyncio.sleep(2)
    assert world.receiver.numbers() == [[2], [3]]


# laws

outcomes = st.lists(st.sampled_from([DELIVERED, AGAIN, REFUSED, Outcome(reason="x", again=True)]))
steps = st.lists(
    st.tuples(st.sampled_from([WEB, MAIL, None]), st.floats(0, 3), st.booleans()), max_size=40
)


@given(steps, outcomes, st.floats(0, 4), st.floats(0, 2))
def test_every_event_is_attempted_once_in_the_order_of_its_service(plan, answers, seconds, window):
    async def play():
        settings = {"window": window}
        world = World(hook(**settings), receiver=Receiver(*answers, DELIVERED, seconds=seconds))
        sent: dict[str | None, list[int]] = {}
        for number, (service, pause, reload) in enumerate(plan, 1):
            world.tell(event(number, service=service))
            sent.setdefault(service, []).append(number)
            await asyncio.sleep(pause)
            if reload:
                world.configure(hook(**settings))
        await asyncio.sleep(10_000)
        return sent, world.receiver.attempts

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        sent, attempts = runner.run(play())
    tried: dict[str | None, dict[str, list[int]]] = {}
    for _, _, call in attempts:
        tried.setdefault(call.service, {})[call.delivery] = [e.number for e in call.events]
    got = {key: [n for numbers in calls.values() for n in numbers] for key, calls in tried.items()}
    assert got == sent
