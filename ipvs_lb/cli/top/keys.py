"""What a key does: another view, or a wish."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ipvs_lb.cli.top.rows import Row
from ipvs_lb.cli.top.view import Mode, Order, View

LONGEST = 200
"""Characters of a filter at most."""


class Wish(enum.Enum):
    """What a view cannot fulfil itself."""

    QUIT = enum.auto()
    LOOK = enum.auto()


Pressed = tuple[View, Wish | Order | None]


def press(view: View, key: str, shown: Sequence[Row], height: int) -> Pressed:
    """The view after *key* (a character, or `up`, `enter` and the like), and what is wished."""
    if view.asked is not None:  # anything but a yes is a no
        return replace(view, asked=None), view.asked if key in {"y", "Y"} else None
    if view.mode is Mode.FILTER:
        return _typed(view, key), None
    if key == "q" and view.mode is Mode.LIST:
        return view, Wish.QUIT
    if key in _ORDERS and view.mode is not Mode.HELP:
        return _asking(view, _ORDERS[key], shown), None
    if view.mode is Mode.LIST:
        return _in_list(view, key, shown, height)
    return _in_page(view, key, height), None


_ORDERS = {"d": "drain", "e": "enable"}
_BACK = frozenset({"escape", "enter", "q"})


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, mode=Mode.LIST)
    if key == "escape":
        return replace(view, mode=Mode.LIST, filter="")
    if key == "backspace":
        return replace(view, filter=view.filter[:-1])
    if len(key) == 1 and key.isprintable() and len(view.filter) < LONGEST:
        return replace(view, filter=view.filter + key)
    return view


def _asking(view: View, action: str, shown: Sequence[Row]) -> View:
    """Ask before the order is given; services and what is not ours take none."""
    server = _selected(view, shown)
    if server is None or server.server is None or server.service["owner"] == "foreign":
        return view
    name = server.server["name"] or server.identity.place
    whole = f"{server.service['name'] or server.service['service']}/{name}"
    return replace(view, asked=Order(action, server.identity, whole))


def _selected(view: View, shown: Sequence[Row]) -> Row | None:
    return next((row for row in shown if row.identity == view.selected), None)


def _in_list(view: View, key: str, shown: Sequence[Row], height: int) -> Pressed:
    steps = _steps(height, len(shown))
    if key in steps:
        return _moved(view, steps[key], shown), None
    if key == "enter":
        row = _selected(view, shown)
        opens = row is not None and row.server is not None
        return (replace(view, mode=Mode.DETAIL, scrolled=0) if opens else view), None
    if key == " ":
        return view, Wish.LOOK
    change = _CHANGES.get(key)
    return (view if change is None else change(view)), None


_CHANGES: Mapping[str, Callable[[View], View]] = {
    "/": lambda view: replace(view, mode=Mode.FILTER),
    "escape": lambda view: replace(view, filter=""),
    "!": lambda view: replace(view, only_trouble=not view.only_trouble),
    "s": lambda view: replace(view, sort=view.sort.following),
    "r": lambda view: replace(view, backwards=not view.backwards),
    "?": lambda view: replace(view, mode=Mode.HELP, scrolled=0),
}


def _steps(height: int, everything: int) -> dict[str, int]:
    page = max(1, height - 1)
    return {
        "up": -1,
        "k": -1,
        "down": 1,
        "j": 1,
        "pageup": -page,
        "pagedown": page,
        "home": -everything,
        "g": -everything,
        "end": everything,
        "G": everything,
    }


def _moved(view: View, step: int, shown: Sequence[Row]) -> View:
    if not shown:
        return view
    position = min(max(view.position + step, 0), len(shown) - 1)
    return replace(view, position=position, selected=shown[position].identity)


def _in_page(view: View, key: str, height: int) -> View:
    if key in _BACK or (key == "?" and view.mode is Mode.HELP):
        return replace(view, mode=Mode.LIST)
    if key == "?":
        return replace(view, mode=Mode.HELP, scrolled=0)
    steps = _steps(height, _END)
    return replace(view, scrolled=max(0, view.scrolled + steps.get(key, 0)))


_END = 1_000_000  # beyond any page; the screen stops at its last line
