"""The walkthrough, played: two web servers behind one VIP on ports 80 and 443, answering in turn through the kernel.

`python -m ipvs_lb.lab.demo [CONFIG]` in a kernel with IPVS, as root; ./scripts/demo finds one.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ipvs_lb.errors import LabError, LBError
from ipvs_lb.lab import walkthrough
from ipvs_lb.lab.clients import get
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.packages import find_program
from ipvs_lb.lab.walkthrough import FLOATING_IP, SERVERS, VIP, Walkthrough

REQUESTS = 10
_COLOURS = ("cyan", "magenta")
_WITH_FLOATING_IP = """\
version: 1
include:
  - {config}
services:
  - name: web-floating-ip
    vip: {floating_ip}
    ports: [80, 443]
    scheduler: rr
    forwarding: masq
    servers:
      - {{name: server-1, address: 10.0.0.4}}
      - {{name: server-2, address: 10.0.0.6}}
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What the client asks ten times, and how it is called on the screen."""

    title: str
    url: str


QUESTIONS = (
    Question("VIP, port 80", f"http://{VIP}/"),
    Question("VIP, port 443", f"http://{VIP}:443/"),
    Question("VIP, /health", f"http://{VIP}/health"),
    Question("floating IP, port 80", f"http://{FLOATING_IP}/"),
    Question("floating IP, port 443", f"http://{FLOATING_IP}:443/"),
)


def alternates(servers: Sequence[str], expected: frozenset[str] = frozenset(SERVERS)) -> bool:
    """Whether each answer came from another server than the one before, and every server answered."""
    turns = itertools.pairwise(servers)
    return frozenset(servers) == expected and all(one != next_one for one, next_one in turns)


def play(config: Path, console: Console) -> bool:
    """Build, apply, ask, show; whether every answer alternated. Raises LabError when a step fails."""
    with Network() as network, tempfile.TemporaryDirectory() as folder:
        console.print("[bold]1. The network[/]: client, gateway, server-1, server-2, as namespaces")
        lab = walkthrough.build(network)
        console.print(f"[dim]{escape(_indented(_picture()))}[/]")
        console.print(f"[bold]2. On the gateway[/]: ipvs-lb apply --config {config}")
        _apply(lab, config, Path(folder), console)
        console.print(f"[bold]3. The client asks[/], {REQUESTS} times each")
        results = [_ask(lab, question, console) for question in QUESTIONS]
        console.print("[bold]4. The kernel's table[/] on the gateway: ipvsadm -Ln")
        console.print(_indented(_table(lab, Path(folder))), markup=False)
    return all(results)


def main() -> int:
    """0 when all answers alternate, 1 when not or when a step fails."""
    console = Console(highlight=False, soft_wrap=True)
    config = Path(sys.argv[1] if len(sys.argv) > 1 else "config/example.yaml").absolute()
    try:
        is_right = play(config, console)
    except LBError as error:
        console.print(f"[bold red]failed[/]: {escape(str(error))}")
        if error.hint:
            console.print(f"hint: {escape(error.hint)}")
        return 1
    if not is_right:
        console.print("[bold red]failed[/]: the answers do not alternate between both servers")
        return 1
    console.print("[bold green]done[/]: every request was answered, by both servers in turn")
    return 0


def _indented(text: str) -> str:
    return textwrap.indent(text, "   ")


def _picture() -> str:
    text = (walkthrough.__doc__ or "").partition("\n")[2]
    return textwrap.dedent(text).strip("\n")


def _apply(lab: Walkthrough, config: Path, folder: Path, console: Console) -> None:
    wanted = folder / "demo.yaml"
    wanted.write_text(_WITH_FLOATING_IP.format(config=config, floating_ip=FLOATING_IP))
    done = _ipvs_lb(lab, "apply", "--config", str(wanted), "--state-dir", str(folder / "state"))
    console.print(_indented(done), markup=False)


def _ipvs_lb(lab: Walkthrough, *arguments: str) -> str:
    ran = lab.gateway.run([sys.executable, "-m", "ipvs_lb", *arguments])
    return (ran.stdout + ran.stderr).rstrip()


def _ask(lab: Walkthrough, question: Question, console: Console) -> bool:
    servers = tuple(_answers(lab, question.url))
    numbers = {name: number for number, name in enumerate(SERVERS)}
    shown = " ".join(
        f"[{_COLOURS[numbers.get(name, 0)]}]{escape(name.removeprefix('server-'))}[/]"
        for name in servers
    )
    verdict = "[green]in turn[/]" if alternates(servers) else "[bold red]not in turn[/]"
    console.print(f"   {question.title:22} server {shown}  {verdict}")
    return alternates(servers)


def _answers(lab: Walkthrough, url: str) -> Iterator[str]:
    for _ in range(REQUESTS):
        answer = get(lab.client, url)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise LabError(f"GET {url}: status {answer.status}: {answer.text.strip()}")
        yield answer.server


def _table(lab: Walkthrough, folder: Path) -> str:
    ipvsadm = find_program("ipvsadm")
    if ipvsadm is None:
        return _ipvs_lb(lab, "status", "--state-dir", str(folder / "state"))
    return lab.gateway.run([ipvsadm, "-Ln"]).stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main())
