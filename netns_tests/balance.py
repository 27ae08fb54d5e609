"""A gateway between clients and real servers, and ipvs-lb running on it, for tests that ask what a client sees.

outsider 203.0.113.2 ── .1 gateway 10.0.0.1 ──┬── server-1 10.0.0.4
         2001:db8:1::2 ── ::1   2001:db8:2::1 ├── server-2 10.0.0.6
                                              ├── server-3 10.0.0.8
                                              └── neighbour 10.0.0.2

The outsider's packets and the servers' answers pass the gateway (masq). The neighbour shares the servers' own
network, so that servers answer it directly (dr, tunnel).
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from click.testing import CliRunner, Result

from ipvs_lb import loads, open_gateway
from ipvs_lb.cli.program import program
from ipvs_lb.engine.apply import Change
from ipvs_lb.lab.clients import exchange
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.servers import Echo

OUTSIDER, OUTSIDER_6 = "203.0.113.2", "2001:db8:1::2"
NEIGHBOUR, NEIGHBOUR_6 = "10.0.0.2", "2001:db8:2::2"
ONE, TWO, THREE = SERVERS = ("10.0.0.4", "10.0.0.6", "10.0.0.8")
ONE_6, TWO_6, THREE_6 = SERVERS_6 = ("2001:db8:2::4", "2001:db8:2::6", "2001:db8:2::8")
MORE_OUTSIDERS = tuple(f"203.0.113.{number}" for number in range(20, 28))
EMPTY = '{"version": 1, "services": []}'
TIMEOUT = 5.0

_vips = itertools.count(100)


def new_vip() -> str:
    """An address in the servers' network that no test has used: what the kernel remembers of another is not met."""
    return f"10.0.0.{next(_vips)}"


def new_vip_6() -> str:
    """As `new_vip`, over IPv6."""
    return f"2001:db8:2::{next(_vips)}"


def server(address: str, **settings: Any) -> dict[str, Any]:
    """A server as it stands in a configuration."""
    return {"address": address, **settings}


def service(vip: str, *servers: str | Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """A service as it stands in a configuration: rr on port 80 unless told otherwise; *vip* is not announced."""
    port = {} if {"ports", "fwmark"} & settings.keys() else {"port": 80}
    listed = [server(one) if isinstance(one, str) else dict(one) for one in servers]
    where = {"vip": {"address": vip, "announce": False}}
    fixed = {"name": f"web-{vip}", "scheduler": "rr", "servers": listed}
    return {**fixed, **where, **port, **settings}


def config(*services: Mapping[str, Any], **settings: Any) -> str:
    """A configuration's text. JSON is YAML."""
    return json.dumps({"version": 1, **settings, "services": services})


class Balancer:
    """ipvs-lb on one host, called in this process, with a state directory of its own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.state_dir = folder / "state"
        self.config_path = folder / "lb.yaml"

    def plan(self, text: str) -> Change:
        """What applying the configuration *text* would do. Raises LBError."""
        parsed = loads(text)

        def work() -> Change:
            with open_gateway(self.state_dir) as gateway:
                return gateway.plan(parsed)

        return self.host.call(work)

    def apply(self, text: str) -> Change:
        """Put the configuration *text* in force; what that took. Raises LBError."""
        parsed = loads(text)

        def work() -> Change:
            with open_gateway(self.state_dir) as gateway:
                change = gateway.plan(parsed)
                gateway.apply(change)
                return change

        return self.host.call(work)

    def write(self, text: str) -> Path:
        """The file with the configuration *text* that `command` uses."""
        self.config_path.write_text(text)
        return self.config_path

    def command(self, *arguments: str) -> Result:
        """`ipvs-lb ARGUMENTS` to its end: exit code, stdout and stderr."""
        environment = {
            "IPVS_LB_CONFIG": str(self.config_path),
            "IPVS_LB_STATE_DIR": str(self.state_dir),
        }
        result = self.host.call(CliRunner().invoke, program, arguments, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def process(self, *arguments: str) -> list[str]:
        """The words that run `ipvs-lb ARGUMENTS` as a process of its own."""
        places = ["--state-dir", str(self.state_dir), "--config", str(self.config_path)]
        return [sys.executable, "-m", "ipvs_lb", arguments[0], *places, *arguments[1:]]

    def ipvsadm(self, *arguments: str) -> str:
        """What `ipvsadm ARGUMENTS` says on the gateway."""
        return self.host.run(["ipvsadm", *arguments]).stdout

    def rules(self) -> list[str]:
        """`ipvsadm -Sn`, line by line."""
        return self.ipvsadm("-Sn").splitlines()

    def addresses(self) -> set[str]:
        """The gateway's addresses, like `10.0.0.1/24`; those of links' own are there some time after the links are."""
        shown = self.host.run(["ip", "-json", "address"]).stdout
        return {
            f"{entry['local']}/{entry['prefixlen']}"
            for link in json.loads(shown)
            for entry in link["addr_info"]
            if entry["scope"] != "link"
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The hosts of one network, each server with an echo on TCP 80, 443 and 8080 and on UDP 53."""

    network: Network
    outsider: Host
    neighbour: Host
    gateway: Host
    servers: tuple[Host, ...]

    def seen(self, vip: str, times: int, **choices: Any) -> list[str]:
        """The servers that answered the outsider's requests, one after the other."""
        return [answered(self.outsider, vip, **choices) for _ in range(times)]


def answered(
    client: Host,
    vip: str,
    *,
    port: int = 80,
    protocol: str = "tcp",
    source: str | None = None,
    timeout: float = TIMEOUT,
) -> str:
    """The server that answers one request on a connection of its own. Raises LabError when none does."""
    own = None if source is None else (source, 0)
    return exchange(client, protocol, vip, port, source=own, timeout=timeout).partition(" ")[0]


def build(network: Network) -> Bench:
    """Cable and address the hosts of the module docstring's picture, over both families."""
    outsider, gateway, lan = (
        network.host("outsider"),
        network.router("gateway"),
        network.switch("lan"),
    )
    network.cable(outsider, f"{OUTSIDER}/24", gateway, "203.0.113.1/24")
    for address in (f"{OUTSIDER_6}/64", *(f"{more}/24" for more in MORE_OUTSIDERS)):
        outsider.address("eth0", address)
    gateway.address("eth0", "2001:db8:1::1/64")
    gateway.plug(lan, "10.0.0.1/24", "2001:db8:2::1/64")
    outsider.route("default", "203.0.113.1")
    outsider.route("2001:db8:2::/64", "2001:db8:1::1")
    neighbour = network.host("neighbour")
    neighbour.plug(lan, f"{NEIGHBOUR}/24", f"{NEIGHBOUR_6}/64")
    servers = []
    for number, (address, address_6) in enumerate(zip(SERVERS, SERVERS_6, strict=True), 1):
        host = network.host(f"server-{number}")
        host.plug(lan, f"{address}/24", f"{address_6}/64")
        host.route("default", "10.0.0.1")
        host.route("2001:db8:1::/64", "2001:db8:2::1")
        for protocol, port in (("tcp", 80), ("tcp", 443), ("tcp", 8080), ("udp", 53)):
            echo(host, protocol, port)
        servers.append(host)
    return Bench(
        network=network,
        outsider=outsider,
        neighbour=neighbour,
        gateway=gateway,
        servers=tuple(servers),
    )


def echo(host: Host, protocol: str, port: int, address: str = "::") -> None:
    """An echo on *host* for as long as the network lasts; `::` is every address, IPv4 too."""
    host.at_end(Echo(host, protocol, port, address).close)


def hold_vip(host: Host, vip: str) -> None:
    """*vip* on a server's lo, never told to anybody: what dr and tunnel need (arp_ignore, arp_announce)."""
    host.sysctl("net.ipv4.conf.all.arp_ignore", 1)
    host.sysctl("net.ipv4.conf.all.arp_announce", 2)
    host.address("lo", f"{vip}/{128 if ':' in vip else 32}")


class Conversation:
    """A TCP connection that stays open: `ask` says which server it is with."""

    def __init__(self, client: Host, vip: str, port: int = 80, *, source: str = "") -> None:
        own = (source, 0) if source else None
        self._connection = client.call(
            socket.create_connection, (vip, port), timeout=TIMEOUT, source_address=own
        )
        self.server = self.ask("hello")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._connection.close()

    def ask(self, text: str = "still there?") -> str:
        """The server that answers. Raises OSError when the connection is dead."""
        self._connection.sendall(text.encode())
        name, _, back = self._connection.recv(4096).decode().partition(" ")
        assert back == text
        return name


def share(names: Sequence[str]) -> dict[str, int]:
    """How many requests each server answered."""
    return dict(Counter(names))


def alternates(names: Sequence[str]) -> bool:
    """Whether exactly two servers answered, in turn."""
    return len(set(names)) == 2 and all(a != b for a, b in itertools.pairwise(names))


def reset(balancer: Balancer) -> None:
    """Nothing is balanced any more, and no VIP is left."""
    if balancer.apply(EMPTY).foreign.services:
        balancer.ipvsadm("-C")
