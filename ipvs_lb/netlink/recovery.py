"""What a failed command still needs for its wanted result.

Rules kept here:
1. Deleting what is gone is done. Adding what is there is an edit, editing what is gone is an add.
2. A later command of the same batch on the same thing has already decided the result: nothing is sent after it.
3. A server without its service is tried again when the service is added after all.
4. Anything else is a refusal.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    StartDaemon,
    StopDaemon,
)

Retry = Callable[[Command], bool]
"""Whether something was done about a missing scheduler or engine, so that the same command may work now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to send next for which index of the batch, and the errno of those that are refused."""

    again: tuple[tuple[int, Command], ...]
    refused: Mapping[int, int]


def settle(commands: Sequence[Command], failed: Mapping[int, int], retry: Retry) -> Outcome:
    """What is to be done about the *failed* (errno by index) of *commands*."""
    last = _last_words(commands)
    orphans = {i: c for i, c in failed.items() if _is_orphan(commands[i], c)}
    again: list[tuple[int, Command]] = []
    refused: dict[int, int] = {}
    for index in sorted(failed.keys() - orphans.keys()):
        steps = _follow_up(commands[index], failed[index], retry)
        if steps is None:
            refused[index] = failed[index]
        elif _decides(commands, index, last):
            again += [(index, step) for step in steps]
    revived = {step.key for _, step in again if isinstance(step, AddService)}
    for index in sorted(orphans):
        command = commands[index]
        if isinstance(command, AddServer | EditServer) and command.key in revived:
            again.append((index, AddServer(command.key, command.server_key, command.server)))
        else:
            refused[index] = failed[index]
    return Outcome(tuple(again), refused)


def _is_orphan(command: Command, code: int) -> bool:
    """A server to add or edit, without its service."""
    return isinstance(command, AddServer | EditServer) and code == errno.ESRCH


def _follow_up(command: Command, code: int, retry: Retry) -> tuple[Command, ...] | None:
    """The commands that still reach what *command* wanted; None when it is refused."""
    match command, code:
        case ((DeleteServer() | DeleteService() | StopDaemon()), (errno.ESRCH | errno.ENOENT)):
            return ()
        case AddService(key, service), errno.EEXIST:
            return (EditService(key, service),)
        case EditService(key, service), errno.ESRCH:
            return (AddService(key, service),)
        case AddServer(key, server_key, server), errno.EEXIST:
            return (EditServer(key, server_key, server),)
        case EditServer(key, server_key, server), errno.ENOENT:
            return (AddServer(key, server_key, server),)
        case StartDaemon(daemon), errno.EEXIST:
            return StopDaemon(daemon.role), command
        case ((AddService() | EditService()), errno.ENOENT) if retry(command):
            return (command,)
        case _:
            return None


def _subject(command: Command) -> object:
    """What *command* is about; equal for commands on the same thing."""
    match command:
        case AddService(key) | EditService(key) | DeleteService(key):
            return key
        case (
            AddServer(key, server_key) | EditServer(key, server_key) | DeleteServer(key, server_key)
        ):
            return key, server_key
        case StartDaemon(daemon):
            return daemon.role
        case StopDaemon(role):
            return role
        case _:
            return type(command)


def _last_words(commands: Sequence[Command]) -> dict[object, int]:
    """The index of the last command on each thing, and of the last removal of each service."""
    last: dict[object, int] = {}
    for index, command in enumerate(commands):
        last[_subject(command)] = index
        if isinstance(command, DeleteService):
            last[DeleteService, command.key] = index
    return last


def _decides(commands: Sequence[Command], index: int, last: Mapping[object, int]) -> bool:
    """Whether no later command of the batch makes the result of this one irrelevant."""
    command = commands[index]
    later = [last[_subject(command)], last.get(Flush, index)]
    if isinstance(command, AddServer | EditServer):
        later.append(last.get((DeleteService, command.key), index))
    return max(later) == index
