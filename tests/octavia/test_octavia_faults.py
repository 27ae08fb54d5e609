"""What is refused, by status and by text, as a real Octavia says it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from ipvs_lb.octavia.objects import Kind
from tests.octavia.world import SUBNET, Site, World

LB = "/v2.0/lbaas"
NOBODY = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "loadbalancers": ("loadbalancer", {"vip_subnet_id": SUBNET}),
    "listeners": (
        "listener",
        {"protocol": "TCP", "protocol_port": 81, "loadbalancer_id": "{load_balancer}"},
    ),
    "pools": (
        "pool",
        {
            "protocol": "TCP",
            "lb_algorithm": "ROUND_ROBIN",
            "loadbalancer_id": "{load_balancer}",
        },
    ),
    "pools/{pool}/members": ("member", {"address": "10.0.0.9", "protocol_port": 80}),
    "healthmonitors": (
        "healthmonitor",
        {"pool_id": "{pool}", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2},
    ),
}


def filled(value: Any, site: Site) -> Any:
    """*value* with the identifiers of *site* in place of their names."""
    if isinstance(value, dict):
        return {name: filled(inner, site) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    for name in ("load_balancer", "listener", "pool", "member", "monitor"):
        value = value.replace(f"{{{name}}}", getattr(site, name))
    return value


async def refused(world: World, site: Site, path: str, **fields: object) -> tuple[int, str]:
    """The fault of a POST that would succeed without *fields*."""
    key, body = BODIES[path]
    given = filled({**body, **fields}, site)
    given = {name: value for name, value in given.items() if value is not ...}
    answer = await world.ask("POST", f"{LB}/{filled(path, site)}", {key: given})
    return answer.fault


@pytest.mark.parametrize("path", BODIES)
async def test_what_is_refused_below_for_one_reason_is_accepted_without_it(path):
    world = World()
    site = await world.site()
    if path == "healthmonitors":
        await world.ask("DELETE", f"{LB}/healthmonitors/{site.monitor}")
        await world.desk.finish()
    key, body = BODIES[path]
    answer = await world.ask("POST", f"{LB}/{filled(path, site)}", {key: filled(body, site)})
    assert answer.status == 201, answer


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", f"/loadbalancers/{NOBODY}", f"Load Balancer {NOBODY} not found."),
        ("PUT", f"/loadbalancers/{NOBODY}", f"Load Balancer {NOBODY} not found."),
        ("DELETE", f"/loadbalancers/{NOBODY}", f"Load Balancer {NOBODY} not found."),
        ("PUT", f"/loadbalancers/{NOBODY}/failover", f"Load Balancer {NOBODY} not found."),
        ("GET", "/loadbalancers/no-uuid/status", "Load Balancer no-uuid not found."),
        ("GET", "/loadbalancers/no-uuid/stats", "Load Balancer no-uuid not found."),
        ("GET", f"/listeners/{NOBODY}", f"Listener {NOBODY} not found."),
        ("DELETE", f"/listeners/{NOBODY}", f"Listener {NOBODY} not found."),
        ("GET", "/listeners/x/stats", "Listener x not found."),
        ("GET", f"/pools/{NOBODY}", f"Pool {NOBODY} not found."),
        ("DELETE", f"/pools/{NOBODY}", f"Pool {NOBODY} not found."),
        ("GET", f"/pools/{NOBODY}/members", f"Pool {NOBODY} not found."),
        ("GET", f"/pools/{NOBODY}/members/x", f"Pool {NOBODY} not found."),
        ("GET", f"/pools/{{pool}}/members/{NOBODY}", f"Member {NOBODY} not found."),
        ("DELETE", f"/pools/{{pool}}/members/{NOBODY}", f"Member {NOBODY} not found."),
        ("GET", f"/healthmonitors/{NOBODY}", f"Health Monitor {NOBODY} not found."),
        ("DELETE", f"/healthmonitors/{NOBODY}", f"Health Monitor {NOBODY} not found."),
        ("GET", "/flavors/x", "Flavor x not found."),
        ("GET", "/l7policies/x", "L7 Policy x not found."),
    ],
)
async def test_what_is_not_there_is_not_found(method, path, text):
    world = World()
    site = await world.site()
    answer = await world.ask(method, LB + str(filled(path, site)), {"loadbalancer": {}})
    assert answer.fault == (404, text)


async def test_a_member_of_another_pool_is_not_found():
    world = World()
    site = await world.site()
    other = await world.pool(loadbalancer_id=site.load_balancer)
    answer = await world.ask("GET", f"{LB}/pools/{other}/members/{site.member}")
    assert answer.fault == (404, f"Member {site.member} not found.")


PENDING = [
    ("POST", "listeners", "Load Balancer {load_balancer}"),
    ("POST", "pools", "Load Balancer {load_balancer}"),
    ("POST", "pools/{pool}/members", "Load Balancer {load_balancer}"),
    ("PUT", "listeners/{listener}", "Load Balancer {load_balancer}"),
    ("PUT", "pools/{pool}", "Load Balancer {load_balancer}"),
    ("PUT", "pools/{pool}/members/{member}", "Load Balancer {load_balancer}"),
    ("PUT", "healthmonitors/{monitor}", "Load Balancer {load_balancer}"),
    ("PUT", "pools/{pool}/members", "Load Balancer {load_balancer}"),
    ("DELETE", "listeners/{listener}", "Load Balancer {load_balancer}"),
    ("DELETE", "pools/{pool}", "Load Balancer {load_balancer}"),
    ("DELETE", "pools/{pool}/members/{member}", "Load Balancer {load_balancer}"),
    ("DELETE", "healthmonitors/{monitor}", "Load Balancer {load_balancer}"),
]
KEYS = {
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "healthmonitors": "healthmonitor",
}


def body_of(method: str, path: str, site: Site) -> object:
    if method == "DELETE":
        return None
    if path == "pools/{pool}/members" and method == "PUT":
        return {"members": [{"address": "10.0.0.9", "protocol_port": 80}]}
    if method == "POST":
        key, body = BODIES[path]
        return {key: filled(body, site)}
    last = [step for step in path.split("/") if not step.startswith("{")][-1]
    return {KEYS[last]: {"name": "new"}}


@pytest.mark.parametrize(("method", "path", "what"), PENDING)
async def test_nothing_in_a_load_balancer_that_is_changing_can_be_changed(method, path, what):
    world = World()
    site = await world.site()
    world.hold()
    renamed = await world.ask(
        "PUT", f"{LB}/loadbalancers/{site.load_balancer}", {"loadbalancer": {"name": "new"}}
    )
    assert renamed.json["loadbalancer"]["provisioning_status"] == "PENDING_UPDATE"
    answer = await world.ask(method, f"{LB}/{filled(path, site)}", body_of(method, path, site))
    assert answer.fault == (409, f"{filled(what, site)} is immutable and cannot be updated.")
    await world.release()
    answer = await world.ask(method, f"{LB}/{filled(path, site)}", body_of(method, path, site))
    assert answer.status < 300


async def test_what_is_in_a_pool_that_is_changing_waits_for_the_pool():
    world = World()
    site = await world.site()
    world.hold()
    await world.ask("PUT", f"{LB}/pools/{site.pool}", {"pool": {"name": "new"}})
    text = f"Pool {site.pool} is immutable and cannot be updated."
    assert await refused(world, site, "pools/{pool}/members") == (409, text)
    answer = await world.ask("DELETE", f"{LB}/healthmonitors/{site.monitor}")
    assert answer.fault == (409, text)
    await world.release()


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", ""), ("DELETE", ""), ("DELETE", "?cascade=true"), ("PUT", "/failover")],
)
async def test_a_load_balancer_that_is_being_made_cannot_be_changed(method, path):
    world = World()
    world.hold()
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    made = (await world.ask("POST", f"{LB}/loadbalancers", body)).json["loadbalancer"]["id"]
    answer = await world.ask(
        method, f"{LB}/loadbalancers/{made}{path}", {"loadbalancer": {"name": "new"}}
    )
    text = f"Invalid state PENDING_CREATE of loadbalancer resource {made}"
    assert answer.fault == (409, text)
    await world.release()


async def test_a_port_is_taken_once_for_every_transport():
    world = World()
    site = await world.site()
    taken = (
        "Another Listener on this Load Balancer is already using protocol TCP and protocol_port 80"
    )
    assert await refused(world, site, "listeners", protocol_port=80) == (409, taken)
    https = await refused(world, site, "listeners", protocol_port=80, protocol="HTTPS")
    assert https == (409, taken)
    for protocol in ("UDP", "SCTP"):
        body = {
            "protocol": protocol,
            "protocol_port": 80,
            "loadbalancer_id": site.load_balancer,
        }
        assert await world.make("listeners", "listener", **body)


async def test_what_there_can_be_one_of_is_refused_the_second_time():
    world = World()
    site = await world.site()
    assert await refused(world, site, "pools/{pool}/members", address="10.0.0.4") == (
        409,
        "Another member on this pool is already using ip 10.0.0.4 on protocol_port 80",
    )
    assert await refused(world, site, "healthmonitors") == (
        409,
        "This pool already has a health monitor",
    )
    assert await refused(world, site, "pools", listener_id="{listener}", loadbalancer_id=...) == (
        409,
        "This listener already has a default pool",
    )


async def test_a_load_balancer_with_something_in_it_goes_with_cascade_only():
    world = World()
    site = await world.site()
    answer = await world.ask("DELETE", f"{LB}/loadbalancers/{site.load_balancer}")
    text = f"Validation failure: Cannot delete Load Balancer {site.load_balancer} - it has children"
    assert answer.fault == (400, text)
    answer = await world.ask("DELETE", f"{LB}/loadbalancers/{site.load_balancer}?cascade=True")
    assert (answer.status, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "argument"),
    [
        ("loadbalancers", "load_balancer.loadbalancer"),
        ("listeners", "listener_.listener"),
        ("pools", "pool_.pool"),
        ("pools/{pool}/members", "member_.member"),
        ("healthmonitors", "health_monitor_.healthmonitor"),
    ],
)
async def test_an_attribute_that_is_unknown_or_for_reading_is_refused(path, argument):
    world = World()
    site = await world.site()
    for name in ("foo", "operating_status", "id"):
        text = f"Unknown attribute for argument {argument}: {name}"
        assert await refused(world, site, path, **{name: "x"}) == (400, text)


VALUES = [
    ("listeners", {"protocol_port": ...}, "protocol_port", "None", "Mandatory field missing."),
    ("listeners", {"loadbalancer_id": ...}, "loadbalancer_id", "None", "Mandatory field missing."),
    ("pools", {"lb_algorithm": None}, "lb_algorithm", "None", "Mandatory field missing."),
    ("healthmonitors", {"delay": ...}, "delay", "None", "Mandatory field missing."),
    ("healthmonitors", {"max_retries": ...}, "max_retries", "None", "Mandatory field missing."),
    ("pools/{pool}/members", {"address": ...}, "address", "None", "Mandatory field missing."),
    (
        "pools/{pool}/members",
        {"weight": 257},
        "weight",
        "257",
        "Value should be lower or equal to 256",
    ),
    (
        "pools/{pool}/members",
        {"weight": -1},
        "weight",
        "-1",
        "Value should be greater or equal to 0",
    ),
    (
        "pools/{pool}/members",
        {"protocol_port": 65536},
        "protocol_port",
        "65536",
        "Value should be lower or equal to 65535",
    ),
    (
        "listeners",
        {"protocol_port": 0},
        "protocol_port",
        "0",
        "Value should be greater or equal to 1",
    ),
    (
        "listeners",
        {"connection_limit": -2},
        "connection_limit",
        "-2",
        "Value should be greater or equal to -1",
    ),
    (
        "listeners",
        {"protocol_port": "http"},
        "protocol_port",
        "http",
        "invalid literal for int() with base 10: 'http'",
    ),
    ("listeners", {"protocol_port": True}, "protocol_port", "True", "Value should be an integer"),
    ("listeners", {"protocol_port": 8.5}, "protocol_port", "8.5", "Value should be an integer"),
    ("loadbalancers", {"vip_subnet_id": "x"}, "vip_subnet_id", "x", "Value should be UUID format"),
    ("loadbalancers", {"vip_subnet_id": 7}, "vip_subnet_id", "7", "Value should be UUID format"),
    (
        "loadbalancers",
        {"vip_address": "10.0.0"},
        "vip_address",
        "10.0.0",
        "Value should be IPv4 or IPv6 format",
    ),
    (
        "pools/{pool}/members",
        {"address": "fe80::1%eth0"},
        "address",
        "fe80::1%eth0",
        "Value should be IPv4 or IPv6 format",
    ),
    (
        "listeners",
        {"allowed_cidrs": ["10.0.0.0/33"]},
        "allowed_cidrs",
        "['10.0.0.0/33']",
        "Value should be IPv4 or IPv6 CIDR format",
    ),
    ("listeners", {"allowed_cidrs": "all"}, "allowed_cidrs", "all", "Value not a valid list: all"),
    (
        "listeners",
        {"allowed_cidrs": [10]},
        "allowed_cidrs",
        "[10]",
        "Value should be IPv4 or IPv6 CIDR format",
    ),
    (
        "listeners",
        {"admin_state_up": "maybe"},
        "admin_state_up",
        "maybe",
        "Value not an unambiguous boolean: maybe",
    ),
    ("listeners", {"name": 5}, "name", "5", "Value should be string"),
    ("listeners", {"tags": "one"}, "tags", "one", "Value not a valid list: one"),
    (
        "healthmonitors",
        {"expected_codes": "200-204,300"},
        "expected_codes",
        "200-204,300",
        r"Value should match the pattern ^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$",
    ),
    (
        "healthmonitors",
        {"url_path": "health"},
        "url_path",
        "health",
        "Value must be a valid URL Path string",
    ),
    (
        "healthmonitors",
        {"max_retries": 11},
        "max_retries",
        "11",
        "Value should be lower or equal to 10",
    ),
    (
        "healthmonitors",
        {"http_version": 2.0},
        "http_version",
        "2.0",
        "Value should be one of: 1.0, 1.1",
    ),
    ("pools", {"session_persistence": {}}, "type", "None", "Mandatory field missing."),
    (
        "pools",
        {"session_persistence": {"cookie_name": "x"}},
        "type",
        "None",
        "Mandatory field missing.",
    ),
]


@pytest.mark.parametrize(("path", "fields", "name", "value", "why"), VALUES)
async def test_a_value_that_cannot_be_is_refused_by_its_name(path, fields, name, value, why):
    world = World()
    site = await world.site()
    key, body = BODIES[path]
    given = filled({**body, **fields}, site)
    given = {field: one for field, one in given.items() if one is not ...}
    answer = await world.ask("POST", f"{LB}/{filled(path, site)}", {key: given})
    text = f"Invalid input for field/attribute {name}. Value: '{value}'. {why}"
    assert answer.fault == (400, text)


@pytest.mark.parametrize(
    ("path", "name", "among"),
    [
        (
            "pools",
            "lb_algorithm",
            {"ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"},
        ),
        (
            "healthmonitors",
            "type",
            {"HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP"},
        ),
        (
            "healthmonitors",
            "http_method",
            {"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"},
        ),
        (
            "listeners",
            "protocol",
            {"TCP", "UDP", "SCTP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS"},
        ),
        ("pools", "protocol", {"TCP", "UDP", "SCTP", "HTTP", "HTTPS", "PROXY", "PROXYV2"}),
    ],
)
async def test_a_word_that_is_none_of_those_there_are_is_refused_with_them(path, name, among):
    world = World()
    site = await world.site()
    status, text = await refused(world, site, path, **{name: "http"})
    start = f"Invalid input for field/attribute {name}. Value: 'http'. Value should be one of: "
    assert status == 400
    assert text.startswith(start)
    assert set(text.removeprefix(start).split(", ")) == among


async def test_long_values_are_repeated_in_part_only():
    world = World()
    status, text = await refused(world, await world.site(), "listeners", name="x" * 100_000)
    assert status == 400
    assert text.endswith("Value should have a maximum character requirement of 255")
    assert len(text) < 500


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        (
            {"vip_subnet_id": ...},
            400,
            "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.",
        ),
        ({"vip_subnet_id": NOBODY}, 400, f"Subnet {NOBODY} not found."),
        ({"vip_network_id": NOBODY, "vip_subnet_id": ...}, 400, f"Network {NOBODY} not found."),
        ({"vip_port_id": NOBODY}, 400, f"Port {NOBODY} not found."),
        ({"provider": "nope"}, 400, "Provider 'nope' is not enabled."),
        ({"flavor_id": NOBODY}, 400, "Validation failure: Invalid flavor_id."),
        ({"availability_zone": "x"}, 400, "Validation failure: Invalid availability zone."),
    ],
)
async def test_a_load_balancer_that_cannot_be_is_refused(fields, status, text):
    world = World()
    assert await refused(world, Site("", "", "", "", ""), "loadbalancers", **fields) == (
        status,
        text,
    )


LAYER_7 = [
    ("listeners", {"protocol": "HTTP"}, "HTTP listeners need layer 7, this is layer 4"),
    (
        "listeners",
        {"protocol": "TERMINATED_HTTPS"},
        "TERMINATED_HTTPS listeners need layer 7, this is layer 4",
    ),
    ("listeners", {"protocol": "PROMETHEUS"}, "PROMETHEUS listeners need layer 7, this is layer 4"),
    (
        "listeners",
        {"insert_headers": {"X-Forwarded-For": "true"}},
        "insert_headers: it belongs to layer 7",
    ),
    ("listeners", {"l7policies": [{}]}, "l7policies: it belongs to layer 7"),
    (
        "listeners",
        {"default_tls_container_ref": "http://barbican"},
        "default_tls_container_ref: TLS is not ended here",
    ),
    ("pools", {"protocol": "PROXY"}, "PROXY pools need layer 7, this is layer 4"),
    ("pools", {"protocol": "PROXYV2"}, "PROXYV2 pools need layer 7, this is layer 4"),
    ("pools", {"tls_enabled": True}, "tls_enabled: TLS is not ended here"),
    (
        "pools",
        {"session_persistence": {"type": "HTTP_COOKIE"}},
        "session persistence of type HTTP_COOKIE needs layer 7",
    ),
    (
        "pools",
        {"session_persistence": {"type": "APP_COOKIE", "cookie_name": "x"}},
        "session persistence of type APP_COOKIE needs layer 7",
    ),
    (
        "pools/{pool}/members",
        {"address": "fd00::4"},
        "a member of another IP version than the VIP",
    ),
]


@pytest.mark.parametrize(("path", "fields", "why"), LAYER_7)
async def test_what_only_layer_7_can_is_not_implemented(path, fields, why):
    world = World()
    fault = await refused(world, await world.site(), path, **fields)
    assert fault == (501, f"Provider 'ipvs' does not support a requested option: {why}")


@pytest.mark.parametrize(
    "what",
    ["flavors", "flavorprofiles", "availabilityzones", "availabilityzoneprofiles", "l7policies"],
)
async def test_what_there_is_none_of_is_listed_as_none_and_not_made(what):
    world = World()
    key = {
        "availabilityzones": "availability_zones",
        "availabilityzoneprofiles": "availability_zone_profiles",
    }.get(what, what)
    links = key.replace("profiles", "profile")
    assert await world.get(f"{LB}/{what}") == {key: [], f"{links}_links": []}
    answer = await world.ask("POST", f"{LB}/{what}", {"x": {}})
    assert answer.status == 501


async def test_there_are_no_amphorae():
    world = World()
    assert await world.get("/v2.0/octavia/amphorae") == {"amphorae": [], "amphorae_links": []}


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_quota_that_is_used_up_refuses_one_more(kind):
    world = World()
    site = await world.site()
    project = "a3a9af91b9e547739bfcb02cc2acded0"
    set_to = await world.ask("PUT", f"{LB}/quotas/{project}", {"quota": {kind.value: 1}})
    assert set_to.status == 202
    path = next(path for path, (key, _) in BODIES.items() if key == kind.value)
    if kind is Kind.HEALTH_MONITOR:
        site = Site(
            site.load_balancer, "", await world.pool(loadbalancer_id=site.load_balancer), "", ""
        )
    fault = await refused(world, site, path)
    assert fault == (403, f"Quota has been met for resources: {kind.words}")
    assert (await world.ask("DELETE", f"{LB}/quotas/{project}")).status == 202
    assert (await world.get(f"{LB}/quotas/{project}"))["quota"][kind.value] == -1


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("foo=1", "One or more arguments are either duplicate or invalid"),
        ("listener_id=1", "One or more arguments are either duplicate or invalid"),
        ("name=a&name=b", "One or more arguments are either duplicate or invalid"),
        ("sort=foo", "Supplied sort key 'foo' is not valid."),
        ("sort_key=members", "Supplied sort key 'members' is not valid."),
        ("sort=name:up", "Supplied sort direction 'up' is not valid."),
        ("marker=x", "Supplied pagination marker 'x' is not valid."),
        ("limit=x", "Supplied pagination limit 'x' is not valid."),
    ],
)
async def test_words_of_a_query_that_mean_nothing_are_refused(query, text):
    world = World()
    await world.site()
    assert (await world.ask("GET", f"{LB}/pools?{query}")).fault == (400, text)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", 'Missing argument: "load_balancer"'),
        (b" \n", 'Missing argument: "load_balancer"'),
        (b"null", 'Missing argument: "load_balancer"'),
        (b"{", "Request is not in valid JSON format"),
        (b"[]", "Request is not in valid JSON format"),
        (b'{"loadbalancer": NaN}', "Request is not in valid JSON format"),
        (b'{"loadbalancer": ' + b"1" * 5000 + b"}", "Request is not in valid JSON format"),
        (b"[" * 100_000, "Request is not in valid JSON format"),
        (
            b'{"loadbalancer": ' + b"[" * 20 + b"]" * 20 + b"}",
            "Request is not in valid JSON format: too many levels",
        ),
        (
            b"{}",
            "Invalid input for field/attribute loadbalancer. Value: 'None'. Mandatory field missing.",
        ),
        (
            b'{"loadbalancer": 5}',
            "Invalid input for field/attribute loadbalancer. Value: '5'. Value should be an object",
        ),
        (
            b'{"loadbalancer": {}, "more": 1}',
            "Unknown attribute for argument load_balancer: more",
        ),
        (
            b'{"loadbalancer": {"name": "\\ud800"}}',
            "Invalid input for field/attribute name. Value: '\ud800'."
            " Value should be a string of Unicode characters",
        ),
    ],
)
async def test_a_body_that_says_nothing_is_refused(content, text):
    assert (await World().ask("POST", f"{LB}/loadbalancers", content)).fault == (400, text)


async def test_a_body_that_is_too_large_is_not_read():
    answer = await World().ask("POST", f"{LB}/loadbalancers", b" " * (1024 * 1024 + 1))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


async def test_a_change_that_cannot_be_written_down_is_taken_back():
    world = World()
    site = await world.site()
    world.full = True
    before = await world.get(f"{LB}/pools/{site.pool}")
    answer = await world.ask("DELETE", f"{LB}/pools/{site.pool}")
    assert answer.fault == (503, "The change could not be written down: no space left on device")
    assert await world.get(f"{LB}/pools/{site.pool}") == before


async def test_every_answer_has_a_name_of_its_own():
    world = World()
    answers = [
        await world.ask("GET", path) for path in ("/", f"{LB}/pools", "/nowhere", "/identity")
    ]
    names = {answer.headers["x-openstack-request-id"] for answer in answers}
    assert len(names) == 4
    assert all(UUID(name.removeprefix("req-")) for name in names)


async def test_a_pool_goes_under_a_listener_of_its_protocol():
    world = World()
    load_balancer = await world.load_balancer()
    listener = await world.listener(
        load_balancer,
    )
    body = {"pool": {"listener_id": listener, "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}}
    answer = await world.ask("POST", f"{LB}/pools", body)
    text = "Validation failure: The pool protocol 'UDP' is invalid while the listener protocol is 'TCP'."
    assert answer.fault == (400, text)
    body = {"pool": {"protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}}
    answer = await world.ask("POST", f"{LB}/pools", body)
    text = "Validation failure: Must provide at least one of: loadbalancer_id, listener_id"
    assert answer.fault == (400, text)
    body["pool"]["listener_id"] = str(uuid4())
    answer = await world.ask("POST", f"{LB}/pools", body)
    assert answer.fault == (404, f"Listener {body['pool']['listener_id']} not found.")
