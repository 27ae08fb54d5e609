"""The network slice: networks and subnets as configured, ports of VIPs, floating IPs and where they lead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.octavia.world import OTHER, PRIVATE, PROJECT, PUBLIC, SETTINGS, SUBNET, World

NOBODY = "00000000-0000-4000-8000-000000000000"


async def floating(world: World, **fields: object) -> Any:
    body = {"floatingip": {"floating_network_id": PUBLIC.id, **fields}}
    answer = await world.ask("POST", "/v2.0/floatingips", body)
    assert answer.status == 201, answer
    await world.desk.finish()
    return answer.json["floatingip"]


async def port_of(world: World, load_balancer: str) -> str:
    shown = await world.get(f"/v2.0/lbaas/loadbalancers/{load_balancer}")
    return str(shown["loadbalancer"]["vip_port_id"])


async def test_networks_and_subnets_are_those_of_the_configuration():
    world = World()
    networks = (await world.get("/v2.0/networks"))["networks"]
    assert {one["name"] for one in networks} == {"private-net", "public-net"}
    (public,) = (await world.get("/v2.0/networks?router:external=True"))["networks"]
    assert (public["id"], public["subnets"]) == (PUBLIC.id, [PUBLIC.subnets[0].id])
    one = (await world.get(f"/v2.0/subnets/{SUBNET}"))["subnet"]
    assert one["cidr"] == "10.0.0.0/24"
    assert one["allocation_pools"] == [{"start": "10.0.0.3", "end": "10.0.0.250"}]
    for name in ("dns_nameservers", "host_routes", "service_types", "tags"):
        assert one[name] == []
    (six,) = (await world.get(f"/v2/subnets?ip_version=6&network_id={PRIVATE.id}"))["subnets"]
    assert six["name"] == "private-subnet-6"
    both = await world.get("/v2.0/subnets?name=private-subnet&name=public-subnet")
    assert len(both["subnets"]) == 2
    assert (await world.get("/v2.0/subnets?name=nothing"))["subnets"] == []


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("networks/public-net", "NetworkNotFound", "Network public-net"),
        ("subnets/x", "SubnetNotFound", "Subnet x"),
        ("ports/x", "PortNotFound", "Port x"),
        ("floatingips/203.0.113.10", "FloatingIPNotFound", "Floating IP 203.0.113.10"),
    ],
)
async def test_a_name_is_no_identifier(path, kind, words):
    answer = await World().ask("GET", f"/v2.0/{path}")
    assert answer.problem == (404, kind, f"{words} could not be found.")


async def test_an_unknown_filter_is_refused_and_networks_are_for_reading():
    world = World()
    answer = await world.ask("GET", "/v2.0/networks?foo=1")
    assert answer.problem[:2] == (400, "BadRequest")
    for method, path in (("POST", "networks"), ("DELETE", f"subnets/{SUBNET}"), ("PUT", "ports/x")):
        assert (await world.ask(method, f"/v2.0/{path}", {})).status == 405


async def test_every_vip_has_a_port():
    world = World()
    load_balancer = await world.load_balancer()
    await world.load_balancer(name="other")
    (port,) = (await world.get("/v2.0/ports?fixed_ips=ip_address=10.0.0.3"))["ports"]
    assert port["id"] == await port_of(world, load_balancer)
    assert port["device_id"] == f"lb-{load_balancer}"
    assert port["fixed_ips"] == [{"subnet_id": SUBNET, "ip_address": "10.0.0.3"}]
    in_subnet = await world.get(f"/v2.0/ports?fixed_ips=subnet_id={SUBNET}&device_owner=Octavia")
    assert len(in_subnet["ports"]) == 2
    shown = (await world.get(f"/v2.0/ports/{port['id']}?fields=id"))["port"]
    assert shown == {"id": port["id"]}


async def test_a_floating_ip_leads_to_a_vip_and_its_services_answer_there():
    world = World()
    site = await world.site()
    one = await floating(world)
    assert (one["floating_ip_address"], one["status"]) == ("203.0.113.10", "DOWN")
    assert (one["fixed_ip_address"], one["port_id"]) == (None, None)
    port = await port_of(world, site.load_balancer)
    body = {"floatingip": {"port_id": port}}
    answer = await world.ask("PUT", f"/v2.0/floatingips/{one['id']}", body)
    now = answer.json["floatingip"]
    assert (now["fixed_ip_address"], now["port_id"], now["status"]) == ("10.0.0.3", port, "ACTIVE")
    (service,) = world.services[site.load_balancer]
    assert [str(key) for key in service.keys] == ["tcp/10.0.0.3:80", "tcp/203.0.113.10:80"]
    assert [str(vip.address) for vip in service.vips] == ["10.0.0.3", "203.0.113.10"]
    (found,) = (await world.get(f"/v2.0/floatingips?port_id={port}"))["floatingips"]
    assert found["id"] == one["id"]
    assert world.again().desk.floating == world.desk.floating
    answer = await world.ask(
        "PUT", f"/v2.0/floatingips/{one['id']}", {"floatingip": {"port_id": None}}
    )
    assert answer.json["floatingip"]["status"] == "DOWN"
    (service,) = world.services[site.load_balancer]
    assert [str(key) for key in service.keys] == ["tcp/10.0.0.3:80"]
    assert (await world.ask("DELETE", f"/v2.0/floatingips/{one['id']}")).status == 204
    assert (await world.get("/v2.0/floatingips"))["floatingips"] == []
    assert not any("floatingip" in name for name in world.texts)


async def test_a_floating_ip_outlives_its_load_balancer():
    world = World()
    site = await world.site()
    one = await floating(world, port_id=await port_of(world, site.load_balancer), description="d")
    path = f"/v2.0/lbaas/loadbalancers/{site.load_balancer}?cascade=true"
    assert (await world.ask("DELETE", path)).status == 204
    await world.desk.finish()
    now = (await world.get(f"/v2.0/floatingips/{one['id']}"))["floatingip"]
    assert (now["status"], now["port_id"], now["description"]) == ("DOWN", None, "d")
    assert world.again().desk.floating[one["id"]].port_id is None


REFUSED = [
    ({}, 400, "HTTPBadRequest", "Required attribute 'floating_network_id' not specified"),
    (
        {"floating_network_id": NOBODY},
        404,
        "NetworkNotFound",
        f"Network {NOBODY} could not be found.",
    ),
    (
        {"floating_network_id": PRIVATE.id},
        400,
        "BadRequest",
        f"Bad floatingip request: Network {PRIVATE.id} is not a valid external network.",
    ),
    (
        {"floating_network_id": PUBLIC.id, "foo": 1},
        400,
        "HTTPBadRequest",
        "Unrecognized attribute(s) 'foo'",
    ),
    (
        {"floating_network_id": PUBLIC.id, "port_id": NOBODY},
        404,
        "PortNotFound",
        f"Port {NOBODY} could not be found.",
    ),
    (
        {"floating_network_id": PUBLIC.id, "floating_ip_address": "198.51.100.1"},
        400,
        "InvalidInput",
        "Invalid input for operation: IP address 198.51.100.1 is not in the network.",
    ),
    (
        {"floating_network_id": PUBLIC.id, "subnet_id": SUBNET},
        404,
        "SubnetNotFound",
        f"Subnet {SUBNET} could not be found.",
    ),
]


@pytest.mark.parametrize(("body", "status", "kind", "text"), REFUSED)
async def test_a_floating_ip_that_cannot_be_is_refused(body, status, kind, text):
    world = World()
    answer = await world.ask("POST", "/v2.0/floatingips", {"floatingip": body})
    assert answer.problem[:2] == (status, kind)
    assert answer.problem[2].endswith(text)
    assert not world.texts


async def test_addresses_are_given_out_once():
    world = World()
    subnet = PUBLIC.subnets[0].id
    for last in (11, 10, 12):
        asked = {"floating_ip_address": "203.0.113.11", "subnet_id": subnet} if last == 11 else {}
        assert (await floating(world, **asked))["floating_ip_address"] == f"203.0.113.{last}"
    body = {"floatingip": {"floating_network_id": PUBLIC.id}}
    answer = await world.ask("POST", "/v2.0/floatingips", body)
    assert answer.problem[:2] == (409, "IpAddressGenerationFailure")
    body["floatingip"]["floating_ip_address"] = "203.0.113.11"
    answer = await world.ask("POST", "/v2.0/floatingips", body)
    assert answer.problem[:2] == (409, "IpAddressAlreadyAllocated")


async def test_one_port_has_one_floating_ip_of_its_version():
    world = World()
    site = await world.site()
    port = await port_of(world, site.load_balancer)
    one = await floating(world, port_id=port)
    body = {"floatingip": {"floating_network_id": PUBLIC.id, "port_id": port}}
    answer = await world.ask("POST", "/v2.0/floatingips", body)
    assert answer.problem[:2] == (409, "FloatingIPPortAlreadyAssociated")
    again = await world.ask(
        "PUT", f"/v2.0/floatingips/{one['id']}", {"floatingip": {"port_id": port}}
    )
    assert again.status == 200
    six = await world.load_balancer(vip_subnet_id=PRIVATE.subnets[1].id, name="six")
    body["floatingip"]["port_id"] = await port_of(world, six)
    answer = await world.ask("POST", "/v2.0/floatingips", body)
    assert answer.problem[:2] == (400, "BadRequest")
    body = {"floatingip": {"port_id": port, "fixed_ip_address": "10.0.0.99"}}
    answer = await world.ask("PUT", f"/v2.0/floatingips/{one['id']}", body)
    assert answer.problem == (400, "BadRequest", f"Port {port} does not have fixed ip 10.0.0.99.")


async def test_a_floating_ip_can_be_described_without_being_moved():
    world = World()
    site = await world.site()
    port = await port_of(world, site.load_balancer)
    one = await floating(world, port_id=port)
    body = {"floatingip": {"description": "front"}}
    answer = await world.ask("PUT", f"/v2.0/floatingips/{one['id']}", body)
    now = answer.json["floatingip"]
    assert (now["description"], now["port_id"]) == ("front", port)


async def test_a_floating_ip_can_be_made_for_another_project():
    world = World()
    assert (await floating(world))["project_id"] == PROJECT
    given = await floating(world, project_id=OTHER)
    assert given["project_id"] == OTHER
    rows = await world.get(f"/v2.0/floatingips?project_id={OTHER}")
    assert [row["id"] for row in rows["floatingips"]] == [given["id"]]


async def test_a_floating_ip_that_cannot_be_written_down_is_not_there():
    world = World()
    world.full = True
    body = {"floatingip": {"floating_network_id": PUBLIC.id}}
    assert (await world.ask("POST", "/v2.0/floatingips", body)).status == 503
    world.full = False
    assert (await world.get("/v2.0/floatingips"))["floatingips"] == []
    assert (await world.get("/v2.0/extensions")) == {"extensions": []}


@pytest.mark.parametrize("guard", [True, False])
async def test_floating_ips_and_vips_are_guarded_when_the_file_says_so(guard):
    world = World(settings=replace(SETTINGS, guard_vips=guard))
    site = await world.site()
    await floating(world, port_id=await port_of(world, site.load_balancer))
    (service,) = world.services[site.load_balancer]
    assert [(str(vip.address), vip.guard) for vip in service.vips] == [
        ("10.0.0.3", guard),
        ("203.0.113.10", guard),
    ]
