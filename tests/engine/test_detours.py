"""Probes through a VIP, in virtual time: they wait for their service in the kernel, and nobody else sees it."""

import asyncio
from dataclasses import replace

from ipvs_lb.model.checks import Via
from ipvs_lb.model.host import HostState, InterfaceAddress
from ipvs_lb.model.identity import FwmarkKey
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.model.settings import Forwarding
from tests.daemon_world import TCP, VIP, World, server, web
from tests.fake_host import FakeHost

THROUGH = replace(TCP, via=Via.VIP)
OWN = InterfaceAddress("eth0", server(2).address, 24)


def through(*last_bytes, **settings):
    return web(servers=[server(last, checks=(THROUGH,), **settings) for last in last_bytes])


def laid(world):
    """The probe services in the kernel."""
    services = world.kernel.table.services
    return {key: value for key, value in services.items() if isinstance(key, FwmarkKey)}


def results(world):
    views = world.balancer.snapshot().probes.values()
    return [outcome.result for view in views for outcome in view.history]


async def test_a_probe_through_the_vip_is_sent_to_it_with_a_mark_of_a_service_in_the_kernel():
    world = World(through(4, 6))
    await world.up(5)
    assert world.weights() == {4: 1, 6: 1}
    sent = list(world.prober.starts)
    assert {(probe.target.address, probe.through) for probe in sent} == {(VIP, None)}
    ways = {key.mark: {*virtual.servers} for key, virtual in laid(world).items()}
    assert {probe.check.mark: probe.towards for probe in sent} == {
        mark: server.address for mark, (server,) in ways.items()
    }


async def test_a_probe_is_not_sent_before_the_kernel_has_its_service():
    world = World(through(4))
    world.kernel.broken = True
    await world.up(5)
    assert world.prober.starts == {}
    assert {result.error for result in results(world)} == {ErrorClass.LOCAL}
    world.kernel.broken = False
    await asyncio.sleep(40)
    assert world.weights() == {4: 1}


async def test_a_server_that_is_down_keeps_its_way_back():
    world = World(through(4, 6))
    await world.up(5)
    before = laid(world)
    for probe in world.prober.starts:
        world.prober.results[probe] = replace(results(world)[0], error=ErrorClass.TIMEOUT)
    await asyncio.sleep(20)
    assert world.weights() == {}
    assert laid(world) == before
    world.prober.results.clear()
    await asyncio.sleep(20)
    assert world.weights() == {4: 1, 6: 1}


async def test_the_services_of_probes_are_repaired_and_go_when_nobody_needs_them():
    world = World(through(4))
    await world.up(5)
    before = laid(world)
    own = {key: v for key, v in world.kernel.table.services.items() if key not in before}
    world.meddle(lambda table: replace(table, services=own))
    await asyncio.sleep(11)
    assert laid(world) == before
    await world.reload(web(4))
    await asyncio.sleep(1)
    assert laid(world) == {}


async def test_the_services_of_probes_are_ours_and_neither_shown_nor_recorded_as_the_operators():
    world = World(through(4))
    balancer = await world.up(5)
    kernel = balancer.snapshot().kernel
    assert kernel is not None
    assert not laid(world).keys() & kernel.services.keys()
    (newest,) = world.store.generations()
    assert newest.services == 1
    assert laid(world).keys() <= world.store.owned().services
    await world.down()
    await world.up(5)
    assert world.names("drift.") == []


async def test_a_sysctl_that_answers_need_is_told_once_where_nobody_sets_it():
    state = HostState(
        interfaces=frozenset({"lo", "eth0"}),
        addresses=frozenset({OWN}),
        sysctls={"net.ipv4.conf.eth0.accept_local": "0"},
    )
    world = World(through(4, forwarding=Forwarding.DR))
    world.host = FakeHost(state)
    await world.up(35)
    assert world.names("sysctl.") == ["sysctl.missing"]
    await world.down()

    world = World(through(4, forwarding=Forwarding.DR), manage_sysctls=True)
    world.host = FakeHost(state)
    await world.up(5)
    assert world.host.state.sysctls["net.ipv4.conf.eth0.accept_local"] == "1"
    assert world.names("sysctl.") == []
