"""Services declared at run time, beside those of the configuration."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.commands import AddService, EditServer
from ipvs_lb.errors import ConfigError, KernelError, RefusedError
from ipvs_lb.model.config import DeclaredService
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Service
from tests.daemon_world import WEB, World, server, web

OTHER = ip_address("10.0.0.17")
ROUND = 0.5  # what declaring may take of virtual time, far less than a reconcile interval


def other(*servers, port: int = 80, name: str = "octavia:1") -> DeclaredService:
    return DeclaredService(
        name=name,
        keys=(AddressKey(IPProtocol.TCP, OTHER, Port(port)),),
        service=Service(scheduler="rr"),
        servers=servers,
        vips=(Vip(address=OTHER),),
    )


def plain(last: int, weight: int = 1):
    return server(last, weight=weight, checks=())


def rows(world: World, key) -> dict[str, int]:
    virtual = world.kernel.table.services[key]
    return {str(one.address): settings.weight for one, settings in virtual.servers.items()}


async def test_what_is_declared_is_in_the_kernel_when_that_returns():
    world = World(web(4))
    await world.up()
    async with asyncio.timeout(ROUND):
        await world.balancer.declare("lb-1", [other(plain(5))])
    assert rows(world, other().keys[0]) == {"10.0.0.5": 1}
    assert rows(world, WEB) == {"10.0.0.4": 1}
    assert OTHER in {place.address for place in world.host.state.addresses}


async def test_a_weight_is_written_alone_without_reading_the_table():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5), plain(6))])
    world.kernel.executed.clear()
    reconciled = world.balancer.snapshot().reconciled
    async with asyncio.timeout(ROUND):
        await world.balancer.declare("lb-1", [other(plain(5, 3), plain(6))])
    key = other().keys[0]
    assert [type(one) for one in world.kernel.executed] == [EditServer]
    assert rows(world, key) == {"10.0.0.5": 3, "10.0.0.6": 1}
    assert world.balancer.snapshot().reconciled == reconciled


async def test_a_group_that_becomes_empty_leaves_nothing_behind():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5))])
    async with asyncio.timeout(ROUND):
        await world.balancer.declare("lb-1", [])
    assert world.kernel.table.services.keys() == {WEB}
    assert OTHER not in {place.address for place in world.host.state.addresses}


@pytest.mark.parametrize("group", ["lb-1", "lb-2"])
async def test_a_virtual_service_of_the_files_or_of_another_group_is_refused(group):
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-0", [other(plain(5))])
    before = world.kernel.table
    for taken in (web(5), other(plain(6), name="octavia:2")):
        with pytest.raises(ConfigError, match="already declared by"):
            await world.balancer.declare(group, [taken])
    await asyncio.sleep(30)
    assert world.kernel.table == before


async def test_files_that_declare_a_service_of_a_group_are_refused_and_nothing_changes():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5))])
    before = world.kernel.table
    with pytest.raises(ConfigError, match="already declared by lb-1"):
        await world.reload(web(4), replace(other(plain(9)), name="mine", origin="lb.yaml:7"))
    await asyncio.sleep(30)
    assert world.kernel.table == before


async def test_a_reload_of_the_files_keeps_the_groups():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5))])
    await world.reload(web(4, 6))
    assert rows(world, other().keys[0]) == {"10.0.0.5": 1}
    await asyncio.sleep(2)
    assert rows(world, WEB) == {"10.0.0.4": 1, "10.0.0.6": 1}


async def test_an_address_that_the_files_declare_has_the_settings_it_has_there():
    managed = replace(
        web(4),
        vips=(Vip(address=OTHER, managed=False),),
        keys=(AddressKey(IPProtocol.TCP, OTHER, Port(8080)),),
    )
    world = World(managed)
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5))])
    assert OTHER not in {place.address for place in world.host.state.addresses}


async def test_a_kernel_that_refuses_is_told_to_who_declared():
    world = World(web(4))
    await world.up()
    key = other().keys[0]
    world.kernel.refuse = {AddService(key, Service(scheduler="rr")): 12}
    with pytest.raises(RefusedError, match=r"10\.0\.0\.17"):
        await world.balancer.declare("lb-1", [other(plain(5))])
    world.kernel.refuse = {}
    async with asyncio.timeout(ROUND):
        await world.balancer.declare("lb-1", [other(plain(5))])
    assert rows(world, key) == {"10.0.0.5": 1}


async def test_a_weight_that_cannot_be_written_is_told_to_who_declared_and_tried_again():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5))])
    world.kernel.broken = True
    with pytest.raises(KernelError, match="not permitted"):
        await world.balancer.declare("lb-1", [other(plain(5, 3))])
    world.kernel.broken = False
    await asyncio.sleep(30)
    assert rows(world, other().keys[0]) == {"10.0.0.5": 3}


async def test_many_declare_at_once_and_each_gets_its_own():
    world = World(web(4))
    await world.up()
    ports = range(1000, 1020)
    await asyncio.gather(
        *(
            world.balancer.declare(f"lb-{port}", [other(plain(5), port=port, name=str(port))])
            for port in ports
        )
    )
    declared = {AddressKey(IPProtocol.TCP, OTHER, Port(port)) for port in ports}
    assert world.kernel.table.services.keys() == {WEB, *declared}


async def test_the_groups_are_there_from_the_start_and_keep_their_place_in_the_kernel():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5))])
    await world.down()
    world.kernel.executed.clear()

    world.declared = {"lb-1": [other(plain(5))]}
    await world.up(30)
    assert not world.kernel.executed
    assert rows(world, other().keys[0]) == {"10.0.0.5": 1}


async def test_a_server_that_is_declared_no_more_drains_and_goes_once_it_is_empty():
    world = World(web(4))
    await world.up()
    await world.balancer.declare("lb-1", [other(plain(5), plain(6))])
    key = other().keys[0]
    await world.balancer.declare("lb-1", [other(plain(5))])
    assert rows(world, key) == {"10.0.0.5": 1, "10.0.0.6": 0}
    await asyncio.sleep(10)
    assert rows(world, key) == {"10.0.0.5": 1}
