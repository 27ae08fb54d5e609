"""The command line on a gateway in memory, with the real state file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ipvs_lb.cli.checking import CheckKey, Checks
from ipvs_lb.cli.environment import Environment
from ipvs_lb.cli.program import program
from ipvs_lb.model import results
from ipvs_lb.model.host import HostState, InterfaceAddress
from ipvs_lb.model.identity import parse_endpoint
from ipvs_lb.store import SqliteStore
from tests.fake_host import FakeHost
from tests.fake_kernel import FakeKernel

GOLDEN = Path(__file__).parent / "golden"

WEB = """\
version: 1
services:
  - name: web
    vip: 10.0.0.16
    ports: [80, 443]
    scheduler: rr
    servers:
      - {name: server-1, address: 10.0.0.4}
      - {name: server-2, address: 10.0.0.6}
"""

EMPTY = "version: 1\nservices: []\n"


def host() -> FakeHost:
    return FakeHost(
        HostState(
            interfaces=frozenset({"lo", "eth0"}),
            addresses=frozenset(
                {InterfaceAddress("eth0", parse_endpoint("10.0.0.2:0").address, 24)}
            ),
            sysctls={
                "net.ipv4.ip_forward": "1",
                "net.ipv4.vs.conntrack": "0",
                "net.ipv4.vs.expire_nodest_conn": "0",
                "net.ipv4.vs.expire_quiescent_template": "0",
            },
        )
    )


@dataclass
class Box:
    """A gateway with a folder of its own, and `ipvs-lb` on it."""

    folder: Path
    kernel: FakeKernel = field(default_factory=FakeKernel)
    host: FakeHost = field(default_factory=host)
    failing: dict[str, results.ErrorClass] = field(default_factory=dict)

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        return self.folder / "api.sock"

    @property
    def store(self) -> SqliteStore:
        return SqliteStore(self.state_dir / "state.db")

    @contextmanager
    def open_gateway(self, state_dir: Path) -> Iterator[OpenBox]:
        yield OpenBox(self.kernel, self.host, SqliteStore(state_dir / "state.db"))

    def config(self, text: str = WEB) -> Path:
        path = self.folder / "lb.yaml"
        path.write_text(text)
        return path

    def run(self, *arguments: str, color: bool = False, **variables: str) -> Result:
        """`ipvs-lb ARGUMENTS` in the box's folder, where lb.yaml is."""
        ours = {"IPVS_LB_STATE_DIR": str(self.state_dir), "IPVS_LB_SOCKET": str(self.socket)}
        runner = CliRunner(env={**ours, **variables})
        environment = Environment(
            open_gateway=self.open_gateway, check_once=self.check_once, now=lambda: 1700000000.0
        )
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return runner.invoke(
                program, arguments, obj=environment, prog_name="ipvs-lb", color=color
            )
        finally:
            os.chdir(before)

    def check_once(self, checks: Checks) -> dict[CheckKey, results.Result]:
        return {
            key: results.Result(error=error, detail="as told" if error else "")
            for key in checks
            for error in (self.failing.get(str(key[0])),)
        }


@dataclass(frozen=True)
class OpenBox:
    """What the commands see of a box."""

    kernel: FakeKernel
    host: FakeHost
    store: SqliteStore


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    for name in [name for name in os.environ if name.startswith(("NO_COLOR", "IPVS_LB_"))]:
        monkeypatch.delenv(name)
    made = Box(tmp_path)
    made.config()
    return made


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare with a file that stays as it is; UPDATE_GOLDEN=1 writes it anew."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text()

    return compare
