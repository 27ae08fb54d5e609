"""What ipvsadm says when the kernel refuses something."""

from __future__ import annotations

import errno

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
)

NO_SUCH_SERVICE = "No such service"
_NO_SCHEDULER = "Scheduler or persistence engine not found"
_NOT_DEFINED = "Service not defined"
_NO_SERVER = "No such destination"

_OF_COMMANDS: dict[tuple[type[Command], int], str] = {
    (AddService, errno.EEXIST): "Service already exists",
    (AddService, errno.ENOENT): _NO_SCHEDULER,
    (EditService, errno.ESRCH): NO_SUCH_SERVICE,
    (EditService, errno.ENOENT): _NO_SCHEDULER,
    (DeleteService, errno.ESRCH): NO_SUCH_SERVICE,
    (ZeroCounters, errno.ESRCH): NO_SUCH_SERVICE,
    (AddServer, errno.ESRCH): _NOT_DEFINED,
    (AddServer, errno.EEXIST): "Destination already exists",
    (EditServer, errno.ESRCH): _NOT_DEFINED,
    (EditServer, errno.ENOENT): _NO_SERVER,
    (DeleteServer, errno.ESRCH): _NOT_DEFINED,
    (DeleteServer, errno.ENOENT): _NO_SERVER,
    (StartDaemon, errno.EEXIST): "Daemon has already run",
    (StopDaemon, errno.ESRCH): "No daemon is running",
}
_OF_ALL = {
    errno.EPERM: "Permission denied (you must be root)",
    errno.EINVAL: "Invalid operation.  Possibly wrong module version, address not unicast, ...",
    errno.ENOPROTOOPT: "Protocol not available",
    errno.ENOMEM: "Memory allocation problem",
    errno.EOPNOTSUPP: "Operation not supported with IPv6",
    errno.EAFNOSUPPORT: "Operation not supported with specified address family",
    errno.EMSGSIZE: "Module is wrong version",
}


def complaint(code: int, command: Command | None = None) -> str | None:
    """What is said about errno *code*, for *command*; None where the system's own words are as good."""
    own = None if command is None else _OF_COMMANDS.get((type(command), code))
    return own or _OF_ALL.get(code)
