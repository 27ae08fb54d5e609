"""Combinations that clients seldom ask for, each with what comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from ipvs_lb.octavia.quotas import unlimited
from tests.octavia.world import PRIVATE, PUBLIC, SETTINGS, SUBNET, WITH_PASSWORDS, World

LB = "/v2.0/lbaas"
PUBLIC_SUBNET = PUBLIC.subnets[0].id


async def fault(world: World, method: str, path: str, body: object) -> tuple[int, str]:
    answer = await world.ask(method, f"{LB}/{path}", body)
    return answer.fault


async def test_a_listener_can_be_made_with_a_pool_that_is_there_or_that_it_brings():
    world = World()
    load_balancer = await world.load_balancer()
    pool = await world.pool(loadbalancer_id=load_balancer)
    await world.listener(load_balancer, default_pool_id=pool)
    body = {"loadbalancer_id": load_balancer, "protocol": "TCP", "protocol_port": 81}
    body["default_pool"] = {"protocol": "TCP", "lb_algorithm": "SOURCE_IP"}
    made = await world.make("listeners", "listener", **body)
    assert made["default_pool_id"] not in {None, pool}
    body |= {"protocol_port": 82, "default_pool": None, "default_pool_id": SUBNET}
    assert await fault(world, "POST", "listeners", {"listener": body}) == (
        404,
        f"Pool {SUBNET} not found.",
    )


async def test_a_pool_and_its_listener_are_of_one_load_balancer():
    world = World()
    listener = await world.listener(await world.load_balancer())
    other = await world.load_balancer(name="other")
    body = {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN", "listener_id": listener}
    body["loadbalancer_id"] = other
    text = f"Validation failure: Listener {listener} is not of load balancer {other}"
    assert await fault(world, "POST", "pools", {"pool": body}) == (400, text)


async def test_networks_that_may_come_in_are_of_the_version_of_a_vip():
    world = World()
    site = await world.site()
    body = {"listener": {"allowed_cidrs": ["fd00::/64"]}}
    text = "CIDR fd00::/64 IP version incompatible with all VIPs ['10.0.0.3'] IP version."
    path = f"listeners/{site.listener}"
    assert await fault(world, "PUT", path, body) == (400, f"Validation failure: {text}")


async def test_a_new_member_twice_in_a_batch_is_in_its_own_way():
    world = World()
    site = await world.site()
    path = f"pools/{site.pool}/members"
    twice = [{"address": "10.0.0.9", "protocol_port": 80}] * 2
    text = "Another member on this pool is already using ip 10.0.0.9 on protocol_port 80"
    assert await fault(world, "PUT", path, {"members": twice}) == (409, text)
    assert await fault(world, "PUT", path, None) == (400, 'Missing argument: "members_"')
    text = f"{INVALID} members. Value: 'None'. Value should be a list of objects"
    assert await fault(world, "PUT", path, ["x"]) == (400, text)
    body: dict[str, object] = {
        "name": "monitor",
        "pool_id": site.pool,
        "type": "HTTP",
        "domain_name": "",
    }
    body |= {"delay": 5, "timeout": 3, "max_retries": 2, "http_version": 1.1}
    status, told = await fault(world, "POST", "healthmonitors", {"healthmonitor": body})
    assert (status, told.partition(" Value should")[0]) == (
        400,
        f"{INVALID} domain_name. Value: ''.",
    )


INVALID = "Invalid input for field/attribute"
VALUES = [
    ("name", "\0", "Value: '\0'. Value should be a string of Unicode characters"),
    ("tags", ["x"] * 101, "Value should have at most 100 entries"),
    ("tags", [5], "Value: '5'. Value should be string"),
    ("session_persistence", "x", "Value: 'x'. Value should be an object"),
    ("members", "x", "Value: 'x'. Value not a valid list: x"),
    ("healthmonitor", "x", "Value: 'x'. Value should be an object"),
]


@pytest.mark.parametrize(("name", "value", "text"), VALUES)
async def test_values_of_another_shape_are_refused(name, value, text):
    world = World()
    body: dict[str, Any] = {"protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    body |= {"loadbalancer_id": await world.load_balancer(), name: value}
    status, told = await fault(world, "POST", "pools", {"pool": body})
    assert status == 400
    assert told.startswith(f"{INVALID} {name}")
    assert told.endswith(text)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [("255.0.255.0", False), ("0.0.0.0", False), ("129", False), ("24", True), ("ffff::", True)],
)
async def test_one_client_is_told_by_a_netmask(value, accepted):
    world = World()
    body: dict[str, Any] = {"protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}
    body["session_persistence"] = {"type": "SOURCE_IP", "persistence_granularity": value}
    body["loadbalancer_id"] = await world.load_balancer()
    answer = await world.ask("POST", f"{LB}/pools", {"pool": body})
    assert (answer.status == 201) == accepted
    body["session_persistence"] = {"type": "SOURCE_IP", "foo": 1}
    await world.desk.finish()
    text = "Unknown attribute for argument pool_.pool.session_persistence: foo"
    assert await fault(world, "POST", "pools", {"pool": body}) == (400, text)


async def test_words_for_no_and_names_of_hosts():
    world = World()
    site = await world.site()
    path = f"healthmonitors/{site.monitor}"
    answer = await world.ask("PUT", f"{LB}/{path}", {"healthmonitor": {"admin_state_up": "off"}})
    assert answer.json["healthmonitor"]["admin_state_up"] is False
    await world.desk.finish()
    for name, value in (("domain_name", "a b"), ("http_version", "new")):
        status, text = await fault(world, "PUT", path, {"healthmonitor": {name: value}})
        assert (status, text.startswith(f"{INVALID} {name}")) == (400, True)


async def test_lists_can_be_ordered_by_what_is_often_nothing():
    world = World()
    load_balancer = await world.load_balancer()
    pool = await world.pool(loadbalancer_id=load_balancer)
    await world.listener(load_balancer, default_pool_id=pool)
    world.hold()
    body = {"loadbalancer_id": load_balancer, "protocol": "UDP", "protocol_port": 80}
    await world.ask("POST", f"{LB}/listeners", {"listener": body})
    rows = (await world.get(f"{LB}/listeners?sort=updated_at,default_pool_id"))["listeners"]
    assert [row["default_pool_id"] for row in rows] == [None, pool]
    tree = await world.get(f"{LB}/loadbalancers/{load_balancer}/status")
    assert [len(one["pools"]) for one in tree["statuses"]["loadbalancer"]["listeners"]] == [1, 0]
    await world.release()


PLACES = [
    (
        {"vip_subnet_id": SUBNET, "vip_network_id": PUBLIC.id},
        (400, f"Subnet {SUBNET} not found."),
    ),
    (
        {"vip_network_id": PRIVATE.id, "vip_address": "192.0.2.1"},
        (
            400,
            "Validation failure: Supplied network does not contain a subnet for VIP address specified.",
        ),
    ),
    (
        {"vip_subnet_id": SUBNET, "vip_address": "10.0.0.1"},
        (409, f"IP address 10.0.0.1 is the gateway of subnet {SUBNET}"),
    ),
    (
        {"vip_subnet_id": SUBNET, "additional_vips": [{"subnet_id": PUBLIC_SUBNET}]},
        (400, "Validation failure: All VIP subnets must belong to the same network."),
    ),
]


@pytest.mark.parametrize(("body", "expected"), PLACES)
async def test_a_vip_has_its_place(body, expected):
    first, *others = PRIVATE.subnets
    subnets = (replace(first, gateway=ip_address("10.0.0.1")), *others)
    networks = (replace(PRIVATE, subnets=subnets), PUBLIC)
    world = World(settings=replace(SETTINGS, networks=networks))
    assert await fault(world, "POST", "loadbalancers", {"loadbalancer": body}) == expected


async def test_who_only_looks_changes_no_floating_ip():
    world = World(settings=WITH_PASSWORDS)
    world.come_as("demo")
    body = {"floatingip": {"floating_network_id": PUBLIC.id}}
    one = (await world.ask("POST", "/v2.0/floatingips", body)).json["floatingip"]
    world.come_as("watcher")
    path = f"/v2.0/floatingips/{one['id']}"
    assert (await world.get(path))["floatingip"] == one
    for method in ("PUT", "DELETE"):
        answer = await world.ask(method, path, {"floatingip": {"port_id": None}})
        assert answer.problem[:2] == (403, "PolicyNotAuthorized")


async def test_only_what_was_pending_is_brought_in_force_again():
    world = World()
    await world.site()
    again = world.again()
    again.desk.resume()
    await again.desk.finish()
    assert again.services == {}
    assert unlimited("p").limits == {}


async def test_two_quotas_that_are_set_at_once_are_both_kept():
    world = World()
    path = f"{LB}/quotas/demo"
    await asyncio.gather(
        world.ask("PUT", path, {"quota": {"pool": 1}}),
        world.ask("PUT", path, {"quota": {"member": 2}}),
    )
    for gateway in (world, world.again()):
        found = (await gateway.get(path))["quota"]
        assert (found["pool"], found["member"]) == (1, 2)


async def test_a_quota_that_cannot_be_written_down_does_not_count():
    world = World(full=True)
    answer = await world.ask("PUT", f"{LB}/quotas/demo", {"quota": {"pool": 1}})
    assert answer.status == 503
    assert (await world.get(f"{LB}/quotas/demo"))["quota"]["pool"] == -1
