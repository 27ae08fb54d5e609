"""`ipvs-lb lab`: networks and kernels to try things in."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from ipvs_lb.cli.lab_by_hand import do, down, exec_, shell, status, up
from ipvs_lb.cli.options import config_option, examples, output_option
from ipvs_lb.cli.output import Format
from ipvs_lb.cli.scenarios import junit_option, scenarios_argument, show_all

F = TypeVar("F", bound=Callable[..., Any])


def _timeout_option(help_text: str) -> Callable[[F], F]:
    return click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=900.0,
        show_default=True,
        metavar="SECONDS",
        help=help_text,
    )


@click.group()
def lab() -> None:
    """Try things in a kernel and a network of their own."""


@lab.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--needs", multiple=True, metavar="FEATURE", help="What the kernel must have, nftables say."
)
@_timeout_option("When to give up.")
@click.option("--memory", default="1G", show_default=True, help="How much the guest gets.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@examples(
    "ipvs-lb lab guest -- ipvsadm -Ln",
    "ipvs-lb lab guest --needs nftables -- pytest netns_tests",
)
def guest(*, needs: tuple[str, ...], timeout: float, memory: str, command: tuple[str, ...]) -> None:
    """Run COMMAND as root in a kernel with IPVS: this one if it can, else a guest.

    Output and exit status are the command's own. IPVS_LB_GUEST=host|uml|qemu forces a kind.
    """
    from ipvs_lb.lab.guest import run

    status = run(command, needs=frozenset(needs), timeout=timeout, memory=memory)
    click.get_current_context().exit(status)


@lab.command()
@config_option
@junit_option
@click.option(
    "--slack",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How much longer than it says every `within` may take: a guest kernel on a busy machine is slow.",
)
@_timeout_option("When to give up a guest kernel.")
@output_option
@scenarios_argument
@examples(
    "ipvs-lb lab test -c lb.yaml scenario.yaml",
    "ipvs-lb lab test -c lb.yaml --junit results.xml scenarios/*.yaml",
)
def test(
    *,
    scenarios: tuple[Path, ...],
    config_path: Path,
    junit: Path | None,
    slack: float,
    timeout: float,
    output_format: Format,
) -> None:
    """Play scenarios of failures against the configuration, on a real kernel, and check what follows.

    Client, gateway and servers are network namespaces with the configuration's addresses; the daemon runs on the
    gateway. Where this kernel has no IPVS for us, all of that is in a guest kernel.

    \b
    Exit codes:
      0  every expectation held
      1  one did not, or a scenario could not be played
      2  the configuration or a scenario is refused
    """
    from ipvs_lb.lab import host
    from ipvs_lb.scenario.lab_test import lab_test
    from ipvs_lb.scenario.layout import layout
    from ipvs_lb.scenario.reading import read_scenario

    played = [read_scenario(path, config_path) for path in scenarios]
    needs = frozenset().union(*(layout(list(one.configs.values())).needs for one in played))
    context = click.get_current_context()
    if not (os.environ.get(_INSIDE) or _is_host(needs)):
        words = ["-c", str(config_path), "--slack", str(slack), "--output", output_format.value]
        context.exit(_in_guest([*words, *map(str, scenarios)], needs, junit, timeout))
    host.prepare()
    context.exit(show_all(played, partial(lab_test, slack=slack), output_format, junit))


_INSIDE = "IPVS_LB_IN_GUEST"


def _is_host(needs: frozenset[str]) -> bool:
    from ipvs_lb.lab.guest import Kind, choose

    return choose(needs, os.environ.get("IPVS_LB_GUEST")) is Kind.HOST


def _in_guest(words: list[str], needs: frozenset[str], junit: Path | None, timeout: float) -> int:
    """The same command in a guest kernel; the file it writes is brought out of it."""
    from ipvs_lb.lab.guest import run, visible_folder

    with tempfile.TemporaryDirectory(prefix="ipvs-lb-", dir=visible_folder()) as folder:
        results = Path(folder) / "results.xml"
        more = [] if junit is None else ["--junit", str(results)]
        program = [sys.executable, "-m", "ipvs_lb", "lab", "test"]
        status = run([*program, *more, *words], needs=needs, timeout=timeout)
        if junit is not None and results.exists():
            junit.write_bytes(results.read_bytes())
    return status


for _command in (up, down, exec_, shell, do, status):
    lab.add_command(_command)
