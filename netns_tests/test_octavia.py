"""The Octavia-compatible API on a real kernel: asked by OpenStack's own clients, killed, and asked by many at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

from ipvs_lb.lab import walkthrough
from ipvs_lb.lab.clients import get, servers_seen
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.servers import Echo
from ipvs_lb.lab.walkthrough import FLOATING_IP, VIP, Walkthrough
from ipvs_lb.lab.webapp import Listener
from ipvs_lb.octavia.passwords import hashed
from ipvs_lb.store import SqliteStore
from netns_tests.balance import ONE, THREE, TWO, alternates, config, new_vip, service, share
from netns_tests.daemon import PORT, Backend, Running, eventually, seen
from netns_tests.launcher import Launcher
from netns_tests.octavia import (
    NETWORKS,
    OPEN,
    ORIGIN,
    PATIENCE,
    Cloud,
    RefusedError,
    Shell,
    freely,
    in_kernel,
    serving,
)
from tests.octavia.suites import SDK, SDK_FINDS, client_of

pytestmark = pytest.mark.timeout(300)  # seconds; clients and daemons start slowly in a guest
WALKTHROUGH = Path(__file__).with_name("walkthrough.txt")
WHO, PASSWORD = "demo", "correct-horse"
OPENRC = {
    "OS_AUTH_TYPE": "http_basic",
    "OS_USERNAME": WHO,
    "OS_PASSWORD": PASSWORD,
    "OS_ENDPOINT": ORIGIN,
}
SHORT = "--delay 1 --timeout 1 --max-retries 1 --max-retries-down 1"
KILLS = 6
BALANCERS, CLIENTS, ROUNDS = 5, 20, 3
SIGNALS = 9000


@dataclass(slots=True)
class Site:
    """The walkthrough's network, and the daemon on its gateway with a user who has a password.

    `web` is server-2's Flask application on port 80.
    """

    lab: Walkthrough
    daemon: Running
    cloud: Cloud
    web: Listener

    def ids(self, what: str) -> dict[str, str]:
        """The identifiers of all objects of a kind, by name."""
        return {one["name"]: one["id"] for one in self.cloud.get(f"/{what}")}

    def becomes(self, path: str, status: str) -> None:
        """Wait until the object at *path* is in that operating status."""

        def is_so() -> bool:
            return bool(self.cloud.get(path)["operating_status"] == status)

        eventually(is_so, PATIENCE, f"{path} is {status}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    users = folder / "users"
    users.write_text(f"{WHO}:{hashed(PASSWORD, b'some salt')}:member\n")
    users.chmod(0o640)
    with Network() as network:
        lab = walkthrough.build(network)
        with (
            serving(lab, folder, users=str(users), source_nat="off") as daemon,
            closing(Cloud(lab.gateway, who=f"{WHO}:{PASSWORD}")) as cloud,
        ):
            yield Site(lab, daemon, cloud, lab.listeners[1][0])


@pytest.fixture(scope="module")
def launcher(bench):
    return Launcher(bench.gateway)


@pytest.mark.parametrize("generation", ["debian-12", "today"])
def test_the_walkthrough_runs_word_for_word_with_the_real_client_and_carries_traffic(
    site, tmp_path, generation
):
    shell = Shell(site.lab.gateway, client_of(generation), tmp_path / generation, OPENRC)
    before = site.daemon.balancer.addresses()
    said = shell.run(WALKTHROUGH.read_text())
    assert said.splitlines()[-1] == FLOATING_IP
    pool = f"/pools/{site.ids('pools')['80_pool']}"
    members = {one["name"]: one["id"] for one in site.cloud.get(f"{pool}/members")}
    monitor = site.cloud.get(f"/healthmonitors/{site.ids('healthmonitors')['80_healthcheck']}")
    assert (monitor["delay"], monitor["timeout"], monitor["max_retries"]) == (60, 20, 2)
    for member in members.values():
        site.becomes(f"{pool}/members/{member}", "ONLINE")
    assert set(site.cloud.states().values()) == {"ACTIVE"}
    for address in (VIP, FLOATING_IP):
        for port in (80, 443):
            assert alternates(servers_seen(site.lab.client, f"http://{address}:{port}/", 4))
        assert get(site.lab.client, f"http://{address}/health").status == 200

    shell.run(f"""source example-openrc.sh
        openstack loadbalancer healthmonitor set {SHORT} 80_healthcheck""")
    site.web.close()
    site.becomes(f"{pool}/members/{members['80_member_2']}", "ERROR")
    site.becomes(pool, "DEGRADED")
    site.becomes(f"/loadbalancers/{site.ids('loadbalancers')['lb_test_1']}", "DEGRADED")
    assert share(servers_seen(site.lab.client, f"http://{VIP}/", 4)) == {"server-1": 4}
    assert share(servers_seen(site.lab.client, f"http://{FLOATING_IP}/", 4)) == {"server-1": 4}
    site.web = Listener(site.lab.apps[1], site.lab.servers[1], 80)
    site.lab.servers[1].at_end(site.web.close)
    site.becomes(f"{pool}/members/{members['80_member_2']}", "ONLINE")
    site.becomes(pool, "ONLINE")
    assert alternates(servers_seen(site.lab.client, f"http://{VIP}/", 4))

    shell.run(f"""source example-openrc.sh
        openstack loadbalancer delete --cascade --wait lb_test_1
        openstack floating ip delete {FLOATING_IP}""")
    assert (site.cloud.states(), in_kernel(site.daemon)) == ({}, {})
    assert site.daemon.balancer.addresses() == before


def test_the_sdk_goes_the_same_way(site):
    client = client_of("today")
    openrc = [f"{name}={value}" for name, value in OPENRC.items()]

    def run(*words: str) -> str:
        command = ["env", *openrc, str(client / "bin" / "python"), "-I", str(SDK), *words]
        said: str = site.lab.gateway.run(command, timeout=120).stdout
        return said

    found = json.loads(run())
    assert found.pop("vip") == VIP
    assert found == SDK_FINDS
    eventually(lambda: site.daemon.serving(VIP) == {ONE: 1, TWO: 3}, PATIENCE, "both are healthy")
    names = servers_seen(site.lab.client, f"http://{VIP}/", 8)
    assert share(names) == {"server-1": 2, "server-2": 6}
    run("delete")
    assert (site.cloud.states(), in_kernel(site.daemon)) == ({}, {})


def test_of_three_members_the_one_that_is_unhealthy_gets_no_traffic_until_it_is_repaired(
    bench, launcher, tmp_path
):
    backends = [Backend(host) for host in bench.servers]
    with (
        serving(bench, tmp_path, launcher.start) as daemon,
        closing(Cloud(bench.gateway)) as cloud,
    ):
        balancer = cloud.load_balancer(**tree(PORT, ONE, TWO, THREE))
        vip = cloud.get(f"/loadbalancers/{balancer}")["vip_address"]
        (pool,) = (f"/pools/{one['id']}" for one in cloud.get("/pools"))

        def statuses() -> list[str]:
            members = cloud.get(f"{pool}/members")
            found = {one["address"]: one["operating_status"] for one in members}
            return [found[address] for address in (ONE, TWO, THREE)]

        def becomes(*wanted: str) -> None:
            eventually(lambda: statuses() == list(wanted), PATIENCE, f"they are {wanted}")

        assert statuses() == ["NO_MONITOR"] * 3
        all_three = {"server-1": 2, "server-2": 2, "server-3": 2}
        assert share(seen(bench.outsider, vip, 6)) == all_three

        monitor = cloud.make(
            "/healthmonitors",
            "healthmonitor",
            pool_id=pool.removeprefix("/pools/"),
            type="HTTP",
            url_path="/health",
            delay=1,
            timeout=1,
            max_retries=1,
            max_retries_down=1,
        )
        becomes("ONLINE", "ONLINE", "ONLINE")
        assert share(seen(bench.outsider, vip, 6)) == all_three
        backends[1].status = 500
        becomes("ONLINE", "ERROR", "ONLINE")
        assert cloud.get(pool)["operating_status"] == "DEGRADED"
        assert share(seen(bench.outsider, vip, 6)) == {"server-1": 3, "server-3": 3}
        backends[1].status = 200
        becomes("ONLINE", "ONLINE", "ONLINE")
        assert share(seen(bench.outsider, vip, 6)) == all_three

        backends[2].status = 500
        becomes("ONLINE", "ONLINE", "ERROR")
        freely(lambda: cloud.delete(f"/healthmonitors/{monitor['id']}"))
        becomes(*["NO_MONITOR"] * 3)
        eventually(lambda: set(daemon.serving(vip)) == {ONE, TWO, THREE}, PATIENCE, "all are back")
        assert share(seen(bench.outsider, vip, 6)) == all_three
    for backend in backends:
        backend.close()


def test_services_of_the_files_and_of_clients_are_seen_side_by_side_and_sctp_servers_are_tested(
    bench, launcher, tmp_path
):
    bench.gateway.run(["modprobe", "sctp"])
    echoes = [Echo(host, "sctp", SIGNALS) for host in bench.servers[:2]]
    bench.servers[0].at_end(echoes[0].close)
    check = {"type": "sctp", "interval": "1s", "rise": 1, "fall": 1, "via": "vip"}
    filed = new_vip()
    signalling = service(
        filed, ONE, TWO, name="file", protocol="sctp", port=SIGNALS, health_check=check
    )
    with (
        serving(bench, tmp_path, launcher.start, signalling) as daemon,
        closing(Cloud(bench.gateway)) as cloud,
    ):
        monitor = {
            "type": "SCTP",
            "delay": 1,
            "timeout": 1,
            "max_retries": 1,
            "max_retries_down": 1,
        }
        balancer = cloud.load_balancer(
            **tree(SIGNALS, ONE, TWO, protocol="SCTP", healthmonitor=monitor)
        )
        vips = {
            cloud.get(f"/loadbalancers/{balancer}")["vip_address"]: "web",
            filed: f"file:{SIGNALS}/sctp",
        }

        def states() -> set[tuple[str, ...]]:
            """Of each pool, and of its two members."""
            found: set[tuple[str, ...]] = set()
            for pool in cloud.get("/pools"):
                members = cloud.get(f"/pools/{pool['id']}/members")
                states = {one["address"]: one["operating_status"] for one in members}
                found.add((pool["name"], pool["operating_status"], states[ONE], states[TWO]))
            return found

        def become(*wanted: str) -> None:
            eventually(
                lambda: states() == {(name, *wanted) for name in vips.values()},
                PATIENCE,
                f"they are {wanted}",
            )

        def share_of(vip: str) -> dict[str, int]:
            return share(bench.seen(vip, 4, protocol="sctp", port=SIGNALS))

        become("ONLINE", "ONLINE", "ONLINE")
        for vip in vips:
            assert share_of(vip) == {"server-1": 2, "server-2": 2}
        echoes[1].close()
        become("DEGRADED", "ONLINE", "ERROR")
        for vip in vips:
            assert share_of(vip) == {"server-1": 4}

        (own,) = cloud.get(f"/loadbalancers?vip_address={filed}")
        stats = f"/loadbalancers/{own['id']}/stats"
        eventually(lambda: cloud.get(stats)["total_connections"] == 8, PATIENCE, "all are counted")
        for refused, status in (
            (
                lambda: cloud.delete(f"/loadbalancers/{own['id']}?cascade=true"),
                HTTPStatus.FORBIDDEN,
            ),
            (lambda: cloud.load_balancer(vip_address=filed), HTTPStatus.CONFLICT),
        ):
            with pytest.raises(RefusedError) as caught:
                refused()
            assert caught.value.answer.status == status
        assert len(cloud.get("/loadbalancers")) == 2
        daemon.balancer.write(config(networks=NETWORKS, octavia=OPEN))
        daemon.api.post("/v1/reload")
        assert [one["id"] for one in cloud.get("/loadbalancers")] == [balancer]


def tree(
    port: int, *members: str, name: str = "web", protocol: str = "TCP", **pool: object
) -> dict[str, object]:
    """A load balancer that is made at once, with one listener and its pool."""
    inside = {
        "name": name,
        "protocol": protocol,
        "lb_algorithm": "ROUND_ROBIN",
        "members": [
            {"address": member, "protocol_port": SIGNALS if protocol == "SCTP" else PORT}
            for member in members
        ],
        **pool,
    }
    listener = {"name": name, "protocol": protocol, "protocol_port": port, "default_pool": inside}
    return {"name": name, "listeners": [listener]}


class Change:
    """One request that the daemon may not live to answer; `holds` is what an answer promises."""

    def __init__(
        self, ask: Callable[[Cloud], object], holds: Callable[[Cloud, object], bool], cloud: Cloud
    ) -> None:
        self._holds = holds
        self._answers: list[object] = []
        self._thread = threading.Thread(target=self._work, args=(ask, cloud), daemon=True)
        self._thread.start()

    def _work(self, ask: Callable[[Cloud], object], cloud: Cloud) -> None:
        with closing(cloud), contextlib.suppress(OSError, http.client.HTTPException):
            self._answers.append(ask(cloud))

    def answered(self, within: float) -> bool:
        """Whether there is an answer; waits for it."""
        self._thread.join(within)
        return bool(self._answers)

    def is_kept(self, cloud: Cloud) -> bool:
        """Whether what was answered is so. What was not answered may be so or not."""
        return all(self._holds(cloud, answer) for answer in self._answers)


class Scenes:
    """A gateway's objects, and the changes of them during which the daemon is killed."""

    def __init__(self, bench, dice: random.Random) -> None:
        self._bench, self._dice = bench, dice
        self._number = 0

    def all(self) -> list[Callable[[Cloud], Change]]:
        return [self.make, self.add, self.weigh, self.drop, self.close, self.raze]

    def make(self, now: Cloud) -> Change:
        """A whole load balancer, at once."""
        fields = {"vip_subnet_id": now.subnet(), **tree(self._next(), ONE, TWO)}
        return self._created("/loadbalancers", "loadbalancer", fields)

    def add(self, now: Cloud) -> Change:
        """One more member."""
        pools = now.get("/pools")
        if not pools:
            return self.make(now)
        path = f"/pools/{self._dice.choice(pools)['id']}/members"
        return self._created(path, "member", {"address": THREE, "protocol_port": self._next()})

    def weigh(self, now: Cloud) -> Change:
        """Another weight."""
        path, weight = self._member(now), self._dice.randint(2, 9)
        if path is None:
            return self.make(now)
        return self._change(
            lambda cloud: cloud.change(path, "member", weight=weight),
            lambda cloud, _: cloud.get(path)["weight"] == weight,
        )

    def drop(self, now: Cloud) -> Change:
        """A member less."""
        path = self._member(now)
        return self.make(now) if path is None else self._deleted(path)

    def close(self, now: Cloud) -> Change:
        """A listener less."""
        listeners = now.get("/listeners")
        if not listeners:
            return self.make(now)
        return self._deleted(f"/listeners/{self._dice.choice(listeners)['id']}")

    def raze(self, now: Cloud) -> Change:
        """A load balancer less, with all that is in it."""
        balancers = now.get("/loadbalancers")
        if not balancers:
            return self.make(now)
        return self._deleted(
            f"/loadbalancers/{self._dice.choice(balancers)['id']}", "?cascade=true"
        )

    def _next(self) -> int:
        self._number += 1
        return 5000 + self._number

    def _member(self, now: Cloud) -> str | None:
        found = [
            f"/pools/{pool['id']}/members/{member['id']}"
            for pool in now.get("/pools")
            for member in pool["members"]
        ]
        return self._dice.choice(found) if found else None

    def _created(self, path: str, kind: str, fields: dict[str, object]) -> Change:
        return self._change(
            lambda cloud: cloud.make(path, kind, **fields)["id"],
            lambda cloud, identifier: is_there(cloud, f"{path}/{identifier}"),
        )

    def _deleted(self, path: str, how: str = "") -> Change:
        return self._change(
            lambda cloud: cloud.delete(path + how),
            lambda cloud, _: not is_there(cloud, path),
        )

    def _change(
        self, ask: Callable[[Cloud], object], holds: Callable[[Cloud, object], bool]
    ) -> Change:
        return Change(ask, holds, Cloud(self._bench.gateway))


def is_there(cloud: Cloud, path: str) -> bool:
    try:
        cloud.get(path)
    except RefusedError as refused:
        if refused.answer.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


def is_in_force(cloud: Cloud, daemon: Running) -> bool:
    """Whether nothing is pending or failed, and the kernel has exactly what there is."""
    return set(cloud.states().values()) <= {"ACTIVE"} and in_kernel(daemon) == cloud.wanted()


def test_killed_with_9_between_answer_and_kernel_nothing_is_pending_or_left_over_after_the_restart(
    bench, launcher, tmp_path, dice
):
    """What was answered is kept, and what is kept is in the kernel; a deleted load balancer leaves nothing."""
    scenes = Scenes(bench, dice)
    with serving(bench, tmp_path, launcher.start) as daemon:
        before = daemon.balancer.addresses() - {f"{VIP}/32"}  # left by an earlier test's daemon
        deck = [scenes.make, *scenes.all() * (KILLS // 6)]
        takes = 0.3  # seconds, about, from a request to the kernel
        for number, scene in enumerate((*dice.sample(deck, len(deck)), *[scenes.raze] * KILLS)):
            with closing(Cloud(bench.gateway)) as cloud:
                if number >= len(deck) and not cloud.get("/loadbalancers"):
                    break
                change = scene(cloud)
            if number >= len(deck) or dice.random() < 0.7:  # a raze that is answered is one
                assert change.answered(PATIENCE), f"{number}: {scene.__name__} was not answered"
            time.sleep(dice.uniform(0, takes))
            daemon.end(signal.SIGKILL)
            change.answered(PATIENCE)
            daemon.start(wait=False)
            eventually(daemon.answers, PATIENCE, "it answers")
            with closing(Cloud(bench.gateway)) as cloud:
                eventually(
                    lambda: is_in_force(cloud, daemon),
                    PATIENCE,
                    f"kill {number}: in force after {scene.__name__}",
                )
                assert change.is_kept(cloud), f"kill {number}: {scene.__name__} was answered"
        assert in_kernel(daemon) == {}
        eventually(lambda: daemon.balancer.addresses() == before, PATIENCE, "no VIP is left")
        assert daemon.end() == 0
        kept = SqliteStore(daemon.balancer.state_dir / "state.db").records()
        assert [name for name in kept if name.startswith("octavia/")] == []


def test_twenty_clients_change_five_load_balancers_at_once_and_no_change_is_lost(
    bench, launcher, tmp_path
):
    with serving(bench, tmp_path, launcher.start) as daemon, closing(Cloud(bench.gateway)) as cloud:
        balancers = [
            cloud.load_balancer(**tree(PORT, ONE, name=f"lb-{n}")) for n in range(BALANCERS)
        ]
        pools = {one["loadbalancers"][0]["id"]: one["id"] for one in cloud.get("/pools")}

        def work(number: int) -> tuple[dict[str, int], set[str]]:
            """The weights of the members and the listeners that this client leaves."""
            balancer = balancers[number % BALANCERS]
            members = f"/pools/{pools[balancer]}/members"
            with closing(Cloud(bench.gateway)) as own:
                weights: dict[str, int] = {}
                listeners: set[str] = set()
                for turn in range(ROUNDS):
                    place = {"address": f"10.0.1.{number + 1}", "protocol_port": PORT + turn}
                    member = freely(lambda: own.make(members, "member", **place))["id"]  # noqa: B023
                    weight = 2 + turn
                    freely(lambda: own.change(f"{members}/{member}", "member", weight=weight))  # noqa: B023
                    port = {"protocol": "TCP", "protocol_port": 1000 + 10 * number + turn}
                    made = {"loadbalancer_id": balancer, **port}
                    listener = freely(lambda: own.make("/listeners", "listener", **made))["id"]  # noqa: B023
                    for one in listeners:
                        freely(lambda: own.delete(f"/listeners/{one}"))  # noqa: B023
                    listeners = {listener}
                    if turn == 1:
                        for one in weights:
                            freely(lambda: own.delete(f"{members}/{one}"))  # noqa: B023
                        weights = {}
                    weights[member] = weight
            return weights, listeners

        with ThreadPoolExecutor(CLIENTS) as clients:
            left = list(clients.map(work, range(CLIENTS), timeout=150))
        for balancer in balancers:
            assert cloud.settle(balancer) == "ACTIVE"
        eventually(lambda: is_in_force(cloud, daemon), PATIENCE, "the kernel has what there is")
        weights = {
            one["id"]: one["weight"]
            for pool in pools.values()
            for one in cloud.get(f"/pools/{pool}/members")
            if one["address"] != ONE
        }
        assert weights == {name: weight for members, _ in left for name, weight in members.items()}
        listeners = {one["id"] for one in cloud.get("/listeners") if one["protocol_port"] != PORT}
        assert listeners == {name for _, names in left for name in names}
        assert sum(map(len, in_kernel(daemon).values())) == BALANCERS + len(weights)
        for balancer in balancers:
            cloud.delete(f"/loadbalancers/{balancer}?cascade=true")
        eventually(lambda: cloud.states() == {}, PATIENCE, "nothing is stuck")
        assert in_kernel(daemon) == {}
