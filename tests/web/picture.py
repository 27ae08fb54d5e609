"""The picture of the status page in the README: `scripts/screenshot`. What is seen is made up, how it looks is not."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Set
from ipaddress import ip_address
from pathlib import Path

from ipvs_lb.events import Level
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.config import Config
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.identity import Port, ServiceKey
from ipvs_lb.model.table import ServiceStatistics, Statistics
from ipvs_lb.overrides import Action, Override
from tests.fake_control import FAILED, HTTP, PASSED, TCP, FakeControl, member, server, service
from tests.probes.servers import free_port
from tests.running_api import Running
from tests.running_daemon import TOKEN
from tests.web.browser import Browser, browser

SIZE = (1360, 740)
HASTE = 15
"""How much faster than in life the page's time goes by, so that the plots fill."""
_FASTER = f"""
const now = performance.now.bind(performance), every = setInterval;
performance.now = () => now() * {HASTE};
window.setInterval = (work, pause) => every(work, pause / {HASTE});
"""
WEB = service(
    "web", "192.0.2.16", *(server(f"web-{n}", f"10.0.1.{n}", HTTP) for n in (1, 2, 3)), ports=(443,)
)
API = service(
    "api", "192.0.2.17", *(server(f"api-{n}", f"10.0.2.{n}", HTTP) for n in (1, 2, 3)), ports=(443,)
)
MAIL = service(
    "mail", "192.0.2.25", *(server(f"mx-{n}", f"10.0.3.{n}", TCP) for n in (1, 2)), ports=(25,)
)


class Busy(FakeControl):
    """Its servers have traffic that goes up and down."""

    async def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """As `ipvs_lb.engine.control.Control` says."""
        virtual = self.decision.table.services
        wanted = {key: one for key, one in virtual.items() if keys is None or key in keys}
        return {key: self._counted(key) for key in wanted}

    def _counted(self, key: ServiceKey) -> ServiceStatistics:
        counted, wave = {}, HASTE * time.monotonic() / 40
        for one, settings in self.decision.table.services[key].servers.items():
            seed = int(one.address) % 97
            rate = 60 + 22 * math.sin(wave / 5 + seed) + 9 * math.sin(wave + seed)
            share = 0.1 if one.port == 25 else 1.0  # mail is less
            rate = int(rate * share) if settings.weight else 0
            traffic = Counters(
                connection_rate=rate, in_byte_rate=2100 * rate, out_byte_rate=48_000 * rate
            )
            active = rate * 4 if settings.weight else 17
            counted[one] = ServerCounters(active=active, inactive=rate, traffic=traffic)
        whole = sum(one.traffic.connection_rate for one in counted.values())
        total = Counters(
            connection_rate=whole, in_byte_rate=2100 * whole, out_byte_rate=48_000 * whole
        )
        return ServiceStatistics(total, counted)


def gateway() -> Busy:
    """Three services, a server that is down, and one that somebody drains."""
    control = Busy(Config(services=(API, MAIL, WEB)), now=time.time() - 86400 * 3)
    control.everything_up(16)
    control.now += 86400 * 3 - 240
    for probe in control.probes:
        if str(probe.target.address) == "10.0.2.1":
            control.result(probe, FAILED)
            control.result(probe, PASSED)
    drained = member(WEB.keys[0], "10.0.1.2", 443)
    control.overrides[drained] = Override(
        action=Action.DRAIN,
        weight=None,
        since=control.now,
        expires=control.now + 7200,
        reason="new kernel",
        who="alice from 10.0.0.9",
    )
    control.tell("config.loaded", services=3)
    who = {"service": str(drained.key), "server": str(drained.server)}
    control.tell("override.set", action="drain", reason="new kernel", who="alice", **who)
    control.wait(150)
    control.fail("10.0.2.3")
    control.tell(
        "server.down",
        Level.WARNING,
        service=str(API.keys[0]),
        server="10.0.2.3:443",
        name="api-3",
        detail="500 Internal Server Error",
    )
    control.wait(88)
    return control


def take(page: Browser, url: str, path: Path, *, dark: bool = False) -> None:
    """Open the page, let its ten minutes go by, and write what it looks like."""
    page.command("Page.addScriptToEvaluateOnNewDocument", source=_FASTER)
    page.look(*SIZE, dark=dark)
    page.open(url, token=TOKEN)
    page.sees("drained by alice")
    time.sleep(630 / HASTE)
    page.run("document.getElementById('host').textContent = 'gateway-1'")
    page.picture(path)


def main() -> None:
    """Write the picture to the path that is given."""
    port = free_port()
    listener = ApiListener(address=ip_address("127.0.0.1"), port=Port(port), token=TOKEN)
    path = Path(sys.argv[1])
    with (
        tempfile.TemporaryDirectory() as folder,
        Running(gateway(), Path(folder) / "api.sock").up(listener),
        browser() as page,
    ):
        take(page, f"http://127.0.0.1:{port}/", path, dark="--dark" in sys.argv)


if __name__ == "__main__":
    main()
