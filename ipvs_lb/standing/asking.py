"""Asks a lab that is up: to run a program for us, to do what sentences say, to tell how it is, to end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ipvs_lb.errors import LabError
from ipvs_lb.standing import names
from ipvs_lb.standing.frames import CHUNK, Frame, Kind, told
from ipvs_lb.standing.links import Channel, Link
from ipvs_lb.standing.settings import error_of
from ipvs_lb.unix_peer import unix_peer

_CHANNEL = 1
_LOOK = 0.5  # how often, in seconds, the size of the terminal is looked at
_ENDING = 30.0


def status(name: str) -> dict[str, Any]:
    """How a lab is. Raises LabError when it is not up."""
    with _asked(name, {"what": "status"}) as (link, connection):
        answer = _end(link, lambda _: None)
        process, _ = unix_peer(connection)
    return {**answer["lab"], "process": process}


def do(name: str, sentences: Sequence[str], tell: Callable[[Mapping[str, Any]], None]) -> int:
    """Do what sentences say, telling what happens; how many of their expectations failed. Raises LBError."""
    request = {"what": "do", "sentences": list(sentences), "folder": str(Path.cwd())}
    with _asked(name, request) as (link, _):
        return int(_end(link, lambda frame: tell(frame.value))["failed"])


def end(name: str) -> bool:
    """End a lab, and return when nothing of it is there any more; whether there was one. Raises LabError."""
    try:
        with _asked(name, {"what": "end"}) as (link, connection):
            process, _ = unix_peer(connection)
            with contextlib.suppress(LabError):
                _end(link, lambda _: None)
    except LabError:
        if name in names.names():
            raise
        return False
    if not _gone(name, _ENDING):
        os.kill(process, signal.SIGKILL)
        _gone(name, _ENDING)
    return True


def _gone(name: str, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while name in names.names():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def run(name: str, host: str, command: Sequence[str], *, terminal: bool) -> int:
    """The exit status of a program on a host of a lab, run with our standard streams, or on a terminal that is ours.

    Raises LBError when there is no such lab or host.
    """
    request = {
        "what": "run",
        "host": host,
        "command": list(command),
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "terminal": _size() if terminal else None,
    }
    with (
        _asked(name, request) as (link, _),
        _raw_terminal() if terminal else contextlib.nullcontext(),
    ):
        channel = Channel(link, _CHANNEL)
        threading.Thread(
            target=_feed, args=(channel,), kwargs={"terminal": terminal}, daemon=True
        ).start()
        return int(_end(link, lambda frame: _hear(channel, frame))["status"])


def has_terminal() -> bool:
    """Whether a person is at our standard input and output."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def _asked(name: str, request: Mapping[str, Any]) -> Iterator[tuple[Link, socket.socket]]:
    with names.connect(name) as connection:
        link = Link(connection.fileno())
        try:
            link.send(told(_CHANNEL, Kind.REQUEST, request))
        except OSError as error:
            raise LabError(f"the lab {name} is gone") from error
        yield link, connection


def _end(link: Link, hear: Callable[[Frame], None]) -> dict[str, Any]:
    for frame in link.frames():
        if frame.kind is not Kind.END:
            hear(frame)
            continue
        answer: dict[str, Any] = frame.value
        if answer.get("error"):
            raise error_of(answer["error"])
        return answer
    raise LabError("the lab ended meanwhile")


def _hear(channel: Channel, frame: Frame) -> None:
    match frame.kind:
        case Kind.OUTPUT:
            _say(sys.stdout, frame.payload)
            channel.take(frame)
        case Kind.ERRORS:
            _say(sys.stderr, frame.payload)
            channel.take(frame)
        case Kind.TAKEN:
            channel.note_taken(frame)
        case _:
            return


def _say(stream: Any, text: bytes) -> None:
    stream.flush()
    stream.buffer.write(text)
    stream.buffer.flush()


def _feed(channel: Channel, *, terminal: bool) -> None:
    """Pass our input on, and each new size of our terminal, until there is no more or nobody takes it."""
    size = _size()
    with contextlib.suppress(OSError, ValueError):
        source = sys.stdin.fileno()
        while True:
            if terminal and (now := _size()) != size:
                size = now
                channel.send(Kind.SIZE, told(0, Kind.SIZE, now).payload)
            if terminal and not select.select([source], [], [], _LOOK)[0]:
                continue
            chunk = os.read(source, CHUNK)
            channel.pass_on(Kind.INPUT, chunk)
            if not chunk:
                return


def _size() -> tuple[int, int]:
    """Rows and columns."""
    with contextlib.suppress(OSError, ValueError):
        size = os.get_terminal_size(sys.stdin.fileno())
        return size.lines, size.columns
    return 24, 80


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the other side, Ctrl-C too."""
    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    tty.setraw(source)
    try:
        yield
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)
