"""The arguments of ipvsadm to what they ask for, refusing what ipvsadm 1.31 refuses, in its words.

The first option is the command. Nothing is asked of anybody but *names*, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence

from ipvs_lb.commands import Command, SetTimeouts, StopDaemon
from ipvs_lb.errors import RuleError
from ipvs_lb.ipvsadm.changes import CHANGES, service_key, start_daemon
from ipvs_lb.ipvsadm.draft import Draft, timeout
from ipvs_lb.ipvsadm.legal import check_command
from ipvs_lb.ipvsadm.options import FAILED, CommandLine
from ipvs_lb.ipvsadm.request import Change, Columns, List, ListConnections, Plain, Request, Save
from ipvs_lb.ipvsadm.words import NUMERIC, Names
from ipvs_lb.model.settings import SyncRole, Timeouts

_COMMANDS = {
    **{name: name for name in CHANGES},
    **{name: name for name in ("list", "set", "restore", "save", "start-daemon", "stop-daemon")},
    "clear": "flush",
}
_ROLES = {str(role): role for role in SyncRole}
_NOT_A_ROLE = {
    "start-daemon": "illegal start-daemon parameter specified",
    "stop-daemon": "illegal start_daemon specified",
}
_COLUMNS = {  # the first that is asked for
    "stats": Columns.STATS,
    "rate": Columns.RATE,
    "thresholds": Columns.THRESHOLDS,
    "persistent-conn": Columns.PERSISTENT,
    "tun-info": Columns.TUNNELS,
}


def parse(arguments: Sequence[str], names: Names = NUMERIC, *, program: str = "ipvsadm") -> Request:
    """What *arguments* ask for. Raises RuleError."""
    if not arguments:
        return List()
    line = CommandLine(arguments)
    name, value = _first(line, program)
    if name == "help":
        return Plain.HELP
    if name == "version":
        return Plain.VERSION
    if name not in _COMMANDS:
        raise try_help(program)
    return _sentence(_COMMANDS[name], value, line, names)


def try_help(program: str) -> RuleError:
    """What is said where nothing more exact can be."""
    return RuleError(
        f"Try `{program} -h' or '{program} --help' for more information.", status=FAILED
    )


def _first(line: CommandLine, program: str) -> tuple[str, str | None]:
    try:
        found = line.option()
    except RuleError:
        raise try_help(program) from None
    if found is None:
        raise try_help(program)
    return found


def _sentence(command: str, value: str | None, line: CommandLine, names: Names) -> Request:
    """What *command* asks for with the options that are left in *line*."""
    if command in _NOT_A_ROLE and value not in _ROLES:
        raise RuleError(_NOT_A_ROLE[command])
    draft = Draft(names)
    while option := line.option():
        draft.set(*option, line.last)
    changed = SetTimeouts(_timeouts(line.rest)) if command == "set" else None
    rest = line.rest[3:] if changed else line.rest
    if rest:
        raise RuleError(f"unexpected argument {rest[0]}")
    draft.flags()  # complains about them before anything else
    check_command(command, draft.given)
    match command:
        case "list":
            return _list(draft)
        case "save":
            return Save("numeric" in draft.given)
        case "restore":
            return Plain.RESTORE
        case _:
            return Change(changed or _change(command, value, draft))


def _change(command: str, value: str | None, draft: Draft) -> Command:
    if command == "start-daemon":
        return start_daemon(draft, _ROLES[str(value)])
    if command == "stop-daemon":
        return StopDaemon(_ROLES[str(value)])
    return CHANGES[command](draft)


def _timeouts(words: Sequence[str]) -> Timeouts:
    if len(words) < 3:  # noqa: PLR2004  # there are three
        raise RuleError("--set option requires 3 timeout values")
    tcp, tcp_fin, udp = (timeout(word) for word in words[:3])
    return Timeouts(tcp=tcp, tcp_fin=tcp_fin, udp=udp)


def _list(draft: Draft) -> Request:
    given = draft.given
    special = given & {"connection", "timeout", "daemon"}
    if (special and given & {"stats", "rate", "thresholds"}) or (
        special & {"timeout", "daemon"} and "persistent-conn" in given
    ):
        raise RuleError("options conflicts in the list command")
    if "connection" in special:
        return ListConnections(numeric="numeric" in given, engines="persistent-conn" in given)
    if special:
        return Plain.LIST_TIMEOUTS if "timeout" in special else Plain.LIST_DAEMONS
    return List(
        key=service_key(draft) if "service-address" in given else None,
        columns=next((c for name, c in _COLUMNS.items() if name in given), Columns.SETTINGS),
        numeric="numeric" in given,
        exact="exact" in given,
        sort="nosort" not in given,
    )
