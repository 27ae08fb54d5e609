"""Where the API listens: the sockets, on unix and on TCP."""

from __future__ import annotations

import errno
import grp
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipvs_lb.errors import LBError
from ipvs_lb.model.api import ApiListener

BACKLOG = 128
_CONNECT_TIME = 1.0
_IP_FREEBIND = 15  # include/uapi/linux/in.h
_UNHEARD = 30_000  # milliseconds without an acknowledgement after which a client counts as gone; accepted sockets inherit it


@contextmanager
def unix_socket(path: Path, *, group: str | None, mode: int) -> Iterator[socket.socket]:
    """A listening socket at *path*, in place of one that nobody listens on any more; removed at the end.

    It can be reached only once owner and mode are right. Raises LBError.
    """
    made = shared_socket(path, group=group, mode=mode)
    with made:
        own = path.stat().st_ino
        try:
            yield made
        finally:
            remove(path, own)


def shared_socket(path: Path, *, group: str | None, mode: int) -> socket.socket:
    """As `unix_socket`, for whoever removes it by `remove`. Raises LBError."""
    try:
        return _bound(path, group=group, mode=mode)
    except OSError as problem:
        raise LBError(f"{path}: {problem.strerror or problem}") from problem


def _bound(path: Path, *, group: str | None, mode: int) -> socket.socket:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _refuse_if_used(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.bind(os.fspath(draft))
        if group is not None:
            os.chown(draft, -1, _group_id(group))
        draft.chmod(mode)
        made.listen(BACKLOG)
        draft.replace(path)
    except (OSError, LBError):
        made.close()
        draft.unlink(missing_ok=True)
        raise
    return made


def _refuse_if_used(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_socket():
        raise LBError(
            f"{path}: there is a file that is no socket", hint=f"see what it is: ls -l {path}"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_TIME)
        answered = probe.connect_ex(os.fspath(path))
    if answered not in {errno.ECONNREFUSED, errno.ENOENT}:
        raise LBError(
            f"{path}: another ipvs-lb listens there already",
            hint="`ipvs-lb status` asks it; stop it, or choose another socket",
        )


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise LBError(f"there is no group {name}", hint=f"groupadd --system {name}") from None


def remove(path: Path, own: int) -> None:
    """Remove *path*, inode *own*, unless somebody else has put another there in the meantime."""
    try:
        if path.stat().st_ino == own:
            path.unlink()
    except FileNotFoundError:
        return


def tcp_socket(listener: ApiListener, *, shared: bool = False) -> socket.socket:
    """A listening TCP socket, also on an address that is not there yet; *shared* with sockets that allow it.

    Raises LBError.
    """
    address = listener.address
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IP versions
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)  # counts for IPv6 sockets as well
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a body waits for no head
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        made.bind((str(address), listener.port))
        made.listen(BACKLOG)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    except OSError as problem:
        made.close()
        raise LBError(f"cannot listen on {listener}: {problem.strerror}") from problem
    return made
