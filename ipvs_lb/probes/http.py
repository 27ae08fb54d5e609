"""HTTP/1 as a health check needs it, without I/O: the request as bytes, and a verdict from the answer's bytes.

Rules kept here:
1. Any bytes, cut into any pieces, lead to the same verdict, and never to an exception.
2. Nothing is kept beyond `MAX_HEAD` bytes of head and the check's `body_limit` bytes of body.
3. A redirect is a status code, an encoded body is matched as it is: nothing is followed, nothing is unpacked.

Framing follows RFC 9112; bare line feeds are taken as line ends, as its section 2.2 allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from ipvs_lb.model.checks import HttpCheck
from ipvs_lb.model.results import ErrorClass, Target
from ipvs_lb.probes.failures import quoted

MAX_LINE = 16_384
MAX_HEAD = 65_536
MAX_FIELDS = 200

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_PATH_SAFE = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"
_SWITCHING = 101
_FINAL = 200
_BODILESS = {204, 304}
_MAX_CHUNK_LINE = 256


def request(check: HttpCheck, target: Target) -> bytes:
    """The request that *check* sends. Raises ValueError where it could not be told from two requests."""
    fields = {
        "host": ("Host", check.host or _authority(target, secure=check.tls is not None)),
        "user-agent": ("User-Agent", "ipvs-lb"),
        "accept": ("Accept", "*/*"),
        "accept-encoding": ("Accept-Encoding", "identity"),
        "connection": ("Connection", "close"),
    }
    if check.body is not None:
        fields["content-length"] = ("Content-Length", str(len(check.body)))
    fields |= {name.lower(): (name, value) for name, value in check.headers}
    if not _TOKEN.fullmatch(check.method):
        raise ValueError(f"method {check.method!r}: not an HTTP token")
    path = quote(check.path, safe=_PATH_SAFE)
    lines = [f"{check.method} {path} HTTP/{check.http_version}"]
    lines += [_header(name, value) for name, value in fields.values()]
    return "\r\n".join((*lines, "", "")).encode() + (check.body or b"")


def _authority(target: Target, *, secure: bool) -> str:
    usual = target.port == (443 if secure else 80)
    return str(target).rpartition(":")[0] if usual else str(target)


def _header(name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"header {name!r}: not an HTTP token")
    if any(char < " " and char != "\t" for char in value) or "\x7f" in value:
        raise ValueError(f"header {name}: control characters in its value")
    return f"{name}: {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer means; `body` is what `body_regex`, if the check has one, has still to be found in."""

    error: ErrorClass | None = None
    detail: str = ""
    body: bytes = b""


_CUT_SHORT = Verdict(
    error=ErrorClass.CLOSED, detail="connection closed before the answer was complete"
)


class Answer:
    """The answer to one request, fed piece by piece until there is a verdict."""

    def __init__(self, check: HttpCheck) -> None:
        self._check = check
        self._needle = None if check.body_contains is None else check.body_contains.encode()
        self._buffer = bytearray()
        self._body = bytearray()
        self._step: Callable[[], bool] = self._status_line
        self._verdict: Verdict | None = None
        self._status = 0
        self._head = 0
        self._fields = 0
        self._lengths: set[bytes] = set()
        self._codings: list[bytes] = []
        self._left = 0
        self._ends_with_connection = False

    def feed(self, piece: bytes) -> Verdict | None:
        """Take the next bytes; the verdict as soon as there is one, and the same one from then on."""
        if self._verdict is None:
            self._buffer += piece
            self._advance()
        return self._verdict

    def end(self) -> Verdict:
        """The verdict when the connection ends here."""
        if self._verdict is None:
            self._finish()
        return self._verdict or _CUT_SHORT

    def _advance(self) -> None:
        while self._verdict is None and self._step():
            pass

    def _finish(self) -> None:
        if self._ends_with_connection:
            self._conclude()
        elif self._step == self._status_line and not b"HTTP/1.".startswith(bytes(self._buffer)):
            self._not_http()

    def _fail(self, error: ErrorClass, detail: str) -> bool:
        self._verdict = Verdict(error=error, detail=detail)
        return False

    def _not_http(self) -> bool:
        return self._fail(
            ErrorClass.PROTOCOL,
            f"not an HTTP/1 answer: starts with {quoted(bytes(self._buffer[:8]))}",
        )

    def _line(self, limit: int) -> bytes | None:
        """The next line, or None when it is incomplete or too long (then there is a verdict)."""
        found = self._buffer.find(b"\n", 0, limit + 1)
        if found < 0:
            if len(self._buffer) > limit:
                self._fail(ErrorClass.TOO_LARGE, f"a line of more than {limit} bytes")
            return None
        line = bytes(self._buffer[:found])
        del self._buffer[: found + 1]
        return line.removesuffix(b"\r")

    def _head_line(self) -> bytes | None:
        line = self._line(MAX_LINE)
        if line is None:
            return None
        self._head += len(line) + 1
        self._fields += 1
        if self._head > MAX_HEAD or self._fields > MAX_FIELDS:
            self._fail(
                ErrorClass.TOO_LARGE, f"a head of more than {MAX_HEAD} bytes or {MAX_FIELDS} fields"
            )
            return None
        return line

    def _status_line(self) -> bool:
        if len(self._buffer) < len(b"HTTP/1.1"):
            return False
        if not self._buffer.startswith(b"HTTP/1."):
            return self._not_http()
        line = self._head_line()
        if line is None:
            return False
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            return self._fail(ErrorClass.PROTOCOL, f"not a status line: {quoted(line)}")
        self._status = int(match[1])
        self._step = self._field
        return self._is_interim() or self._is_expected() or self._refuse_status()

    def _is_interim(self) -> bool:
        return self._status < _FINAL and self._status != _SWITCHING

    def _is_expected(self) -> bool:
        return any(low <= self._status <= high for low, high in self._check.expect_codes)

    def _refuse_status(self) -> bool:
        wanted = ",".join(
            str(low) if low == high else f"{low}-{high}" for low, high in self._check.expect_codes
        )
        return self._fail(ErrorClass.STATUS, f"status {self._status}, expected {wanted}")

    def _field(self) -> bool:
        line = self._head_line()
        if line is None:
            return False
        if not line:
            return self._end_of_head()
        if line[:1] in b" \t":  # a folded line, RFC 9112 section 5.2: part of the value before
            return True
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name.decode("latin-1")):
            return self._fail(ErrorClass.PROTOCOL, f"not a header field: {quoted(line)}")
        self._note(name.lower(), value.strip(b" \t"))
        return True

    def _note(self, name: bytes, value: bytes) -> None:
        if self._is_interim():
            return
        if name == b"content-length":
            self._lengths.update(part.strip() for part in value.split(b","))
        elif name == b"transfer-encoding":
            self._codings += [part.strip().lower() for part in value.split(b",")]

    def _end_of_head(self) -> bool:
        if self._is_interim():
            self._step = self._status_line
            return True
        if self._needle is None and self._check.body_regex is None:
            return self._pass()
        if self._check.method == "HEAD" or self._status in _BODILESS or self._status == _SWITCHING:
            return self._conclude()
        return self._choose_framing()

    def _choose_framing(self) -> bool:
        """RFC 9112 section 6.3."""
        if self._codings:
            self._ends_with_connection = self._codings[-1] != b"chunked"
            self._step = self._rest if self._ends_with_connection else self._chunk_size
            return True
        if not self._lengths:
            self._ends_with_connection = True
            self._step = self._rest
            return True
        if len(self._lengths) > 1 or not all(map(_LENGTH.fullmatch, self._lengths)):
            return self._fail(ErrorClass.PROTOCOL, "Content-Length is not one number")
        self._left = int(next(iter(self._lengths)))
        self._step = self._counted
        return True

    def _rest(self) -> bool:
        piece = bytes(self._buffer)
        self._buffer.clear()
        return self._keep(piece) and bool(piece)

    def _counted(self) -> bool:
        if not self._left:
            return self._conclude()
        return self._take_counted()

    def _take_counted(self) -> bool:
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(piece)
        return self._keep(piece) and bool(piece)

    def _chunk_size(self) -> bool:
        line = self._line(_MAX_CHUNK_LINE)
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            return self._fail(ErrorClass.PROTOCOL, f"not a chunk size: {quoted(line)}")
        self._left = int(match[1], 16)
        if not self._left:
            return self._conclude()
        self._step = self._chunk
        return True

    def _chunk(self) -> bool:
        if self._left:
            return self._take_counted()
        line = self._line(_MAX_CHUNK_LINE)
        if line is None:
            return False
        if line:
            return self._fail(ErrorClass.PROTOCOL, f"no line end after a chunk: {quoted(line)}")
        self._step = self._chunk_size
        return True

    def _keep(self, piece: bytes) -> bool:
        """Add to the body; False when that gave a verdict."""
        before = len(self._body)
        self._body += piece[: self._check.body_limit - before]
        full = len(self._body) >= self._check.body_limit
        if self._needle is not None and self._check.body_regex is None:
            found = self._body.find(self._needle, max(0, before - len(self._needle) + 1))
            if found >= 0:
                return self._pass()
        return self._conclude() if full else True

    def _conclude(self) -> bool:
        """The body is complete, or as much of it as the check looks at."""
        if self._needle is not None and self._needle not in self._body:
            return self._fail(
                ErrorClass.BODY,
                f"{quoted(self._check.body_contains or '')} is not in the body's first "
                f"{len(self._body)} bytes",
            )
        return self._pass(bytes(self._body))

    def _pass(self, body: bytes = b"") -> bool:
        self._verdict = Verdict(detail=f"status {self._status}", body=body)
        return False
