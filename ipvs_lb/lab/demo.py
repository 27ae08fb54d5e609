"""The walkthrough, played: two web servers behind one VIP on ports 80 and 443, and a daemon that looks after them.

`python -m ipvs_lb.lab.demo [CONFIG]` in a kernel with IPVS, as root; ./scripts/demo finds one. Every step is checked:
the first that does not hold ends the demo with exit status 1.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape

from ipvs_lb.errors import LabError, LBError
from ipvs_lb.lab import walkthrough
from ipvs_lb.lab.clients import Download, get
from ipvs_lb.lab.daemon import Event, LabDaemon
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.packages import find_program
from ipvs_lb.lab.walkthrough import FLOATING_IP, SERVERS, VIP, Walkthrough

REQUESTS = 10
URLS = {
    "VIP, port 80": f"http://{VIP}/",
    "VIP, port 443": f"http://{VIP}:443/",
    "VIP, /health": f"http://{VIP}/health",
    "floating IP, port 80": f"http://{FLOATING_IP}/",
    "floating IP, port 443": f"http://{FLOATING_IP}:443/",
}
BRIEFLY = {"interval": "1s", "fast_interval": "1s", "timeout": "900ms"}
"""The checks' times in the demo, which nobody wants to watch for minutes."""
SERVICES = 4  # the VIP's two ports and the floating IP's
_PATIENCE = 10.0
_COLOURS = ("cyan", "magenta")
_FACTS = ("what", "server", "service", "detail", "action", "reason", "address", "commands")

Declared = dict[str, Any]
Holds = Callable[[Sequence[str]], bool]


def alternates(servers: Sequence[str], expected: frozenset[str] = frozenset(SERVERS)) -> bool:
    """Whether each answer came from another server than the one before, and every server answered."""
    turns = itertools.pairwise(servers)
    return frozenset(servers) == expected and all(one != next_one for one, next_one in turns)


def only(server: str) -> Holds:
    """Whether every answer came from *server*."""
    return lambda servers: set(servers) == {server}


def shares(wanted: Mapping[str, int]) -> Holds:
    """Whether each server gave so many answers."""
    return lambda servers: Counter(servers) == wanted


def played(text: str) -> Declared:
    """The configuration *text* as the demo plays it: checks come often, and a floating IP leads there too."""
    declared: Declared = yaml.safe_load(text)
    (web,) = declared["services"]
    web["health_check"] |= BRIEFLY
    declared["services"].append({**web, "name": f"{web['name']}-floating-ip", "vip": FLOATING_IP})
    return declared


def weighted(declared: Declared) -> Declared:
    """*declared*, with three requests for the first server to one for the second behind the VIP."""
    web, *others = declared["services"]
    first, *rest = web["servers"]
    web = {**web, "scheduler": "wrr", "servers": [{**first, "weight": 3}, *rest]}
    return {**declared, "services": [web, *others]}


class Demo:
    """The steps, in the order they are played. Each raises LabError when what it shows is not so."""

    def __init__(
        self, lab: Walkthrough, declared: Declared, folder: Path, console: Console
    ) -> None:
        self._lab = lab
        self._declared = declared
        self._console = console
        self._daemon = LabDaemon(lab.gateway, folder, self._tell)
        self._numbers = itertools.count(1)

    def play(self) -> None:
        """All steps. Raises LabError at the first that does not hold."""
        self._title("The network", "client, gateway, server-1, server-2, as namespaces")
        self._console.print(f"[dim]{escape(_indented(_picture()))}[/]")
        self._write(self._declared)
        self._title("On the gateway", "ipvs-lb run")
        times = ", ".join(f"{name} {value}" for name, value in BRIEFLY.items())
        self._console.print(f"   checks come quickly here, to keep it short: {times}")
        with ExitStack() as undo:
            process = undo.enter_context(self._daemon.running())
            self._daemon.wait(0, "server.up", SERVICES * len(SERVERS))
            self._until_reachable()
            self._in_turn()
            first, second = (undo.enter_context(one) for one in self._downloads())
            self._break_and_repair(first, second)
            self._drain(first, second)
            self._reload(first, second)
            self._stop(process, first, second)

    def _in_turn(self) -> None:
        self._title("The client asks", f"{REQUESTS} times each")
        for title, url in URLS.items():
            self._ask(title, url, alternates, "in turn")

    def _downloads(self) -> list[Download]:
        opened = [Download(self._lab.client, VIP) for _ in SERVERS]
        return sorted(opened, key=lambda one: one.server)

    def _break_and_repair(self, first: Download, second: Download) -> None:
        """What is connected to the server that is out has to wait: the kernel gives it to nobody else."""
        self._title("/health on server-2 answers 503", "the daemon takes it out")
        app, mark = self._lab.apps[1], self._daemon.mark()
        app.is_healthy = False
        self._daemon.wait(mark, "server.down", SERVICES)
        self._show("status", "web/server-2")
        self._ask_both(only("server-1"), "all from server-1")
        self._goes_on(first)
        self._title("/health on server-2 answers 200 again", "the daemon brings it back")
        mark = self._daemon.mark()
        app.is_healthy = True
        self._daemon.wait(mark, "server.up", SERVICES)
        self._ask_both(alternates, "in turn")
        self._goes_on(first, second)

    def _drain(self, first: Download, second: Download) -> None:
        self._title("Maintenance", "ipvs-lb drain server-2, then ipvs-lb enable server-2")
        mark = self._daemon.mark()
        self._show("drain", "server-2", "--reason", "new disk")
        self._daemon.wait(mark, "override.set", SERVICES)
        self._ask_both(only("server-1"), "all from server-1")
        self._goes_on(first, second)
        mark = self._daemon.mark()
        self._show("enable", "server-2")
        self._daemon.wait(mark, "override.cleared", SERVICES)
        self._ask_both(alternates, "in turn")

    def _reload(self, *downloads: Download) -> None:
        self._title("Another configuration", "weight 3 for server-1, scheduler wrr, ipvs-lb reload")
        mark = self._daemon.mark()
        self._write(weighted(self._declared))
        self._show("reload")
        self._daemon.wait(mark, "config.loaded")
        wanted = {"server-1": 6, "server-2": 2}
        self._ask("VIP, port 80", URLS["VIP, port 80"], shares(wanted), "three for one", 8)
        self._goes_on(*downloads)

    def _stop(self, process: subprocess.Popen[bytes], *downloads: Download) -> None:
        self._title("The daemon is stopped", "the kernel goes on")
        process.terminate()
        status = process.wait(_PATIENCE)
        if status != 0:
            raise LabError(f"ipvs-lb run ended with status {status}")
        self._ask("floating IP, port 443", URLS["floating IP, port 443"], alternates, "in turn")
        self._goes_on(*downloads)
        ipvsadm = find_program("ipvsadm")
        if ipvsadm is not None:
            table = self._lab.gateway.run([ipvsadm, "-Ln"]).stdout.rstrip()
            self._console.print(_indented(table), markup=False)

    def _title(self, title: str, text: str) -> None:
        self._console.print(f"[bold]{next(self._numbers)}. {title}[/]: {text}")

    def _tell(self, event: Event) -> None:
        facts = (str(event["facts"][name]) for name in _FACTS if event["facts"].get(name))
        self._console.print(
            f"   [dim]{event['name']:18} {escape(' '.join(facts))[:90]}[/]", overflow="crop"
        )

    def _write(self, declared: Declared) -> None:
        self._daemon.config.write_text(json.dumps(declared))

    def _show(self, *words: str) -> None:
        self._console.print(_indented(self._daemon.ask(*words)), markup=False)

    def _until_reachable(self) -> None:
        """VIPs come to their interfaces after the servers came into the kernel."""
        deadline = time.monotonic() + _PATIENCE
        for url in URLS.values():
            while True:
                try:
                    get(self._lab.client, url, timeout=1.0)
                    break
                except LabError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)

    def _ask_both(self, holds: Holds, verdict: str) -> None:
        for title in ("VIP, port 80", "VIP, port 443"):
            self._ask(title, URLS[title], holds, verdict)

    def _ask(self, title: str, url: str, holds: Holds, verdict: str, times: int = REQUESTS) -> None:
        servers = [self._answer(url) for _ in range(times)]
        shown = " ".join(map(_coloured, servers))
        held = holds(servers)
        said = f"[green]{verdict}[/]" if held else f"[bold red]not {verdict}[/]"
        self._console.print(f"   {title:22} server {shown}  {said}")
        if not held:
            raise LabError(f"{title}: the answers are not {verdict}")

    def _answer(self, url: str) -> str:
        answer = get(self._lab.client, url)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise LabError(f"GET {url}: status {answer.status}: {answer.text.strip()}")
        return answer.server

    def _goes_on(self, *downloads: Download) -> None:
        for download in downloads:
            if download.next() != download.server:
                raise LabError(f"the download from {download.server} does not go on")
        names = " and from ".join(download.server for download in downloads)
        self._console.print(f"   a long download from {names} [green]goes on[/]")


def main() -> int:
    """0 when every step held, 1 when one did not."""
    console = Console(highlight=False, soft_wrap=True)
    config = Path(sys.argv[1] if len(sys.argv) > 1 else "config/example.yaml")
    try:
        with Network() as network, tempfile.TemporaryDirectory() as folder:
            declared = played(config.read_text("utf-8"))
            Demo(walkthrough.build(network), declared, Path(folder), console).play()
    except LBError as error:
        console.print(f"[bold red]failed[/]: {escape(str(error))}")
        if error.hint:
            console.print(f"hint: {escape(error.hint)}")
        return 1
    console.print("[bold green]done[/]: every step held")
    return 0


def _coloured(server: str) -> str:
    numbers = {name: number for number, name in enumerate(SERVERS)}
    return f"[{_COLOURS[numbers.get(server, 0)]}]{escape(server.removeprefix('server-'))}[/]"


def _indented(text: str) -> str:
    return textwrap.indent(text, "   ")


def _picture() -> str:
    text = (walkthrough.__doc__ or "").partition("\n")[2]
    return textwrap.dedent(text).strip("\n")


if __name__ == "__main__":
    sys.exit(main())
