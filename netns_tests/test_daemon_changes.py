"""Two hundred changes of the configuration, one after the other: each ends in exactly the table it asks for."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from ipvs_lb.errors import ConfigError
from ipvs_lb.lab.hosts import Host
from netns_tests.balance import ONE, THREE, TWO, config, new_vip, server, service
from netns_tests.daemon import (
    HTTP,
    IN,
    SLACK,
    Backend,
    running,
    seen,
    talk_to,
    web,
)

CHANGES = 200
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "sed")
CHECK = {**HTTP, "interval": "200ms", "fast_interval": "200ms", "timeout": "190ms", "fall": 5}
UNCHECKED = [f"10.0.0.{last}" for last in range(51, 57)]
AT_ONCE = {"drain_timeout": "0s"}
"""No server that is taken out has connections here, and a drain would look for them once a second."""
FORWARDING = {"masq": "Masq", "dr": "Route"}  # net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_fwd_name()

Table = Mapping[str, frozenset[str]]
"""The servers of every service, both in the words of /proc/net/ip_vs; it tells times in ticks, which are left out."""


@pytest.fixture(scope="module")
def backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture
def daemon(bench, backends, tmp_path):
    with running(bench, tmp_path) as started:
        yield started


@dataclass
class Wanted:
    """A configuration, and the table that the kernel has to have with it."""

    services: list[dict[str, Any]] = field(default_factory=list)
    table: dict[str, frozenset[str]] = field(default_factory=dict)

    def add(self, declared: dict[str, Any]) -> None:
        (port,) = declared["ports"]
        method = FORWARDING[declared.get("forwarding", "masq")]
        vip = _hex(declared["vip"]["address"], port)
        persistent = " persistent" if "persistence" in declared else ""
        self.services.append(declared)
        self.table[f"TCP {vip} {declared['scheduler']}{persistent}"] = frozenset(
            f"{_hex(one['address'], port)} {method} {one.get('weight', 1)}"
            for one in declared["servers"]
        )


class Draw:
    """Configurations by chance. In all of them server-1 has the same part of the same service."""

    def __init__(self, dice: random.Random) -> None:
        self.vip, self.others = new_vip(), new_vip()
        self._dice = dice

    def wanted(self) -> Wanted:
        wanted = Wanted()
        for port in self._some(range(9000, 9012)):
            wanted.add(self._service(port))
        wanted.services.insert(self._dice.randint(0, len(wanted.services)), self._web(wanted))
        return wanted

    def _web(self, wanted: Wanted) -> dict[str, Any]:
        rest = [server(one, weight=self._dice.randrange(5)) for one in self._some((TWO, THREE))]
        scheduler = self._dice.choice(SCHEDULERS)
        settings = {"scheduler": scheduler, "health_check": CHECK, **AT_ONCE}
        wanted.add(web(self.vip, ONE, *rest, **settings))
        return wanted.services.pop()

    def _service(self, port: int) -> dict[str, Any]:
        servers = [server(one, weight=self._dice.randrange(100)) for one in self._some(UNCHECKED)]
        settings: dict[str, Any] = {"scheduler": self._dice.choice(SCHEDULERS), **AT_ONCE}
        settings["forwarding"] = self._dice.choice(list(FORWARDING))
        if self._dice.random() < 0.3:
            settings["persistence"] = self._dice.choice(["60s", "300s", "3600s"])
        name = f"other-{port}"
        return service(self.others, *servers, name=name, ports=[port], **settings)

    def _some(self, of):
        return self._dice.sample(list(of), self._dice.randint(0, len(of)))

    def refused(self) -> str:
        """A configuration with a mistake somewhere in it."""
        services = self.wanted().services
        broken = self._dice.choice(services)
        mistake: dict[str, Any] = self._dice.choice(
            [
                {"scheduler": "best"},
                {"ports": [70000]},
                {"servers": [server("10.0.0.300")]},
                {"servers": [server(ONE), server(ONE)]},
                {"wieght": 1},
                {"forwarding": "dr", "servers": [server(ONE, port=81)]},
            ]
        )
        text = config(*(one if one is not broken else {**one, **mistake} for one in services))
        return self._dice.choice([text, text, text[:-1], "", config(*services, services[0])])


def _hex(address: str, port: int) -> str:
    return f"{int(IPv4Address(address)):08X}:{port:04X}"


def table_of(gateway: Host) -> Table:
    """The kernel's table in its own words: no program of ours or of others in between."""
    text = gateway.call(Path("/proc/thread-self/net/ip_vs").read_text)
    found: dict[str, set[str]] = {}
    servers: set[str] = set()
    for line in text.splitlines()[3:]:
        words = line.split()
        if words[0] == "->":
            servers.add(" ".join(words[1:4]))
        else:
            servers = found.setdefault(" ".join(words[:4]), set())
    return {key: frozenset(servers) for key, servers in found.items()}


def _reached(gateway: Host, wanted: Table, what: str) -> None:
    deadline = time.monotonic() + IN + SLACK
    while (found := table_of(gateway)) != wanted:
        assert time.monotonic() < deadline, f"{what}: {found}, not {wanted}"
        time.sleep(0.01)


@pytest.mark.timeout(300)
def test_two_hundred_random_changes_each_end_in_the_wanted_table_and_a_connection_lives_through_all(
    bench, daemon, dice
):
    draw = Draw(dice)
    current = Wanted()
    current.add(web(draw.vip, ONE, health_check=CHECK))

    daemon.load(*current.services)
    _reached(bench.gateway, current.table, "the beginning")
    with talk_to(bench.outsider, draw.vip, ONE) as talk:
        for number in range(CHANGES):
            if dice.random() < 0.15:
                daemon.balancer.write(draw.refused())
                with pytest.raises(ConfigError):
                    daemon.api.post("/v1/reload")
                assert table_of(bench.gateway) == current.table, number
            else:
                current = draw.wanted()
                daemon.balancer.write(config(*current.services))
                if dice.random() < 0.5:
                    daemon.api.post("/v1/reload")
                else:
                    daemon.send(signal.SIGHUP)
                _reached(bench.gateway, current.table, f"change {number}")
            assert talk.ask() == "server-1", number
    assert seen(bench.outsider, draw.vip, 4)  # from whom the last change says
