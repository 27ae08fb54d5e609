"""Where the daemon's API listens on TCP, and how it knows who asks there."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from ipvs_lb.model.identity import IPAddress, Port, endpoint

MAX_TOKEN = 1000
TOKEN_WANTED = f"expected a token of 1 to {MAX_TOKEN} visible ASCII characters without blanks"


def is_token(text: str) -> bool:
    """Whether *text* can be a bearer token; RFC 6750, section 2.1, would allow fewer characters."""
    return 1 <= len(text) <= MAX_TOKEN and text.isascii() and text.isprintable() and " " not in text


class Face(enum.Enum):
    """What answers on a listener: the daemon's own API, the Octavia-compatible one, or metrics."""

    NATIVE = "native"
    OCTAVIA = "octavia"
    METRICS = "metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiListener:
    """A TCP port for the API: with a bearer token, or with TLS and certificates that `client_ca` has signed, or both.

    Files are paths; without `key` the certificate's file has it. `origin` is where a problem with it is to be told.
    With `path` it is the unix socket there, and no TCP port.
    """

    address: IPAddress
    port: Port
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
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
        return self.token is not None or self.token_file is not None

    @property
    def files(self) -> tuple[str, ...]:
        """The files it is made of."""
        named = (self.token_file, self.certificate, self.key, self.client_ca)
        return tuple(path for path in named if path is not None)

    def flaws(self) -> Iterator[tuple[str, str]]:
        """What does not go together: the key it is about, and what is wrong.

        A token goes over TLS, except on a loopback address.
        """
        if self.token is not None and self.token_file is not None:
            yield "token_file", "either token or token_file, not both"
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
