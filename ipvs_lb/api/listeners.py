"""Where the API listens: the unix socket, and the TCP port that exists only with proof of who asks."""

from __future__ import annotations

import errno
import grp
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.errors import LBError, UsageError
from ipvs_lb.model.identity import IPAddress, Port, endpoint

BACKLOG = 128
_CONNECT_TIME = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpListener:
    """A TCP port for the API: with a bearer `token`, or with TLS and certificates that `client_ca` has signed, or both.

    A token goes over TLS, except on a loopback address. Raises UsageError when that is not so.
    """

    address: IPAddress
    port: Port
    token: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        where = endpoint(self.address, self.port)
        if self.token is None and self.client_ca is None:
            raise UsageError(f"the API on {where} needs a token, or a CA for client certificates")
        if self.token is not None and not (self.token.isascii() and self.token.strip()):
            raise UsageError(f"the token for the API on {where} is empty or not ASCII")
        if self.certificate is None and (self.client_ca or not self.address.is_loopback):
            raise UsageError(f"the API on {where} needs a certificate for TLS")


@contextmanager
def unix_socket(path: Path, *, group: str | None, mode: int) -> Iterator[socket.socket]:
    """A listening socket at *path*, in place of one that nobody listens on any more; removed at the end.

    It can be reached only once owner and mode are right. Raises LBError.
    """
    try:
        made = _bound(path, group=group, mode=mode)
    except OSError as problem:
        raise LBError(f"{path}: {problem.strerror or problem}") from problem
    with made:
        own = path.stat().st_ino
        try:
            yield made
        finally:
            _remove(path, own)


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


def _remove(path: Path, own: int) -> None:
    """Remove *path* unless somebody else has put another there in the meantime."""
    try:
        if path.stat().st_ino == own:
            path.unlink()
    except FileNotFoundError:
        return


@contextmanager
def tcp_socket(listener: TcpListener) -> Iterator[socket.socket]:
    """A listening TCP socket. Raises LBError."""
    address = listener.address
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IP versions
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((str(address), listener.port))
            made.listen(BACKLOG)
        except OSError as problem:
            where = endpoint(address, listener.port)
            raise LBError(f"the API cannot listen on {where}: {problem.strerror}") from problem
        yield made
