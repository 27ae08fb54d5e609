"""How the commands reach the daemon: its unix socket, or its API on TCP from another machine."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import click
from click.core import ParameterSource

from ipvs_lb.errors import UsageError

if TYPE_CHECKING:
    import ssl

SOCKET = Path("/run/ipvs-lb/api.sock")
TOKEN = "IPVS_LB_TOKEN"  # noqa: S105  # the variable's name
_PORTS = {"https": 443, "http": 80}
_MAX_TOKEN_FILE = 4096

Command = Callable[..., object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A daemon's API on TCP, with what it asks for. Without `ca_file` the system's authorities are believed."""

    host: str
    port: int
    secure: bool = True
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}"

    def tls(self) -> ssl.SSLContext:
        """How TLS is spoken with it. Raises UsageError for files that cannot be used."""
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as problem:
            raise UsageError(f"--ca-file {self.ca_file}: {problem}") from problem
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except OSError as problem:
                files = f"--cert {self.cert}" + (f" --key {self.key}" if self.key else "")
                raise UsageError(f"{files}: {problem}") from problem
        return context


Where = Path | Remote
"""The daemon's socket, or its API elsewhere."""

socket_option = click.option(
    "--socket",
    "socket_path",
    type=click.Path(path_type=Path),
    default=SOCKET,
    envvar="IPVS_LB_SOCKET",
    show_default=True,
    show_envvar=True,
    metavar="PATH",
    is_eager=True,
    help="Where the daemon listens.",
)


def _elsewhere(name: str, metavar: str, text: str) -> Callable[[Command], Command]:
    variable = f"IPVS_LB{name[1:].upper().replace('-', '_')}"
    return click.option(
        name, envvar=variable, show_envvar=True, metavar=metavar, is_eager=True, help=text
    )


_OPTIONS = (
    socket_option,
    _elsewhere("--url", "URL", "Ask the daemon of another machine: https://HOST:PORT."),
    _elsewhere("--token-file", "FILE", f"The token for --url; {TOKEN} can hold it instead."),
    _elsewhere("--ca-file", "FILE", "Who may have signed the certificate of --url."),
    _elsewhere("--cert", "FILE", "Certificate to show to --url."),
    _elsewhere("--key", "FILE", "Key of --cert, if not in the same file."),
)
_NAMES = ("socket_path", "url", "token_file", "ca_file", "cert", "key")


def daemon_options(function: Command) -> Command:
    """Give a command the options that say where the daemon is; it gets what they mean as `where`."""

    @functools.wraps(function)
    def command(**given: Any) -> object:
        where = where_of(click.get_current_context(), given)
        rest = {name: value for name, value in given.items() if name not in _NAMES}
        return function(where=where, **rest)

    decorated: Command = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def where_of(context: click.Context, given: Mapping[str, Any]) -> Where:
    """Where the daemon is. What the command line says counts for more than the environment. Raises UsageError."""
    socket: Path = given.get("socket_path") or SOCKET
    url = given.get("url")
    typed = {
        name for name in _NAMES if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if {"socket_path", "url"} <= typed:
        raise UsageError("either --socket or --url, not both")
    if not url or "socket_path" in typed:
        for name in _NAMES[2:]:
            if name in typed:
                raise UsageError(f"--{name.replace('_', '-')} goes with --url")
        return socket
    return _remote(str(url), {name: given.get(name) for name in _NAMES[2:]})


def _remote(url: str, files: Mapping[str, str | None]) -> Remote:
    parts, port = _parts(url)
    secure = parts.scheme == "https"
    if not secure and not _is_here(parts.hostname or ""):
        raise UsageError(f"--url {url}: expected https, except for a loopback address")
    if files["key"] and not files["cert"]:
        raise UsageError("--key goes with --cert")
    paths = {name: Path(path) for name, path in files.items() if path and name != "token_file"}
    token = _token(files["token_file"])
    return Remote(host=parts.hostname or "", port=port, secure=secure, token=token, **paths)


def _parts(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise UsageError(f"--url: {problem}") from None
    beyond = parts.username or parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not parts.hostname or beyond:
        raise UsageError("--url: expected https://HOST:PORT, and nothing more")
    return parts, port or _PORTS[parts.scheme]


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(path: str | None) -> str | None:
    from ipvs_lb.model.api import TOKEN_WANTED, is_token

    if not path:
        found, source = os.environ.get(TOKEN), TOKEN
    else:
        source = f"--token-file {path}"
        try:
            with Path(path).open(encoding="ascii", errors="replace") as file:
                found = file.read(_MAX_TOKEN_FILE).strip()
        except OSError as problem:
            raise UsageError(f"{source}: {problem.strerror}") from problem
    if found is not None and not is_token(found):
        raise UsageError(f"{source}: {TOKEN_WANTED}")
    return found
