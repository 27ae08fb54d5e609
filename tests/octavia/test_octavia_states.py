"""Provisioning and operating states: from the answer to the kernel, through refusals and restarts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.octavia import storage
from tests.octavia.world import SUBNET, SUBNET_6, Site, World

LB = "/v2.0/lbaas"


async def states(world: World, site: Site) -> dict[str, tuple[str, str]]:
    """Provisioning and operating state of everything, by what it is."""
    paths = {
        "loadbalancer": f"loadbalancers/{site.load_balancer}",
        "listener": f"listeners/{site.listener}",
        "pool": f"pools/{site.pool}",
        "member": f"pools/{site.pool}/members/{site.member}",
        "healthmonitor": f"healthmonitors/{site.monitor}",
    }
    found = {}
    for key, path in paths.items():
        answer = await world.ask("GET", f"{LB}/{path}")
        if answer.status == 200:
            one = answer.json[key]
            found[key] = (one["provisioning_status"], one["operating_status"])
    return found


async def provisioning(world: World, site: Site) -> dict[str, str]:
    return {key: state for key, (state, _) in (await states(world, site)).items()}


async def operating(world: World, site: Site) -> dict[str, str]:
    return {key: state for key, (_, state) in (await states(world, site)).items()}


async def put(world: World, path: str, key: str, **fields: object) -> None:
    answer = await world.ask("PUT", f"{LB}/{path}", {key: fields})
    assert answer.status == 200, answer
    await world.desk.finish()


ACTIVE = dict.fromkeys(("loadbalancer", "listener", "pool", "member", "healthmonitor"), "ACTIVE")


async def test_everything_is_active_when_the_kernel_has_it():
    world = World()
    assert await provisioning(world, await world.site()) == ACTIVE


@pytest.mark.parametrize(
    ("method", "path", "key", "own", "pending"),
    [
        (
            "PUT",
            "pools/{0.pool}/members/{0.member}",
            "member",
            "PENDING_UPDATE",
            {"loadbalancer", "listener", "pool", "member"},
        ),
        (
            "DELETE",
            "pools/{0.pool}/members/{0.member}",
            "member",
            "PENDING_DELETE",
            {"loadbalancer", "listener", "pool", "member"},
        ),
        (
            "DELETE",
            "healthmonitors/{0.monitor}",
            "healthmonitor",
            "PENDING_DELETE",
            {"loadbalancer", "listener", "pool", "healthmonitor"},
        ),
        ("PUT", "pools/{0.pool}", "pool", "PENDING_UPDATE", {"loadbalancer", "listener", "pool"}),
        (
            "DELETE",
            "listeners/{0.listener}",
            "listener",
            "PENDING_DELETE",
            {"loadbalancer", "listener"},
        ),
        (
            "PUT",
            "loadbalancers/{0.load_balancer}",
            "loadbalancer",
            "PENDING_UPDATE",
            {"loadbalancer"},
        ),
        (
            "DELETE",
            "loadbalancers/{0.load_balancer}?cascade=1",
            "loadbalancer",
            "PENDING_DELETE",
            set(ACTIVE),
        ),
    ],
)
async def test_a_change_keeps_everything_concerned_until_the_kernel_has_it(
    method, path, key, own, pending
):
    world = World()
    site = await world.site()
    world.hold()
    body = {key: {"name": "new"}} if method == "PUT" else None
    assert (await world.ask(method, f"{LB}/{path.format(site)}", body)).status < 300
    now = await provisioning(world, site)
    assert now[key] == own
    assert {what for what, state in now.items() if state.startswith("PENDING")} == pending
    await world.release()
    now = await provisioning(world, site)
    assert set(now.values()) <= {"ACTIVE"}
    if method == "DELETE":
        assert key not in now


async def test_what_the_kernel_refuses_is_an_error_that_failing_over_ends():
    world = World()
    site = await world.site()
    world.broken = "no such scheduler"
    await put(world, f"pools/{site.pool}/members/{site.member}", "member", weight=5)
    now = await provisioning(world, site)
    assert now == ACTIVE | dict.fromkeys(("loadbalancer", "listener", "pool", "member"), "ERROR")
    assert (
        "octavia.refused",
        {"load_balancer": site.load_balancer, "reason": "no such scheduler"},
    ) in world.told
    path = f"{LB}/loadbalancers/{site.load_balancer}"
    answer = await world.ask("PUT", path, {"loadbalancer": {"name": "new"}})
    text = f"Invalid state ERROR of loadbalancer resource {site.load_balancer}"
    assert answer.fault == (409, text)
    body = {"member": {"weight": 6}}
    member = f"{LB}/pools/{site.pool}/members/{site.member}"
    answer = await world.ask("PUT", member, body)
    assert answer.fault == (409, f"Pool {site.pool} is immutable and cannot be updated.")
    world.broken = None
    answer = await world.ask("PUT", f"{path}/failover")
    assert (answer.status, answer.content) == (202, b"")
    await world.desk.finish()
    assert await provisioning(world, site) == ACTIVE
    assert (await world.ask("PUT", member, body)).status == 200
    await world.desk.finish()


async def test_what_is_broken_can_be_deleted():
    world = World()
    world.broken = "no"
    load_balancer = await world.load_balancer()
    shown = (await world.get(f"{LB}/loadbalancers/{load_balancer}"))["loadbalancer"]
    assert shown["provisioning_status"] == "ERROR"
    world.broken = None
    assert (await world.ask("DELETE", f"{LB}/loadbalancers/{load_balancer}")).status == 204
    await world.desk.finish()
    assert not world.texts


async def test_a_fault_of_ours_does_not_lock_a_load_balancer_for_ever():
    world = World()
    site = await world.site()

    async def broken(group, services):
        raise RuntimeError("a bug")

    world.desk._outside = replace(world.desk._outside, declare=broken)
    await put(world, f"loadbalancers/{site.load_balancer}", "loadbalancer", name="new")
    assert (await provisioning(world, site))["loadbalancer"] == "ERROR"


async def test_nothing_is_left_of_what_was_deleted():
    world = World()
    site = await world.site()
    path = f"{LB}/loadbalancers/{site.load_balancer}"
    assert (await world.ask("DELETE", f"{path}?cascade=true")).status == 204
    await world.desk.finish()
    assert world.services[site.load_balancer] == ()
    assert await states(world, site) == {}
    assert not world.texts
    assert not world.desk._locks
    assert not world.desk.catalogue._inside
    answer = await world.ask("GET", path)
    assert answer.fault == (404, f"Load Balancer {site.load_balancer} not found.")


# restarts


async def test_a_restart_finds_everything_as_it_was():
    world = World()
    site = await world.site()
    more = [{"subnet_id": SUBNET_6}]
    await world.load_balancer(name="six", additional_vips=more, tags=["a"])
    await put(world, f"listeners/{site.listener}", "listener", allowed_cidrs=["10.0.0.0/8"])
    await put(
        world,
        f"pools/{site.pool}",
        "pool",
        session_persistence={"type": "SOURCE_IP", "persistence_timeout": 60},
    )
    await put(
        world, f"pools/{site.pool}/members/{site.member}", "member", monitor_address="10.0.0.9"
    )
    again = world.again()
    assert again.desk.catalogue.load_balancers == world.desk.catalogue.load_balancers
    for kind in ("listeners", "pools", "members", "monitors"):
        assert getattr(again.desk.catalogue, kind) == getattr(world.desk.catalogue, kind)
    assert again.desk.groups(again.settings) == world.desk.groups(world.settings)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_was_pending_when_the_process_ended_is_brought_to_its_end(method):
    world = World()
    site = await world.site()
    world.hold()
    body = {"member": {"weight": 9}} if method == "PUT" else None
    member = f"{LB}/pools/{site.pool}/members/{site.member}"
    assert (await world.ask(method, member, body)).status < 300
    again = world.again()
    assert (await provisioning(again, site))["loadbalancer"] == "PENDING_UPDATE"
    again.desk.resume()
    await again.desk.finish()
    now = await provisioning(again, site)
    assert set(now.values()) == {"ACTIVE"}
    assert ("member" in now) == (method == "PUT")
    servers = again.services[site.load_balancer][0].servers
    assert [one.weight for one in servers] == ([9] if method == "PUT" else [])
    await world.release()


async def test_texts_that_cannot_be_read_are_told_and_left_out():
    world = World()
    site = await world.site()
    name = f"octavia/pool/{site.pool}"
    for text in ("{", "[]", "{}", '{"version": 99}', '{"version": 1, "id": 5}', "[" * 100_000):
        stored = storage.read({**world.texts, name: text, "other/name": "x"})
        assert name in stored.damaged
        assert f"octavia/member/{site.member}" in stored.damaged
        assert f"octavia/healthmonitor/{site.monitor}" in stored.damaged
        assert {one.id for one in stored.objects} == {site.load_balancer, site.listener}


async def test_a_change_under_way_is_written_down_when_there_is_room_again():
    world = World()
    site = await world.site()
    world.hold()
    await world.ask("PUT", f"{LB}/pools/{site.pool}", {"pool": {"name": "new"}})
    world.full = True
    finishing = asyncio.create_task(world.release())
    await asyncio.sleep(5)
    assert (await provisioning(world, site))["loadbalancer"] == "ACTIVE"
    assert (await provisioning(world.again(), site))["loadbalancer"] == "PENDING_UPDATE"
    world.full = False
    await finishing
    assert (await provisioning(world.again(), site))["loadbalancer"] == "ACTIVE"


async def test_many_clients_change_much_at_once_and_nothing_is_lost_or_locked():
    world = World()
    balancers = [await world.load_balancer(name=f"lb-{n}") for n in range(5)]
    pools = [await world.pool(loadbalancer_id=one) for one in balancers]

    async def client(number: int) -> int:
        made, pool = 0, pools[number % 5]
        for port in range(4):
            while True:
                body = {"address": f"10.0.0.{number + 10}", "protocol_port": 1000 + port}
                answer = await world.ask("POST", f"{LB}/pools/{pool}/members", {"member": body})
                if answer.status == 201:
                    made += 1
                    break
                assert answer.status == 409
                await asyncio.sleep(0.01)
        return made

    assert sum(await asyncio.gather(*(client(number) for number in range(20)))) == 80
    await world.desk.finish()
    for pool in pools:
        members = (await world.get(f"{LB}/pools/{pool}/members"))["members"]
        assert len(members) == 16
        assert {one["provisioning_status"] for one in members} == {"ACTIVE"}
    again = world.again()
    assert again.desk.groups(again.settings) == world.desk.groups(world.settings)


# operating states


async def test_a_new_member_is_offline_until_it_is_tested_and_error_when_it_fails():
    world = World()
    site = await world.site()
    await world.member(site.pool, "10.0.0.6")
    assert (await operating(world, site))["member"] == "OFFLINE"
    world.control.everything_up()
    expected = dict.fromkeys(ACTIVE, "ONLINE")
    assert await operating(world, site) == expected
    world.control.fail("10.0.0.4")
    assert await operating(world, site) == expected | {
        "member": "ERROR",
        "pool": "DEGRADED",
        "loadbalancer": "DEGRADED",
    }
    world.control.fail("10.0.0.6")
    assert await operating(world, site) == expected | {
        "member": "ERROR",
        "pool": "ERROR",
        "loadbalancer": "ERROR",
    }
    world.control.everything_up(times=2)
    assert await operating(world, site) == expected


@pytest.mark.parametrize(
    ("path", "key", "fields", "changes"),
    [
        ("pools/{0.pool}/members/{0.member}", "member", {"weight": 0}, {"member": "DRAINING"}),
        (
            "pools/{0.pool}/members/{0.member}",
            "member",
            {"admin_state_up": False},
            {"member": "OFFLINE"},
        ),
        ("pools/{0.pool}", "pool", {"admin_state_up": False}, {"pool": "OFFLINE"}),
        (
            "listeners/{0.listener}",
            "listener",
            {"admin_state_up": False},
            {"listener": "OFFLINE"},
        ),
        ("listeners/{0.listener}", "listener", {"default_pool_id": None}, {"pool": "OFFLINE"}),
        (
            "loadbalancers/{0.load_balancer}",
            "loadbalancer",
            {"admin_state_up": False},
            {"loadbalancer": "OFFLINE"},
        ),
        (
            "healthmonitors/{0.monitor}",
            "healthmonitor",
            {"admin_state_up": False},
            {"healthmonitor": "OFFLINE", "member": "NO_MONITOR"},
        ),
    ],
)
async def test_what_is_disabled_or_out_of_use_is_offline(path, key, fields, changes):
    world = World()
    site = await world.site()
    world.control.everything_up()
    await put(world, path.format(site), key, **fields)
    world.control.everything_up()
    now = await operating(world, site)
    assert now.items() >= changes.items()
    assert now["loadbalancer"] in {"ONLINE", changes.get("loadbalancer")}


async def test_a_pool_without_members_is_online_and_one_without_a_listener_offline():
    world = World()
    load_balancer = await world.load_balancer()
    listener = await world.listener(load_balancer)
    used, idle = (
        await world.pool(listener_id=listener),
        await world.pool(loadbalancer_id=load_balancer),
    )
    rows = {one["id"]: one for one in (await world.get(f"{LB}/pools"))["pools"]}
    assert rows[used]["operating_status"] == "ONLINE"
    assert rows[idle]["operating_status"] == "OFFLINE"


async def test_a_listener_that_the_kernel_has_not_is_an_error():
    world = World()
    site = await world.site()
    world.control = type(world.control)(config=replace(world.control.config, services=()))
    now = await operating(world, site)
    assert (now["listener"], now["loadbalancer"]) == ("ERROR", "ERROR")


async def test_when_the_kernel_does_not_answer_nothing_is_said_against_a_listener():
    from ipvs_lb.errors import KernelError

    world = World()
    site = await world.site()
    world.control.broken["kernel"] = KernelError("no answer")
    assert (await operating(world, site))["listener"] == "ONLINE"
    answer = await world.ask("GET", f"{LB}/loadbalancers/{site.load_balancer}/stats")
    assert answer.fault == (503, "no answer")


async def test_the_tree_of_states_has_everything_under_a_listener():
    world = World()
    site = await world.site()
    await world.pool(loadbalancer_id=site.load_balancer, name="spare")
    for path in ("status", "statuses"):
        tree = await world.get(f"{LB}/loadbalancers/{site.load_balancer}/{path}")
        (listener,) = tree["statuses"]["loadbalancer"]["listeners"]
        (pool,) = listener["pools"]
        assert pool["health_monitor"]["type"] == "HTTP"
        assert pool["members"][0].items() >= {"address": "10.0.0.4", "protocol_port": 80}.items()


async def test_statistics_add_up_over_every_address():
    world = World()
    site = await world.site()
    world.control.counters = ServerCounters(
        active=3, traffic=Counters(connections=9, in_bytes=100, out_bytes=200)
    )
    for path in (f"loadbalancers/{site.load_balancer}", f"listeners/{site.listener}"):
        world.control.everything_up()
        assert (await world.get(f"{LB}/{path}/stats"))["stats"] == {
            "active_connections": 3,
            "bytes_in": 100,
            "bytes_out": 200,
            "request_errors": 0,
            "total_connections": 9,
        }


async def test_every_change_is_told_with_its_author():
    world = World()
    world.come_as("demo")
    load_balancer = await world.load_balancer()
    event, facts = world.told[-1]
    assert event == "octavia.changed"
    assert facts.items() >= {"user": "anybody", "what": "POST /v2.0/lbaas/loadbalancers"}.items()
    assert facts["request"].startswith("req-")
    told = len(world.told)
    await world.get(f"{LB}/loadbalancers/{load_balancer}")
    assert len(world.told) == told
    assert ip_address("10.0.0.3") in world.desk.taken()
    assert SUBNET in world.desk.networks.subnets
