"""The terminal: curses shows the lines and reads the keys, and gives the terminal back whatever happens."""

from __future__ import annotations

import curses
import locale
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from ipvs_lb.cli.top.cells import Line, Style
from ipvs_lb.cli.top.feed import Feed, Look
from ipvs_lb.cli.top.keys import Wish, press
from ipvs_lb.cli.top.readings import Known, News
from ipvs_lb.cli.top.rows import Row, rows, settled, sight
from ipvs_lb.cli.top.screen import Size, body_height, draw
from ipvs_lb.cli.top.view import Order, Sight, View
from ipvs_lb.errors import UsageError

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Status

TICK = 0.1
"""Seconds until what the daemon said is seen at the latest."""

_NAMES = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_PPAGE: "pageup",
    curses.KEY_NPAGE: "pagedown",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_ENTER: "enter",
    curses.KEY_BACKSPACE: "backspace",
    curses.KEY_RESIZE: "resize",
}
_CHARACTERS = {
    "\n": "enter",
    "\r": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\b": "backspace",
}
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_COLOURS = {
    Style.GOOD: curses.COLOR_GREEN,
    Style.CAUTION: curses.COLOR_YELLOW,
    Style.BAD: curses.COLOR_RED,
    Style.ODD: curses.COLOR_MAGENTA,
}


def show(feed: Feed, *, colour: bool) -> None:
    """Show what *feed* hears until somebody quits. Raises UsageError where there is no terminal for it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal", hint="`ipvs-lb status` prints the same facts")
    locale.setlocale(locale.LC_ALL, "")
    with _ended_by_signals(), _window() as window:
        _Show(feed, window, _attributes(colour=colour)).run()


def _need_cursor() -> None:
    """Raises UsageError where the cursor cannot be put anywhere, or nothing is known of the terminal."""
    name = f"TERM={os.environ.get('TERM', '')}"
    hint = "TERM=vt100 does nearly everywhere; `ipvs-lb status` prints the same facts"
    try:
        curses.setupterm()
    except curses.error as problem:
        raise UsageError(f"{name}: {problem}", hint=hint) from problem
    if curses.tigetstr("cup") is None:
        raise UsageError(f"{name}: its cursor cannot be moved", hint=hint)


@contextmanager
def _window() -> Iterator[curses.window]:
    _need_cursor()
    window = curses.initscr()
    try:
        curses.noecho()
        curses.cbreak()
        curses.set_escdelay(25)
        window.keypad(True)  # curses' own way
        window.nodelay(True)
        with suppress(curses.error):  # some terminals always show it
            curses.curs_set(0)
        yield window
    finally:
        with suppress(curses.error):
            curses.curs_set(1)
        curses.endwin()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _attributes(*, colour: bool) -> dict[Style, int]:
    found = {
        Style.PLAIN: curses.A_NORMAL,
        Style.FAINT: curses.A_DIM,
        Style.BOLD: curses.A_BOLD,
        Style.SELECTED: curses.A_REVERSE,
        Style.ALARM: curses.A_REVERSE | curses.A_BOLD,
    }
    if not colour or not curses.has_colors():
        return {**dict.fromkeys(_COLOURS, curses.A_NORMAL), **found}
    curses.start_color()
    with suppress(curses.error):  # then the background is black
        curses.use_default_colors()
    for number, (style, paint) in enumerate(_COLOURS.items(), 1):
        with suppress(curses.error):
            curses.init_pair(number, paint, -1)
        found[style] = curses.color_pair(number)
    return found


class _Show:
    """One evening at the terminal."""

    def __init__(self, feed: Feed, window: curses.window, attributes: dict[Style, int]) -> None:
        self._feed, self._window, self._attributes = feed, window, attributes
        self._known, self._view = Known(), View()
        self._shown: list[Row] = []
        self._sight = Sight()
        self._painted = 0.0

    def run(self) -> None:
        """Until somebody quits, or the terminal is gone."""
        self._feed.start()
        self._paint()
        while True:
            select.select([sys.stdin], [], [], TICK)
            keys = list(self._keys())
            for key in keys:
                if self._pressed(key):
                    return
            if self._hear() or keys or self._is_stale():
                self._paint()
            if not os.isatty(sys.stdin.fileno()):  # hung up, and nobody said so
                raise SystemExit(128 + signal.SIGHUP)

    def _is_stale(self) -> bool:
        """Whether the screen tells a time that has gone on."""
        return self._known.gone is not None and time.monotonic() - self._painted >= 1

    def _keys(self) -> Iterator[str]:
        while True:
            try:
                key = self._window.get_wch()
            except curses.error:
                return
            if isinstance(key, int):
                yield _NAMES.get(key, "unknown")
            else:
                yield _CHARACTERS.get(key, key)

    def _pressed(self, key: str) -> bool:
        """Whether that was the end."""
        if key == "resize":
            curses.update_lines_cols()
            self._window.clear()
            return False
        self._known = self._known.without_said()
        self._settle()
        self._view, wish = press(self._view, key, self._shown, self._height())
        match wish:
            case Wish.QUIT:
                return True
            case Wish.LOOK:
                self._feed.tell(Look())
            case Order():
                self._feed.tell(wish)
            case None:
                pass
        return False

    def _hear(self) -> bool:
        heard = list(self._feed.heard())
        for one in heard:
            self._known = _after(self._known, one)
        return bool(heard)

    def _settle(self) -> None:
        reading = self._known.reading
        self._shown = [] if reading is None else rows(reading, self._view)
        self._view = settled(self._view, self._shown, self._height())

    def _height(self) -> int:
        return body_height(self._size())

    def _size(self) -> Size:
        return Size(*self._window.getmaxyx())

    def _paint(self) -> None:
        self._settle()
        in_sight = sight(self._view, self._shown, self._height())
        if in_sight != self._sight:
            self._sight = in_sight
            self._feed.tell(in_sight)
        now = self._painted = time.monotonic()
        lines = draw(self._known, self._view, self._shown, self._size(), now)
        self._window.erase()
        for number, line in enumerate(lines):
            self._put(number, line)
        self._window.refresh()

    def _put(self, number: int, line: Line) -> None:
        with suppress(curses.error):  # the last cell of the screen: curses cannot go beyond it
            self._window.move(number, 0)
            for text, style in line:
                self._window.addstr(text, self._attributes[style])


def _after(known: Known, one: Status | News) -> Known:
    if isinstance(one, dict):
        return known.after_status(one)
    return known.after(one, time.monotonic())
