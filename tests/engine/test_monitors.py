"""When probes run and what is made of their results, on virtual time."""

import asyncio
import itertools
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest

from ipvs_lb.engine.monitors import Monitors
from ipvs_lb.health import Health, Status
from ipvs_lb.model.checks import HealthCheck, TcpCheck
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result, Target
from tests.fake_prober import FAIL, PASS, FakeProber

EPOCH = 1_800_000_000.0
CHECK = HealthCheck(method=TcpCheck(), interval=5.0, fast_interval=1.0, timeout=3.0, rise=2, fall=3)


def probe(number=1, **settings):
    address = ip_address("10.0.0.0") + number
    return Probe(replace(CHECK, **settings), Target(address, Port(80)))


def sleep_through(seconds):
    """What a stopped process does: its clock goes on and it does not."""
    loop: Any = asyncio.get_running_loop()
    loop.now += seconds


class World:
    """Monitors on a fake prober, with every call of `changed` noted."""

    def __init__(self, *, takes=0.0, **settings):
        loop = asyncio.get_running_loop()
        self.prober = FakeProber(takes=takes)
        self.changed: list[Probe] = []
        settings.setdefault("random", lambda: 0.0)
        self.monitors = Monitors(
            self.prober, self.changed.append, clock=lambda: EPOCH + loop.time(), **settings
        )

    def keep(self, *probes):
        self.monitors.keep(dict.fromkeys(probes, 1))

    def starts(self, of):
        return self.prober.starts.get(of, [])


@asynccontextmanager
async def running(**settings):
    world = World(**settings)
    task = asyncio.create_task(world.monitors.run(), name="monitors")
    await asyncio.sleep(0)
    try:
        yield world
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_probe_starts_at_once_and_then_every_interval():
    async with running(takes=0.2) as world:
        world.keep(probe())
        await asyncio.sleep(21)
    assert world.starts(probe()) == pytest.approx([0, 5, 10, 15, 20])


async def test_lateness_does_not_add_up():
    async with running() as world:
        world.keep(probe())
        for _ in range(2000):
            await asyncio.sleep(0.499)
    assert world.starts(probe()) == pytest.approx([5 * n for n in range(200)], abs=1e-6)


async def test_new_probes_are_spread_over_the_first_second():
    shares = itertools.cycle(n / 100 for n in range(100))
    async with running(random=lambda: next(shares)) as world:
        world.keep(*(probe(n) for n in range(100)))
        await asyncio.sleep(1)
    first = sorted(world.starts(probe(n))[0] for n in range(100))
    assert first == pytest.approx([n / 100 for n in range(100)], abs=0.101)


async def test_new_probes_are_spread_over_a_short_interval():
    async with running(random=lambda: 0.5) as world:
        world.keep(probe(interval=0.4, fast_interval=0.4))
        await asyncio.sleep(0.3)
    assert world.starts(probe(interval=0.4, fast_interval=0.4))[0] == pytest.approx(0.2)


async def test_from_the_second_start_on_probes_are_spread_over_the_whole_interval():
    async with running(random=Random(7).random) as world:
        probes = [probe(n) for n in range(1000)]
        world.keep(*probes)
        await asyncio.sleep(30)
    seconds = [0] * 5
    for one in probes:
        seconds[int(world.starts(one)[-1] % 5)] += 1
    assert min(seconds) > 140


async def test_nobody_waits_longer_than_an_interval_for_the_second_start():
    for share in (0.0, 0.3, 0.999):
        async with running(random=lambda share=share: share) as world:
            world.keep(probe())
            await asyncio.sleep(7)
        first, second, *_ = world.starts(probe())
        assert 0 < second - first <= 5


async def test_a_contradiction_is_followed_up_at_the_fast_interval():
    async with running() as world:
        world.keep(probe())
        await asyncio.sleep(9)
        world.prober.results[probe()] = FAIL
        await asyncio.sleep(12)
    assert world.starts(probe()) == pytest.approx([0, 5, 10, 11, 12, 17])
    assert world.monitors.health[probe()].status is Status.DOWN


async def test_a_server_is_down_within_fall_probes_and_up_after_rise():
    async with running() as world:
        world.keep(probe())
        await asyncio.sleep(1)
        world.prober.results[probe()] = FAIL
        await asyncio.sleep(6.5)
        assert world.monitors.health[probe()].status is Status.DOWN
        world.prober.results[probe()] = PASS
        await asyncio.sleep(6)
        assert world.monitors.health[probe()].status is Status.UP


async def test_a_probe_that_takes_longer_than_its_interval_never_meets_itself():
    slow = probe(interval=1.0, fast_interval=1.0, timeout=10.0)
    async with running(takes=2.5) as world:
        world.keep(slow)
        await asyncio.sleep(10)
    assert world.starts(slow) == pytest.approx([0, 3, 6, 9])
    assert not world.prober.overlapped


async def test_above_the_limit_probes_wait_in_line_and_none_fails():
    probes = [probe(n) for n in range(50)]
    async with running(takes=0.1, concurrency=5) as world:
        world.keep(*probes)
        await asyncio.sleep(4)
    assert world.prober.most_at_once == 5
    assert all(len(world.starts(one)) == 1 for one in probes)
    assert all(world.monitors.health[one].status is Status.UP for one in probes)


async def test_a_line_that_never_ends_skips_starts_evenly():
    probes = [probe(n, interval=1.0) for n in range(100)]
    async with running(takes=0.1, concurrency=5) as world:
        world.keep(*probes)
        await asyncio.sleep(20)
    counts = [len(world.starts(one)) for one in probes]
    assert 9 <= min(counts) <= max(counts) <= 11


async def test_a_line_longer_than_a_second_is_not_taken_for_a_stopped_process():
    probes = [probe(n, interval=60.0, fast_interval=60.0) for n in range(200)]
    async with running(takes=1.0, concurrency=10) as world:
        world.keep(*probes)
        await asyncio.sleep(21)
    assert all(len(world.starts(one)) == 1 for one in probes)


async def test_a_crowd_is_started_in_slices():
    loop = asyncio.get_running_loop()
    turns, most = [0], [0]

    class Counting(FakeProber):
        def start(self, probe, done):
            turns[0] += 1
            most[0] = max(most[0], turns[0])
            return super().start(probe, done)

    def next_turn():
        turns[0] = 0
        if not task.done():
            loop.call_soon(next_turn)

    monitors = Monitors(Counting(), lambda _: None, clock=loop.time, random=lambda: 0.0)
    task = asyncio.create_task(monitors.run())
    monitors.keep({probe(n): 1 for n in range(1000)})
    next_turn()
    for _ in range(200):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(monitors.health) == 1000
    assert 0 < most[0] <= 64


async def test_a_reload_keeps_the_schedule_and_history_of_what_stays():
    """dpvs #650 #751"""
    async with running() as world:
        world.keep(probe(1), probe(2))
        await asyncio.sleep(7)
        world.keep(probe(1), probe(3))
        await asyncio.sleep(4.5)
        assert len(world.monitors.history(probe(1))) == 3
    assert world.starts(probe(1)) == pytest.approx([0, 5, 10])
    assert world.starts(probe(2)) == pytest.approx([0, 5])
    assert world.starts(probe(3)) == pytest.approx([7])
    assert set(world.monitors.health) == {probe(1), probe(3)}


async def test_a_reload_of_the_same_objects_or_of_equal_ones_changes_nothing():
    async with running() as world:
        for _ in range(50):
            world.keep(probe(1), probe(2))
            await asyncio.sleep(0.2)
    assert world.starts(probe(1)) == pytest.approx([0, 5])


async def test_a_failing_server_is_not_back_in_after_a_reload():
    async with running() as world:
        world.prober.results[probe()] = FAIL
        world.keep(probe())
        await asyncio.sleep(1)
        world.keep(probe(), probe(2))
        assert world.monitors.health[probe()].status is Status.DOWN
        await asyncio.sleep(20)
        assert world.monitors.health[probe()].status is Status.DOWN


async def test_of_many_probes_only_those_that_come_or_go_are_touched():
    gone, *kept, new = (probe(n) for n in range(200))
    async with running(random=Random(1).random) as world:
        world.keep(gone, *kept)
        await asyncio.sleep(20)
        before = {one: world.monitors.history(one) for one in kept}
        given_up = len(world.starts(gone))
        world.monitors.keep(dict.fromkeys([*kept, new], 1), {gone, new})
        assert {one: world.monitors.history(one) for one in kept} == before
        assert set(world.monitors.views()) == {*kept, new}
        await asyncio.sleep(20)
    assert len(world.starts(gone)) == given_up
    assert world.starts(new)[0] == pytest.approx(20.5, abs=0.6)
    for one in kept:
        _, *later = world.starts(one)
        assert all(b - a == pytest.approx(5, abs=0.2) for a, b in itertools.pairwise(later))


async def test_a_probe_with_new_thresholds_keeps_what_is_known():
    changed = probe(fall=5, interval=2.0)
    async with running() as world:
        world.prober.results[probe()] = world.prober.results[changed] = FAIL
        world.keep(probe())
        await asyncio.sleep(6)
        world.keep(changed)
        assert world.monitors.health[changed].status is Status.DOWN
        assert len(world.monitors.history(changed)) == 2
        await asyncio.sleep(1)
        assert len(world.monitors.history(changed)) == 3


async def test_what_is_no_longer_wanted_is_given_up_without_a_result():
    async with running(takes=1.0) as world:
        world.keep(probe())
        await asyncio.sleep(0.5)
        world.keep()
        await asyncio.sleep(10)
    assert world.prober.given_up == [probe()]
    assert world.starts(probe()) == pytest.approx([0])
    assert world.changed == []
    assert not world.monitors.health


async def test_a_probe_that_comes_back_begins_anew():
    async with running() as world:
        world.keep(probe())
        await asyncio.sleep(1)
        world.keep()
        world.keep(probe())
        assert world.monitors.health[probe()].status is Status.UNKNOWN
        assert world.monitors.history(probe()) == ()


async def test_stopping_gives_up_what_is_under_way_and_starting_again_resumes():
    async with running(takes=1.0) as world:
        world.keep(probe(1))
        await asyncio.sleep(0.5)
    assert world.prober.given_up == [probe(1)]
    await asyncio.sleep(60)
    again = asyncio.create_task(world.monitors.run())
    await asyncio.sleep(2)
    again.cancel()
    assert world.monitors.health[probe(1)].status is Status.UP


async def test_starting_again_after_a_while_is_no_burst():
    shares = itertools.cycle(n / 100 for n in range(100))
    probes = [probe(n) for n in range(100)]
    async with running(random=lambda: next(shares)) as world:
        world.keep(*probes)
        await asyncio.sleep(11)
    await asyncio.sleep(1000)
    begun = asyncio.get_running_loop().time()
    again = asyncio.create_task(world.monitors.run())
    await asyncio.sleep(5.1)
    again.cancel()
    later = [t for one in probes for t in world.starts(one) if t > begun]
    assert len(later) >= 100
    assert max(sum(at <= t < at + 0.5 for t in later) for at in later) <= 25


async def test_a_stopped_process_goes_on_without_a_burst():
    """SIGSTOP, or a machine asleep: the loop's clock is an hour on, and everything is overdue."""
    probes = [probe(n) for n in range(1000)]
    async with running(random=Random(3).random) as world:
        world.keep(*probes)
        await asyncio.sleep(12)
        sleep_through(3600)
        woken = asyncio.get_running_loop().time()
        await asyncio.sleep(5.1)
    later = [t for one in probes for t in world.starts(one) if t >= woken]
    assert 990 <= len(later) <= 1030
    assert max(sum(at <= t < at + 0.1 for t in later) for at in later[::20]) < 50


async def test_a_stopped_process_does_not_blame_servers_for_its_timeouts():
    async with running(takes=1.0) as world:
        world.prober.results[probe()] = Result(error=ErrorClass.TIMEOUT, detail="too late")
        world.keep(probe())
        await asyncio.sleep(0.5)
        sleep_through(3600)
        await asyncio.sleep(0.1)
        (outcome,) = world.monitors.history(probe())
    assert outcome.result.error is ErrorClass.LOCAL
    assert world.monitors.health[probe()].status is Status.UNKNOWN


async def test_a_jump_of_the_wall_clock_moves_no_start():
    wall = [EPOCH]
    loop = asyncio.get_running_loop()
    prober = FakeProber()
    monitors = Monitors(prober, lambda _: None, clock=lambda: wall[0], random=lambda: 0.0)
    task = asyncio.create_task(monitors.run())
    monitors.keep({probe(): 1})
    await asyncio.sleep(6)
    wall[0] += 86_400
    await asyncio.sleep(5)
    task.cancel()
    assert loop.time() == pytest.approx(11)
    assert prober.starts[probe()] == pytest.approx([0, 5, 10])
    assert monitors.history(probe())[-1].at == EPOCH + 86_400


async def test_policy_is_told_of_the_first_result_and_of_changes_only():
    async with running() as world:
        world.keep(probe())
        await asyncio.sleep(21)
        assert world.changed == [probe()]
        world.prober.results[probe()] = FAIL
        await asyncio.sleep(30)
        assert world.changed == [probe()] * 2


async def test_policy_is_told_of_a_reported_weight_once():
    async with running() as world:
        world.keep(probe())
        await asyncio.sleep(1)
        world.prober.results[probe()] = Result(weight=7)
        await asyncio.sleep(20)
    assert world.changed == [probe()] * 2
    assert world.monitors.health[probe()].reported.weight == 7


async def test_health_is_current_when_policy_is_told():
    loop = asyncio.get_running_loop()
    seen = []
    prober = FakeProber()
    monitors = Monitors(
        prober, lambda one: seen.append(monitors.health[one].status), clock=loop.time
    )
    task = asyncio.create_task(monitors.run())
    monitors.keep({probe(): 1})
    await asyncio.sleep(2)
    task.cancel()
    assert seen == [Status.UP]


async def test_the_told_one_may_change_what_is_wanted_on_the_spot():
    loop = asyncio.get_running_loop()
    prober = FakeProber()
    monitors = Monitors(prober, lambda _: monitors.keep({}), clock=loop.time)
    task = asyncio.create_task(monitors.run())
    monitors.keep({probe(1): 1, probe(2): 1})
    await asyncio.sleep(20)
    task.cancel()
    assert not monitors.health


async def test_restored_health_is_believed_and_paced_like_any_other():
    down = Health(status=Status.DOWN, since=EPOCH - 100)
    async with running() as world:
        world.monitors.restore({probe(): down, probe(2): down})
        world.keep(probe())
        assert world.monitors.health == {probe(): down}
        await asyncio.sleep(0.5)
        assert world.monitors.health[probe()].status is Status.DOWN
        await asyncio.sleep(1)
        assert world.starts(probe()) == pytest.approx([0, 1])
        assert world.monitors.health[probe()].status is Status.UP


async def test_restoring_reaches_monitored_probes_at_once():
    async with running() as world:
        world.keep(probe())
        world.monitors.restore({probe(): Health(status=Status.UP, adopted=True)})
        assert world.monitors.health[probe()].adopted


async def test_a_check_out_of_turn_comes_back_with_its_outcome_and_counts():
    async with running(takes=0.3) as world:
        world.keep(probe(1), probe(2))
        await asyncio.sleep(2)
        outcomes = await world.monitors.check([probe(1)])
        assert outcomes[probe(1)].at == pytest.approx(EPOCH + 2.3)
        assert len(world.monitors.history(probe(1))) == 2
        await asyncio.sleep(4)
    assert world.starts(probe(1)) == pytest.approx([0, 2])
    assert world.starts(probe(2)) == pytest.approx([0, 5])


async def test_a_check_out_of_turn_waits_for_one_that_begins_after_it():
    async with running(takes=1.0) as world:
        world.keep(probe())
        await asyncio.sleep(0.5)
        outcomes = await world.monitors.check([probe()])
    assert world.starts(probe()) == pytest.approx([0, 1])
    assert outcomes[probe()].at == pytest.approx(EPOCH + 2)
    assert not world.prober.overlapped


async def test_a_check_out_of_turn_comes_before_those_in_line():
    async with running(takes=1.0, concurrency=1) as world:
        world.keep(*(probe(n) for n in range(10)))
        await asyncio.sleep(0.5)
        await world.monitors.check([probe(9)])
    assert world.starts(probe(9)) == pytest.approx([1])


async def test_checking_what_is_not_monitored_or_goes_away_says_nothing_of_it():
    async with running(takes=1.0) as world:
        world.keep(probe(1))
        asked = asyncio.create_task(world.monitors.check([probe(1), probe(2)]))
        await asyncio.sleep(0.1)
        world.keep()
        assert await asked == {}


async def test_a_check_given_up_by_its_caller_leaves_the_probe_running():
    async with running(takes=1.0) as world:
        world.keep(probe())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.monitors.check([probe()]), 0.2)
        await asyncio.sleep(3)
        assert world.monitors.health[probe()].status is Status.UP


async def test_a_view_shows_health_history_and_users():
    async with running(takes=0.25, history=3) as world:
        world.monitors.keep({probe(): 4})
        await asyncio.sleep(21)
        view = world.monitors.views()[probe()]
    assert view.users == 4
    assert [one.at - EPOCH for one in view.history] == pytest.approx([10.25, 15.25, 20.25])
    assert view.history[-1].result.timings.total == 0.25
    assert list(world.monitors.views()) == [probe()]
    assert view == world.monitors.view(probe())


async def test_a_prober_that_answers_on_the_spot_is_no_trouble():
    class Immediate:
        def start(self, _probe, done):
            done(FAIL)
            return lambda: None

    monitors = Monitors(Immediate(), lambda _: None, clock=lambda: EPOCH, concurrency=1)
    task = asyncio.create_task(monitors.run())
    monitors.keep({probe(n): 1 for n in range(3000)})
    await asyncio.sleep(20)
    task.cancel()
    assert all(health.status is Status.DOWN for health in monitors.health.values())


async def test_twenty_thousand_probes_cost_little_to_schedule():
    class Free:
        count = 0

        def start(self, _probe, done):
            self.count += 1
            done(PASS)
            return lambda: None

    prober = Free()
    monitors = Monitors(prober, lambda _: None, clock=lambda: EPOCH)
    wanted = {probe(n): 1 for n in range(20_000)}
    task = asyncio.create_task(monitors.run(), name="monitors")
    before = time.process_time()
    monitors.keep(wanted)
    await asyncio.sleep(30)
    spent = time.process_time() - before
    task.cancel()
    assert 120_000 <= prober.count <= 145_000
    assert spent / prober.count < 100e-6


async def test_a_reload_of_twenty_thousand_probes_touches_only_what_changed():
    """keepalived #2318"""
    async with running() as world:
        world.keep(*(probe(n) for n in range(20_000)))
        await asyncio.sleep(2)
        fresh = {probe(n): 1 for n in range(10, 20_010)}
        before = time.process_time()
        world.monitors.keep(fresh)
        spent = time.process_time() - before
        await asyncio.sleep(0)
        assert len(world.monitors.health) == 20_000
    assert spent < 0.5
