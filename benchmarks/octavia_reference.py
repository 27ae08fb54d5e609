"""A real Octavia 19 API on this machine, without OpenStack, to compare with: its package, its code, its answers.

    python -m benchmarks.octavia_reference          # serve until Enter is pressed

The package is installed into `~/.cache/ipvs-lb/octavia-19` once. Each instance has a temporary folder and a port of the
loopback interface of its own. Its drivers are Octavia's no-op ones, its database is SQLite; what its worker would do is
done by `Reference.settle`, when the caller says so: whatever is pending is over.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

VERSION = "19.0.0"
PLACE = Path("~/.cache/ipvs-lb/octavia-19")
SERVER = Path(__file__).with_name("octavia_server.py")
PROVIDER = "noop_driver"
_TABLES = ("member", "health_monitor", "listener", "pool")
_KEPT = (
    *("tags", "quotas", "listener_statistics", "session_persistence", "listener_cidr", "l7rule"),
    *("l7policy", *_TABLES, "additional_vip", "vip_security_group", "vip", "load_balancer"),
)
"""Where objects and what belongs to them are kept."""
_PATIENCE = 60.0
_ROLES = "admin,load-balancer_admin"
_WORK = (
    "UPDATE load_balancer SET provisioning_status = 'DELETED'"
    " WHERE provisioning_status = 'PENDING_DELETE'",
    "DELETE FROM listener WHERE provisioning_status = 'PENDING_DELETE' OR load_balancer_id IN"
    " (SELECT id FROM load_balancer WHERE provisioning_status = 'DELETED')",
    "UPDATE listener SET default_pool_id = NULL WHERE default_pool_id IN"
    " (SELECT id FROM pool WHERE provisioning_status = 'PENDING_DELETE')",
    "DELETE FROM pool WHERE provisioning_status = 'PENDING_DELETE' OR load_balancer_id IN"
    " (SELECT id FROM load_balancer WHERE provisioning_status = 'DELETED')",
    *(
        f"DELETE FROM {table} WHERE provisioning_status = 'PENDING_DELETE'"
        " OR pool_id NOT IN (SELECT id FROM pool)"
        for table in ("member", "health_monitor")
    ),
    "DELETE FROM session_persistence WHERE pool_id NOT IN (SELECT id FROM pool)",
)
"""What a worker does to the database when it has deleted what is to be deleted."""
_CONFIG = """\
[DEFAULT]
transport_url = fake://
[api_settings]
auth_strategy = testing
enabled_provider_drivers = noop_driver:Does nothing,octavia:Does nothing
default_provider_driver = noop_driver
api_base_uri = {origin}
[database]
connection = sqlite:///{folder}/octavia.db
[controller_worker]
network_driver = network_noop_driver
compute_driver = compute_noop_driver
amphora_driver = amphora_noop_driver
[certificates]
cert_manager = local_cert_manager
"""


class AbsentError(Exception):
    """The real API could not be had."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A running API. `project` is the one that requests are made for."""

    origin: str
    folder: Path
    process: subprocess.Popen[bytes]
    project: str

    @property
    def headers(self) -> dict[str, str]:
        """What says who asks, where nobody is asked for a password: an administrator, and quotas count."""
        return {"X-Project-Id": self.project, "X-User-Id": "demo", "X-Roles": _ROLES}

    def settle(self) -> None:
        """Play the worker: everything that is pending comes into force."""
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ")
        with self._database() as database:
            for statement in _WORK:
                database.execute(statement)
            for table in (*_TABLES, "load_balancer"):
                database.execute(
                    f"UPDATE {table} SET provisioning_status = 'ACTIVE', updated_at = ?"
                    " WHERE provisioning_status LIKE 'PENDING_%'",
                    (now,),
                )

    def empty(self) -> None:
        """Forget every object and quota."""
        with self._database() as database:
            for table in _KEPT:
                database.execute(f"DELETE FROM {table}")

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.folder / "octavia.db", timeout=_PATIENCE)
        try:
            with database:
                yield database
        finally:
            database.close()


def installed(place: Path = PLACE) -> Path:
    """The Python that has Octavia; installs it when there is none. Raises AbsentError."""
    folder = place.expanduser()
    python, mark = folder / "bin/python", folder / f"octavia-{VERSION}"
    if mark.exists():
        return python
    print(f"installing Octavia {VERSION} into {folder}", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", f"octavia=={VERSION}"], check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise AbsentError(f"Octavia {VERSION} could not be installed: {error}") from error
    mark.touch()
    return python


@contextlib.contextmanager
def reference(project: str) -> Iterator[Reference]:
    """A real API that answers, until the end of the block. Raises AbsentError."""
    python = installed()
    with tempfile.TemporaryDirectory(prefix="octavia-") as place, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        folder = Path(place)
        (folder / "octavia.conf").write_text(_CONFIG.format(origin=origin, folder=folder))
        descriptor = listening.fileno()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [python, SERVER, folder, str(descriptor)],
                pass_fds=[descriptor],
                cwd=folder,
                env=os.environ | {"PYTHONWARNINGS": "ignore"},
                stdout=log,
                stderr=log,
            )
        try:
            _await(origin, process, folder / "log")
            yield Reference(origin, folder, process, project)
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _await(origin: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            requests.get(origin, timeout=_PATIENCE).raise_for_status()
            return
        time.sleep(0.1)
    raise AbsentError(f"Octavia does not answer; its log ends with {log.read_text()[-2000:]}")


def main() -> None:
    """Serve one for trying; Enter plays the worker, the end of the input ends it."""
    with reference("a3a9af91b9e547739bfcb02cc2acded0") as real:
        print(f"{real.origin}, project {real.project}; Enter: what is pending comes into force")
        for _ in sys.stdin:
            real.settle()


if __name__ == "__main__":
    main()
