"""The lab in your own tests: `open_lab` for any test runner; with pytest, the fixture `ipvs_lb_lab`.

    with open_lab("lb.yaml", checks={"interval": "1s", "timeout": "900ms", "fall": 2}) as lab:
        lab.expect("web-1 in within 5s")
        lab.do("stop web-1")
        lab.expect("web-1 out within 3s")
        assert lab.get("web") == "web-2"

What does not hold is an AssertionError; what cannot be done is an `ipvs_lb.LBError`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ipvs_lb.errors import LabError
from ipvs_lb.lab import host
from ipvs_lb.lab.hosts import Host
from ipvs_lb.scenario.by_hand import LabByHand, played_by_hand
from ipvs_lb.scenario.lab_test import lab_test
from ipvs_lb.scenario.reading import read_scenario
from ipvs_lb.scenario.record import line

__all__ = ["Lab", "Machine", "open_lab"]

SLACK = 2.0
"""How many seconds longer than it says every `within` may take, when nothing else is said."""


class Machine:
    """One host of the lab."""

    def __init__(self, host: Host, environment: Mapping[str, str]) -> None:
        self.name = host.name
        self._host = host
        self._environment = environment

    def run(
        self, command: Sequence[str], *, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program there to its end, its output being text; `ipvs-lb` means the lab's daemon.

        Raises LabError when it fails (unless not to *check*) or takes longer than *timeout* seconds.
        """
        variables = [f"{name}={text}" for name, text in self._environment.items()]
        return self._host.run(["env", *variables, *command], check=check, timeout=timeout)


class Lab:
    """A network built from a configuration, with the running daemon on its gateway."""

    def __init__(self, lab: LabByHand, *, slack: float) -> None:
        self._lab = lab
        self._slack = slack
        self.client = self.machine("client")
        self.gateway = self.machine("gateway")

    def machine(self, name: str) -> Machine:
        """The client, the gateway, or a server by its name or address. Raises UsageError."""
        return Machine(self._lab.host(name), self._lab.environment)

    def do(self, *sentences: str) -> None:
        """Do what the sentences of a scenario say: `stop web-1`, `drain web-2`, `restart daemon`. Raises LBError."""
        self._hold(sentences)

    def expect(self, sentence: str) -> None:
        """Wait until `web-1 out within 3s` or `traffic to web without errors` holds.

        Raises AssertionError when it does not.
        """
        self._hold([f"expect {sentence.removeprefix('expect ')}"])

    def get(self, service: str, *, port: int | None = None, timeout: float = 5.0) -> str:
        """The name of the server that answers a new connection of the client to a service.

        Asked are its first VIP, and its first port or *port*. Raises LabError when nobody answers.
        """
        return self._lab.get(service, port=port, timeout=timeout)

    def play(self, scenario: str | Path) -> None:
        """Play a scenario's file with the same configuration, from its beginning and in a network of its own.

        Raises AssertionError when an expectation does not hold, ConfigError when the file is refused.
        """
        told: list[str] = []
        read = read_scenario(Path(scenario), self._lab.config)
        record = lab_test(read, lambda news: told.append(line(news)), slack=self._slack)
        if not record.passed:
            raise AssertionError(
                "\n".join([f"{scenario}: {record.result}", *told, record.error or ""])
            )

    def status(self) -> dict[str, Any]:
        """What `ipvs-lb status --output json` says of the lab's daemon."""
        program = [sys.executable, "-m", "ipvs_lb", "status", "--output", "json"]
        status: dict[str, Any] = json.loads(self.gateway.run(program).stdout)
        return status

    def _hold(self, sentences: Sequence[str]) -> None:
        failed = self._lab.do(sentences, Path.cwd())
        if failed:
            raise AssertionError("; ".join(f"{one.text}: {one.detail}" for one in failed))


@contextmanager
def open_lab(
    config: str | Path,
    *,
    also: Iterable[str | Path] = (),
    checks: Mapping[str, object] | None = None,
    slack: float = SLACK,
) -> Iterator[Lab]:
    """The lab of a configuration, up while the block lasts.

    *also* are configurations that `reload` may name, when they have servers of their own. *checks* are times and
    thresholds that all health checks have instead of their own: interval, fast_interval, timeout, rise, fall. *slack*
    seconds are added to every `within` and to the second that a client waits. Raises ConfigError when a configuration is refused, LabError when the lab
    cannot be built, on a kernel without IPVS above all.
    """
    if not host.has_ipvs():
        raise LabError(
            "no lab here: this kernel has no IPVS for us, or we are not root",
            hint="ipvs-lb lab guest -- pytest ... runs tests in a kernel that has",
        )
    with played_by_hand(Path(config), map(Path, also), checks, slack=slack) as lab:
        yield Lab(lab, slack=slack)
