"""Where the daemon's API listens on TCP, and how it knows who asks there."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from ipvs_lb.model.identity import IPAddress, Port, endpoint

MAX_TOKEN = 1000
TOKEN_WANTED = f"expected a token of 1 to {MAX_TOKEN} visible ASCII characters without blanks"

SAME_TOKEN = "the read-only token is the one that may do everything, expected another"  # noqa: S105  # says it, is none


def is_token(text: str) -> bool:
    """Whether *text* can be a bearer token; RFC 6750, section 2.1, would allow fewer characters."""
    return 1 <= len(text) <= MAX_TOKEN and text.isascii() and text.isprintable() and " " not in text


class Role(enum.Enum):
    """What somebody who was let in may do: everything, or look."""

    OPERATOR = "operator"
    VIEWER = "viewer"


class Face(enum.Enum):
    """What answers on a listener: the daemon's own API, the Octavia-compatible one, or metrics."""

    NATIVE = "native"
    OCTAVIA = "octavia"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiListener:
    """A TCP port for the API: with bearer tokens, or with TLS and certificates that `client_ca` has signed, or both.

    Who has the read-only token is a viewer, everybody else an operator. Files are paths; without `key` the certificate's
    file has it. `origin` is where a problem with it is to be told. With `path` it is the unix socket there, and no TCP
    port.
    """

    address: IPAddress
    port: Port
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    read_only_token: str | None = field(default=None, repr=False)
    read_only_token_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    client_ca: str | None = None
    path: str | None = None
    face: Face = Face.NATIVE
    origin: str = field(default="api", compare=False)

    def __str__(self) -> str:
        return endpoint(self.address, self.port) if self.path is None else self.path

    @property
    def place(self) -> tuple[object, ...]:
        """Where it is: two at one place cannot be open at the same time."""
        return (self.address, self.port) if self.path is None else (self.path,)

    @property
    def takes_tokens(self) -> bool:
        """Whether a token is asked for."""
        every = (self.token, self.token_file, self.read_only_token, self.read_only_token_file)
        return any(one is not None for one in every)

    @property
    def files(self) -> tuple[str, ...]:
        """The files it is made of."""
        tokens = (self.token_file, self.read_only_token_file)
        named = (*tokens, self.certificate, self.key, self.client_ca)
        return tuple(path for path in named if path is not None)

    def flaws(self) -> Iterator[tuple[str, str]]:
        """What does not go together: the key it is about, and what is wrong.

        A token goes over TLS, except on a loopback address.
        """
        for key in ("token", "read_only_token"):
            if None not in {getattr(self, key), getattr(self, f"{key}_file")}:
                yield f"{key}_file", f"either {key} or {key}_file, not both"
        if self.token is not None and self.token == self.read_only_token:
            yield "read_only_token", SAME_TOKEN
        if not self.takes_tokens and self.client_ca is None:
            yield "token", "it must know who asks: token, token_file or client_ca is missing"
        if self.certificate is None:
            yield from self._flaws_without_tls()

    def _flaws_without_tls(self) -> Iterator[tuple[str, str]]:
        if self.key is not None:
            yield "key", "a key goes with a certificate, which is missing"
        if self.client_ca is not None:
            yield "client_ca", "client certificates go with TLS: certificate is missing"
        elif not self.address.is_loopback:
            yield (
                "certificate",
                "required key is missing: without TLS a token goes to a loopback address only",
            )

    def covers(self, other: ApiListener) -> bool:
        """Whether both would listen for some of the same connections."""
        if self.path is not None or other.path is not None:
            return self.path == other.path
        if self.port != other.port or self.address.version != other.address.version:
            return False
        return (
            self.address == other.address
            or self.address.is_unspecified
            or other.address.is_unspecified
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The API beside its unix socket."""

    listen: tuple[ApiListener, ...] = ()
