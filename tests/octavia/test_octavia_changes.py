"""What a change makes of the objects: defaults, resets, states, batches, whole trees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.octavia.world import PROJECT, SUBNET, SUBNET_2, SUBNET_6, World

LB = "/v2.0/lbaas"


async def changed(world: World, path: str, key: str, **fields: object) -> Any:
    """An object after a PUT that has come into force."""
    answer = await world.ask("PUT", f"{LB}/{path}", {key: fields})
    assert answer.status == 200, answer
    await world.desk.finish()
    return (await world.get(f"{LB}/{path}"))[key]


async def test_a_new_load_balancer_looks_as_in_the_walkthrough():
    world = World()
    body = {"name": "lb_test_1", "vip_subnet_id": SUBNET, "admin_state_up": True}
    answer = await world.ask("POST", f"{LB}/loadbalancers", {"loadbalancer": body})
    made = answer.json["loadbalancer"]
    assert made["vip_address"] == "10.0.0.3"
    held = (await world.get(f"/v2.0/ports/{made['vip_port_id']}"))["port"]
    assert held["fixed_ips"] == [{"subnet_id": SUBNET, "ip_address": "10.0.0.3"}]
    expected = {
        "name": "lb_test_1",
        "description": "",
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "admin_state_up": True,
        "project_id": PROJECT,
        "tenant_id": PROJECT,
        "created_at": "2023-11-14T22:13:20",
        "updated_at": None,
        "vip_subnet_id": SUBNET,
        "vip_sg_ids": [],
        "additional_vips": [],
        "listeners": [],
        "pools": [],
        "provider": "ipvs",
        "flavor_id": None,
        "vip_qos_policy_id": None,
        "tags": [],
        "availability_zone": None,
        "vip_vnic_type": "normal",
    }
    assert made.items() >= expected.items()
    assert made.keys() == expected.keys() | {"id", "vip_address", "vip_port_id", "vip_network_id"}
    await world.desk.finish()
    now = (await world.get(f"{LB}/loadbalancers/{made['id']}"))["loadbalancer"]
    assert (now["provisioning_status"], now["operating_status"]) == ("ACTIVE", "ONLINE")
    assert now["updated_at"] == "2023-11-14T22:13:21"


EXPECTED: dict[str, dict[str, Any]] = {
    "listeners": {
        "description": "",
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "connection_limit": -1,
        "default_tls_container_ref": None,
        "sni_container_refs": [],
        "default_pool_id": None,
        "l7policies": [],
        "insert_headers": {},
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
        "client_ca_tls_container_ref": None,
        "client_authentication": "NONE",
        "client_crl_container_ref": None,
        "allowed_cidrs": None,
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
        "hsts_max_age": None,
        "hsts_include_subdomains": False,
        "hsts_preload": False,
    },
    "pools": {
        "operating_status": "OFFLINE",
        "session_persistence": None,
        "members": [],
        "tls_enabled": False,
        "lb_algorithm": "ROUND_ROBIN",
    },
    "members": {
        "operating_status": "NO_MONITOR",
        "weight": 1,
        "backup": False,
        "subnet_id": None,
        "monitor_address": None,
        "monitor_port": None,
        "vnic_type": "normal",
    },
    "healthmonitors": {
        "operating_status": "OFFLINE",
        "type": "HTTP",
        "delay": 60,
        "timeout": 20,
        "max_retries": 2,
        "max_retries_down": 3,
        "http_method": "GET",
        "url_path": "/health",
        "expected_codes": "200",
        "http_version": None,
        "domain_name": None,
    },
}


async def test_everything_has_its_defaults_when_it_is_made():
    world = World()
    load_balancer = await world.load_balancer()
    listener = {"loadbalancer_id": load_balancer, "protocol": "TCP", "protocol_port": "80"}
    made = await world.make("listeners", "listener", **listener)
    assert made.items() >= EXPECTED["listeners"].items()
    assert made["loadbalancers"] == [{"id": load_balancer}]
    assert made["protocol_port"] == 80
    pool = {"listener_id": made["id"], "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    pool = await world.make("pools", "pool", **pool)
    assert pool.items() >= EXPECTED["pools"].items()
    assert pool["listeners"] == [{"id": made["id"]}]
    assert "healthmonitor_id" not in pool
    members = f"pools/{pool['id']}/members"
    member = await world.make(members, "member", address="10.0.0.4", protocol_port=80)
    assert member.items() >= EXPECTED["members"].items()
    monitor = {"pool_id": pool["id"], "type": "HTTP", "delay": 60, "timeout": "20"}
    monitor |= {"max_retries": 2, "url_path": "/health"}
    monitor = await world.make("healthmonitors", "healthmonitor", **monitor)
    assert monitor.items() >= EXPECTED["healthmonitors"].items()
    assert monitor["pools"] == [{"id": pool["id"]}]
    again = (await world.get(f"{LB}/pools/{pool['id']}"))["pool"]
    assert again["healthmonitor_id"] == monitor["id"]
    late = await world.make(members, "member", address="10.0.0.6", protocol_port=80)
    assert late["operating_status"] == "OFFLINE"


RESETS = [
    ("loadbalancers", "loadbalancer", {"name": "", "description": ""}),
    (
        "listeners",
        "listener",
        {
            "name": "",
            "connection_limit": -1,
            "timeout_client_data": 50000,
            "timeout_tcp_inspect": 0,
            "allowed_cidrs": None,
            "default_pool_id": None,
            "insert_headers": {},
            "tls_ciphers": None,
            "admin_state_up": False,
        },
    ),
    ("pools", "pool", {"name": "", "description": "", "session_persistence": None}),
    (
        "members",
        "member",
        {"name": "", "weight": 1, "backup": False, "monitor_address": None, "monitor_port": None},
    ),
    (
        "healthmonitors",
        "healthmonitor",
        {
            "name": "",
            "max_retries_down": 3,
            "http_method": "GET",
            "url_path": "/",
            "expected_codes": "200",
            "http_version": None,
            "admin_state_up": False,
        },
    ),
]
SET: dict[str, dict[str, Any]] = {
    "loadbalancers": {"name": "x", "description": "y", "tags": ["a"]},
    "listeners": {
        "name": "x",
        "connection_limit": "200",
        "timeout_client_data": 1,
        "timeout_tcp_inspect": 2,
        "allowed_cidrs": ["10.0.0.5/8", "10.0.0.0/8"],
    },
    "pools": {"name": "x", "session_persistence": {"type": "SOURCE_IP"}},
    "members": {
        "name": "x",
        "weight": 0,
        "backup": "true",
        "monitor_address": "10.0.0.7",
        "monitor_port": 81,
    },
    "healthmonitors": {
        "name": "x",
        "max_retries_down": 5,
        "http_method": "HEAD",
        "url_path": "/x",
        "expected_codes": "200-204",
        "http_version": 1.1,
    },
}


@pytest.mark.parametrize(("what", "key", "defaults"), RESETS)
async def test_null_in_an_update_leaves_the_default(what, key, defaults):
    world = World()
    site = await world.site()
    path = {
        "loadbalancers": f"loadbalancers/{site.load_balancer}",
        "listeners": f"listeners/{site.listener}",
        "pools": f"pools/{site.pool}",
        "members": f"pools/{site.pool}/members/{site.member}",
        "healthmonitors": f"healthmonitors/{site.monitor}",
    }[what]
    after = await changed(world, path, key, **SET[what])
    if what == "listeners":
        assert after["connection_limit"] == 200
        assert after["allowed_cidrs"] == ["10.0.0.0/8"]
        assert after["default_pool_id"] == site.pool
    if what == "members":
        assert after["backup"] is True
    if what == "pools":
        assert after["session_persistence"] == {
            "type": "SOURCE_IP",
            "cookie_name": None,
            "persistence_timeout": None,
            "persistence_granularity": None,
        }
    after = await changed(world, path, key, **dict.fromkeys(defaults))
    assert after.items() >= defaults.items()


@pytest.mark.parametrize("name", ["delay", "timeout", "max_retries"])
async def test_a_monitor_cannot_do_without_its_pace(name):
    world = World()
    site = await world.site()
    body = {"healthmonitor": {name: None}}
    answer = await world.ask("PUT", f"{LB}/healthmonitors/{site.monitor}", body)
    assert answer.fault == (400, f"None is not a valid option for {name}")


FIXED = [
    ("loadbalancers/{0.load_balancer}", "load_balancer.loadbalancer", "vip_address", "10.0.0.9"),
    ("loadbalancers/{0.load_balancer}", "load_balancer.loadbalancer", "provider", "ipvs"),
    ("listeners/{0.listener}", "listener_.listener", "protocol_port", 81),
    ("listeners/{0.listener}", "listener_.listener", "protocol", "UDP"),
    ("listeners/{0.listener}", "listener_.listener", "loadbalancer_id", SUBNET),
    ("pools/{0.pool}", "pool_.pool", "protocol", "UDP"),
    ("pools/{0.pool}", "pool_.pool", "listener_id", SUBNET),
    ("pools/{0.pool}/members/{0.member}", "member_.member", "address", "10.0.0.9"),
    ("pools/{0.pool}/members/{0.member}", "member_.member", "protocol_port", 81),
    ("pools/{0.pool}/members/{0.member}", "member_.member", "subnet_id", SUBNET),
    ("healthmonitors/{0.monitor}", "health_monitor_.healthmonitor", "type", "TCP"),
    ("healthmonitors/{0.monitor}", "health_monitor_.healthmonitor", "pool_id", SUBNET),
]


@pytest.mark.parametrize(("path", "argument", "name", "value"), FIXED)
async def test_what_something_is_made_with_stays(path, argument, name, value):
    world = World()
    site = await world.site()
    body = {argument.partition(".")[2]: {name: value}}
    answer = await world.ask("PUT", f"{LB}/{path.format(site)}", body)
    assert answer.fault == (400, f"Unknown attribute for argument {argument}: {name}")


# health monitors


@pytest.mark.parametrize("name", ["url_path", "http_method", "expected_codes"])
async def test_what_is_of_http_goes_with_http_monitors_only(name):
    world = World()
    pool = await world.pool(loadbalancer_id=await world.load_balancer())
    value = {"url_path": "/x", "http_method": "GET", "expected_codes": "200"}[name]
    body = {"pool_id": pool, "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2, name: value}
    answer = await world.ask("POST", f"{LB}/healthmonitors", {"healthmonitor": body})
    text = f"{name} is not a valid option for health monitors of type TCP"
    assert answer.fault == (400, text)
    monitor = await world.monitor(pool, type="TCP")
    shown = (await world.get(f"{LB}/healthmonitors/{monitor}"))["healthmonitor"]
    assert shown[name] is None
    for given in (value, None):
        answer = await world.ask(
            "PUT", f"{LB}/healthmonitors/{monitor}", {"healthmonitor": {name: given}}
        )
        assert answer.fault == (400, text)


HOSTS = [
    ({"domain_name": "a.example"}, "Validation failure: 'http_version' must be specified when"),
    (
        {"domain_name": "a.example", "http_version": 1.0},
        "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name",
    ),
    ({"domain_name": "a.example", "http_version": 1.1}, None),
    ({"domain_name": "a.example", "http_version": "1.1"}, None),
    ({"http_version": 1.0}, None),
]


@pytest.mark.parametrize(("fields", "text"), HOSTS)
async def test_the_name_of_a_host_goes_with_http_1_1(fields, text):
    world = World()
    site = await world.site()
    body = {"healthmonitor": fields}
    answer = await world.ask("PUT", f"{LB}/healthmonitors/{site.monitor}", body)
    if text is None:
        assert answer.status == 200
        return
    assert answer.fault[0] == 400
    assert answer.fault[1].startswith(text)


MONITORS = [
    ("TCP", "UDP-CONNECT", 400, "Validation failure: The UDP-CONNECT type is only supported for"),
    (
        "TCP",
        "SCTP",
        400,
        "Validation failure: The SCTP type is only supported for pools of type UDP/SCTP.",
    ),
    (
        "UDP",
        "PING",
        400,
        "Validation failure: The associated pool protocol is UDP, so only a UDP-CONNECT/",
    ),
    ("UDP", "TLS-HELLO", 400, "Validation failure: The associated pool protocol is UDP, so only"),
    ("UDP", "SCTP", 201, ""),
    ("SCTP", "SCTP", 201, ""),
    ("UDP", "UDP-CONNECT", 201, ""),
    ("SCTP", "TCP", 201, ""),
    ("UDP", "HTTP", 201, ""),
    *(("TCP", kind, 201, "") for kind in ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO")),
]


@pytest.mark.parametrize(("protocol", "kind", "status", "text"), MONITORS)
async def test_the_type_of_a_monitor_goes_with_the_protocol_of_its_pool(
    protocol, kind, status, text
):
    world = World()
    pool = await world.pool(loadbalancer_id=await world.load_balancer(), protocol=protocol)
    body = {"pool_id": pool, "type": kind, "delay": 5, "timeout": 3, "max_retries": 2}
    answer = await world.ask("POST", f"{LB}/healthmonitors", {"healthmonitor": body})
    assert answer.status == status
    if text:
        assert answer.fault[1].startswith(text)


async def test_a_udp_monitor_has_a_least_pace_and_others_a_timeout_above_their_delay():
    world = World()
    load_balancer = await world.load_balancer()
    pool = await world.pool(loadbalancer_id=load_balancer, protocol="UDP")
    body = {"pool_id": pool, "type": "UDP-CONNECT", "delay": 2, "timeout": 3, "max_retries": 2}
    answer = await world.ask("POST", f"{LB}/healthmonitors", {"healthmonitor": body})
    text = "The request delay value 2 should be larger than 3 for UDP-CONNECT health monitor type."
    assert answer.fault == (400, f"Validation failure: {text}")
    other = await world.pool(loadbalancer_id=load_balancer)
    assert await world.monitor(other, delay=3, timeout=10)


# pools


PERSISTENCE = [
    ("UDP", {"type": "SOURCE_IP", "persistence_timeout": "300"}, None),
    ("TCP", {"type": "SOURCE_IP", "persistence_granularity": "255.255.0.0"}, None),
    (
        "UDP",
        {"type": "HTTP_COOKIE"},
        "Session persistence of type HTTP_COOKIE is not supported for",
    ),
    (
        "UDP",
        {"type": "APP_COOKIE", "cookie_name": "x"},
        "Cookie names are not supported for UDP/SCTP",
    ),
    (
        "UDP",
        {"type": "SOURCE_IP", "cookie_name": "x"},
        "session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type,",
    ),
    (
        "TCP",
        {"type": "SOURCE_IP", "cookie_name": "x"},
        'Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".',
    ),
    (
        "TCP",
        {"type": "APP_COOKIE"},
        'Field "cookie_name" must be specified when using the "APP_COOKIE"',
    ),
]


@pytest.mark.parametrize(("protocol", "persistence", "text"), PERSISTENCE)
async def test_persistence_goes_with_the_protocol(protocol, persistence, text):
    world = World()
    load_balancer = await world.load_balancer()
    body = {"loadbalancer_id": load_balancer, "protocol": protocol, "lb_algorithm": "SOURCE_IP"}
    body["session_persistence"] = persistence
    answer = await world.ask("POST", f"{LB}/pools", {"pool": body})
    if text is None:
        assert answer.status == 201
        return
    assert answer.fault[0] == 400
    assert answer.fault[1].startswith(f"Validation failure: {text}")


async def test_persistence_keeps_its_type_where_an_update_does_not_say_it():
    world = World()
    load_balancer = await world.load_balancer()
    kept = {"type": "SOURCE_IP", "persistence_timeout": 60}
    pool = await world.pool(loadbalancer_id=load_balancer, protocol="UDP", session_persistence=kept)
    after = await changed(
        world, f"pools/{pool}", "pool", session_persistence={"persistence_timeout": 5}
    )
    assert after["session_persistence"]["type"] == "SOURCE_IP"
    assert after["session_persistence"]["persistence_timeout"] == 5


async def test_a_listener_whose_pool_goes_has_none():
    world = World()
    site = await world.site()
    assert (await world.ask("DELETE", f"{LB}/pools/{site.pool}")).status == 204
    await world.desk.finish()
    shown = (await world.get(f"{LB}/listeners/{site.listener}"))["listener"]
    assert shown["default_pool_id"] is None
    assert (await world.ask("GET", f"{LB}/healthmonitors/{site.monitor}")).status == 404


# members


async def test_a_batch_makes_changes_and_removes_by_address_and_port():
    world = World()
    site = await world.site()
    path = f"{LB}/pools/{site.pool}/members"
    await changed(world, f"pools/{site.pool}/members/{site.member}", "member", name="m1", weight=5)
    await world.member(site.pool, "10.0.0.6", name="m2")
    batch = [
        {"address": "10.0.0.4", "protocol_port": 80},
        {"address": "10.0.0.8", "protocol_port": 80, "name": "m3", "weight": 7},
    ]
    answer = await world.ask("PUT", path, {"members": batch})
    assert (answer.status, answer.content) == (202, b"")
    await world.desk.finish()
    members = (await world.get(path))["members"]
    assert [(one["id"] == site.member, one["name"], one["weight"]) for one in members] == [
        (True, "m1", 1),
        (False, "m3", 7),
    ]
    answer = await world.ask(
        "PUT",
        f"{path}?additive_only=True",
        {"members": [{"address": "10.0.0.9", "protocol_port": 1}]},
    )
    assert answer.status == 202
    await world.desk.finish()
    members = (await world.get(path))["members"]
    assert [one["address"] for one in members] == ["10.0.0.4", "10.0.0.8", "10.0.0.9"]
    assert (await world.ask("PUT", path, {"members": []})).status == 202
    await world.desk.finish()
    assert (await world.get(path))["members"] == []
    assert (await world.ask("PUT", path, {"members": []})).status == 202


@pytest.mark.parametrize(
    ("batch", "fault"),
    [
        (
            [{"address": "10.0.0.4", "protocol_port": 80}] * 2,
            (400, "Validation failure: Member must be updated only once in the same request."),
        ),
        (
            [{"address": "10.0.0.4"}],
            (
                400,
                "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing.",
            ),
        ),
        (
            [{"address": "169.254.169.254", "protocol_port": 80}],
            (400, "169.254.169.254 is not a valid option for member address"),
        ),
        (
            [{"address": "10.0.0.7", "protocol_port": 80, "subnet_id": SUBNET[:-1] + "f"}],
            (400, f"Subnet {SUBNET[:-1]}f not found."),
        ),
        (
            ["10.0.0.4"],
            (
                400,
                "Invalid input for field/attribute members. Value: '['10.0.0.4']'."
                " Value should be a list of objects",
            ),
        ),
    ],
)
async def test_a_batch_with_one_wrong_member_changes_nothing(batch, fault):
    world = World()
    site = await world.site()
    before = await world.get(f"{LB}/pools/{site.pool}/members")
    answer = await world.ask("PUT", f"{LB}/pools/{site.pool}/members", {"members": batch})
    assert answer.fault == fault
    assert await world.get(f"{LB}/pools/{site.pool}/members") == before


async def test_this_machine_can_be_a_member():
    world = World()
    site = await world.site()
    assert await world.member(site.pool, "127.0.0.1")


# whole trees


TREE: dict[str, Any] = {
    "name": "whole",
    "vip_subnet_id": SUBNET,
    "listeners": [
        {
            "name": "80",
            "protocol": "TCP",
            "protocol_port": 80,
            "default_pool": {
                "name": "web",
                "protocol": "TCP",
                "lb_algorithm": "ROUND_ROBIN",
                "members": [
                    {"address": "10.0.0.4", "protocol_port": 80},
                    {"address": "10.0.0.6", "protocol_port": 80},
                ],
                "healthmonitor": {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2},
            },
        },
        {"name": "443", "protocol": "TCP", "protocol_port": 443, "default_pool": {"name": "web"}},
    ],
    "pools": [{"name": "spare", "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}],
}


async def test_a_whole_tree_is_made_by_one_call():
    world = World()
    made = await world.make("loadbalancers", "loadbalancer", **TREE)
    assert [one["name"] for one in made["pools"]] == ["spare", "web"]
    web = made["pools"][1]
    assert [one["address"] for one in web["members"]] == ["10.0.0.4", "10.0.0.6"]
    assert web["healthmonitor"]["type"] == "HTTP"
    assert [one["default_pool_id"] for one in made["listeners"]] == [web["id"], web["id"]]
    tree = (await world.get(f"{LB}/loadbalancers/{made['id']}/status"))["statuses"]["loadbalancer"]
    assert [one["name"] for one in tree["listeners"]] == ["80", "443"]
    assert all(one["provisioning_status"] == "ACTIVE" for one in tree["listeners"])
    services = world.services[made["id"]]
    assert [len(one.servers) for one in services] == [2, 2]


@pytest.mark.parametrize(
    ("listener", "status"),
    [
        ({"protocol": "TCP", "protocol_port": 80}, 409),
        ({"protocol": "HTTP", "protocol_port": 81}, 501),
        ({"protocol": "TCP", "protocol_port": 81, "default_pool": {"name": "none"}}, 400),
        ({"protocol": "TCP", "protocol_port": 81, "foo": 1}, 400),
        ("listener", 400),
    ],
)
async def test_a_tree_that_is_wrong_in_one_place_is_not_made_at_all(listener, status):
    world = World()
    body = {**TREE, "listeners": [*TREE["listeners"], listener]}
    answer = await world.ask("POST", f"{LB}/loadbalancers", {"loadbalancer": body})
    assert answer.status == status
    assert not world.texts
    assert (await world.get(f"{LB}/pools"))["pools"] == []


# VIPs


async def test_a_vip_is_placed_where_it_is_asked_for():
    world = World()
    network = (await world.get("/v2.0/networks?name=private-net"))["networks"][0]["id"]
    first = await world.make("loadbalancers", "loadbalancer", vip_network_id=network)
    assert first["vip_address"] == "10.0.0.3"
    second = await world.make("loadbalancers", "loadbalancer", vip_subnet_id=SUBNET)
    assert second["vip_address"] == "10.0.0.4"
    third = await world.make("loadbalancers", "loadbalancer", vip_subnet_id=SUBNET)
    assert third["vip_address"] == "10.0.0.6", "others answer on 10.0.0.5"
    asked = {"vip_network_id": network, "vip_address": "fd00::50"}
    assert (await world.make("loadbalancers", "loadbalancer", **asked))["vip_subnet_id"] == SUBNET_6
    for taken in ("10.0.0.3", "10.0.0.5"):
        body = {"vip_subnet_id": SUBNET, "vip_address": taken}
        answer = await world.ask("POST", f"{LB}/loadbalancers", {"loadbalancer": body})
        text = f"IP address {taken} already allocated in subnet {SUBNET}"
        assert answer.fault == (409, text)


async def test_a_load_balancer_can_have_several_vips():
    world = World()
    more = [{"subnet_id": SUBNET_6}, {"subnet_id": SUBNET_2, "ip_address": "10.0.1.77"}]
    made = await world.make(
        "loadbalancers", "loadbalancer", vip_subnet_id=SUBNET, additional_vips=more
    )
    assert [one["ip_address"] for one in made["additional_vips"]] == ["fd00::3", "10.0.1.77"]
    listener = await world.listener(made["id"])
    pool = await world.pool(listener_id=listener)
    await world.member(pool, "10.0.0.4")
    await world.member(pool, "fd00::44")
    four, six = world.services[made["id"]]
    assert [str(key) for key in four.keys] == ["tcp/10.0.0.3:80", "tcp/10.0.1.77:80"]
    assert [str(key) for key in six.keys] == ["tcp/[fd00::3]:80"]
    assert [str(one.address) for one in four.servers] == ["10.0.0.4"]
    assert [str(one.address) for one in six.servers] == ["fd00::44"]
    assert four.name != six.name


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            [{"subnet_id": SUBNET}],
            "Duplicate VIP subnet(s) specified. Only one IP can be bound per",
        ),
        ([{}], "field/attribute subnet_id. Value: 'None'. Mandatory field missing."),
        (["x"], "field/attribute additional_vips. Value: 'x'. Value should be an object"),
        (
            [{"subnet_id": SUBNET, "net": 1}],
            "Unknown attribute for argument load_balancer.loadbalancer.additional_vips: net",
        ),
        ([{"subnet_id": SUBNET_6, "port_id": SUBNET}], f"Port {SUBNET} not found."),
    ],
)
async def test_vips_that_do_not_go_together_are_refused(more, text):
    world = World()
    body = {"vip_subnet_id": SUBNET, "additional_vips": more}
    answer = await world.ask("POST", f"{LB}/loadbalancers", {"loadbalancer": body})
    assert answer.fault[0] == 400
    assert text in answer.fault[1]


async def test_when_no_address_is_left_there_is_no_load_balancer():
    world = World()
    public = (await world.get("/v2.0/subnets?name=public-subnet"))["subnets"][0]["id"]
    for _ in range(3):
        await world.load_balancer(vip_subnet_id=public)
    answer = await world.ask(
        "POST", f"{LB}/loadbalancers", {"loadbalancer": {"vip_subnet_id": public}}
    )
    assert answer.fault == (409, "No more IP addresses available in the subnets asked for.")


# one after the other


async def test_of_two_that_ask_for_one_port_at_once_one_gets_it():
    world = World()
    load_balancer = await world.load_balancer()
    body = {"protocol": "TCP", "protocol_port": 80, "loadbalancer_id": load_balancer}
    answers = await asyncio.gather(
        *(world.ask("POST", f"{LB}/listeners", {"listener": body}) for _ in range(2))
    )
    assert sorted(answer.status for answer in answers) == [201, 409]
    await world.desk.finish()
    answer = await world.ask("POST", f"{LB}/listeners", {"listener": body})
    assert answer.status == 409
    assert len((await world.get(f"{LB}/listeners"))["listeners"]) == 1


async def test_two_that_ask_for_an_address_at_once_get_different_ones():
    world = World()
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    answers = await asyncio.gather(
        *(world.ask("POST", f"{LB}/loadbalancers", body) for _ in range(20))
    )
    assert len({answer.json["loadbalancer"]["vip_address"] for answer in answers}) == 20
