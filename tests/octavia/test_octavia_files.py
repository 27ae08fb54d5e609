"""The services of the configuration's files, seen through the compatible API: shown as they are, and never changed."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from ipvs_lb import loads
from ipvs_lb.model.cloud import identifier_of
from ipvs_lb.model.identity import AddressKey
from ipvs_lb.octavia import files
from ipvs_lb.octavia.objects import Algorithm, HealthMonitor, Kind, Listener, Pool
from tests.fake_control import BUSY
from tests.octavia.world import PROJECT, PUBLIC, SETTINGS, SUBNET, World

LB = "/v2.0/lbaas"
T = TypeVar("T")
WEB = """\
version: 1
services:
  - name: web
    vip: 10.0.0.100
    ports: [80, 443]
    scheduler: mh
    flags: [mh-port]
    persistence: 300s
    allow: [192.0.2.0/24]
    servers:
      - {name: one, address: 10.0.0.4, weight: 3, upper_threshold: 50}
      - {name: two, address: 10.0.0.6, port: 8080, upper_threshold: 50, backup: yes}
      - {name: off, address: 10.0.0.8, upper_threshold: 50, disabled: yes}
    health_check: {type: http, path: /health, interval: 2500ms, timeout: 1s, expect: "200-299,404", rise: 4, fall: 5}
  - name: dns
    protocol: udp
    vip: 192.0.2.53
    port: 53
    servers: [{address: 10.0.0.4, forwarding: dr}, {address: 10.0.0.6, forwarding: tunnel}]
  - {name: marked, fwmark: 7, servers: [{address: 10.0.0.4}]}
"""


async def one(world: World, kind: str, name: str) -> dict[str, Any]:
    (found,) = (await world.get(f"{LB}/{kind}?name={name}"))[kind]
    return dict(found)


@pytest.fixture
def world() -> World:
    world = World()
    world.load(WEB)
    return world


async def test_a_vip_of_the_files_is_a_load_balancer(world):
    web = await one(world, "loadbalancers", "10.0.0.100")
    listeners = (await world.get(f"{LB}/listeners?loadbalancer_id={web['id']}"))["listeners"]
    assert {listener["name"] for listener in listeners} == {"web:80", "web:443"}
    shown = {name: web[name] for name in ("description", "vip_address", "vip_subnet_id", "tags")}
    assert shown == {
        "description": f"Declared in {world.files[0].origin.rpartition(':')[0]}",
        "vip_address": "10.0.0.100",
        "vip_subnet_id": SUBNET,
        "tags": ["file"],
    }
    assert (web["provisioning_status"], web["provider"]) == ("ACTIVE", "ipvs")
    assert (web["project_id"], len(web["pools"])) == (PROJECT, 2)
    elsewhere = await one(world, "loadbalancers", "192.0.2.53")
    assert [elsewhere[f"vip_{what}_id"] for what in ("port", "subnet", "network")] == [None] * 3


async def test_a_virtual_service_of_the_files_is_a_listener_with_a_pool_of_its_own(world):
    listener, pool = await one(world, "listeners", "web:80"), await one(world, "pools", "web:80")
    assert (listener["protocol"], listener["protocol_port"]) == ("TCP", 80)
    assert (listener["connection_limit"], listener["allowed_cidrs"]) == (50, ["192.0.2.0/24"])
    assert listener["default_pool_id"] == pool["id"]
    assert pool["lb_algorithm"] == "SOURCE_IP_PORT"
    assert pool["description"] == "scheduler mh mh-port, forwarding masq"
    assert pool["session_persistence"] == {
        "type": "SOURCE_IP",
        "cookie_name": None,
        "persistence_timeout": 300,
        "persistence_granularity": "255.255.255.255",
    }
    other = await one(world, "pools", "dns:53/udp")
    assert other["description"] == "scheduler wrr, forwarding dr, forwarding tunnel"
    assert (other["protocol"], other["lb_algorithm"]) == ("UDP", "ROUND_ROBIN")
    assert "healthmonitor_id" not in other


async def test_servers_and_checks_of_the_files_are_members_and_monitors(world):
    pool = await one(world, "pools", "web:80")
    members = (await world.get(f"{LB}/pools/{pool['id']}/members"))["members"]
    names = ("name", "address", "protocol_port", "weight", "backup", "admin_state_up")
    assert {tuple(member[name] for name in names) for member in members} == {
        ("one", "10.0.0.4", 80, 3, False, True),
        ("two", "10.0.0.6", 8080, 1, True, True),
        ("off", "10.0.0.8", 80, 1, False, False),
    }
    monitor = (await world.get(f"{LB}/healthmonitors/{pool['healthmonitor_id']}"))["healthmonitor"]
    told = {
        "name": "http",
        "type": "HTTP",
        "delay": 3,
        "timeout": 1,
        "max_retries": 4,
        "max_retries_down": 5,
        "http_method": "GET",
        "url_path": "/health",
        "expected_codes": "200-299,404",
        "http_version": 1.1,
        "domain_name": None,
    }
    assert {name: monitor[name] for name in told} == told


async def test_their_states_follow_health(world):
    web = await one(world, "loadbalancers", "10.0.0.100")
    world.control.everything_up()
    assert (await one(world, "loadbalancers", "10.0.0.100"))["operating_status"] == "ONLINE"
    world.control.fail("10.0.0.4", times=5)
    tree = (await world.get(f"{LB}/loadbalancers/{web['id']}/status"))["statuses"]["loadbalancer"]
    assert tree["operating_status"] == "DEGRADED"
    (listener,) = (one for one in tree["listeners"] if one["name"] == "web:80")
    (pool,) = listener["pools"]
    assert (listener["operating_status"], pool["operating_status"]) == ("ONLINE", "DEGRADED")
    states = {member["name"]: member["operating_status"] for member in pool["members"]}
    assert states == {"one": "ERROR", "two": "ONLINE", "off": "OFFLINE"}


async def test_their_traffic_is_the_kernels(world):
    world.control.counters = BUSY
    world.control.everything_up()
    listener = await one(world, "listeners", "web:80")
    stats = (await world.get(f"{LB}/listeners/{listener['id']}/stats"))["stats"]
    assert stats["active_connections"] > 0
    whole = await one(world, "loadbalancers", "10.0.0.100")
    both = (await world.get(f"{LB}/loadbalancers/{whole['id']}/stats"))["stats"]
    assert both["active_connections"] == 2 * stats["active_connections"]


async def test_lists_can_be_had_without_them(world):
    made = await world.load_balancer()
    found = (await world.get(f"{LB}/loadbalancers?not-tags=file"))["loadbalancers"]
    assert [one["id"] for one in found] == [made]
    assert len((await world.get(f"{LB}/loadbalancers"))["loadbalancers"]) == 3


CHANGES: list[tuple[str, str, Any, str]] = [
    ("PUT", "loadbalancers/{lb}", {"loadbalancer": {"name": "x"}}, "Load Balancer {lb}"),
    ("DELETE", "loadbalancers/{lb}", None, "Load Balancer {lb}"),
    ("DELETE", "loadbalancers/{lb}?cascade=true", None, "Load Balancer {lb}"),
    ("PUT", "loadbalancers/{lb}/failover", None, "Load Balancer {lb}"),
    (
        "POST",
        "listeners",
        {"listener": {"loadbalancer_id": "{lb}", "protocol": "TCP", "protocol_port": 81}},
        "Load Balancer {lb}",
    ),
    ("PUT", "listeners/{listener}", {"listener": {"name": "x"}}, "Listener {listener}"),
    ("DELETE", "listeners/{listener}", None, "Listener {listener}"),
    (
        "POST",
        "pools",
        {"pool": {"listener_id": "{listener}", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}},
        "Load Balancer {lb}",
    ),
    ("PUT", "pools/{pool}", {"pool": {"name": "x"}}, "Pool {pool}"),
    ("DELETE", "pools/{pool}", None, "Pool {pool}"),
    (
        "POST",
        "pools/{pool}/members",
        {"member": {"address": "10.0.0.9", "protocol_port": 80}},
        "Pool {pool}",
    ),
    ("PUT", "pools/{pool}/members", {"members": []}, "Pool {pool}"),
    ("PUT", "pools/{pool}/members/{member}", {"member": {"weight": 0}}, "Pool {pool}"),
    ("DELETE", "pools/{pool}/members/{member}", None, "Pool {pool}"),
    ("PUT", "healthmonitors/{monitor}", {"healthmonitor": {"delay": 9}}, "Pool {pool}"),
    ("DELETE", "healthmonitors/{monitor}", None, "Pool {pool}"),
    (
        "POST",
        "healthmonitors",
        {
            "healthmonitor": {
                "pool_id": "{pool}",
                "type": "TCP",
                "delay": 5,
                "timeout": 3,
                "max_retries": 2,
            }
        },
        "Pool {pool}",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "what"), CHANGES, ids=[f"{one[0]} {one[1]}" for one in CHANGES]
)
async def test_no_change_of_them_is_taken(world, method, path, body, what):
    key = next(key for key in world.files[0].keys if isinstance(key, AddressKey) and key.port == 80)
    ids = {
        kind: identifier_of("file", word, str(key))
        for kind, word in (("listener", "listener"), ("pool", "pool"), ("monitor", "healthmonitor"))
    }
    ids["lb"] = identifier_of("file", "loadbalancer", "10.0.0.100")
    members = (await world.get(f"{LB}/pools/{ids['pool']}/members"))["members"]
    ids["member"] = members[0]["id"]
    before = dict(world.desk.catalogue.of_kind(Kind.POOL))
    filled = None if body is None else _filled(body, ids)
    answer = await world.ask(method, f"{LB}/{path.format(**ids)}", filled)
    told = "is declared in the gateway's configuration, and can be changed only there."
    assert answer.fault == (403, f"{what.format(**ids)} {told}")
    assert (world.texts, world.services) == ({}, {})
    assert before == world.desk.catalogue.of_kind(Kind.POOL)


def _filled(body, ids):
    if isinstance(body, dict):
        return {key: _filled(value, ids) for key, value in body.items()}
    return body.format(**ids) if isinstance(body, str) else body


async def test_no_quota_counts_them(world):
    body = {"quota": {"loadbalancer": 1, "listener": 1, "pool": 1, "member": 1}}
    assert (await world.ask("PUT", f"{LB}/quotas/{PROJECT}", body)).status == 202
    await world.site()
    world.load("version: 1\nservices: []\n")
    answer = await world.ask(
        "POST", f"{LB}/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}
    )
    assert answer.fault == (403, "Quota has been met for resources: Load Balancer")


async def test_what_the_files_declare_cannot_be_had_a_second_time():
    world = World()
    site = await world.site()
    vip = (await world.get(f"{LB}/loadbalancers/{site.load_balancer}"))["loadbalancer"][
        "vip_address"
    ]
    world.load(
        f"version: 1\nservices:\n  - {{name: a, vip: {vip}, port: 81, servers: [{{address: 10.0.0.4}}]}}\n"
        "  - {name: b, vip: 203.0.113.12, port: 80, servers: [{address: 10.0.0.4}]}\n"
    )
    place = world.files[0].origin
    listener = {"protocol": "TCP", "protocol_port": 81, "loadbalancer_id": site.load_balancer}
    refused = (409, f"Virtual service tcp/{vip}:81 is already declared at {place}.")
    answer = await world.ask("POST", f"{LB}/listeners", {"listener": listener})
    assert answer.fault == refused
    off = await world.make("listeners", "listener", **listener, admin_state_up=False)
    enabled = {"listener": {"admin_state_up": True}}
    assert (await world.ask("PUT", f"{LB}/listeners/{off['id']}", enabled)).fault == refused
    port = (await world.get("/v2.0/ports?fixed_ips=ip_address%3D" + vip))["ports"][0]["id"]
    body = {
        "floatingip": {
            "floating_network_id": PUBLIC.id,
            "floating_ip_address": "203.0.113.12",
            "port_id": port,
        }
    }
    status, kind, text = (await world.ask("POST", "/v2.0/floatingips", body)).problem
    assert (status, kind) == (409, "IpAddressAlreadyAllocated")
    assert text == "IP address 203.0.113.12 already allocated."


async def test_a_floating_ip_does_not_lead_to_what_the_files_declare_on_it():
    world = World()
    site = await world.site()
    fields = {"floating_network_id": PUBLIC.id, "floating_ip_address": "203.0.113.12"}
    answer = await world.ask("POST", "/v2.0/floatingips", {"floatingip": fields})
    floating = answer.json["floatingip"]["id"]
    world.load(
        "version: 1\nservices: [{name: b, vip: 203.0.113.12, port: 80, servers: [{address: 10.0.0.4}]}]"
    )
    balancer = (await world.get(f"{LB}/loadbalancers/{site.load_balancer}"))["loadbalancer"]
    body = {"floatingip": {"port_id": balancer["vip_port_id"]}}
    answer = await world.ask("PUT", f"/v2.0/floatingips/{floating}", body)
    place = world.files[0].origin
    assert answer.problem == (
        409,
        "Conflict",
        f"Virtual service tcp/203.0.113.12:80 is already declared at {place}.",
    )
    assert (await world.get(f"/v2.0/floatingips/{floating}"))["floatingip"]["port_id"] is None


async def test_no_floating_ip_leads_to_them(world):
    (port,) = [
        one
        for one in (await world.get("/v2.0/ports"))["ports"]
        if one["fixed_ips"][0]["ip_address"] == "10.0.0.100"
    ]
    body = {"floatingip": {"floating_network_id": PUBLIC.id, "port_id": port["id"]}}
    status, kind, text = (await world.ask("POST", "/v2.0/floatingips", body)).problem
    assert (status, kind) == (403, "Forbidden")
    assert text.endswith(
        "is declared in the gateway's configuration, and can be changed only there."
    )


async def test_a_reload_leaves_what_has_not_changed_as_it_is(world):
    before = {one["name"]: one for one in (await world.get(f"{LB}/pools"))["pools"]}
    objects = dict(world.desk.catalogue.pools)
    world.control.now += 60
    world.load("# moved\n" + WEB.replace("port: 53", "port: 53\n    scheduler: rr"))
    after = {one["name"]: one for one in (await world.get(f"{LB}/pools"))["pools"]}
    assert after["web:80"] == before["web:80"]
    web = objects[before["web:80"]["id"]]
    assert world.desk.catalogue.pools[web.id] is web
    changed = after["dns:53/udp"]
    assert (changed["id"], changed["created_at"]) == tuple(
        before["dns:53/udp"][name] for name in ("id", "created_at")
    )
    assert changed["lb_algorithm"] == "ROUND_ROBIN"
    assert changed["updated_at"] > before["dns:53/udp"]["updated_at"]
    world.load("version: 1\nservices: []\n")
    assert (await world.get(f"{LB}/pools"))["pools"] == []
    assert (await world.ask("GET", f"{LB}/pools/{web.id}")).status == 404
    assert (await world.get("/v2.0/ports"))["ports"] == []


def shown_of(text: str, kind: type[T]) -> list[T]:
    config = loads(f"version: 1\nservices:\n  - {{name: a, vip: 10.0.0.9, {text}}}\n")
    objects = files.shown(config.services, SETTINGS, 0.0).objects
    return [thing for thing in objects.values() if isinstance(thing, kind)]


@pytest.mark.parametrize(
    ("scheduler", "algorithm"),
    [
        *((one, Algorithm.ROUND_ROBIN) for one in ("rr", "wrr", "fo", "ovf")),
        *(
            (one, Algorithm.LEAST_CONNECTIONS)
            for one in ("lc", "wlc", "sed", "nq", "lblc", "lblcr")
        ),
        *((one, Algorithm.SOURCE_IP) for one in ("sh", "mh", "dh")),
        *((f"{one}, flags: [{one}-port]", Algorithm.SOURCE_IP_PORT) for one in ("sh", "mh")),
    ],
)
def test_a_scheduler_is_shown_as_the_nearest_algorithm_and_by_its_name(scheduler, algorithm):
    (pool,) = shown_of(f"port: 80, servers: [{{address: 10.0.0.4}}], scheduler: {scheduler}", Pool)
    assert pool.lb_algorithm is algorithm
    assert pool.description.startswith(f"scheduler {scheduler.partition(',')[0]}")


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        ("https", "HTTPS"),
        ("tls", "TLS-HELLO"),
        ("udp", "UDP-CONNECT"),
        ("dns", "UDP-CONNECT"),
        ("ping", "PING"),
        ("sctp", "SCTP"),
        ("tcp", "TCP"),
        ("redis", "TCP"),
    ],
)
def test_a_check_is_shown_as_the_nearest_monitor_and_by_its_name(check, kind):
    text = f"port: 80, servers: [{{address: 10.0.0.4}}], health_check: {{type: {check}}}"
    (monitor,) = shown_of(text, HealthMonitor)
    assert (monitor.type, monitor.name) == (kind, check)


def test_of_several_checks_the_first_is_shown_and_all_are_named():
    text = "port: 80, servers: [{address: 10.0.0.4}], health_checks: [{type: http}, {type: ping}]"
    (monitor,) = shown_of(text, HealthMonitor)
    assert (monitor.type, monitor.name) == ("HTTP", "http ping")


def test_a_limit_is_shown_where_all_servers_share_it():
    servers = "servers: [{address: 10.0.0.4, upper_threshold: 5}, {address: 10.0.0.6}]"
    (listener,) = shown_of(f"port: 80, {servers}", Listener)
    assert listener.connection_limit == -1
