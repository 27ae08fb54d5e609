"""The grpc method: the standard health service (grpc.health.v1) over HTTP/2.

HTTP/2 itself is h2's, which does no I/O; the two messages have one field each and are written by hand: the request's
field 1 is a string (the service), the response's field 1 a varint (1 is SERVING).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipvs_lb.model.checks import GrpcCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, printable, quoted
from ipvs_lb.probes.tls import secure
from ipvs_lb.probes.wire import Finding, Wire

if TYPE_CHECKING:
    from h2.connection import H2Connection
    from h2.events import Event

_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_SERVING = 1
_SETTINGS = 4
_FRAME = 5  # one byte of compression flag, four of length
_CONTINUES = 0x80
_LENGTH_DELIMITED = 0x0A  # field 1, wire type 2
_VARINT = 0x08  # field 1, wire type 0
_MAX_MESSAGE = 4096
_BUDGET = 16_384  # small frames take h2 far longer than they take the server


@dataclass(slots=True)
class _Answer:
    """What has come of the answer so far."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    message: bytes = b""
    ended: bool = False


async def probe_grpc(check: GrpcCheck, wire: Wire) -> Finding:
    """Pass when the health service answers SERVING."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.exceptions import H2Error

    async with connected(wire, budget=_BUDGET) as connection:
        if check.tls is not None:
            await secure(connection, wire, check.tls, protocol="h2")
        speaker = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        try:
            await _ask(connection, speaker, check, wire)
            answer = await _read(connection, speaker)
        except H2Error as error:
            raise ProbeFailure(ErrorClass.PROTOCOL, f"HTTP/2: {printable(str(error))}") from error
    return _judge(answer)


async def _ask(connection: Connection, speaker: H2Connection, check: GrpcCheck, wire: Wire) -> None:
    authority = check.tls.server_name if check.tls and check.tls.server_name else str(wire.target)
    request = encode_request(check.service)
    speaker.initiate_connection()
    stream = speaker.get_next_available_stream_id()
    speaker.send_headers(
        stream,
        [
            (":method", "POST"),
            (":scheme", "https" if check.tls else "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "ipvs-lb"),
        ],
    )
    speaker.send_data(stream, request, end_stream=True)
    await connection.send(speaker.data_to_send())


async def _read(connection: Connection, speaker: H2Connection) -> _Answer:
    answer = _Answer()
    piece = await _settings_header(connection)
    while not answer.ended:
        if not piece:
            raise ProbeFailure(
                ErrorClass.CLOSED, "connection closed before the answer was complete"
            )
        for event in speaker.receive_data(piece):
            _note(answer, event)
        pending = speaker.data_to_send()
        if pending and not answer.ended:
            await connection.send(pending)
        if not answer.ended:
            piece = await connection.receive()
    return answer


async def _settings_header(connection: Connection) -> bytes:
    """The first frame's header, which tells HTTP/2 from everything else (RFC 9113, section 3.4)."""
    header = await connection.exactly(9)
    if header[3] != _SETTINGS or header[5:] != b"\0\0\0\0":
        raise ProbeFailure(ErrorClass.PROTOCOL, f"not HTTP/2: starts with {quoted(header)}")
    return header


def _note(answer: _Answer, event: Event) -> None:
    from h2 import events

    match event:
        case events.ResponseReceived() | events.TrailersReceived():
            answer.headers |= {bytes(name): bytes(value) for name, value in event.headers or ()}
        case events.DataReceived():
            answer.message += event.data or b""
            if len(answer.message) > _MAX_MESSAGE:
                raise ProbeFailure(
                    ErrorClass.TOO_LARGE, f"a message of more than {_MAX_MESSAGE} bytes"
                )
        case events.StreamEnded():
            answer.ended = True
        case events.StreamReset() | events.ConnectionTerminated():
            raise ProbeFailure(ErrorClass.RESET, f"HTTP/2 error {event.error_code}")
        case _:
            pass


def _judge(answer: _Answer) -> Finding:
    http_status = answer.headers.get(b":status", b"")
    if http_status != b"200":
        raise ProbeFailure(ErrorClass.STATUS, f"HTTP status {quoted(http_status)}, expected 200")
    status = answer.headers.get(b"grpc-status", b"0")
    if status != b"0":
        said = quoted(answer.headers.get(b"grpc-message", b""))
        raise ProbeFailure(ErrorClass.STATUS, f"gRPC status {quoted(status)} {said}, expected 0")
    state = decode_response(answer.message)
    if state != _SERVING:
        raise ProbeFailure(
            ErrorClass.STATUS, f"health is {_STATES.get(state, state)}, expected SERVING"
        )
    return Finding()


def encode_request(service: str) -> bytes:
    """A framed HealthCheckRequest."""
    name = service.encode()
    message = bytes((_LENGTH_DELIMITED,)) + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= _CONTINUES:
        encoded.append(number & 0x7F | _CONTINUES)
        number >>= 7
    return bytes((*encoded, number))


def decode_response(framed: bytes) -> int:
    """The status of a framed HealthCheckResponse. Raises ProbeFailure (PROTOCOL) for anything else."""
    length = int.from_bytes(framed[1:_FRAME], "big")
    message = framed[_FRAME:]
    if len(framed) < _FRAME or framed[0] != 0 or len(message) != length:
        raise ProbeFailure(ErrorClass.PROTOCOL, "not one uncompressed gRPC message")
    if not message:
        return 0
    if message[0] != _VARINT or len(message) != 2 or message[1] >= _CONTINUES:  # noqa: PLR2004  # key and value
        raise ProbeFailure(ErrorClass.PROTOCOL, f"not a health response: {quoted(message, 40)}")
    return message[1]
