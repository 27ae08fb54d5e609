"""The systemd unit: systemd takes it, and its commands exist."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import parse

UNIT = Path(__file__, "../../../config/ipvs-lb.service").resolve()
PROGRAM = "/usr/local/bin/ipvs-lb"
NEEDED = {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_NET_BIND_SERVICE"}


def setting(name: str) -> str:
    (found,) = (
        line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(name)
    )
    return found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert str(unit.name) not in verified.stderr
    assert verified.returncode == 0


@pytest.mark.parametrize("name", ["ExecStart=", "ExecReload="])
def test_the_units_commands_exist_with_their_options(name: str) -> None:
    command, *words = shlex.split(setting(name))
    assert command == PROGRAM
    parse(words)


def test_the_unit_gives_no_more_capabilities_than_the_network_needs() -> None:
    assert set(setting("CapabilityBoundingSet=").split()) == NEEDED
    assert set(setting("AmbientCapabilities=").split()) == NEEDED
    assert setting("NoNewPrivileges=") == "yes"
    assert setting("DynamicUser=") == "yes"


def test_the_unit_makes_the_places_the_daemon_uses_without_options() -> None:
    assert setting("RuntimeDirectory=") == "ipvs-lb"
    assert setting("StateDirectory=") == "ipvs-lb"
    assert setting("ReadWritePaths=") == "/proc/sys/net"
