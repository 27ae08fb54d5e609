"""Where labs are found: abstract sockets, whose names go with the process that holds them."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from ipvs_lb.errors import LabError, UsageError
from ipvs_lb.unix_peer import unix_peer

DEFAULT = "default"
_ADDRESS = "\0ipvs-lb-lab/{user}/{name}"
_LISTED = re.compile(r"@ipvs-lb-lab/(\d+)/([\w.-]+)$")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,39}")
_LISTENING = "00010000"  # __SO_ACCEPTCON, include/linux/net.h


def checked(name: str) -> str:
    """*name*. Raises UsageError when no lab can have it."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} is no name of a lab, expected letters, digits, `.`, `_`, `-`")
    return name


def names(user: int | None = None) -> tuple[str, ...]:
    """The labs of a user (ourselves) that are up."""
    own = os.geteuid() if user is None else user
    return tuple(sorted(name for owner, name in _listed() if owner == own))


def _listed() -> Iterator[tuple[int, str]]:
    for line in Path("/proc/net/unix").read_text().splitlines():
        found = _LISTED.search(line)
        if found is not None and line.split()[3] == _LISTENING:
            yield int(found[1]), found[2]


def listen(name: str) -> socket.socket:
    """The socket of a new lab. Raises LabError when one of the name is up."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(_ADDRESS.format(user=os.geteuid(), name=name))
        listening.listen(16)
    except OSError as error:
        listening.close()
        raise already_up(name) from error
    return listening


def already_up(name: str) -> LabError:
    """What is said when a lab of that name is up already."""
    return LabError(
        f"the lab {name} is up already",
        hint=f"ipvs-lb lab status, ipvs-lb lab down --name {name}, or another --name",
    )


def connect(name: str) -> socket.socket:
    """A connection to a lab of ours. Raises LabError when it is not up."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(_ADDRESS.format(user=os.geteuid(), name=name))
    except OSError:
        connection.close()
        raise _not_up(name) from None
    if unix_peer(connection)[1] != os.geteuid():
        connection.close()
        raise LabError(f"what answers as the lab {name} is another user's")
    return connection


def _not_up(name: str) -> LabError:
    up = names()
    if up:
        return LabError(f"there is no lab {name}", hint=f"--name {up[0]} is up")
    others = sorted({user for user, own in _listed() if own == name})
    if others:
        return LabError(f"the lab {name} is user {others[0]}'s", hint="sudo ipvs-lb lab ...")
    return LabError(f"the lab {name} is not up", hint="ipvs-lb lab up -c FILE")
