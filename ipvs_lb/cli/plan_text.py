"""A change as lines for a person: what is added (+), altered (~), removed (-), and what people will notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from ipvs_lb.amounts import plural
from ipvs_lb.cli.plan_json import closings_of, sysctl_command
from ipvs_lb.cli.steps import SERVICE_COMMANDS, Step, service_of, steps
from ipvs_lb.cli.words import field_name, field_value, server_words, service_words
from ipvs_lb.commands import (
    AddServer,
    AddService,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
)
from ipvs_lb.impact import Closing, Impact, Moved, impacts
from ipvs_lb.model.host import AddAddress, RemoveAddress, SetFirewall
from ipvs_lb.model.identity import ServiceKey

if TYPE_CHECKING:
    from ipvs_lb.engine.apply import Change

SHOWN_SERVICES = 50
"""Services shown in full unless everything is asked for."""

_COLOURS = {"+": "green", "~": "yellow", "-": "red"}
_ADDS = (AddService, AddServer, AddAddress, StartDaemon)
_REMOVES = (DeleteService, DeleteServer, RemoveAddress, StopDaemon)


def plan_lines(change: Change, *, everything: bool = False) -> Iterator[str]:
    """*change* for a person; of a big one the first services, unless *everything*."""
    if change.is_empty:
        yield f"Nothing to do.{_foreign(change)}"
        return
    groups, others = _grouped(steps(change))
    limit = None if everything else SHOWN_SERVICES
    for key, group in islice(groups.items(), limit):
        yield from _service_lines(key, group)
    if limit is not None and len(groups) > limit:
        yield f"... and {len(groups) - limit} more services (all with --verbose)"
    if others:
        yield "gateway"
        yield from (f"  {_marked(step)}" for step in others[:limit])
    if limit is not None and len(others) > limit:
        yield f"  ... and {len(others) - limit} more changes (all with --verbose)"
    yield from _impact_lines(change, limit)
    yield from ("", _summary(change))


def missing_lines(change: Change) -> Iterator[str]:
    """What the operator has to set by hand, each as one sentence."""
    for need in change.missing_sysctls:
        yield f"{need.name} is not {need.value}, needed for {need.reason}; type: {sysctl_command(need)}"


def _grouped(all_steps: Iterable[Step]) -> tuple[dict[ServiceKey, list[Step]], list[Step]]:
    """Steps by service, in the order in which services are first touched, and the steps about none."""
    groups: dict[ServiceKey, list[Step]] = {}
    others: list[Step] = []
    for step in all_steps:
        key = service_of(step.command)
        (others if key is None else groups.setdefault(key, [])).append(step)
    return groups, others


def _service_lines(key: ServiceKey, group: list[Step]) -> Iterator[str]:
    own = [step for step in group if isinstance(step.command, SERVICE_COMMANDS)]
    mark = _mark(own[0]) if own else "~"
    title = f"{mark} {key}{_words(own[0]) if own else ''}"
    yield click.style(title, fg=_COLOURS[mark], bold=True)
    yield from (f"  {_marked(step)}" for step in group if step not in own)


def _marked(step: Step) -> str:
    mark = _mark(step)
    return click.style(f"{mark} {_subject(step)}{_words(step)}", fg=_COLOURS[mark])


def _mark(step: Step) -> str:
    if isinstance(step.command, _ADDS):
        return "+"
    if isinstance(step.command, _REMOVES):
        return "-"
    if isinstance(step.command, SetFirewall) and not step.command.firewall:
        return "-"
    return "~"


def _subject(step: Step) -> str:
    match step.command:
        case AddServer(_, server_key) | EditServer(_, server_key) | DeleteServer(_, server_key):
            return f"server {server_key}"
        case AddAddress(place, announce):
            return f"address {place}" + (", announced" if announce else "")
        case RemoveAddress(place):
            return f"address {place}"
        case SetTimeouts():
            return "timeouts"
        case _:
            return str(step.command)


def _words(step: Step) -> str:
    if step.altered:
        return "".join(
            f"  {field_name(a.name)} {field_value(a.old)} -> {field_value(a.new)}"
            for a in step.altered
        )
    match step.command:
        case AddService(_, service):
            return f"  {service_words(service)}"
        case AddServer(_, server_key, server):
            return f"  {server_words(server_key, server)}"
        case _:
            return ""


def _impact_lines(change: Change, limit: int | None) -> Iterator[str]:
    effects = impacts(change.before, change.desired.table, change.statistics or {})
    closed = closings_of(change)
    if not effects and not closed:
        return
    yield ""
    yield "What people will notice:"
    yield from (f"  {closing.address}: {_closing_words(closing)}" for closing in closed[:limit])
    if limit is not None and len(closed) > limit:
        yield f"  ... on {len(closed) - limit} more addresses (all with --verbose)"
    if effects:
        yield from _effect_lines(effects, limit)


def _closing_words(closing: Closing) -> str:
    what = "the gateway's own ports get no new connections here any more"
    if not closing.is_own:
        return what
    return click.style(f"{what}, ssh among them; it is no VIP that was put here", fg="red")


def _effect_lines(effects: tuple[Impact, ...], limit: int | None) -> Iterator[str]:
    told = [(impact.key, sentences) for impact in effects if (sentences := [*_sentences(impact)])]
    for key, sentences in told[:limit]:
        yield from (f"  {key}: {sentence}" for sentence in sentences)
    if limit is not None and len(told) > limit:
        yield f"  ... on {len(told) - limit} more services (all with --verbose)"
    leaving = [one for impact in effects for one in impact.leaving]
    gone = sum(one.active for one in leaving if not one.drains)
    drained = sum(one.active for one in leaving if one.drains)
    yield f"  in all: {plural(gone, 'active connection')} on servers that go, {drained} on servers that drain"


def _sentences(impact: Impact) -> Iterator[str]:
    if impact.unserved:
        yield click.style("nobody serves it afterwards", fg="red", bold=True)
    for leaving in impact.leaving:
        if leaving.active or leaving.inactive:
            yield (
                f"{leaving.server} {'drains' if leaving.drains else 'goes'} with"
                f" {plural(leaving.active, 'active connection')}, {leaving.inactive} inactive"
            )
    if impact.moved is not None:
        yield from _moved_sentences(impact.moved)


def _moved_sentences(moved: Moved) -> Iterator[str]:
    elsewhere = moved.share - moved.refused
    if elsewhere > 0:
        yield f"{_share(elsewhere, moved)} of clients get another server for new connections"
    if moved.refused > 0:
        lost = f"{_share(moved.refused, moved)} of clients get no server"
        yield click.style(f"{lost} (weight 0, no fallback flag)", fg="red")


def _share(share: float, moved: Moved) -> str:
    return f"{share:.1%}" if moved.exact else f"about {share:.0%} (estimate)"


def _summary(change: Change) -> str:
    kinds = Counter(type(command) for command in change.commands)
    services = [kinds[kind] for kind in (AddService, EditService, DeleteService)]
    servers = [kinds[kind] for kind in (AddServer, EditServer, DeleteServer)]
    others = len(change.commands) - sum(services) - sum(servers)
    others += sum(
        map(
            len,
            (change.firewall_first, change.host_before, change.host_after, change.firewall_last),
        )
    )
    parts = (_tally("services", services), _tally("servers", servers), _tally_others(others))
    return f"Plan: {'; '.join(filter(None, parts))}.{_foreign(change)}"


def _tally(noun: str, numbers: Iterable[int]) -> str:
    counts = zip(numbers, ("add", "change", "remove"), strict=True)
    told = [f"{number} to {verb}" for number, verb in counts if number]
    return f"{noun}: {', '.join(told)}" if told else ""


def _tally_others(number: int) -> str:
    return f"gateway: {plural(number, 'change')}" if number else ""


def _foreign(change: Change) -> str:
    number = len(change.foreign.services)
    return f" {plural(number, 'foreign service')} left alone." if number else ""
