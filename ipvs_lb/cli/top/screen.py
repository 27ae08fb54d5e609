"""The whole screen as lines, for any size of terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipvs_lb.amounts import duration, plural, short
from ipvs_lb.cli.top.cells import OF_WORD, Line, Span, Style, column, fitted
from ipvs_lb.cli.top.pages import detail_lines, help_lines
from ipvs_lb.cli.top.readings import TICKS, Gone, Identity, Known, Rates
from ipvs_lb.cli.top.rows import WORST_FIRST, Row, is_unlike_kernel
from ipvs_lb.cli.top.view import Mode, Order, View

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Server, Status

_AROUND = 5
"""Lines that are no rows: two above, the heading, what is selected, the keys."""
_NUMBERS = 6 + 6 + 6 + 6 + 5
_STATE = 8
_MIN_NAME = 12
_SINCE = 9
_KEYS = "?:help /:filter !:look s:sort r:reverse Enter:detail d:drain e:enable q:quit"
_PAGE_KEYS = "up/down:scroll d:drain e:enable Esc:back"


@dataclass(frozen=True, slots=True)
class Size:
    """Of a terminal, in cells."""

    height: int = 24
    width: int = 80


def body_height(size: Size) -> int:
    """Rows that fit on the screen."""
    return max(1, size.height - _AROUND)


def draw(known: Known, view: View, shown: Sequence[Row], size: Size, now: float) -> list[Line]:
    """Exactly `size.height` lines of at most `size.width` cells; *now* is on the clock of `gone_since`."""
    height = body_height(size) + 1  # with the heading
    body = list(_body(known, view, shown, size))[:height]
    body += [()] * (height - len(body))
    lines = [*_head(known, now), *body, _selected_line(known, view, shown), _foot(known, view)]
    return [fitted(line, size.width) for line in lines[: size.height]]


def _head(known: Known, now: float) -> Iterator[Line]:
    status = None if known.reading is None else known.reading.status
    yield (Span("ipvs-lb top: asking the daemon"),) if status is None else _title(status)
    if known.gone is not None:
        yield _gone(known.gone, now - known.gone_since, has_old=status is not None)
    else:
        yield () if status is None else _reasons(status)


def _title(status: Status) -> Line:
    states: dict[str, int] = {}
    for service in status["services"]:
        for state, count in service["states"].items():
            states[state] = states.get(state, 0) + count
    ordered = sorted(
        states, key=lambda one: WORST_FIRST.index(one) if one in WORST_FIRST else len(WORST_FIRST)
    )
    counts = ", ".join(f"{states[state]} {state}" for state in ordered) or "no server"
    health, up = status["health"]["status"], duration(status["at"] - status["started"])
    return (
        Span(f"ipvs-lb {status['version']} ", Style.BOLD),
        Span(health, OF_WORD.get(health, Style.PLAIN)),
        Span(f": {counts} in {plural(len(status['services']), 'service')}; up {up}"),
    )


def _gone(gone: Gone, seconds: float, *, has_old: bool) -> Line:
    old = "; what you see is OLD" if has_old else ""
    hint = f"; {gone.hint}" if gone.hint else ""
    return (
        Span(f"!! NO ANSWER for {max(0, round(seconds))} s{old}: {gone.error}{hint}", Style.ALARM),
    )


def _reasons(status: Status) -> Line:
    kernel = status["kernel"]["error"]
    reasons = [
        *([f"kernel: {kernel}"] if kernel else []),
        *status["health"]["reasons"],
    ]
    if not reasons:
        return ()
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return (Span(f"{reasons[0]}{more}", OF_WORD.get(status["health"]["status"], Style.CAUTION)),)


def _body(known: Known, view: View, shown: Sequence[Row], size: Size) -> Iterator[Line]:
    if view.mode in {Mode.DETAIL, Mode.HELP}:
        yield from _page(known, view, Size(body_height(size) + 1, size.width))
        return
    end = view.first + body_height(size)
    table = _Table(known, view, shown[view.first : end], size.width)
    yield table.heading()
    if not shown and known.reading is not None:
        yield (Span("  nothing to show" + (": Esc takes the filter away" if view.filter else "")),)
    yield from table.lines()


def _page(known: Known, view: View, size: Size) -> Iterator[Line]:
    is_help = view.mode is Mode.HELP
    lines = help_lines() if is_help else detail_lines(known, view.selected, size.width)
    first = min(view.scrolled, max(0, len(lines) - size.height))
    for line in lines[first : first + size.height]:
        yield (Span(line),)


class _Table:
    """The rows in sight, with columns as wide as these need; the wider the terminal, the more columns."""

    def __init__(self, known: Known, view: View, rows: Sequence[Row], width: int) -> None:
        self._known, self._view, self._rows = known, view, rows
        weights = [len(_weights(row.server)) for row in rows if row.server is not None]
        self._weight = max(6, *weights) if weights else 6
        left = width - 2 - _STATE - self._weight - _NUMBERS - 8
        self._name = max(_MIN_NAME, min(24, left - 8))
        self._ticks = min(TICKS, max(0, left - self._name))
        left -= self._name + self._ticks
        self._since = _SINCE if left > _SINCE else 0
        left -= self._since + bool(self._since)
        self._error = max(0, left - 1)

    def heading(self) -> Line:
        """What the columns are, and what orders and narrows the rows."""
        text = self._columns(
            ("SERVER", "STATE", "WEIGHT", "ACTIVE", "INACT", "CONN/S", "IN/S", "OUT/S"),
            ("CHECKS", "SINCE", "LAST ERROR"),
        )
        return (Span(f"  {text}", Style.BOLD),)

    def lines(self) -> Iterator[Line]:
        """A line for each row."""
        for row in self._rows:
            selected = row.identity == self._view.selected
            mark = "> " if selected else "  "
            spans = self._service(row) if row.server is None else self._server(row, row.server)
            line = (Span(mark), *spans)
            if selected:
                line = tuple(Span(text, Style.SELECTED) for text, _ in line)
            yield line

    def _service(self, row: Row) -> Line:
        service = row.service
        states = ", ".join(f"{count} {state}" for state, count in service["states"].items())
        name = service["name"] or "foreign"
        told = f"  {service['service']}  {service['scheduler']}  {states or 'no server'}"
        serves = service["owner"] != "ours" or service["serves"]
        out = () if serves else (Span("  NOT SERVING", Style.BAD),)
        return (Span(name, Style.BOLD), *out, Span(told))

    def _server(self, row: Row, server: Server) -> Line:
        known, identity = self._known, row.identity
        rates = known.reading.rates.get(identity) if known.reading else None
        numbers = (
            _number(server["active_connections"]),
            _number(server["inactive_connections"]),
            *_per_second(rates),
        )
        first = (f" {server['name'] or identity.place}", server["state"], _weights(server))
        at = known.reading.status["at"] if known.reading else 0.0
        last = (known.strip(identity)[-self._ticks :] if self._ticks else "", _since(server, at))
        text = self._columns((*first, *numbers), (*last, _error(server, at)))
        return self._painted(text, server)

    def _painted(self, text: str, server: Server) -> Line:
        """*text* with the state and a weight that is not in force in their colours."""
        plain = not is_unlike_kernel(server)
        state, weight = self._name + 1, self._name + 1 + _STATE
        end = weight + 1 + self._weight
        return (
            Span(text[:state]),
            Span(text[state:weight], OF_WORD.get(server["state"], Style.PLAIN)),
            Span(text[weight:end], Style.PLAIN if plain else Style.CAUTION),
            Span(text[end:]),
        )

    def _columns(self, texts: Sequence[str], last: tuple[str, str, str]) -> str:
        name, state, weight, active, inact, conns, ins, outs = texts
        ticks, since, error = last
        parts = [
            column(name, self._name),
            column(state, _STATE),
            f"{weight:>{self._weight}}",
            f"{active:>6} {inact:>6} {conns:>6} {ins:>6} {outs:>5}",
            column(ticks, self._ticks),
        ]
        if self._since:
            parts.append(column(since, self._since))
        if self._error:
            parts.append(column(error, self._error))
        return " ".join(parts).rstrip()


def _weights(server: Server) -> str:
    wanted, present = server["weight"], server["kernel_weight"]
    return f"{'-' if wanted is None else wanted}/{'-' if present is None else present}"


def _number(number: int | None) -> str:
    return "?" if number is None else short(number)


def _per_second(rates: Rates | None) -> tuple[str, str, str]:
    if rates is None:
        return "-", "-", "-"
    return _rate(rates.connections), _rate(rates.in_bytes), _rate(rates.out_bytes)


def _rate(rate: float) -> str:
    """Few are told in tenths: 0 is none at all."""
    return f"{rate:.1f}" if 0 < rate < 10 else short(round(rate))  # noqa: PLR2004  # of digits


def _since(server: Server, at: float) -> str:
    since = server["since"]
    return "" if since is None else duration(max(0.0, at - since))


def _error(server: Server, at: float) -> str:
    error = server["last_error"]
    if error is None:
        return ""
    detail = f" ({error['detail']})" if error["detail"] else ""
    ago = duration(max(0.0, at - error["at"]))
    return f"{ago} ago: {error['error']}{detail}"


def _selected_line(known: Known, view: View, shown: Sequence[Row]) -> Line:
    row = _row(shown, view.selected)
    if view.mode is Mode.HELP or row is None or row.server is None or known.reading is None:
        return ()
    at, server = known.reading.status["at"], row.server
    since, error = _since(server, at), _error(server, at)
    facts = (
        f"{server['name'] or ''} {row.identity.place}".strip(),
        f"{server['state']}{f' for {since}' if since else ''}",
        *((f"last error {error}",) if error else ()),
        *server["why"],
    )
    return (Span("; ".join(facts), Style.FAINT),)


def _row(shown: Sequence[Row], identity: Identity | None) -> Row | None:
    return next((row for row in shown if row.identity == identity), None)


def _foot(known: Known, view: View) -> Line:
    if view.asked is not None:
        return (Span(_question(view.asked), Style.ALARM),)
    if view.mode is Mode.FILTER:
        return (Span(f"filter: {view.filter}_  (Enter keeps it, Esc takes it away)", Style.BOLD),)
    if known.said is not None:
        return (Span(known.said.text, Style.ALARM if known.said.failed else Style.BOLD),)
    keys = _KEYS if view.mode is Mode.LIST else _PAGE_KEYS
    return (*_choices(view), Span(keys, Style.FAINT))


def _choices(view: View) -> Iterator[Span]:
    """What is chosen otherwise than at the start."""
    if view.filter:
        yield Span(f"[filter: {view.filter}] ", Style.BOLD)
    if view.only_trouble:
        yield Span("[only what needs a look] ", Style.BOLD)
    if view.sort.value != "configured" or view.backwards:
        back = ", reversed" if view.backwards else ""
        yield Span(f"[sort: {view.sort}{back}] ", Style.BOLD)


def _question(order: Order) -> str:
    what = {"drain": "no new connections, out when empty", "enable": "its checks decide again"}
    return f"{order.action} {order.name} of {order.server.service}: {what[order.action]}? y/n"
