"""Putting a change in force before the eyes of the caller: what `apply` and `rollback` have in common."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipvs_lb.cli.environment import Gateway, environment
from ipvs_lb.cli.output import Format, echo_json, echo_warnings
from ipvs_lb.cli.plan import HAS_CHANGES, show_plan
from ipvs_lb.model.host import AddAddress

if TYPE_CHECKING:
    from ipvs_lb.engine.apply import Change, Progress
    from ipvs_lb.model.desired import GenerationSummary
    from ipvs_lb.ports import Host
    from ipvs_lb.serial import JSON
    from ipvs_lb.store.lock import Holder

APPLY_SCHEMA = "ipvs_lb/apply/1"
MUCH = 2000
"""Commands from which on progress is shown."""
_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def alone(state_dir: Path, wait: float) -> Iterator[Gateway]:
    """The gateway, while no other ipvs-lb changes it. Raises LockedError after *wait* seconds."""
    from ipvs_lb.store import locked

    with (
        locked(state_dir, wait=wait, on_wait=_tell_waiting),
        environment().open_gateway(state_dir) as gateway,
    ):
        yield gateway


def put_in_force(
    change: Change,
    gateway: Gateway,
    *,
    origin: str,
    output_format: Format,
    everything: bool,
    extra: dict[str, JSON] | None = None,
) -> None:
    """Show *change*, carry it out and say so. Raises LBError after taking back what was done."""
    from ipvs_lb.engine.apply import carry_out

    echo_warnings(gateway.store.warnings)
    if output_format is Format.TEXT:
        show_plan(change, output_format, everything=everything)
    echo_warnings(_duplicates(change, gateway.host))
    with _interruptible() as check, _progress(len(change.commands)) as progress:
        summary = carry_out(
            change,
            kernel=gateway.kernel,
            host=gateway.host,
            store=gateway.store,
            origin=origin,
            now=environment().now(),
            progress=progress,
            check=check,
        )
    _tell(change, summary, output_format, extra or {})


def _duplicates(change: Change, host: Host) -> Iterator[str]:
    """What other hosts on the links have of the VIPs that are to be added."""
    places = [step.place for step in change.host_before if isinstance(step, AddAddress)]
    for place, mac in host.probe_duplicates(places).items() if places else ():
        yield f"{place.address} is answered by {mac} on {place.interface}: another host has it too"


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """SIGTERM is taken like Ctrl-C. The function raises KeyboardInterrupt once one of them has come: between two steps.

    Python's own interruption comes in the middle of whatever is done, a library's clean-up among it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal came
        came = True

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _STOPS}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def only_show(change: Change, gateway: Gateway, output_format: Format, *, everything: bool) -> None:
    """Show *change* and exit as `plan` does."""
    echo_warnings(gateway.store.warnings)
    show_plan(change, output_format, everything=everything)
    click.get_current_context().exit(0 if change.is_empty else HAS_CHANGES)


def _tell(
    change: Change,
    summary: GenerationSummary | None,
    output_format: Format,
    extra: dict[str, JSON],
) -> None:
    if output_format is Format.JSON:
        from ipvs_lb.cli.plan_json import plan_to_json
        from ipvs_lb.serial import summary_to_json

        generation = None if summary is None else summary_to_json(summary)
        outcome: dict[str, JSON] = {"schema": APPLY_SCHEMA, "generation": generation}
        echo_json({**outcome, **extra, "plan": plan_to_json(change)})
    elif summary is not None:
        verb = "Recorded" if change.is_empty else "Done"
        click.echo(f"{verb}: generation {summary.number}.")


def _tell_waiting(holder: Holder | None) -> None:
    click.echo(f"waiting for {holder or 'another ipvs-lb'}", err=True)


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    """A bar on standard error when there is much to do and somebody looks."""
    if total < MUCH or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with click.progressbar(length=total, label="Applying", file=sys.stderr) as bar:
        yield lambda done, _total: bar.update(done - bar.pos)
