"""What a TCP listener lets clients in by: its tokens and its TLS, read from their files.

Only regular files are read, of bounded size. No message, and no `repr`, shows a token or a key.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ipvs_lb.errors import LBError
from ipvs_lb.model.api import SAME_TOKEN, TOKEN_WANTED, ApiListener, Role, is_token

MAX_FILE = 1024 * 1024
"""Bytes: a whole bundle of certification authorities fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Tokens with what each allows, TLS, or both; equal when they were made from the same contents."""

    tokens: Mapping[str, Role] = field(default_factory=dict, repr=False, compare=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    mark: bytes = field(default=b"", repr=False)


def read(listener: ApiListener) -> Credentials:
    """The credentials of *listener* as its files are now. Raises LBError naming the key that is wrong."""
    tokens = _tokens(listener)
    mark = hashlib.sha256(repr(tokens).encode())
    for key in ("certificate", "key", "client_ca"):
        path = getattr(listener, key)
        content = b"" if path is None else _content(key, path)
        mark.update(b"%b %d " % (key.encode(), len(content)) + content)
    return Credentials(tokens=tokens, tls=_tls(listener), mark=mark.digest())


def _tokens(listener: ApiListener) -> dict[str, Role]:
    operator, viewer = listener.token, listener.read_only_token
    if listener.token_file is not None:
        operator = token_in(listener.token_file)
    if listener.read_only_token_file is not None:
        viewer = token_in(listener.read_only_token_file, key="read_only_token_file")
    if operator is not None and operator == viewer:
        raise LBError(f"read_only_token: {SAME_TOKEN}")
    roles = ((operator, Role.OPERATOR), (viewer, Role.VIEWER))
    return {token: role for token, role in roles if token is not None}


def token_in(path: str, *, key: str = "token_file") -> str:
    """The token that the file at *path*, which *key* names, holds. Raises LBError."""
    try:
        found = _content(key, path).decode("ascii").strip()
    except UnicodeDecodeError:
        found = ""
    if not is_token(found):
        raise LBError(f"{key}: {path}: {TOKEN_WANTED}")
    return found


def _content(key: str, path: str) -> bytes:
    try:
        with open(path, "rb", opener=_open) as file:  # Path.open has no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LBError(f"{key}: {path} is not a regular file")
            content = file.read(MAX_FILE + 1)
    except OSError as problem:
        raise LBError(f"{key}: cannot read {path}: {problem.strerror}") from problem
    if len(content) > MAX_FILE:
        raise LBError(f"{key}: {path} has more than {MAX_FILE} bytes")
    return content


def _open(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # a pipe without a writer does not block


def _tls(listener: ApiListener) -> ssl.SSLContext | None:
    if listener.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    own = listener.key or listener.certificate
    try:
        context.load_cert_chain(listener.certificate, listener.key, password=_encrypted(own))
    except (OSError, ValueError) as problem:
        raise LBError(f"certificate: {listener.certificate}: {_reason(problem)}") from problem
    if listener.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(listener.client_ca)
        except (OSError, ValueError) as problem:
            raise LBError(f"client_ca: {listener.client_ca}: {_reason(problem)}") from problem
    return context


def _encrypted(path: str) -> Callable[[], str]:
    """Called for a key that is encrypted; OpenSSL would ask the terminal."""

    def refuse() -> str:
        raise LBError(
            f"key: {path} is encrypted, expected a key without a passphrase",
            hint="openssl pkey -in FILE -out PLAIN",
        )

    return refuse


def _reason(problem: Exception) -> str:
    if not isinstance(problem, ssl.SSLError):
        return str(problem)
    if problem.reason == "KEY_VALUES_MISMATCH":
        return "the key is not the one of the certificate"
    return f"it is no PEM as expected, or its key is missing ({problem.reason or problem})"
