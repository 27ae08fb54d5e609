"""`ipvs-lb run` with the compatible API for measurements, and a look at what the kernel has of a service."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from ipvs_lb.model.identity import ServerKey, ServiceKey
from ipvs_lb.netlink import requests
from ipvs_lb.netlink.dumps import ServerDumps
from ipvs_lb.netlink.transport import Transport

URL = "http://127.0.0.1:9876"
_PATIENCE = 60.0
_SUBNET = {"name": "subnet", "cidr": "10.64.0.0/12", "pools": ["10.64.0.10-10.79.255.250"]}
_CONFIG = {
    "version": 1,
    "networks": [{"name": "net", "subnets": [_SUBNET]}],
    "octavia": {"auth": "none", "source_nat": "off"},
}


@contextlib.contextmanager
def daemon(folder: Path) -> Iterator[int]:
    """One in this network namespace, which is the caller's own; its process."""
    for command in (
        "ip link add dummy0 type dummy",
        "ip link set dummy0 up",
        "ip address add 10.64.0.1/12 dev dummy0",
    ):
        subprocess.run(command.split(), check=True)
    config, log = folder / "lb.yaml", folder / "log"
    config.write_text(json.dumps(_CONFIG))
    words = ["-c", str(config), "--state-dir", str(folder), "--socket", str(folder / "socket")]
    program = Path(sys.executable).with_name("ipvs-lb")
    with log.open("wb") as said:
        process = subprocess.Popen([program, "run", *words], stdout=said, stderr=said)
    try:
        _await_answer(process, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _await_answer(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(URL):
            return
        time.sleep(0.05)
    raise RuntimeError(f"no answer:\n{log.read_text()}")


class Look:
    """What the kernel of this network namespace has, one service at a time."""

    def __init__(self) -> None:
        self._transport = Transport(requests.FAMILY_NAME)
        self._transport.open()

    def weights(self, key: ServiceKey) -> Mapping[ServerKey, int]:
        """The servers of a service."""
        found = ServerDumps().read(self._transport.dump(requests.get_servers(key)), key.family)
        return {one: server.weight for one, server in found.items()}

    def await_weight(self, key: ServiceKey, server: ServerKey, weight: int) -> None:
        """Return once a server has *weight*."""
        end = time.monotonic() + _PATIENCE
        while self.weights(key).get(server) != weight:
            if time.monotonic() > end:
                raise RuntimeError(f"{key}: {server} does not get weight {weight}")
            os.sched_yield()
