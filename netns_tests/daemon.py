"""`ipvs-lb run` as a process on a gateway, and servers that can fail in every way, for tests that watch both."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from ipvs_lb.cli.daemon import AbsentError
from ipvs_lb.cli.daemon import Daemon as Api
from ipvs_lb.errors import LabError
from ipvs_lb.lab.clients import exchange
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.walkthrough import Walkthrough
from netns_tests.balance import SERVERS, Balancer, Bench, Conversation, config, service

PORT = 8000
INTERVAL, TIMEOUT, RISE, FALL = 0.5, 0.4, 2, 2
OUT = FALL * INTERVAL + TIMEOUT
IN = RISE * INTERVAL + TIMEOUT
SLACK = 20.0
"""Seconds that a guest kernel on a busy machine may add to what a healthy machine takes."""
HTTP = {
    "type": "http",
    "path": "/health",
    "interval": f"{INTERVAL * 1000:.0f}ms",
    "fast_interval": f"{INTERVAL * 1000:.0f}ms",
    "timeout": f"{TIMEOUT * 1000:.0f}ms",
    "rise": RISE,
    "fall": FALL,
}
TURNS = 40
"""More than a round of the weights that tests draw."""
NAMES = {address: f"server-{number}" for number, address in enumerate(SERVERS, 1)}
CHUNKS = 8
_RECEIVED = 65536


def eventually(is_so: Callable[[], bool], within: float, what: str) -> float:
    """The seconds until *is_so*, looked at often. Raises AssertionError after *within*."""
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < within, f"not within {within:g} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - start


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    address_family = socket.AF_INET
    backend: Backend


class _Conversant(socketserver.BaseRequestHandler):
    """An echo with the server's name before it, that also knows `GET /health` and `GET /slow`."""

    def handle(self) -> None:
        backend = cast("_Server", self.server).backend
        with contextlib.suppress(OSError):
            while received := self.request.recv(_RECEIVED):
                backend.working.wait()
                if received.startswith(b"GET /"):
                    self._answer(backend, received.split()[1])
                    return
                self.request.sendall(f"{backend.name} ".encode() + received)

    def _answer(self, backend: Backend, path: bytes) -> None:
        if path != b"/slow":
            self.request.sendall(f"HTTP/1.0 {backend.status} So\r\n\r\n{backend.name}".encode())
            return
        self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(CHUNKS):
            self.request.sendall(b"x" * 100)
            time.sleep(0.5)


class Backend:
    """The application of one server on TCP `PORT`: `status` is what it answers, `hang` and `close` are its ends."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self.status = 200
        self.working = threading.Event()
        self._host = host
        self._server: _Server | None = None
        self.open()
        host.at_end(self.close)

    def open(self) -> None:
        """Listen and answer well; nothing changes where it does."""
        self.status = 200
        self.working.set()
        if self._server is None:
            self._server = self._host.call(_Server, ("0.0.0.0", PORT), _Conversant)
            self._server.backend = self
            threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            ).start()

    def close(self) -> None:
        """Listen no more: who connects is refused. Connections go on."""
        self.working.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def hang(self) -> None:
        """Accept connections, and say nothing any more."""
        self.working.clear()


class Process(Protocol):
    """A started program."""

    @property
    def pid(self) -> int:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""

    def wait(self, timeout: float) -> int:
        """Its exit status; not awaited longer than so many seconds."""


class Start(Protocol):
    """Starts a program on the gateway; what it says goes to *log*."""

    def __call__(self, command: Sequence[str], *, log: Path) -> Process:
        """The process that runs *command*."""


class Running:
    """The daemon on the gateway of a bench, started and ended at will, and what it has put in the kernel.

    *start* is how: as anybody would, unless told otherwise.
    """

    def __init__(
        self, bench: Bench | Walkthrough, folder: Path, start: Start | None = None
    ) -> None:
        self.balancer = Balancer(bench.gateway, folder)
        self.log = folder / "daemon.log"
        self._begin = start or bench.gateway.start
        self._socket = folder / "api.sock"
        self.api = Api(self._socket, patience=30.0)
        self._process: Process | None = None

    def command(self) -> list[str]:
        """The words that run it."""
        return self.balancer.process("run", "--socket", str(self._socket))

    def start(self, *, wait: bool = True) -> None:
        """Start it with the configuration written last; when told to *wait*, return once it keeps the kernel."""
        process = self._begin(self.command(), log=self.log)
        self._process = process
        if wait:
            eventually(lambda: process.poll() is not None or self.is_at_work(), 40, "it is at work")
            assert process.poll() is None, self.log.read_text()

    def is_at_work(self) -> bool:
        """Whether it has compared the kernel with the configuration since it was started."""
        try:
            return self.api.get("/v1/status")["kernel"]["reconciled"] is not None
        except AbsentError:
            return False

    def answers(self) -> bool:
        """Whether it has begun: it hears orders and signals. That is cheaper to ask than `is_at_work`."""
        try:
            self.api.get("/v1/health", also=(503,))
        except AbsentError:
            return False
        return True

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; its exit status."""
        assert self._process is not None
        self.send(number)
        status = self._process.wait(15)
        self._process = None
        return status

    def close(self) -> None:
        """End it if it runs, and leave nothing in the kernel."""
        if self._process is not None:
            self.end(signal.SIGKILL)
        self.balancer.ipvsadm("-C")

    def load(self, *services: Mapping[str, Any]) -> None:
        """Write a configuration of *services* and have it read. Raises ConfigError."""
        self.balancer.write(config(*services))
        self.api.post("/v1/reload")

    def order(self, address: str, action: str, **settings: Any) -> None:
        """Put an order on a server."""
        self.api.post("/v1/servers/override", {"servers": [address], "action": action, **settings})

    def take_back(self, address: str) -> None:
        """Take the order on a server back."""
        self.api.delete("/v1/servers/override", {"server": [address]})

    def metrics(self) -> str:
        """What Prometheus would read."""
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self._socket))
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def events(self) -> list[str]:
        """The names of the events so far, oldest first."""
        return [event["name"] for event in self.api.get("/v1/events")["events"]]

    def weights(self, vip: str) -> dict[str, int]:
        """The servers of the service at *vip* in the kernel, as ipvsadm has them, with their weights."""
        start = f"-a -t {vip}:"
        rows = [rule.split() for rule in self.balancer.rules() if rule.startswith(start)]
        return {row[4].partition(":")[0]: int(row[row.index("-w") + 1]) for row in rows}

    def serving(self, vip: str) -> dict[str, int]:
        """Those of `weights` that get new connections: drains are not among them."""
        return {address: weight for address, weight in self.weights(vip).items() if weight}

    def becomes(self, vip: str, wanted: Mapping[str, int], within: float) -> float:
        """The seconds until the kernel has exactly the servers and weights *wanted*."""
        start = time.monotonic()
        while (found := self.weights(vip)) != wanted:
            passed = time.monotonic() - start
            assert passed < within, f"after {passed:.1f} s {found}, not {wanted}:\n{self._last()}"
            time.sleep(0.05)
        return time.monotonic() - start

    def _last(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-15:])


@contextlib.contextmanager
def running(bench: Bench, folder: Path, start: Start | None = None) -> Iterator[Running]:
    """The daemon on the gateway of *bench*, with nothing to balance yet."""
    daemon = Running(bench, folder, start)
    daemon.balancer.write(config())
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()


def web(vip: str, *servers: str | Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """A service on `PORT` whose servers are asked for `/health` twice a second, unless told otherwise."""
    return service(vip, *servers, **{"ports": [PORT], "health_check": HTTP, **settings})


def seen(client: Host, vip: str, times: int = 4) -> list[str]:
    """The servers that answered requests of *client*, one after the other."""
    return [exchange(client, "tcp", vip, PORT).partition(" ")[0] for _ in range(times)]


def talk_to(client: Host, vip: str, address: str) -> Conversation:
    """A conversation through *vip* with the server of that address, whose turn may come after all of the others'."""
    for _ in range(TURNS):
        talk = Conversation(client, vip, PORT)
        if talk.server == NAMES[address]:
            return talk
        talk.close()
    raise AssertionError(f"no connection to {address}")


def start_web_process(host: Host, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A web server as a process of its own, whose `/` and `/health` say *host*'s name."""
    for name in ("index.html", "health"):
        (folder / name).write_text(host.name)
    program = host.start(
        [sys.executable, "-I", "-S", "-m", "http.server", "--directory", str(folder), str(port)]
    )
    host.wait_for_listener(port, program)
    return program


def fails(client: Host, vip: str) -> bool:
    """Whether a request of *client* finds nobody."""
    try:
        exchange(client, "tcp", vip, PORT, timeout=1.0)
    except LabError:
        return True
    return False
