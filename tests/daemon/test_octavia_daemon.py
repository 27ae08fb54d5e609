"""The Octavia-compatible API of a daemon through its life: begun, reloaded, switched off and on, and begun again."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.daemon.octavia import Compatible
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.parts import Parts
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.cloud import Identification
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from tests import daemon_world
from tests.daemon_world import web
from tests.octavia.world import (
    OTHER,
    PROJECT,
    SECRET,
    SETTINGS,
    SUBNET,
    USERS,
    WITH_PASSWORDS,
    Answer,
    asked,
)

LBAAS = "/v2.0/lbaas"
TOKEN, LATER = "a-token-of-some-length", "a-token-that-comes-later"


class World(daemon_world.World):
    """A daemon on fakes with the compatible API; `free` cleared holds reloads before they read anything."""

    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.free = asyncio.Event()
        self.free.set()

    async def up(self, seconds: float = 2.0) -> Balancer:
        loop = asyncio.get_running_loop()
        parts = Parts(
            load=self.load,
            origin="lb.yaml",
            kernel=self.kernel,
            host=self.host,
            store=self.store,
            records=self.store,
            prober=self.prober,
            clock=lambda: self.offset + loop.time(),
            threads=self.threads,
            during_reload=self._held,
        )
        self.compatible = Compatible(parts)
        self._balancer = Balancer(replace(parts, groups=self.compatible.groups))
        self.compatible.follow(self._balancer)
        await self._balancer.start()
        self.compatible.begin()
        self._task = loop.create_task(self._balancer.run())
        await asyncio.sleep(seconds)
        return self._balancer

    @asynccontextmanager
    async def _held(self):
        await self.free.wait()
        yield

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        return await asked(self.compatible.app, method, LBAAS + path, body, **headers)

    async def make(self, path: str, kind: str, **fields: object) -> str:
        """An object that is in force."""
        answer = await self.ask("POST", path, {kind: fields})
        assert answer.status == 201, answer
        await asyncio.sleep(1)
        return str(answer.json[kind]["id"])

    async def site(self) -> tuple[str, str]:
        """A load balancer at 10.0.0.16, port 80, with server 4: itself, and its pool."""
        balancer = await self.make(
            "/loadbalancers", "loadbalancer", vip_subnet_id=SUBNET, vip_address="10.0.0.16"
        )
        listener = await self.make(
            "/listeners", "listener", loadbalancer_id=balancer, protocol="TCP", protocol_port=80
        )
        pool = await self.make(
            "/pools", "pool", listener_id=listener, protocol="TCP", lb_algorithm="ROUND_ROBIN"
        )
        await self.make(
            f"/pools/{pool}/members", "member", address="10.0.0.4", protocol_port=80, weight=2
        )
        return balancer, pool

    async def dies_during(self, method: str, path: str, body: object = None) -> None:
        """The process ends when it has answered and before the kernel knows."""
        self.free.clear()
        reload = asyncio.create_task(self.reload(octavia=self.config.octavia))
        await asyncio.sleep(1)
        assert (await self.ask(method, path, body)).status in {201, 204}
        texts, owned, table = dict(self.store.texts), self.store.owned(), self.kernel.table
        self.free.set()
        await reload
        await self.down()
        self.store.claim(owned)
        self.store.texts, self.kernel.table = texts, table

    async def status(self, balancer: str) -> str:
        answer = await self.ask("GET", f"/loadbalancers/{balancer}")
        return str(answer.json["loadbalancer"]["provisioning_status"])


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"demo:{USERS['demo'].password}:member\n")
    path.chmod(0o600)
    return path


def basic(password: str = SECRET) -> str:
    return "Basic " + base64.b64encode(f"demo:{password}".encode()).decode()


async def test_without_the_block_there_is_nobody_to_ask():
    world = World()
    await world.up()
    assert (await world.ask("GET", "/loadbalancers")).status == 503
    await world.reload()
    assert (await world.ask("GET", "/loadbalancers")).status == 503
    await world.down()


async def test_what_clients_have_made_is_left_alone_by_a_restart():
    world = World(octavia=SETTINGS)
    await world.up()
    balancer, _ = await world.site()
    assert world.weights() == {4: 2}
    await world.compatible.finish(1)
    await world.down()
    world.kernel.executed.clear()
    await world.up()
    assert world.kernel.executed == []
    assert (world.weights(), await world.status(balancer)) == ({4: 2}, "ACTIVE")
    await world.down()


async def test_what_was_pending_when_the_process_died_is_in_force_after_the_restart():
    world = World(octavia=SETTINGS)
    await world.up()
    balancer, pool = await world.site()
    member = {"member": {"address": "10.0.0.6", "protocol_port": 80}}
    await world.dies_during("POST", f"/pools/{pool}/members", member)
    assert world.weights() == {4: 2}
    await world.up()
    assert (world.weights(), await world.status(balancer)) == ({4: 2, 6: 1}, "ACTIVE")

    await world.dies_during("DELETE", f"/loadbalancers/{balancer}?cascade=true")
    assert world.weights() == {4: 2, 6: 1}
    await world.up()
    assert world.weights() == {}
    assert (await world.ask("GET", f"/loadbalancers/{balancer}")).status == 404
    assert [name for name in world.store.texts if name.startswith("octavia/")] == []
    await world.down()


async def test_other_settings_count_from_the_reload_on_and_tokens_end_with_the_old_ones(users):
    before = replace(WITH_PASSWORDS, users=str(users))
    world = World(octavia=before)
    await world.up()
    who = {"name": "demo", "domain": {"id": "default"}, "password": SECRET}
    login = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}}
    answer = await asked(world.compatible.app, "POST", "/identity/v3/auth/tokens", login)
    token = answer.headers["x-subject-token"]
    asking = {"x_auth_token": token}
    assert (await world.ask("GET", "/loadbalancers", **asking)).status == 200
    await world.reload(octavia=before)
    assert (await world.ask("GET", "/loadbalancers", **asking)).status == 200

    fields = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    made = await world.ask("POST", "/loadbalancers", fields, authorization=basic())
    assert made.json["loadbalancer"]["project_id"] == PROJECT
    await world.reload(octavia=replace(before, project_id=OTHER, limits={"loadbalancer": 0}))
    assert (await world.ask("GET", "/loadbalancers", **asking)).status == 401
    refused = await world.ask("POST", "/loadbalancers", fields, authorization=basic())
    assert refused.fault == (403, "Quota has been met for resources: Load Balancer")
    await world.down()


async def test_services_of_the_files_are_shown_as_they_are_in_force():
    world = World(octavia=SETTINGS)
    world.config = replace(world.config, services=(web(4),))
    await world.up()
    (one,) = (await world.ask("GET", "/listeners")).json["listeners"]
    assert (one["operating_status"], one["tags"]) == ("ONLINE", ["file"])
    answer = await world.ask("DELETE", f"/listeners/{one['id']}")
    assert answer.fault[0] == 403
    more = AddressKey(IPProtocol.TCP, ip_address("10.0.0.17"), Port(80))
    await world.reload(web(4), replace(web(6), name="more", keys=(more,)), octavia=SETTINGS)
    ids = [listener["id"] for listener in (await world.ask("GET", "/listeners")).json["listeners"]]
    assert (ids[0], len(ids)) == (one["id"], 2)
    taken = {"vip_subnet_id": SUBNET, "vip_address": "10.0.0.17"}
    answer = await world.ask("POST", "/loadbalancers", {"loadbalancer": taken})
    assert answer.fault == (409, f"IP address 10.0.0.17 already allocated in subnet {SUBNET}")
    await world.reload(web(4), octavia=replace(SETTINGS, file_services=False))
    assert (await world.ask("GET", "/listeners")).json["listeners"] == []
    await world.reload(octavia=SETTINGS)
    balancer, _ = await world.site()
    with pytest.raises(ConfigError, match=f"already declared by {balancer}"):
        await world.reload(web(4), octavia=SETTINGS)
    await world.down()


async def test_without_the_block_the_kernel_has_nothing_of_it_and_with_it_everything_is_back():
    world = World(octavia=SETTINGS)
    await world.up()
    balancer, _ = await world.site()
    await world.reload()
    await asyncio.sleep(1)
    assert world.weights() == {}
    assert (await world.ask("GET", f"/loadbalancers/{balancer}")).status == 503
    await world.reload(octavia=SETTINGS)
    await asyncio.sleep(1)
    assert (world.weights(), await world.status(balancer)) == ({4: 2}, "ACTIVE")
    await world.down()


async def test_a_change_on_its_way_to_the_kernel_does_not_get_there_after_the_block_has_gone():
    world = World(octavia=SETTINGS)
    await world.up()
    _, pool = await world.site()
    world.free.clear()
    reload = asyncio.create_task(world.reload())
    await asyncio.sleep(1)
    member = {"member": {"address": "10.0.0.6", "protocol_port": 80}}
    assert (await world.ask("POST", f"/pools/{pool}/members", member)).status == 201
    world.free.set()
    await reload
    await asyncio.sleep(2)
    assert world.weights() == {}
    await world.reload(octavia=SETTINGS)
    await asyncio.sleep(2)
    assert world.weights() == {4: 2, 6: 1}
    await world.down()


async def test_a_change_that_waits_for_a_reload_is_in_force_by_the_new_settings():
    world = World(octavia=SETTINGS)
    await world.up()
    balancer, pool = await world.site()
    world.free.clear()
    subnets = tuple(replace(one, interface="lo") for one in SETTINGS.networks[0].subnets)
    networks = (replace(SETTINGS.networks[0], subnets=subnets), *SETTINGS.networks[1:])
    reload = asyncio.create_task(world.reload(octavia=replace(SETTINGS, networks=networks)))
    await asyncio.sleep(1)
    member = {"member": {"address": "10.0.0.6", "protocol_port": 80}}
    assert (await world.ask("POST", f"/pools/{pool}/members", member)).status == 201
    world.free.set()
    await reload
    await asyncio.sleep(2)
    assert (world.weights(), await world.status(balancer)) == ({4: 2, 6: 1}, "ACTIVE")
    declared = world.balancer.snapshot().config.services
    assert [vip.interface for one in declared for vip in one.vips] == ["lo"]
    await world.down()


async def test_files_that_cannot_be_used_refuse_the_reload_and_nothing_changes(users, tmp_path):
    before = replace(WITH_PASSWORDS, users=str(users))
    world = World(octavia=before)
    await world.up()
    missing = tmp_path / "missing"
    with pytest.raises(ConfigError, match=r"users: cannot read .*missing: No such file"):
        await world.reload(octavia=replace(before, users=str(missing)))
    assert (await world.ask("GET", "/loadbalancers", authorization=basic())).status == 200
    assert "config.refused" in world.names()

    users.unlink()
    with pytest.raises(ConfigError, match="users: cannot read"):
        await world.reload(octavia=before)
    await asyncio.sleep(2)
    assert (await world.ask("GET", "/loadbalancers", authorization=basic())).status == 200
    assert "octavia.users" in world.names()
    await world.down()


async def test_a_renewed_token_counts_from_the_reload_on(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    settings = replace(WITH_PASSWORDS, users=None, token_file=str(file))
    world = World(octavia=settings)
    await world.up()

    async def status(token: str) -> int:
        return (await world.ask("GET", "/loadbalancers", x_auth_token=token)).status

    assert (await status(TOKEN), await status(LATER)) == (200, 401)
    file.write_text(LATER)
    await world.reload(octavia=settings)
    assert (await status(TOKEN), await status(LATER)) == (401, 200)
    await world.down()


async def test_records_that_cannot_be_read_are_told_and_the_others_are_served():
    world = World(octavia=SETTINGS)
    await world.up()
    balancer, _ = await world.site()
    await world.down()
    damaged = "octavia/member/11111111-1111-4111-8111-111111111111"
    world.store.texts[damaged] = "{"
    await world.up()
    told = [event for event in world.balancer.events(0) if event.name == "record.damaged"]
    assert [event.facts["record"] for event in told] == [damaged]
    assert (world.weights(), await world.status(balancer)) == ({4: 2}, "ACTIVE")
    assert damaged in world.store.texts
    await world.down()


async def test_an_address_of_a_service_of_the_file_is_not_given_out():
    world = World(octavia=SETTINGS)
    world.config = Config(services=(web(4),), octavia=SETTINGS)
    await world.up()
    fields = {"vip_subnet_id": SUBNET, "vip_address": "10.0.0.16"}
    answer = await world.ask("POST", "/loadbalancers", {"loadbalancer": fields})
    assert answer.status == 409, answer
    await world.down()


async def test_a_stop_waits_for_changes_that_are_under_way_but_not_for_ever():
    world = World(octavia=SETTINGS)
    await world.up()
    balancer, pool = await world.site()
    world.free.clear()
    reload = asyncio.create_task(world.reload(octavia=SETTINGS))
    await asyncio.sleep(1)
    member = {"member": {"address": "10.0.0.6", "protocol_port": 80}}
    assert (await world.ask("POST", f"/pools/{pool}/members", member)).status == 201
    await world.compatible.finish(1)
    assert await world.status(balancer) == "PENDING_UPDATE"
    world.free.set()
    await world.compatible.finish(10)
    assert await world.status(balancer) == "ACTIVE"
    await reload
    await world.down()


def test_the_settings_of_these_tests_are_what_they_say():
    assert SETTINGS.identification is Identification.NONE
    assert WITH_PASSWORDS.identification is Identification.PASSWORD
