"""The running daemon, as the commands ask it: JSON over HTTP on its unix socket, or on TCP."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import quote, urlencode

from ipvs_lb.cli.reach import TOKEN, Remote, Where
from ipvs_lb.errors import ConfigError, DaemonError, KernelError, LBError, UsageError

if TYPE_CHECKING:
    from ipvs_lb.api.answers import EventView

PATIENCE = 60.0
"""Seconds without a byte after which the daemon is taken for dead; event streams say something every 15 s."""

Query = Mapping[str, Sequence[str] | str | int]
_OK = 200
_BUFFER = 256 * 1024
_AROUND = {b"\n", b"]}"}
"""The lines of a long list that are no item."""
_STRANGER = 401
_REFUSALS = range(400, 500)


class AbsentError(DaemonError):
    """No daemon listens on the socket."""


class SocketConnection(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Daemon:
    """The daemon behind one socket, or at one URL.

    Every call raises LBError: AbsentError when nobody listens on the socket, and so no daemon runs here.
    """

    def __init__(self, where: Where, *, patience: float = PATIENCE) -> None:
        self._where = where
        self._patience = patience

    def get(self, path: str, query: Query | None = None, *, also: Sequence[int] = ()) -> Any:
        """The answer to a question; answers with one of the statuses *also* are answers too."""
        return self._ask("GET", _target(path, query), also=also)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The answer to an order."""
        return self._ask("POST", path, json.dumps(body) if body is not None else None)

    def delete(self, path: str, query: Query) -> Any:
        """The answer to the end of an order."""
        return self._ask("DELETE", _target(path, query))

    def follow(self, after: int) -> Iterator[EventView]:
        """Events numbered above *after* as they happen, until the daemon ends."""
        with self._answer("GET", _target("/v1/events", {"after": after, "follow": "true"})) as got:
            _expect(got, ())
            for line in got:
                if line.startswith(b"data: "):
                    event: EventView = json.loads(line.removeprefix(b"data: "))
                    yield event

    def _ask(
        self, method: str, target: str, body: str | None = None, *, also: Sequence[int] = ()
    ) -> Any:  # one of ipvs_lb.api.answers, as the caller knows
        with self._answer(method, target, body) as got:
            return _expect(got, also)

    @contextmanager
    def _answer(
        self, method: str, target: str, body: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        headers = {} if body is None else {"Content-Type": "application/json"}
        if isinstance(self._where, Remote) and self._where.token is not None:
            headers["Authorization"] = f"Bearer {self._where.token}"
        try:
            with suppress(BrokenPipeError):  # refused before all was sent: the answer says why
                connection.request(method, target, body, headers)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise self._error(problem) from problem
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        where = self._where
        if not isinstance(where, Remote):
            return SocketConnection(where, self._patience)
        if not where.secure:
            return http.client.HTTPConnection(where.host, where.port, timeout=self._patience)
        return http.client.HTTPSConnection(
            where.host, where.port, timeout=self._patience, context=where.tls()
        )

    def _error(self, problem: Exception) -> DaemonError:
        if isinstance(problem, TimeoutError):
            return DaemonError(
                f"the daemon on {self._where} was silent for {self._patience:g} s",
                hint="see `systemctl status ipvs-lb` and its log",
            )
        told = _elsewhere if isinstance(self._where, Remote) else _here
        return told(str(self._where), problem)


def _here(path: str, problem: Exception) -> DaemonError:
    match problem:
        case FileNotFoundError() | ConnectionRefusedError():
            return AbsentError(
                f"no ipvs-lb daemon listens on {path}",
                hint="start it with `systemctl start ipvs-lb` or `ipvs-lb run`",
            )
        case PermissionError():
            return DaemonError(
                f"{path}: not permitted", hint="run as root or as a member of the socket's group"
            )
        case _:
            return DaemonError(f"the daemon on {path} broke off: {problem}")


def _elsewhere(url: str, problem: Exception) -> DaemonError:
    match problem:
        case ssl.SSLCertVerificationError():
            return DaemonError(
                f"{url}: its certificate is not believed: {problem.verify_message}",
                hint="name who has signed it with --ca-file",
            )
        case ssl.SSLError():
            reason = problem.reason or str(problem)
            hint = "show a certificate with --cert and --key" if "ALERT" in reason else None
            return DaemonError(f"{url}: no TLS: {reason.replace('_', ' ').lower()}", hint=hint)
        case http.client.HTTPException() | ConnectionResetError() | BrokenPipeError():
            return DaemonError(f"the daemon on {url} broke off: {problem}")
        case OSError():
            return DaemonError(
                f"{url} cannot be reached: {problem.strerror or problem}",
                hint="the `api` block of the daemon's configuration says where it listens",
            )
        case _:
            return DaemonError(f"{url} is no ipvs-lb daemon: {problem}")


def _target(path: str, query: Query | None) -> str:
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def explain_path(server: str) -> str:
    """Where *server*, whatever its characters, is explained."""
    return f"/v1/servers/{quote(server, safe='')}/explain"


def _expect(got: http.client.HTTPResponse, also: Sequence[int]) -> Any:
    """The answer, parsed unless it is a stream. Raises LBError for any other answer than success."""
    if got.status == _OK and got.headers.get_content_type() == "text/event-stream":
        return None
    if got.status != _OK and got.status not in also:
        _refuse(got.status, got.read())
    return _parsed(got)


def _parsed(got: http.client.HTTPResponse) -> Any:
    """The answer; a long list has a line for every item, which is parsed while the daemon makes the next."""
    lines = io.BufferedReader(cast("io.RawIOBase", got), _BUFFER)
    first = lines.readline()
    if not first.endswith(b"[\n"):
        return json.loads(first + lines.read())
    answer = json.loads(first + b"]}")
    *_, items = answer.values()
    items += [json.loads(line.rstrip(b",\n")) for line in lines if line not in _AROUND]
    return answer


def _refuse(status: int, body: bytes) -> NoReturn:
    try:
        error = json.loads(body)["error"]
        kind, message, hint, problems = (error[n] for n in ("kind", "message", "hint", "problems"))
    except (ValueError, KeyError, TypeError):
        text = body[:200].decode(errors="replace").strip()
        raise DaemonError(f"the daemon answered {status}: {text}") from None
    if kind == ConfigError.__name__:
        raise ConfigError(problems)
    if len(problems) > 1:
        message = "\n".join(problems)
    if status == _STRANGER:
        hint = f"give it with --token-file or in {TOKEN}"
    raise _class_of(kind, status)(message, hint=hint)


def _class_of(kind: str, status: int) -> type[LBError]:
    if kind in {KernelError.__name__, "RefusedError"}:
        return KernelError
    return UsageError if status in _REFUSALS else LBError
