"""Latency and memory of the Octavia-compatible API beside a real Octavia's, in the same run.

    python -m benchmarks.api                                    # ours without engine and kernel (benchmarks.octavia_ours)
    python -m benchmarks.api --url http://127.0.0.1:9876 --pid 4711 [--user demo:secret] [--alone]   # a daemon that runs
    ./scripts/guest --mem 2G --timeout 1200 python -m benchmarks.api --daemon --stored 100            # one of its own

The real one is its package with no-op drivers on SQLite, under gunicorn (benchmarks.octavia_reference). Nothing works
for it behind its API: what is pending is set ACTIVE between two calls, and that time is not counted. With `--url` ours
is a whole daemon, whose engine and kernel are counted. With `--daemon` one is started, on the IPVS of this kernel in a
network namespace of its own, and measured alone: until it is looked at how long a new weight of a member takes from the
request to the kernel, in which another connection sees it. `--kernel` looks at the IPVS of this namespace, with `--url`.

One client asks one question after the other on one connection. Both are asked in turn, and the order of the two changes
with every round.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.measure import leave_network, machine, save
from benchmarks.octavia_daemon import URL, Look, daemon
from benchmarks.octavia_reference import reference
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey

GOAL = 3.0
LB = "/v2.0/lbaas"
PAGE = 100
_PATIENCE = 60.0
Json = Any


@dataclass
class Server:
    """A server that is measured. `settle` brings in force what its API has only written down."""

    name: str
    url: str
    process: int | None
    headers: dict[str, str]
    settle: Callable[[], None]
    subnet: str = "1c221166-3cb3-4534-915a-b75220ec1873"
    took: dict[str, list[float]] = field(default_factory=dict)
    pool: str = ""
    member: str = ""
    load_balancer: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PATIENCE)
        self.connect()

    def connect(self) -> None:
        """Begin a new connection: a server does not keep one for ever that nobody uses."""
        self._connection.close()
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, path: str, body: Json = None) -> Json:
        """The answer's body; anything but success ends the run."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self.headers}
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= http.client.MULTIPLE_CHOICES:
            raise RuntimeError(f"{self.name}: {method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def await_active(self, load_balancer: str) -> None:
        """Ask until it is ACTIVE, as clients do."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            found = self.ask("GET", f"{LB}/loadbalancers/{load_balancer}")["loadbalancer"]
            if found["provisioning_status"] == "ACTIVE":
                return
            time.sleep(0.001)
        raise RuntimeError(f"{self.name}: {load_balancer} does not become ACTIVE")

    @contextlib.contextmanager
    def timed(self, what: str, *, times: int = 1) -> Iterator[Clock]:
        """Measure what happens inside, but for the time that is left out."""
        clock = Clock()
        yield clock
        self.took.setdefault(what, []).append(
            (time.perf_counter() - clock.start - clock.out) / times
        )

    def settled(self, clock: Clock) -> None:
        """Bring it in force, uncounted."""
        began = time.perf_counter()
        self.settle()
        clock.out += time.perf_counter() - began

    def memory(self) -> float | None:
        """Megabytes that the process has in memory."""
        if self.process is None:
            return None
        for line in Path(f"/proc/{self.process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return None


@dataclass
class Clock:
    """When something began, and how many seconds of it do not count."""

    start: float = field(default_factory=time.perf_counter)
    out: float = 0.0


def create_step_by_step(server: Server) -> str:
    """2 listeners, 2 pools, 4 members, 2 monitors, each when the load balancer is ACTIVE again, as a script would."""
    with server.timed("full load balancer, call by call, to ACTIVE") as clock:

        def make(collection: str, kind: str, **fields: Json) -> str:
            made = server.ask("POST", f"{LB}/{collection}", {kind: fields})[kind]
            server.settled(clock)
            server.await_active(load_balancer or made["id"])
            return str(made["id"])

        load_balancer = ""
        load_balancer = make("loadbalancers", "loadbalancer", vip_subnet_id=server.subnet)
        for port in (80, 443):
            listener = make(
                "listeners",
                "listener",
                loadbalancer_id=load_balancer,
                protocol="TCP",
                protocol_port=port,
            )
            pool = make(
                "pools", "pool", listener_id=listener, protocol="TCP", lb_algorithm="ROUND_ROBIN"
            )
            for number in (4, 6):
                make(
                    f"pools/{pool}/members",
                    "member",
                    address=f"10.1.0.{number}",
                    protocol_port=port,
                )
            make(
                "healthmonitors",
                "healthmonitor",
                pool_id=pool,
                type="HTTP",
                delay=60,
                timeout=20,
                max_retries=2,
                url_path="/health",
            )
    return load_balancer


def tree(subnet: str, ports: tuple[int, ...], *, is_tested: bool = True) -> Json:
    """The same in one body; members that nobody tests are in the kernel at once."""
    check = {"type": "HTTP", "delay": 60, "timeout": 20, "max_retries": 2, "url_path": "/health"}
    listeners = [
        {
            "name": f"listener-{port}",
            "protocol": "TCP",
            "protocol_port": port,
            "default_pool": {
                "name": f"pool-{port}",
                "protocol": "TCP",
                "lb_algorithm": "ROUND_ROBIN",
                "healthmonitor": check if is_tested else None,
                "members": [
                    {"address": f"10.1.0.{number}", "protocol_port": port} for number in (4, 6)
                ],
            },
        }
        for port in ports
    ]
    return {"loadbalancer": {"name": "tree", "vip_subnet_id": subnet, "listeners": listeners}}


def create_at_once(server: Server) -> str:
    """The same in one call."""
    with server.timed("full load balancer in one call, to ACTIVE") as clock:
        made = server.ask("POST", f"{LB}/loadbalancers", tree(server.subnet, (80, 443)))
        load_balancer = str(made["loadbalancer"]["id"])
        server.settled(clock)
        server.await_active(load_balancer)
    return load_balancer


def fill(server: Server, count: int) -> None:
    """*count* load balancers of a listener, a pool, two members and a monitor."""
    server.connect()
    began, made = time.monotonic(), ""
    for _ in range(count):
        answer = server.ask("POST", f"{LB}/loadbalancers", tree(server.subnet, (80,)))
        made = str(answer["loadbalancer"]["id"])
    server.settle()
    server.await_active(made)
    server.load_balancer = made
    pools = server.ask("GET", f"{LB}/pools?loadbalancer_id={made}")["pools"]
    server.pool = pools[0]["id"]
    server.member = pools[0]["members"][0]["id"]
    print(f"  {server.name}: {count} stored in {time.monotonic() - began:.0f} s", flush=True)


def questions(server: Server, number: int) -> None:
    """One round of the single calls."""
    member = f"{LB}/pools/{server.pool}/members/{server.member}"
    for what, path in {
        "show a load balancer": f"{LB}/loadbalancers/{server.load_balancer}",
        "show a member": member,
        "find a load balancer by its id in the list": f"{LB}/loadbalancers?id={server.load_balancer}",
    }.items():
        with server.timed(what):
            server.ask("GET", path)
    with server.timed("change a member's weight, to ACTIVE") as clock:
        with server.timed("change a member's weight, answered"):
            server.ask("PUT", member, {"member": {"weight": 1 + number % 100}})
        server.settled(clock)
        server.await_active(server.load_balancer)


def lists(server: Server) -> None:
    """One round of the lists."""
    for what, path in {
        f"list load balancers, a page of {PAGE}": f"{LB}/loadbalancers?limit={PAGE}",
        "list members of a pool": f"{LB}/pools/{server.pool}/members",
        "list load balancers, all": f"{LB}/loadbalancers",
    }.items():
        with server.timed(what):
            server.ask("GET", path)


def into_the_kernel(server: Server, look: Look, rounds: int) -> None:
    """Other weights for a member, until the kernel has them."""
    server.connect()
    made = server.ask("POST", f"{LB}/loadbalancers", tree(server.subnet, (80,), is_tested=False))
    balancer = made["loadbalancer"]
    server.await_active(balancer["id"])
    (pool,) = server.ask("GET", f"{LB}/pools?loadbalancer_id={balancer['id']}")["pools"]
    member = server.ask("GET", f"{LB}/pools/{pool['id']}/members")["members"][0]
    path = f"{LB}/pools/{pool['id']}/members/{member['id']}"
    service = AddressKey(IPProtocol.TCP, ip_address(balancer["vip_address"]), Port(80))
    its_key = ServerKey(ip_address(member["address"]), Port(member["protocol_port"]))
    for number in range(rounds):
        weight = 2 + number % 100
        with server.timed("change a member's weight, in the kernel"):
            server.ask("PUT", path, {"member": {"weight": weight}})
            look.await_weight(service, its_key, weight)
        server.await_active(balancer["id"])
    remove(server, balancer["id"])


def in_turn(servers: list[Server], rounds: int, work: Callable[[Server, int], object]) -> None:
    """*work* on every server in every round."""
    for number in range(rounds):
        for server in servers if number % 2 else reversed(servers):
            server.connect()
            work(server, number)


def remove(server: Server, load_balancer: str) -> None:
    """With all that is in it."""
    server.ask("DELETE", f"{LB}/loadbalancers/{load_balancer}?cascade=True")
    server.settle()


def measure(servers: list[Server], given: argparse.Namespace) -> None:
    """Everything, in turn."""
    for server in servers:
        server.connect()
        remove(server, create_at_once(server))  # what is loaded at the first call is not measured
        server.took.clear()
    creates = given.rounds
    in_turn(servers, creates, lambda server, _: remove(server, create_step_by_step(server)))
    in_turn(servers, creates, lambda server, _: remove(server, create_at_once(server)))
    for server in servers:
        fill(server, given.stored)
    if given.kernel:
        into_the_kernel(servers[0], Look(), given.rounds * 30)
    in_turn(servers, given.rounds * 10, questions)
    in_turn(servers, given.rounds, lambda server, _: lists(server))


def quantile(values: list[float], share: float) -> float:
    """The value below which *share* of *values* are."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def table(servers: list[Server]) -> Iterator[str]:
    """Milliseconds, and how many times as long the last of several servers takes as the first."""
    heads = [f"{server.name} {share}" for server in servers for share in ("p50", "p99")]
    heads += ["ratio p50", "ratio p99"] if len(servers) > 1 else []
    yield f"| call | n | {' | '.join(heads)} |"
    yield "|---|---|" + "---|" * len(heads)
    for what, took in servers[0].took.items():
        pairs = [
            [1000 * quantile(server.took[what], share) for share in (0.5, 0.99)]
            for server in servers
        ]
        cells = [f"{value:.1f}" for pair in pairs for value in pair]
        if len(servers) > 1:
            cells += [
                f"{last / first:.1f}" for first, last in zip(pairs[0], pairs[-1], strict=True)
            ]
        yield f"| {what} | {len(took)} | {' | '.join(cells)} |"
    for server in servers:
        if (held := server.memory()) is not None:
            yield f"memory of {server.name}: {held:.0f} MB"


@contextlib.contextmanager
def ours(given: argparse.Namespace) -> Iterator[Server]:
    """The server told by `--url`, or one that is started."""
    if given.url:
        headers = {}
        if given.user:
            headers["Authorization"] = "Basic " + base64.b64encode(given.user.encode()).decode()
        yield _found(given.url, given.pid, headers)
        return
    if given.daemon:
        leave_network()
        with tempfile.TemporaryDirectory() as folder, daemon(Path(folder)) as process:
            yield _found(URL, process, {})
        return
    words = [sys.executable, "-m", "benchmarks.octavia_ours"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdin is not None
        assert alone.stdout is not None
        yield _found(alone.stdout.readline().strip(), alone.pid, {})
        alone.stdin.close()


def _found(url: str, process: int | None, headers: dict[str, str]) -> Server:
    server = Server("ours", url, process, headers, lambda: None)
    server.subnet = server.ask("GET", "/v2.0/subnets")["subnets"][0]["id"]
    return server


@contextlib.contextmanager
def real(given: argparse.Namespace) -> Iterator[list[Server]]:
    """The real one, unless it is not wanted."""
    if given.alone:
        yield []
        return
    with reference("benchmark") as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        worker = int(children.read_text().split()[0])
        yield [Server("Octavia", running.origin, worker, running.headers, running.settle)]


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument(
        "--url", help="a server of ours that runs, instead of one that is started"
    )
    arguments.add_argument("--pid", type=int, help="its process, for its memory")
    arguments.add_argument("--user", help="NAME:PASSWORD")
    arguments.add_argument("--daemon", action="store_true", help="start one on this kernel's IPVS")
    arguments.add_argument(
        "--kernel", action="store_true", help="look at the IPVS of this namespace"
    )
    arguments.add_argument("--alone", action="store_true", help="without the real one")
    arguments.add_argument("--stored", type=int, default=1000, help="load balancers in store")
    arguments.add_argument(
        "--rounds", type=int, default=10, help="creates and lists; ten times as many single calls"
    )
    arguments.add_argument("--json", type=Path, help="write the figures there")
    given = arguments.parse_args()
    given.kernel |= given.daemon
    given.alone |= given.kernel
    with ours(given) as own, real(given) as others:
        servers = [own, *others]
        measure(servers, given)
        lines = list(table(servers))
    print("\n".join(lines))
    medians = {
        server.name: {what: statistics.median(took) for what, took in server.took.items()}
        for server in servers
    }
    if others:
        slowest = min(medians["Octavia"][what] / took for what, took in medians["ours"].items())
        print(f"the least ratio is {slowest:.1f}, the goal {GOAL}")
    print(machine())
    save(given.json, {"seconds": medians, "stored": given.stored})


if __name__ == "__main__":
    main()
