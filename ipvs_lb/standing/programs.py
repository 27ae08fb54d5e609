"""Programs that run on a lab's hosts for somebody elsewhere, with their input and output, on a terminal or not."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import select
import shutil
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.lab.hosts import Host, stop
from ipvs_lb.standing.frames import CHUNK, Frame, Kind
from ipvs_lb.standing.links import Channel, write_whole

NOT_FOUND = 127
"""The exit status of a program that is not there, as a shell gives it."""

_QUIET = (
    200  # milliseconds; after its end a program's output is over when nothing has come for so long
)
_END_OF_INPUT = b"\x04"  # what a terminal takes for it
_SETSID = ("setsid", "--ctty")  # a new session whose terminal is standard input


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A program to run: its words, folder, environment, and the rows and columns of its terminal if it is to have one."""

    command: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    terminal: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """Our ends of what a program reads and writes, and its own three."""

    input: int
    sources: Mapping[int, Kind]
    own: tuple[int, int, int]


class Running:
    """A program that runs for a channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.input: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._terminal: int | None = None
        self._program: subprocess.Popen[bytes] | None = None

    def resize(self, rows: int, columns: int) -> None:
        """The terminal has another size from now on."""
        if self._terminal is not None:
            _set_size(self._terminal, rows, columns)

    def abandon(self) -> None:
        """Nobody is there any more: end the program."""
        self.channel.close()
        if self._program is not None:
            threading.Thread(target=stop, args=(self._program,), name="abandoned").start()

    def run(self, host: Host, order: Order) -> int:
        """The exit status of the program, run to its end; 128 and the signal's number when a signal ended it."""
        found = shutil.which(order.command[0], path=order.environment.get("PATH"))
        if found is None:
            text = f"{host.name}: {order.command[0]}: command not found\n"
            self.channel.pass_on(Kind.ERRORS, text.encode())
            return NOT_FOUND
        with _ends(order.terminal) as ends:
            self._terminal = ends.input if order.terminal else None
            try:
                status = self._attended(host, order, ends)
            finally:
                self._terminal = None
        return status if status >= 0 else 128 - status

    def _attended(self, host: Host, order: Order, ends: _Ends) -> int:
        self._program = program = _start(host, order, ends.own)
        for descriptor in set(ends.own):
            os.close(descriptor)
        if self.channel.is_closed.is_set():
            self.abandon()
        ended, end = os.pipe()
        feeder = threading.Thread(target=self._feed, args=(ends.input, order.terminal is not None))
        drains = [
            threading.Thread(target=self._drain, args=(source, kind, ended))
            for source, kind in ends.sources.items()
        ]
        for thread in (feeder, *drains):
            thread.start()
        try:
            status = program.wait()
        finally:
            os.close(end)
            self.input.put(None)
            for thread in (feeder, *drains):
                thread.join()
            os.close(ended)
        return status

    def _feed(self, target: int, is_terminal: bool) -> None:
        """Write what comes to the program, which need not read it."""
        pending = self.input.get()
        while pending is not None:
            payload = pending.payload or (_END_OF_INPUT if is_terminal else b"")
            if not payload:
                break
            with contextlib.suppress(OSError):
                write_whole(target, payload)
            with contextlib.suppress(OSError):
                self.channel.take(pending)
            pending = self.input.get()
        if not is_terminal:
            os.close(target)

    def _drain(self, source: int, kind: Kind, ended: int) -> None:
        """Pass on what comes from the program; what it has left behind may hold its output open for ever."""
        poll = select.poll()
        poll.register(source, select.POLLIN)
        poll.register(ended, select.POLLIN)
        patience = None
        while ready := [descriptor for descriptor, _ in poll.poll(patience)]:
            if ended in ready:
                poll.unregister(ended)
                patience = _QUIET
            if source not in ready:
                continue
            with contextlib.suppress(OSError):
                if chunk := os.read(source, CHUNK):
                    self.channel.pass_on(kind, chunk)
                    continue
            return


def _start(host: Host, order: Order, ends: Sequence[int]) -> subprocess.Popen[bytes]:
    has_terminal = order.terminal is not None
    return host.call(
        subprocess.Popen,
        (*_SETSID, *order.command) if has_terminal else order.command,
        cwd=order.folder if Path(order.folder).is_dir() else "/",
        env=order.environment,
        stdin=ends[0],
        stdout=ends[1],
        stderr=ends[2],
        start_new_session=not has_terminal,
    )


@contextmanager
def _ends(terminal: tuple[int, int] | None) -> Iterator[_Ends]:
    """The ends that stay ours are closed after the block; the program's own, and that of a pipe's input, in it."""
    if terminal is not None:
        ours, own = os.openpty()
        _set_size(own, *terminal)
        ends = _Ends(input=ours, sources={ours: Kind.OUTPUT}, own=(own, own, own))
    else:
        (own_input, input_), (output, own_output), (errors, own_errors) = (os.pipe() for _ in "012")
        sources = {output: Kind.OUTPUT, errors: Kind.ERRORS}
        ends = _Ends(input=input_, sources=sources, own=(own_input, own_output, own_errors))
    try:
        yield ends
    finally:
        for descriptor in ends.sources:
            os.close(descriptor)


def _set_size(terminal: int, rows: int, columns: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
