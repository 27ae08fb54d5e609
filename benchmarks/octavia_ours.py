"""Our compatible API in a process of its own for measurements: real server, objects and store; nothing behind them.

    python -m benchmarks.octavia_ours         # tells its address, and serves until its standard input ends

What is declared is in force at once: there is no engine and no kernel, as a real Octavia with no-op drivers has no
worker and no amphora. Changes are written to SQLite and synchronised before they are answered, as in the daemon.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.daemon.rest import prepare
from ipvs_lb.model.api import Face
from ipvs_lb.model.cloud import (
    AddressRange,
    Identification,
    Network,
    OctaviaListener,
    OctaviaSettings,
    Subnet,
    identifier_of,
)
from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import Port
from ipvs_lb.octavia import storage
from ipvs_lb.octavia.app import create_app
from ipvs_lb.octavia.auth import Door
from ipvs_lb.octavia.desk import Desk, Outside
from ipvs_lb.octavia.rest.scene import Scene
from ipvs_lb.octavia.sight import Sight
from ipvs_lb.store import SqliteStore
from tests.fake_control import FakeControl

SUBNET = Subnet(
    id=identifier_of("subnet", "net", "subnet"),
    name="subnet",
    network_id=identifier_of("network", "net"),
    cidr=ip_network("10.64.0.0/12"),
    pools=(AddressRange(ip_address("10.64.0.10"), ip_address("10.79.255.250")),),
)
_NETWORK = Network(id=SUBNET.network_id, name="net", subnets=(SUBNET,))


async def _at_once(group: str, services: Sequence[DeclaredService]) -> None:
    await asyncio.sleep(0)


async def _serve(folder: Path, threads: ThreadPoolExecutor) -> None:
    listener = OctaviaListener(
        address=ip_address("127.0.0.1"), port=Port(0), identification=Identification.NONE
    )
    openings = Openings()
    port = _free_port()
    openings.prepare([replace(listener, port=port)])
    settings = OctaviaSettings(
        listener=listener, project_id="benchmark", project_name="benchmark", networks=(_NETWORK,)
    )
    control = FakeControl(config=Config(), counters=ServerCounters())
    store = SqliteStore(folder / "state.db")

    async def keep(texts: Mapping[str, str | None]) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, store.record, texts)

    desk = Desk(
        settings,
        storage.Stored(),
        Outside(declare=_at_once, keep=keep, clock=time.time, told=lambda _event, _facts: None),
    )
    seen = control.snapshot()
    scene = Scene(
        desk=desk,
        sight=Sight(desk.catalogue, lambda: seen),
        door=Door(settings, dict, clock=time.time),
        statistics=control.statistics,
        occupied=set,
    )
    faces = {Face.OCTAVIA: create_app(scene)}
    async with serving(control, folder / "api.sock", openings=openings, faces=faces):
        print(f"http://127.0.0.1:{port}", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _free_port() -> Port:
    import socket

    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return Port(asked.getsockname()[1])


def main() -> None:
    """Serve until standard input ends."""
    prepare()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(4) as threads:
        asyncio.run(_serve(Path(place), threads))


if __name__ == "__main__":
    main()
