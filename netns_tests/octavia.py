"""ipvs-lb on a gateway with the Octavia-compatible API, and ways to ask it: by hand, and with OpenStack's own clients."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.walkthrough import Walkthrough
from netns_tests.balance import Bench, config
from netns_tests.daemon import Running, Start, eventually
from netns_tests.prompt_client import COMMAND

T = TypeVar("T")

ADDRESS, PORT = "127.0.0.1", 9876
ORIGIN = f"http://{ADDRESS}:{PORT}"
LBAAS = "/v2.0/lbaas"
IDLE = 1.0
"""Seconds after which a connection is not used again: the daemon closes those that say nothing."""
PATIENCE = 60.0
"""Seconds within which all comes to an end, however busy the machine is; how quick anything is is not tested."""
SETTLED = {"ACTIVE", "ERROR"}
NETWORKS = [
    {
        "name": "private-net",
        "subnets": [
            {"name": "private-subnet", "cidr": "10.0.0.0/24", "pools": ["10.0.0.16-10.0.0.31"]}
        ],
    },
    {
        "name": "public-net",
        "external": "yes",
        "subnets": [
            {
                "name": "public-subnet",
                "cidr": "203.0.113.0/24",
                "pools": ["203.0.113.16-203.0.113.31"],
            }
        ],
    },
]
PROMPT_CLIENT = str(Path(__file__).with_name("prompt_client.py"))
OPEN = {"auth": "none", "source_nat": "off"}
"""Everybody may do everything; a kernel without nftables does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API says; `body` is None where it says nothing."""

    status: int
    body: Any

    @property
    def fault(self) -> str:
        """Why it was refused."""
        return str(self.body["faultstring"])


class RefusedError(Exception):
    """The API did not do what was asked for."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: {answer}")
        self.answer = answer


class _Connection(http.client.HTTPConnection):
    """Whoever uses it, it is the host's."""

    def __init__(self, host: Host, patience: float) -> None:
        super().__init__(ADDRESS, PORT, timeout=patience)
        self._lab_host = host

    def connect(self) -> None:
        self._lab_host.call(super().connect)


class Cloud:
    """The API as one client sees it on *host*, over one connection. For one thread.

    *who* is `NAME:PASSWORD`.
    """

    def __init__(self, host: Host, *, who: str = "", patience: float = PATIENCE) -> None:
        self._connection = _Connection(host, patience)
        self._used = time.monotonic()
        self._headers = {"content-type": "application/json"}
        if who:
            self._headers["authorization"] = f"Basic {base64.b64encode(who.encode()).decode()}"

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One request. Raises OSError or HTTPException when it is not answered."""
        content = None if body is None else json.dumps(body)
        if time.monotonic() - self._used > IDLE:
            self._connection.close()
        try:
            self._connection.request(method, path, content, self._headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        self._used = time.monotonic()
        return Answer(response.status, json.loads(text) if text else None)

    def get(self, path: str) -> Any:
        """What there is at *path* below `LBAAS`, without the name around it. Raises RefusedError."""
        return self._inside("GET", path)

    def make(self, path: str, kind: str, **fields: Any) -> dict[str, Any]:
        """A new object, as it was answered. Raises RefusedError."""
        return dict(self._inside("POST", path, {kind: fields}))

    def change(self, path: str, kind: str, **fields: Any) -> dict[str, Any]:
        """The object at *path* with other settings. Raises RefusedError."""
        return dict(self._inside("PUT", path, {kind: fields}))

    def delete(self, path: str) -> None:
        """Delete what is at *path*. Raises RefusedError."""
        self._asked("DELETE", path)

    def subnet(self, name: str = "private-subnet") -> str:
        """The identifier of a subnet."""
        return str(self.ask("GET", f"/v2.0/subnets?name={name}").body["subnets"][0]["id"])

    def load_balancer(self, **fields: Any) -> str:
        """A new load balancer that is in force."""
        made = self.make("/loadbalancers", "loadbalancer", vip_subnet_id=self.subnet(), **fields)
        self.settle(made["id"])
        return str(made["id"])

    def settle(self, load_balancer: str, within: float = PATIENCE) -> str:
        """The provisioning status of a load balancer once nothing is pending in it."""
        found: list[str] = []

        def is_settled() -> bool:
            found[:] = [self.get(f"/loadbalancers/{load_balancer}")["provisioning_status"]]
            return found[0] in SETTLED

        eventually(is_settled, within, f"{load_balancer} is in force: {found}")
        return found[0]

    def _members(self, pool: str) -> list[dict[str, Any]]:
        """The members of *pool*; none of one that has gone meanwhile."""
        try:
            found: list[dict[str, Any]] = self.get(f"/pools/{pool}/members")
        except RefusedError as refused:
            if refused.answer.status != http.client.NOT_FOUND:
                raise
            return []
        return found

    def states(self) -> dict[str, str]:
        """The provisioning status of every object there is."""
        found = {
            one["id"]: one["provisioning_status"]
            for what in ("loadbalancers", "listeners", "pools", "healthmonitors")
            for one in self.get(f"/{what}")
        }
        for pool in self.get("/pools"):
            for one in self._members(pool["id"]):
                found[one["id"]] = one["provisioning_status"]
        return found

    def wanted(self) -> dict[str, dict[str, int]]:
        """The virtual services that all objects come to: `VIP:PORT`, and each member with its weight."""
        vips = {one["id"]: one["vip_address"] for one in self.get("/loadbalancers")}
        found = {}
        for listener in self.get("/listeners"):
            vip = vips[listener["loadbalancers"][0]["id"]]
            pool = listener["default_pool_id"]
            members = [] if pool is None else self.get(f"/pools/{pool}/members")
            found[f"{vip}:{listener['protocol_port']}"] = {
                f"{one['address']}:{one['protocol_port']}": one["weight"] for one in members
            }
        return found

    def _inside(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        (content,) = (
            value
            for name, value in self._asked(method, path, body).body.items()
            if not name.endswith("_links")
        )
        return content

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        answer = self.ask(method, LBAAS + path, body)
        if answer.status >= http.client.BAD_REQUEST:
            raise RefusedError(f"{method} {path}", answer)
        return answer


class Shell:
    """A shell on *host* in which `openstack` is the client that *client* has, an environment of Python's."""

    def __init__(self, host: Host, client: Path, folder: Path, openrc: Mapping[str, str]) -> None:
        self._host = host
        self._folder = folder
        folder.mkdir()
        (folder / "example-openrc.sh").write_text(
            "".join(f"export {name}={value}\n" for name, value in openrc.items())
        )
        place = folder / "socket"
        command = folder / "openstack"
        command.write_text(COMMAND.format(python=sys.executable, socket=str(place)))
        command.chmod(0o755)
        log = folder / "log"
        program = [str(client / "bin" / "python"), "-I", PROMPT_CLIENT, str(place)]
        process = host.start(program, log=log)
        eventually(lambda: place.exists() or process.poll() is not None, 90, "the client is loaded")
        assert process.poll() is None, log.read_text()

    def run(self, commands: str) -> str:
        """What *commands* print; they may use the functions and variables of a user who follows the walkthrough."""
        before = f"set -euo pipefail; cd {self._folder}; PATH={self._folder}:$PATH\n"
        return self._host.run(["bash", "-c", before + commands], timeout=150).stdout


def freely(work: Callable[[], T], within: float = 90.0) -> T:
    """What *work* gives, tried again while its load balancer is busy. Raises RefusedError when it stays so."""
    deadline = time.monotonic() + within
    while True:
        try:
            return work()
        except RefusedError as refused:
            if refused.answer.status != http.client.CONFLICT or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.1, 0.3))


def in_kernel(daemon: Running) -> dict[str, dict[str, int]]:
    """The virtual services in the kernel over TCP, like `Cloud.wanted`."""
    found: dict[str, dict[str, int]] = {}
    for rule in (line.split() for line in daemon.balancer.rules()):
        servers = found.setdefault(rule[2], {})
        if rule[0] == "-a":
            servers[rule[4]] = int(rule[rule.index("-w") + 1])
    return found


@contextlib.contextmanager
def serving(
    place: Bench | Walkthrough,
    folder: Path,
    start: Start | None = None,
    *services: Mapping[str, Any],
    **octavia: Any,
) -> Iterator[Running]:
    """The daemon on the gateway of *place* with *services* and the API: `OPEN`, unless *octavia* says how it is."""
    daemon = Running(place, folder, start)
    daemon.balancer.write(config(*services, networks=NETWORKS, octavia=octavia or OPEN))
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()
