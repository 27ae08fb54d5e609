"""The sentences of a scenario, word by word. What a sentence cannot mean is a ValueError that says what was expected."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ipvs_lb.config import values
from ipvs_lb.config.problems import Unknown, quoted
from ipvs_lb.lab.backends import Condition
from ipvs_lb.scenario.steps import (
    Become,
    Daemon,
    Delay,
    Doing,
    Errors,
    Expect,
    Latency,
    Life,
    Lose,
    Only,
    Order,
    Place,
    Plug,
    Reload,
    Run,
    Share,
    Watch,
    Who,
)

MOST = float(values.HOUR)
_WATCHED = 2.0
_NO_TIME = values.seconds(0, MOST)
_SOME_TIME = values.seconds(0.1, MOST)
_WEIGHT = values.whole(0, 65535)


class Cast(Protocol):
    """Who and what sentences can name. Both raise ValueError for a name that means nothing."""

    def server(self, name: str) -> Who:
        """The server of that name."""

    def service(self, name: str) -> str:
        """The service of that name, which has clients."""

    def file(self, name: str) -> Path:
        """The configuration of that name."""


Words = Mapping[str, str]
Reading = Callable[[Words, Cast], Doing]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of sentence: how its reference shows it, and what it means."""

    shown: str
    read: Reading
    meaning: str

    def match(self, text: str) -> Words | None:
        """The words at the places of the form's names; None when *text* is no such sentence."""
        found = re.fullmatch(_pattern(self.shown), text)
        return None if found is None else {k: v for k, v in found.groupdict().items() if v}


def _pattern(shown: str) -> str:
    """`[within TIME]` may be missing; a word in capitals stands for any word, COMMAND and SERVERS for any number."""
    pattern = ""
    for word in re.findall(r"\[[^]]*\]|\S+", shown):
        if word.startswith("["):
            pattern += rf"(?:\s+{_pattern(word[1:-1])})?"
            continue
        found = re.fullmatch(r"(\W*?)([A-Z]+)(%?)", word)
        group = f"(?P<{found[2]}>.+)" if found and found[2] in {"COMMAND", "SERVERS"} else ""
        if found and not group:
            group = rf"{re.escape(found[1])}(?P<{found[2]}>\S+?){found[3]}"
        pattern += (r"\s+" if pattern else "") + (group or re.escape(word))
    return pattern


def read(text: str, cast: Cast) -> Doing:
    """What a sentence means. Raises ValueError when it means nothing."""
    for form in FORMS:
        words = form.match(text)
        if words is not None:
            return form.read(words, cast)
    raise ValueError(_not_understood(text))


def _not_understood(text: str) -> object:
    words = text.split()
    starts = {form.shown.split()[0]: None for form in FORMS}
    if not words or words[0] not in starts:
        return Unknown(
            f"{quoted(text)} is not understood", words[0] if words else "", tuple(starts)
        )
    near = [form.shown for form in FORMS if form.shown.split()[0] == words[0]]
    alike = [shown for shown in near if shown.split()[1] == words[1]] if words[1:] else []
    return f"{quoted(text)} is not understood, expected {' | '.join(alike or near)}"


def _become(condition: Condition) -> Reading:
    return lambda words, cast: Become(cast.server(words["SERVER"]), condition)


def _plug(*, is_in: bool) -> Reading:
    return lambda words, cast: Plug(cast.server(words["SERVER"]), is_in)


def _daemon(life: Life) -> Reading:
    return lambda _words, _cast: Daemon(life)


def _order(word: str) -> Reading:
    return lambda words, cast: Order((word,), cast.server(words["SERVER"]))


def _weight(words: Words, cast: Cast) -> Doing:
    weight = _WEIGHT(words["WEIGHT"])
    return Order(("weight", str(weight)), cast.server(words["SERVER"]))


def _run(words: Words, _cast: Cast) -> Doing:
    return Run(tuple(shlex.split(words["COMMAND"])))


def _placed(words: Words, cast: Cast, *, is_in: bool, weight: int | None = None) -> Doing:
    place = Place(cast.server(words["SERVER"]), is_in, weight)
    if "WITHIN" in words:
        return Expect(place, within=_NO_TIME(words["WITHIN"]))
    return Expect(place, lasting=_NO_TIME(words.get("TIME", "0s")))


def _in(words: Words, cast: Cast) -> Doing:
    return _placed(words, cast, is_in=True)


def _out(words: Words, cast: Cast) -> Doing:
    return _placed(words, cast, is_in=False)


def _in_with_weight(words: Words, cast: Cast) -> Doing:
    return _placed(words, cast, is_in=True, weight=_WEIGHT(words["WEIGHT"]))


def _watch(words: Words, demand: Errors | Only | Share | Latency) -> Doing:
    return Watch(demand, _SOME_TIME(words["TIME"]) if "TIME" in words else _WATCHED)


def _errors(words: Words, cast: Cast) -> Doing:
    most = values.share(f"{words['PERCENT']}%") if "PERCENT" in words else 0.0
    return _watch(words, Errors(cast.service(words["SERVICE"]), most))


def _only(words: Words, cast: Cast) -> Doing:
    names = [name for name in re.split(r"[,\s]+", words["SERVERS"]) if name not in {"", "and"}]
    return _watch(words, Only(cast.service(words["SERVICE"]), tuple(map(cast.server, names))))


def _share(words: Words, cast: Cast) -> Doing:
    share, tolerance = (values.share(f"{words[name]}%") for name in ("PERCENT", "POINTS"))
    who = cast.server(words["SERVER"])
    return _watch(words, Share(cast.service(words["SERVICE"]), who, share, tolerance))


def _latency(words: Words, cast: Cast) -> Doing:
    return _watch(words, Latency(cast.service(words["SERVICE"]), _NO_TIME(words["LIMIT"])))


def _forms() -> Iterator[Form]:
    for life in Life:
        yield Form(f"{life} daemon", _daemon(life), _LIVES[life])
    for word, condition, meaning in _CONDITIONS:
        yield Form(f"{word} SERVER", _become(condition), meaning)
    yield Form("unplug SERVER", _plug(is_in=False), "Its cable is pulled.")
    yield Form("plug SERVER", _plug(is_in=True), "Its cable is in again.")
    yield Form(
        "drop packets to SERVER PERCENT%",
        lambda words, cast: Lose(
            cast.server(words["SERVER"]), values.share(f"{words['PERCENT']}%")
        ),
        "So many of the packets to it are lost; 0% ends that.",
    )
    yield Form(
        "delay packets to SERVER TIME",
        lambda words, cast: Delay(cast.server(words["SERVER"]), _NO_TIME(words["TIME"])),
        "Packets to it take so much longer; 0s ends that.",
    )
    yield Form(
        "reload FILE",
        lambda words, cast: Reload(cast.file(words["FILE"])),
        "The daemon reads another configuration; the file's path is relative to the scenario.",
    )
    for word in ("drain", "disable", "enable"):
        yield Form(f"{word} SERVER", _order(word), f"As `ipvs-lb {word}`.")
    yield Form("weight SERVER WEIGHT", _weight, "As `ipvs-lb weight`.")
    yield Form("run COMMAND", _run, "A program on the gateway, without a shell; it has to succeed.")
    for state, reading in _PLACES:
        meaning = _PLACE_MEANINGS[state.split()[0]]
        yield Form(
            f"expect SERVER {state} within WITHIN", reading, f"{meaning}, after that time at most."
        )
        yield Form(f"expect SERVER {state} [for TIME]", reading, f"{meaning} now, and for so long.")
    traffic = "expect traffic to SERVICE"
    yield Form(f"{traffic} without errors [for TIME]", _errors, "Every request is answered.")
    yield Form(
        f"{traffic} errors below PERCENT% [for TIME]",
        _errors,
        "At most this share of requests is not answered.",
    )
    yield Form(
        f"{traffic} PERCENT% from SERVER +-POINTS% [for TIME]",
        _share,
        "The server gives this share of the answers, so many percent of all more or less.",
    )
    yield Form(
        f"{traffic} latency below LIMIT [for TIME]",
        _latency,
        "Every answer comes within this time.",
    )
    yield Form(
        f"{traffic} only from SERVERS for TIME",
        _only,
        "Nobody else answers; several are named with commas.",
    )
    yield Form(f"{traffic} only from SERVERS", _only, "The same, for 2 seconds.")


_LIVES = {
    Life.START: "The daemon is started again.",
    Life.STOP: "The daemon ends as `systemctl stop` ends it.",
    Life.KILL: "The daemon is killed, without a word.",
    Life.RESTART: "The daemon is stopped and started.",
}
_CONDITIONS = (
    ("stop", Condition.STOPPED, "Its ports refuse connections."),
    ("hang", Condition.HANGING, "It accepts connections and says nothing."),
    ("fail", Condition.ILL, "It answers its HTTP checks with status 503, and clients as before."),
    ("start", Condition.WELL, "It answers everything again."),
)
_PLACES = (("in", _in), ("out", _out), ("weight WEIGHT", _in_with_weight))
_PLACE_MEANINGS = {
    "in": "It has a weight above 0 in the kernel's table, in each of its services",
    "out": "It is not in the kernel's table, or has weight 0",
    "weight": "It has this weight in the kernel's table",
}
FORMS = tuple(_forms())
"""Every kind of sentence; the first that fits counts."""
