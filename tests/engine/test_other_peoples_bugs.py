"""What the trackers of other load balancers complain of, played in virtual time. docs/explanation has the whole list."""

import asyncio
from dataclasses import replace
from ipaddress import ip_address

from ipvs_lb.model.config import HealthPolicy, OnDown
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import ServiceStatistics, Table, VirtualService
from tests.daemon_world import PASSED, REFUSED, VIP, WEB, World, server, web
from tests.fake_host import FakeHost
from tests.fake_kernel import FakeKernel

A, B = (ServerKey(ip_address(f"10.0.0.{last}"), Port(80)) for last in (4, 6))


async def test_a_weight_of_0_that_a_restart_finds_in_the_kernel_is_no_decision():
    """kubernetes #92019 #111903: what should be is decided from scratch; only an order of somebody drains."""
    world = World(web(4, 6))
    virtual = VirtualService(Service(scheduler="rr"), {A: Server(weight=1), B: Server(weight=0)})
    world.kernel = FakeKernel(Table({WEB: virtual}))
    await world.up()
    assert world.weights() == {4: 1, 6: 1}


async def test_a_server_that_was_disabled_or_quiesced_goes_when_it_is_no_longer_declared():
    """keepalived #596 #492"""
    policy = HealthPolicy(on_down=OnDown.QUIESCE, drain_timeout=5)
    world = World(web(4, 6, policy=policy, servers=(server(7, disabled=True),)))
    await world.up()
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    assert world.weights() == {4: 1, 6: 0}
    await world.reload(web(4, policy=policy))
    await asyncio.sleep(6)
    assert world.weights() == {4: 1}
    assert set(world.kernel.table.services[WEB].servers) == {A}


async def test_a_fallback_that_serves_goes_on_over_reloads_and_can_be_exchanged():
    """keepalived #490 #491 #1370 #1482 #2601: a fallback is a server of another tier, nothing else."""
    fallback, other = server(9, tier=9, checks=()), server(10, tier=9, checks=())
    world = World(web(4, servers=(fallback,)))
    await world.up()
    world.answer(4, REFUSED)
    await asyncio.sleep(10)
    assert world.weights() == {9: 1}
    await world.reload(web(4, servers=(fallback,), scheduler="wrr"))
    assert world.weights() == {9: 1}
    key = ServerKey(ip_address("10.0.0.9"), Port(80))
    world.kernel.counters = {WEB: ServiceStatistics(servers={key: ServerCounters(active=1)})}
    await world.reload(web(4, servers=(other,), scheduler="wrr"))
    assert world.weights() == {9: 0, 10: 1}, "its connections go on"
    world.kernel.counters = {}
    world.answer(4, PASSED)
    await asyncio.sleep(10)
    assert world.weights() == {4: 1}


class CountingKernel(FakeKernel):
    def __init__(self):
        super().__init__()
        self.reads = 0

    def read(self):
        self.reads += 1
        return super().read()


class CountingHost(FakeHost):
    links = 0

    def read(self, sysctls=(), *, links=True, firewall=True):
        self.links += links
        return super().read(sysctls, links=links, firewall=firewall)


async def test_a_comparison_reads_the_kernel_and_the_addresses_once_whatever_there_is_to_compare():
    """kubernetes #73382 #84906"""
    world = World(*(named(number) for number in range(50)))
    world.kernel, world.host = CountingKernel(), CountingHost()
    await world.up(15)
    assert len(world.kernel.table.services) == 50
    reads, links = world.kernel.reads, world.host.links
    await asyncio.sleep(10)
    assert (world.kernel.reads - reads, world.host.links - links) == (1, 1)


async def test_one_server_behind_many_services_is_probed_once():
    """keepalived #2358 #2111 #1495"""
    world = World(*(named(number) for number in range(50)))
    await world.up()
    assert len(world.prober.starts) == 1
    (view,) = world.balancer.snapshot().probes.values()
    assert view.users == 50


def named(number):
    """A service of its own, all of them on the port 80 of one server."""
    declared = web(servers=(server(4, port=Port(80)),))
    key = AddressKey(IPProtocol.TCP, VIP, Port(8000 + number))
    return replace(declared, name=f"web-{number}", keys=(key,))
