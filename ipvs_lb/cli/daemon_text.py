"""The daemon's answers in the words and lines an operator reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from ipvs_lb.amounts import duration, plural, short

if TYPE_CHECKING:
    from ipvs_lb.api.answers import (
        Checked,
        CheckView,
        EventView,
        Explained,
        Health,
        ResultView,
        Server,
        Service,
        Status,
        TimingsView,
    )

_HEADING = "  SERVER                STATE    WEIGHT ACTIVE INACT CONN/S  IN/S OUT/S NAME"
_COLOURS = {
    "up": "green",
    "down": "red",
    "draining": "yellow",
    "drained": "yellow",
    "idle": "yellow",
    "unknown": "yellow",
    "foreign": "magenta",
    "fine": "green",
    "degraded": "yellow",
    "failing": "red",
    "error": "red",
    "warning": "yellow",
}
_MILLI = 1000


def painted(word: str, text: str | None = None) -> str:
    """*text*, or *word* itself, in the colour of *word*."""
    return click.style(word if text is None else text, fg=_COLOURS.get(word))


def full_name(server: Server) -> str:
    """`web/server-1 (tcp/10.0.0.16:80)`: a declared service can be several."""
    if server["service_name"] is None:
        return f"{place(server)} of {server['service']}"
    return f"{server['service_name']}/{server['name']} ({server['service']})"


def place(server: Server) -> str:
    """`10.0.0.4:80`."""
    address = server["address"]
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{server['port']}"


def status_lines(status: Status) -> Iterator[str]:
    """The gateway, a paragraph per service."""
    up = duration(status["at"] - status["started"])
    yield f"ipvs-lb {status['version']}, up {up}: {painted(status['health']['status'])}"
    yield from (f"  {reason}" for reason in status["health"]["reasons"])
    yield from _kernel_lines(status)
    yield from ("", click.style(_HEADING, dim=True))
    for service in status["services"]:
        yield from _service_lines(service, status["at"])
    if not status["services"]:
        yield "  no service to show"
    yield from ("", *_closing_lines(status))


def _kernel_lines(status: Status) -> Iterator[str]:
    kernel = status["kernel"]
    if kernel["error"]:
        yield click.style(f"  kernel: {kernel['error']}", fg="red")
    if kernel["drifted"]:
        yield f"  changed by others and repaired: {kernel['drifted']} times"


def _service_lines(service: Service, now: float) -> Iterator[str]:
    name = click.style(service["name"] or "foreign", bold=True)
    states = ", ".join(f"{count} {painted(state)}" for state, count in service["states"].items())
    yield f"{name}  {service['service']}  {service['scheduler']}  {states or 'no server'}"
    for server in service["servers"]:
        yield from _server_lines(server, now)


def _server_lines(server: Server, now: float) -> Iterator[str]:
    weight = "-" if server["weight"] is None else str(server["weight"])
    state = painted(server["state"], f"{server['state']:8}")
    name = server["name"] or ""
    yield f"  {place(server):21} {state} {weight:>6} {_traffic(server)} {name}".rstrip()
    yield from (f"      {line}" for line in _remarks(server, now))


def _traffic(server: Server) -> str:
    traffic = server["traffic"]
    if traffic is None:
        return f"{'?':>6} {'?':>5} {'?':>6} {'?':>5} {'?':>5}"
    rates = traffic["per_second"]
    return (
        f"{_number(server['active_connections']):>6} {_number(server['inactive_connections']):>5}"
        f" {short(rates['connections']):>6} {short(rates['in_bytes']):>5} {short(rates['out_bytes']):>5}"
    )


def _number(number: int | None) -> str:
    return "?" if number is None else short(number)


def _remarks(server: Server, now: float) -> Iterator[str]:
    """Why it is so, where it is not plainly up; what went wrong last, where that is not why."""
    yield from server["why"]
    wanted, present = server["weight"], server["kernel_weight"]
    if wanted != present and server["rule"] is not None:
        yield click.style(
            f"weight {_weight(wanted)} wanted, {_weight(present)} in the kernel", fg="yellow"
        )
    error = server["last_error"]
    if error is not None and server["health"] != "down":
        ago = duration(max(0.0, now - error["at"]))
        yield f"last error {ago} ago: {error['check']}: {_failure(error['error'], error['detail'])}"


def _weight(weight: int | None) -> str:
    return "none" if weight is None else str(weight)


def _failure(error: str | None, detail: str) -> str:
    return f"{error} ({detail})" if detail else str(error)


def _closing_lines(status: Status) -> Iterator[str]:
    servers = sum(len(service["servers"]) for service in status["services"])
    generation = status["generation"]
    of = f", generation {generation['generation']}" if generation else ""
    yield f"{plural(len(status['services']), 'service')}, {plural(servers, 'server')}{of}"
    yield "IN/S and OUT/S: bytes per second"


def server_line(server: Server) -> str:
    """One server in one line: what it does now, and why."""
    weight = "" if server["weight"] is None else f", weight {server['weight']}"
    why = f": {'; '.join(server['why'])}" if server["why"] else ""
    return f"{full_name(server)} is {painted(server['state'])}{weight}{why}"


def explanation_lines(explained: Explained, now: float) -> Iterator[str]:
    """One server with everything that is known of it."""
    server = explained["server"]
    yield f"{click.style(full_name(server), bold=True)} is {explained['state']}"
    yield from (f"  why:    {reason}" for reason in explained["why"])
    yield from (f"  change: {way}" for way in explained["change"])
    wanted, present = server["weight"], server["kernel_weight"]
    if wanted != present:
        yield f"  kernel: weight {_weight(wanted)} wanted, {_weight(present)} in the kernel"
    for check in explained["checks"]:
        yield from _check_lines(check, now)


def _check_lines(check: CheckView, now: float) -> Iterator[str]:
    since = "" if check["since"] is None else f" since {duration(max(0.0, now - check['since']))}"
    through = f" through {check['through']}" if check["through"] else ""
    shared = check["shared_by"]
    yield (
        f"  {check['check']}{through}: {painted(check['status'])}{since}, every"
        f" {duration(check['interval'])}, timeout {duration(check['timeout'])},"
        f" rise {check['rise']}, fall {check['fall']}"
        + (f", shared by {shared} servers" if shared > 1 else "")
    )
    for result in reversed(check["results"]):
        ago = f"{duration(max(0.0, now - result['at']))} ago"
        yield f"    {ago:>12}  {_result(result)}"


def checked_lines(probe: Checked) -> Iterator[str]:
    """One probe that was executed, with its phases."""
    yield f"{probe['check']} ({', '.join(probe['servers'])}): {_result(probe['result'])}"


def _result(result: ResultView) -> str:
    verdict = painted("up", "passed") if result["passed"] else painted("down", "failed")
    failed = "" if result["passed"] else f": {_failure(result['error'], result['detail'])}"
    weight = "" if result["weight"] is None else f", weight {result['weight']}"
    return f"{verdict}{failed}{weight}, {_phases(result['timings'])}"


def _phases(timings: TimingsView) -> str:
    phases = (
        ("connected", timings["connect"]),
        ("TLS", timings["tls"]),
        ("first byte", timings["first_byte"]),
        ("done", timings["total"]),
    )
    return ", ".join(
        f"{name} after {seconds * _MILLI:.1f} ms" for name, seconds in phases if seconds is not None
    )


def health_lines(health: Health) -> Iterator[str]:
    """One word, then the reasons."""
    yield painted(health["status"])
    yield from (f"  {reason}" for reason in health["reasons"])


def event_line(event: EventView) -> str:
    """One event: its time here, its level where that is more than information, its name and its facts."""
    at = datetime.fromtimestamp(event["at"]).astimezone().isoformat(timespec="milliseconds")
    level = "" if event["level"] == "info" else f" {painted(event['level'])}"
    facts = "".join(f" {name}={_fact(value)}" for name, value in event["facts"].items())
    return f"{at} {event['number']}{level} {click.style(event['name'], bold=True)}{facts}"


def _fact(value: object) -> str:
    text = str(value)
    return text if text and not set(text) & set(' "=') else repr(text)
