"""`ipvs-lb lab up`, and what one does with a lab that is up: look, enter, break, take down."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ipvs_lb.cli.options import config_option, examples, output_option
from ipvs_lb.cli.output import Format, echo_json
from ipvs_lb.cli.scenarios import COLOURS, FAILED
from ipvs_lb.errors import UsageError

if TYPE_CHECKING:
    from ipvs_lb.standing.settings import Settings

F = TypeVar("F", bound=Callable[..., object])

STATUS_SCHEMA = "ipvs_lb/lab-status/1"
DO_SCHEMA = "ipvs_lb/lab-do/1"

_WITH_BEGINNING = 'exec /bin/bash --rcfile <(printf %s "$1") -i'

_name_option = click.option(
    "--name",
    default="default",
    envvar="IPVS_LB_LAB",
    show_default=True,
    show_envvar=True,
    metavar="NAME",
    help="Which lab, when there are several.",
)


def _building(function: F) -> F:
    """The options of a lab that is to be built."""
    for option in reversed(
        (
            click.option(
                "--also",
                multiple=True,
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="Another configuration, whose servers are built too, for `reload`; can be repeated.",
            ),
            click.option(
                "--check",
                "checks",
                multiple=True,
                metavar="KEY=VALUE",
                help="What all health checks have instead of their own: interval, fast_interval, timeout, rise, fall;"
                " can be repeated.",
            ),
            click.option(
                "--slack",
                type=click.FloatRange(min=0),
                default=2.0,
                show_default=True,
                metavar="SECONDS",
                help="How much longer than it says every `within` of `lab do` may take.",
            ),
            click.option(
                "--memory", default="1G", show_default=True, help="How much a guest kernel gets."
            ),
        )
    ):
        function = option(function)
    return function


def _settings(
    name: str,
    config: Path,
    *,
    also: tuple[Path, ...],
    checks: tuple[str, ...],
    slack: float,
    memory: str,
) -> Settings:
    from ipvs_lb.standing.names import checked
    from ipvs_lb.standing.settings import Settings

    timing: dict[str, str | int] = {}
    for text in checks:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--check {text}: expected KEY=VALUE, interval=1s say")
        timing[key] = int(value) if value.isdecimal() else value
    return Settings(
        name=checked(name),
        config=str(config),
        others=tuple(map(str, also)),
        timing=timing,
        slack=slack,
        memory=memory,
    )


@click.command()
@config_option
@_name_option
@_building
@click.option("--foreground", is_flag=True, help="Stay until Ctrl-C, and take it down then.")
@examples(
    "ipvs-lb lab up -c lb.yaml",
    "ipvs-lb lab up -c lb.yaml --check interval=1s --check timeout=900ms",
    "ipvs-lb lab exec client curl -s http://10.0.0.16/",
)
def up(*, config_path: Path, name: str, foreground: bool, **building: Any) -> None:
    """Build the network of a configuration, start the daemon in it, and leave it up.

    Client, gateway and servers are network namespaces with the configuration's addresses; the servers are mock ones.
    It stays until `ipvs-lb lab down`. Where this kernel has no IPVS for us, all of that is in a guest kernel.

    \b
    Exit codes:
      0  it is up
      1  it could not be built, or one of the name is up already
      2  the configuration is refused
    """
    from ipvs_lb.standing.raising import raise_lab, raised

    settings = _settings(name, config_path, **building)
    if not foreground:
        raise_lab(settings)
        _echo_up(name)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with raised(settings) as holder:
        _echo_up(name)
        try:
            holder.wait()
        except KeyboardInterrupt:
            click.echo()


def _echo_up(name: str) -> None:
    from ipvs_lb.standing.asking import status

    _echo_lab(status(name))


@click.command()
@_name_option
@click.option("--all", "all_", is_flag=True, help="Every lab of ours.")
@examples("ipvs-lb lab down", "ipvs-lb lab down --name other", "ipvs-lb lab down --all")
def down(*, name: str, all_: bool) -> None:
    """Take a lab down, with all that runs in it. One that is not up is no error."""
    from ipvs_lb.standing import asking, names

    for each in names.names() if all_ else [names.checked(name)]:
        ended = asking.end(each)
        click.echo(f"the lab {each} is down" if ended else f"the lab {each} was not up")


@click.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@_name_option
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@examples(
    "ipvs-lb lab exec client curl -s http://10.0.0.16/",
    "ipvs-lb lab exec gateway ipvs-lb status",
    "ipvs-lb lab exec gateway tcpdump -ni eth0 port 80",
)
def exec_(*, name: str, host: str, command: tuple[str, ...]) -> None:
    """Run COMMAND on a HOST of the lab: client, gateway, or a server by name or address.

    Input, output and exit status are the command's own; with a person at a terminal it has one. `ipvs-lb` there means
    the lab's daemon.
    """
    from ipvs_lb.standing import asking

    status = asking.run(name, host, command, terminal=asking.has_terminal())
    click.get_current_context().exit(status)


@click.command()
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Build a lab from this configuration, and take it down afterwards.",
)
@_name_option
@_building
@click.argument("host", default="gateway")
@examples(
    "ipvs-lb lab shell -c lb.yaml",
    "ipvs-lb lab shell",
    "ipvs-lb lab shell client",
)
def shell(*, config_path: Path | None, name: str, host: str, **building: Any) -> None:
    """Open a shell on a HOST of the lab that is up: gateway, client, or a server by name or address.

    With -c a lab is built for it, which ends with the shell; meanwhile `lab exec` and the others find it too.
    """
    from ipvs_lb.standing.raising import raised

    if config_path is None:
        click.get_current_context().exit(_shell(name, host))
    with raised(_settings(name, config_path, **building)):
        status = _shell(name, host)
    click.get_current_context().exit(status)


def _shell(name: str, host: str) -> int:
    from ipvs_lb.standing import asking

    prompt = f"{host}{'' if name == 'default' else f' ({name})'}"
    begin = f"[ ! -r ~/.bashrc ] || . ~/.bashrc; PS1='[lab {prompt}] \\w\\$ '"
    if not asking.has_terminal():
        return asking.run(name, host, ["/bin/bash"], terminal=False)
    program = ["/bin/bash", "-c", _WITH_BEGINNING, "bash", begin]
    return asking.run(name, host, program, terminal=True)


@click.command()
@_name_option
@output_option
@click.argument("sentences", nargs=-1, required=True, metavar="SENTENCE...")
@examples(
    'ipvs-lb lab do "stop server-1"',
    'ipvs-lb lab do "unplug server-2" "expect server-2 out within 5s"',
    'ipvs-lb lab do "expect traffic to web without errors for 5s"',
)
def do(*, name: str, sentences: tuple[str, ...], output_format: Format) -> None:
    """Do what sentences of a scenario say, one after the other: to servers, cables, the daemon; or expect something.

    docs/how-to/lab.md has all sentences. Paths in them are relative to this folder.

    \b
    Exit codes:
      0  done, and every expectation held
      1  one did not, or something could not be done
      2  a sentence is not understood; nothing was done
    """
    from ipvs_lb.standing import asking

    told: list[Mapping[str, Any]] = []
    failed = asking.do(name, sentences, told.append if output_format is Format.JSON else _echo_news)
    if output_format is Format.JSON:
        echo_json(
            {
                "schema": DO_SCHEMA,
                "passed": not failed,
                "happened": [dict(one) for one in told],
            }
        )
    click.get_current_context().exit(FAILED if failed else 0)


def _echo_news(news: Mapping[str, Any]) -> None:
    from ipvs_lb.scenario.play import Kind
    from ipvs_lb.scenario.record import words

    text = words(Kind(news["kind"]), news["text"], news["detail"], news["took"])
    click.secho(text, fg=COLOURS.get(news["kind"]))


@click.command()
@click.option("--name", metavar="NAME", help="This lab only; an error when it is not up.")
@output_option
@examples("ipvs-lb lab status", "ipvs-lb lab status --output json")
def status(*, name: str | None, output_format: Format) -> None:
    """Show the labs that are up: hosts, addresses, and how to get in."""
    from ipvs_lb.standing import asking, names

    labs = [asking.status(each) for each in (names.names() if name is None else [name])]
    if output_format is Format.JSON:
        echo_json({"schema": STATUS_SCHEMA, "labs": labs})
        return
    if not labs:
        click.echo("no lab is up; ipvs-lb lab up -c FILE")
    for lab in labs:
        _echo_lab(lab)


def _echo_lab(lab: Mapping[str, Any]) -> None:
    kernels = {
        "host": "this kernel",
        "uml": "a guest kernel (uml)",
        "qemu": "a guest kernel (qemu)",
    }
    kernel = kernels.get(lab["kernel"], lab["kernel"])
    name = click.style(f"lab {lab['name']}", bold=True)
    click.echo(f"{name}: {lab['config']}, in {kernel}, process {lab['process']}")
    width = max(len(host["name"]) for host in lab["hosts"])
    for host in sorted(lab["hosts"], key=_rank):
        condition = f"  ({host['condition']})" if host["condition"] not in {"", "well"} else ""
        click.echo(f"  {host['name']:{width}}  {', '.join(host['addresses'])}{condition}")
    for service in lab["services"]:
        click.echo(f"  clients reach {service['name']}: {', '.join(service['asked']) or 'nowhere'}")
    option = "" if lab["name"] == "default" else f" --name {lab['name']}"
    click.echo(f"  ipvs-lb lab shell{option} HOST, ipvs-lb lab exec{option} HOST COMMAND...")


def _rank(host: Mapping[str, Any]) -> int:
    return {"client": 0, "gateway": 1}.get(host["name"], 2)
