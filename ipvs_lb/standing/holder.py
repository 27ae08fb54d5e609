"""The process that holds a lab: `python -m ipvs_lb.standing.holder SETTINGS`, started by `ipvs_lb.standing.raising`.

It runs in the kernel that has the lab. There it is in a process and mount namespace of its own, or alone in a guest:
in both cases nothing of the lab outlives it.
"""

from __future__ import annotations

import os
import socket
import sys
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from ipvs_lb.errors import LBError
from ipvs_lb.lab import host
from ipvs_lb.scenario.by_hand import LabByHand, played_by_hand
from ipvs_lb.standing import names
from ipvs_lb.standing.frames import Kind, told
from ipvs_lb.standing.holding import end_when_told, watch
from ipvs_lb.standing.links import GuestEnd, Link
from ipvs_lb.standing.serving import Desk
from ipvs_lb.standing.settings import Settings, failed, ready, told_error


def main() -> int:
    """Hold the lab until its end is asked for; 1 when it could not be built."""
    settings = Settings.from_json(sys.argv[1])
    end_when_told()
    if settings.line is None:
        return _hold_here(settings)
    return _hold_in_guest(settings, settings.line)


def _hold_here(settings: Settings) -> int:
    try:
        with names.listen(settings.name) as listening, _built(settings) as desk:
            watch(listening, partial(_serve, desk), desk.ended, is_leashed=settings.is_leashed)
            ready()
            desk.ended.wait()
    except LBError as error:
        failed(error)
        return 1
    return 0


def _serve(desk: Desk, connection: socket.socket) -> None:
    with connection:
        desk.serve(Link(connection.fileno()))


def _hold_in_guest(settings: Settings, line: str) -> int:
    """Everything goes over the serial line, the news of the beginning too."""
    descriptor = os.open(line, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
    link = GuestEnd(descriptor)
    try:
        with _built(settings) as desk:
            link.send(told(0, Kind.END, {}))
            desk.serve(link)
    except LBError as error:
        link.send(told(0, Kind.END, {"error": told_error(error)}))
    return 0


@contextmanager
def _built(settings: Settings) -> Iterator[Desk]:
    host.prepare()
    with ExitStack() as stack:
        lab = stack.enter_context(
            played_by_hand(
                settings.config_path,
                settings.other_paths,
                settings.timing,
                slack=settings.slack,
            )
        )
        facts = {"name": settings.name, "kernel": settings.kernel}
        yield Desk(lab, facts, _programs(lab))


def _programs(lab: LabByHand) -> Path:
    """A folder with `ipvs-lb` as it is here, for the hosts' PATH."""
    folder = Path(lab.environment["IPVS_LB_CONFIG"]).with_name("bin")
    folder.mkdir()
    program = folder / "ipvs-lb"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ipvs_lb "$@"\n')
    program.chmod(0o755)
    return folder


if __name__ == "__main__":
    sys.exit(main())
