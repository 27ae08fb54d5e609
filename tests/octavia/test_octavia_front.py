"""Paths, versions and the form of answers; and all of it once on a real socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.model.api import Face
from ipvs_lb.octavia.app import endpoints
from ipvs_lb.octavia.objects import AnyObject
from ipvs_lb.octavia.render import FIELD_NAMES
from ipvs_lb.octavia.rest.front import settled
from tests.octavia.world import ORIGIN, SETTINGS, SUBNET, WITH_PASSWORDS, World

LB = "/v2.0/lbaas"


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/", "/"),
        ("", "/"),
        ("/v2", "/v2.0"),
        ("/v2/", "/v2.0"),
        ("/v2.0", "/v2.0"),
        ("/v2/lbaas", "/v2.0/lbaas"),
        ("/v2/loadbalancers", "/v2.0/lbaas/loadbalancers"),
        ("/v2.0/pools/x.json", "/v2.0/lbaas/pools/x"),
        ("/v2.0/lbaas/pools/", "/v2.0/lbaas/pools"),
        ("/v2/networks", "/v2.0/networks"),
        ("/v2/octavia/amphorae", "/v2.0/octavia/amphorae"),
        ("/identity/v3/", "/identity/v3"),
        ("/v3", "/v3"),
    ],
)
def test_every_path_has_one_spelling(asked, path):
    assert settled(asked) == path


async def test_the_newest_version_is_the_one_with_several_vips():
    answer = await World().get("/")
    versions = answer["versions"]
    assert [one["id"] for one in versions] == [f"v2.{n}" for n in range(27)]
    assert [one["id"] for one in versions if one["status"] == "CURRENT"] == ["v2.26"]
    assert {one["links"][0]["href"] for one in versions} == {f"{ORIGIN}/v2"}


@pytest.mark.parametrize("path", ["/v2", "/v2.0", "/v2/lbaas", "/v2.0/lbaas/"])
async def test_a_version_says_its_name(path):
    answer = await World().ask("GET", path)
    assert (answer.status, answer.content) == (200, b"v2")


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("GET", "/v2/lbaas/nothing", 404, "Not Found"),
        ("GET", "/v2.0/routers", 404, "Not Found"),
        ("PATCH", f"{LB}/pools", 405, "Method Not Allowed"),
        ("POST", "/", 405, "Method Not Allowed"),
    ],
)
async def test_what_nobody_serves_has_a_form_of_its_own(method, path, status, title):
    answer = await World().ask(method, path)
    assert answer.status == status
    said = None if path == "/nowhere" else ""
    assert answer.json == {"code": status, "title": title, "description": said}


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 406),
        ("text/html, text/plain;q=0.5", 406),
        ("*/*", 200),
        ("application/json", 200),
        ("text/html, */*;q=0.8", 200),
        ("", 200),
    ],
)
async def test_who_takes_no_json_gets_none(accept, status):
    answer = await World().ask("GET", f"{LB}/pools", accept=accept)
    assert answer.status == status
    if status == 406:
        said = "Only content type application/json is accepted."
        assert answer.json == {"code": 406, "title": "Not Acceptable", "description": said}


async def test_who_provides_is_told():
    world = World()
    (provider,) = (await world.get(f"{LB}/providers"))["providers"]
    assert provider.keys() == {"name", "description"}
    assert (await world.get(f"{LB}/providers?fields=name")) == {"providers": [{"name": "ipvs"}]}


@pytest.mark.parametrize("what", ["flavor_capabilities", "availability_zone_capabilities"])
async def test_a_provider_leaves_nothing_to_flavors_and_zones(what):
    world = World(settings=WITH_PASSWORDS)
    world.come_as("admin")
    for provider in ("ipvs", "octavia"):
        assert await world.get(f"{LB}/providers/{provider}/{what}") == {what: []}
    answer = await world.ask("GET", f"{LB}/providers/nope/{what}")
    assert answer.fault == (400, "Provider 'nope' is not enabled.")
    world.come_as("demo")
    answer = await world.ask("GET", f"{LB}/providers/ipvs/{what}")
    assert answer.fault == (403, "Policy does not allow this request to be performed.")


async def test_a_fault_of_ours_is_told_without_its_details():
    world = World()

    def broken():
        raise RuntimeError("secret")

    object.__setattr__(world.scene, "occupied", broken)
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    with pytest.raises(RuntimeError, match="secret"):
        await world.ask("POST", f"{LB}/loadbalancers", body)
    assert not world.texts


async def test_every_endpoint_is_behind_the_door():
    world = World(settings=WITH_PASSWORDS)
    seen = 0
    for endpoint in endpoints(world.scene):
        path = endpoint.path.replace("{id}", "x").replace("{pool}", "x")
        path = path.replace("{project}", "x").replace("{provider}", "x")
        assert (await world.ask(endpoint.method, path, {})).status == 401, endpoint
        seen += 1
    assert seen > 60


async def test_the_fields_that_can_be_listed_by_are_those_that_are_shown():
    world = World()
    await world.site()
    for kind, names in FIELD_NAMES.items():
        things: dict[str, AnyObject] = dict(world.desk.catalogue.of_kind(kind))
        row = world.scene.show(next(iter(things.values())))
        lists = {name for name, value in row.items() if isinstance(value, list | dict)} - {"tags"}
        others = {"healthmonitor_id", "session_persistence", "allowed_cidrs", "tls_versions"}
        assert set(names) == row.keys() - lists - others - {"alpn_protocols"}


@pytest.mark.real_time
async def test_on_a_real_socket_with_a_real_password(tmp_path: Path):
    world = World(settings=WITH_PASSWORDS)
    openings = Openings()
    listener = WITH_PASSWORDS.listener
    openings.prepare([listener])

    def client(results: list[tuple[int, Any]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(listener.port), timeout=20)
        body = json.dumps({"loadbalancer": {"vip_subnet_id": SUBNET}})
        headers = {"Content-Type": "application/json"}
        for given in ({}, {"Authorization": str(world.authorization)}):
            connection.request("POST", f"{LB}/loadbalancers", body, headers | given)
            response = connection.getresponse()
            results.append((response.status, json.loads(response.read())))
        connection.close()

    world.come_as("demo")
    results: list[tuple[int, Any]] = []
    async with serving(
        world.control, tmp_path / "s", openings=openings, faces={Face.OCTAVIA: world.app}
    ):
        thread = threading.Thread(target=client, args=(results,))
        thread.start()
        await asyncio.to_thread(thread.join)
    assert [status for status, _ in results] == [401, 201]
    assert results[1][1]["loadbalancer"]["vip_address"] == "10.0.0.3"
    await world.desk.finish()


@pytest.mark.real_time
async def test_whoever_may_open_a_unix_socket_may_ask_there(tmp_path: Path):
    path = tmp_path / "octavia.sock"
    listener = replace(SETTINGS.listener, path=str(path))
    world = World(settings=replace(SETTINGS, listener=listener))
    openings = Openings()
    openings.prepare([listener])

    def ask() -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        body = json.dumps({"loadbalancer": {"vip_subnet_id": SUBNET}})
        connection.request("POST", f"{LB}/loadbalancers", body)
        response = connection.getresponse()
        said = response.status, json.loads(response.read())
        connection.close()
        return said

    async with serving(
        world.control, tmp_path / "s", openings=openings, faces={Face.OCTAVIA: world.app}
    ):
        assert path.stat().st_mode & 0o777 == 0o660
        status, body = await asyncio.to_thread(ask)
    assert (status, body["loadbalancer"]["vip_address"]) == (201, "10.0.0.3")
    assert not path.exists()
    await world.desk.finish()
