"""Others change links and addresses under the daemon, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address

from ipvs_lb.engine.surroundings import Surroundings
from ipvs_lb.model.config import DaemonSettings
from ipvs_lb.model.host import AddAddress, HostState, InterfaceAddress, Vip
from tests.daemon_world import VIP, World, web

OWN = InterfaceAddress("eth0", ip_address("10.0.0.1"), 24)
PLACE = InterfaceAddress("eth0", VIP, 32)
HOME = HostState(interfaces=frozenset({"lo", "eth0"}), addresses=frozenset({OWN}))
ELSEWHERE = ip_address("192.0.2.1")
FARAWAY = InterfaceAddress("dsl0", ELSEWHERE, 32)
SELDOM = DaemonSettings(reconcile_interval=1000)


class Watcher:
    """What came of the news: when it was looked, and when which interfaces were announced on."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[frozenset[str]] = asyncio.Queue()
        self.looks: list[float] = []
        self.announced: list[tuple[float, set[str]]] = []
        self.subject = Surroundings(self._changes, self._look, self._announce)

    async def _changes(self) -> AsyncIterator[frozenset[str]]:
        while True:
            yield await self.news.get()

    def _look(self) -> None:
        self.looks.append(asyncio.get_running_loop().time())

    async def _announce(self, interfaces) -> None:
        self.announced.append((asyncio.get_running_loop().time(), set(interfaces)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one()) for one in (self.subject.listen, self.subject.react)]
        await asyncio.sleep(0)
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_change_is_looked_at_at_once_and_once():
    watcher = Watcher()
    async with watcher.running():
        await asyncio.sleep(10)
        watcher.news.put_nowait(frozenset())
        await asyncio.sleep(0.01)
        assert watcher.looks == [10]
        await asyncio.sleep(100)
    assert watcher.looks == [10]
    assert watcher.announced == []


async def test_a_storm_of_changes_is_one_look_a_second():
    watcher = Watcher()
    async with watcher.running():
        for _ in range(1000):
            watcher.news.put_nowait(frozenset({"eth0"}))
            await asyncio.sleep(0.01)
        await asyncio.sleep(30)
    assert 10 <= len(watcher.looks) <= 12
    assert len(watcher.announced) <= 14


async def test_a_link_that_came_up_is_announced_on_at_once_and_twice_more():
    watcher = Watcher()
    async with watcher.running():
        watcher.news.put_nowait(frozenset({"eth0"}))
        await asyncio.sleep(3)
        watcher.news.put_nowait(frozenset({"eth1"}))
        await asyncio.sleep(60)
    seen = [(round(at), names) for at, names in watcher.announced]
    assert [at for at, names in seen if "eth0" in names] == [0, 1, 5]
    assert [at for at, names in seen if "eth1" in names] == [3, 4, 8]


async def test_what_was_announced_already_is_only_repeated():
    watcher = Watcher()
    async with watcher.running():
        watcher.subject.announced({"eth0"})
        await asyncio.sleep(60)
    assert [round(at) for at, _ in watcher.announced] == [1, 5]
    assert watcher.looks == []


async def test_an_address_that_others_took_away_is_back_long_before_the_next_comparison():
    world = World(web(4), daemon=SELDOM)
    world.host.state = HOME
    await world.up()
    assert PLACE in world.host.state.addresses
    world.host.state = replace(world.host.state, addresses=frozenset({OWN}))
    world.host.news.put_nowait(frozenset())
    await asyncio.sleep(0.1)
    assert PLACE in world.host.state.addresses
    assert world.names("drift") == []


async def test_vips_are_announced_again_on_the_link_that_came_up_and_on_no_other():
    world = World(web(4), daemon=SELDOM)
    world.host.state = HOME
    await world.up(20)
    world.host.announced.clear()
    world.host.news.put_nowait(frozenset({"eth1"}))
    await asyncio.sleep(20)
    assert world.host.announced == []
    world.host.news.put_nowait(frozenset({"eth0"}))
    await asyncio.sleep(20)
    assert world.host.announced == [PLACE] * 3


async def test_a_vip_that_was_put_on_a_link_is_announced_three_times():
    world = World(web(4), daemon=SELDOM)
    world.host.state = HOME
    await world.up(20)
    assert world.host.announced == [PLACE] * 3


def faraway():
    """A service whose VIP is to be on an interface that comes and goes."""
    return replace(web(6, ports=(81,)), vips=(Vip(address=ELSEWHERE, interface="dsl0"),))


async def test_a_vip_without_its_interface_keeps_nothing_else_from_going_on():
    world = World(web(4), faraway(), daemon=SELDOM)
    world.host.state = HOME
    balancer = await world.up()
    assert len(world.kernel.table.services) == 2
    assert PLACE in world.host.state.addresses
    assert "host.failed" in world.names()
    (told,) = [event for event in balancer.events(0) if event.name == "host.failed"]
    assert told.facts["reason"] == "VIP 192.0.2.1 is nowhere: there is no interface dsl0"
    assert world.store.generations() == ()

    world.host.state = replace(world.host.state, interfaces=frozenset({"lo", "eth0", "dsl0"}))
    world.host.news.put_nowait(frozenset({"dsl0"}))
    await asyncio.sleep(0.1)
    assert FARAWAY in world.host.state.addresses
    assert world.names("host.")[-1] == "host.recovered"
    assert len(world.store.generations()) == 1


async def test_a_change_to_the_host_that_fails_is_told_once_and_keeps_nothing_else_from_going_on():
    world = World(web(4), faraway())
    world.host.state = replace(HOME, interfaces=frozenset({"lo", "eth0", "dsl0"}))
    world.host.refuse = {AddAddress(FARAWAY, announce=True): "Operation not permitted"}
    await world.up(60)
    assert len(world.kernel.table.services) == 2
    assert PLACE in world.host.state.addresses
    assert world.names().count("host.failed") == 1
    world.host.refuse = {}
    await asyncio.sleep(11)
    assert FARAWAY in world.host.state.addresses
