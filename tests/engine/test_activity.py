"""What the daemon counts of its own doing."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.engine.tally import Tally
from ipvs_lb.model.host import AddAddress, InterfaceAddress
from ipvs_lb.model.results import ErrorClass
from tests.daemon_world import REFUSED, VIP, World, web

PLACE = InterfaceAddress("lo", VIP, 32)


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        pytest.param(0.5, (1, 0, 0), id="below-all"),
        pytest.param(1.0, (1, 0, 0), id="at-a-bound-belongs-to-it"),
        pytest.param(1.5, (0, 1, 0), id="between"),
        pytest.param(2.5, (0, 0, 1), id="above-all"),
    ],
)
def test_a_value_is_counted_up_to_its_bound(value, counts):
    tally = Tally((1.0, 2.0))
    tally.add(value)
    assert tally.so_far().counts == counts


@given(st.lists(st.floats(0, 20, allow_nan=False)))
def test_every_value_is_counted_once_and_added_up(values):
    tally = Tally()
    for value in values:
        tally.add(value)
    counted = tally.so_far()
    assert sum(counted.counts) == len(values)
    assert counted.total == pytest.approx(sum(values))
    for index, bound in enumerate(counted.bounds, 1):
        assert sum(counted.counts[:index]) == sum(value <= bound for value in values)


async def test_probes_are_counted_with_what_came_of_them_also_when_they_are_gone():
    world = World(web(4, 6))
    world.prober.takes = 0.3
    await world.up()
    before = world.balancer.snapshot().activity.probes["tcp"]
    world.answer(4, REFUSED)
    await asyncio.sleep(20)
    await world.reload(web(6))
    counted = world.balancer.snapshot().activity.probes["tcp"]
    starts = sum(len(times) for times in world.prober.starts.values())
    assert before.results.keys() == {None}
    assert counted.results[ErrorClass.REFUSED] >= 3
    assert sum(counted.results.values()) == sum(counted.durations.counts) <= starts
    assert counted.durations.total == pytest.approx(0.3 * sum(counted.results.values()))


async def test_comparisons_are_counted_and_every_failure_of_one_though_it_is_told_once():
    world = World(web(4))
    await world.up(25)
    counted = world.balancer.snapshot().activity
    assert counted.comparisons is not None
    assert sum(counted.comparisons.counts) >= 3
    assert (counted.kernel_failures, counted.host_failures) == (0, 0)
    world.kernel.broken = True
    await asyncio.sleep(60)
    world.kernel.broken = False
    await asyncio.sleep(60)
    world.host.refuse = {AddAddress(PLACE, announce=False): "no room"}
    world.host.state = replace(world.host.state, addresses=frozenset())
    await asyncio.sleep(30)
    counted = world.balancer.snapshot().activity
    assert counted.kernel_failures > 2
    assert counted.host_failures > 1
    assert world.names("kernel.failed", "host.failed") == ["kernel.failed", "host.failed"]
