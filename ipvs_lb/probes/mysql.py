"""The mysql method: a server greets, and goes through a log-in as nobody until it refuses it.

Leaving right after the greeting would count against the gateway: after `max_connect_errors` interrupted handshakes
the server blocks the host. A refused log-in is not such an error. The client answers are those of the client/server
protocol: HandshakeResponse41 without a password, then empty answers to whatever the server's plugins ask.
"""

from __future__ import annotations

import struct

from ipvs_lb.model.checks import MysqlCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.wire import Finding, Wire

_GREETING = 10
_OK, _MORE, _SWITCH, _ERROR = 0x00, 0x01, 0xFE, 0xFF
_LOGIN_REFUSED = {1044, 1045, 1251, 1524, 1698, 2061, 3118, 3159, 3955, 4151}
_MAX_PACKET = 16_384
_MAX_ROUNDS = 5
_PROTOCOL_41, _SECURE, _PLUGIN_AUTH = 1 << 9, 1 << 15, 1 << 19
_UTF8 = 33
_HANDSHAKE = (
    struct.pack("<IIB23x", _PROTOCOL_41 | _SECURE | _PLUGIN_AUTH, 1 << 24, _UTF8)
    + b"ipvs-lb\0"
    + b"\0"
    + b"mysql_native_password\0"
)
_QUIT = b"\x01"


async def probe_mysql(_check: MysqlCheck, wire: Wire) -> Finding:
    """Pass when the server greets with protocol 10 and would check a password."""
    async with connected(wire) as connection:
        number, greeting = await _packet(connection)
        if greeting[0] == _ERROR:
            raise ProbeFailure(ErrorClass.STATUS, f"refuses: {_error(greeting)}")
        if greeting[0] != _GREETING or b"\0" not in greeting:
            raise ProbeFailure(ErrorClass.PROTOCOL, f"not a MySQL greeting: {quoted(greeting)}")
        version = greeting[1 : greeting.index(b"\0")]
        await _log_in(connection, number)
    return Finding(detail=f"version {quoted(version)}")


async def _log_in(connection: Connection, number: int) -> None:
    await _send(connection, number + 1, _HANDSHAKE)
    for _ in range(_MAX_ROUNDS):
        number, answer = await _packet(connection)
        if answer[0] == _OK:
            return await _send(connection, 0, _QUIT)
        if answer[0] == _ERROR:
            return _judge(answer)
        if answer[0] not in {_MORE, _SWITCH}:
            break
        await _send(connection, number + 1, b"")
    raise ProbeFailure(ErrorClass.PROTOCOL, "not a MySQL authentication")


def _judge(answer: bytes) -> None:
    if int.from_bytes(answer[1:3], "little") not in _LOGIN_REFUSED:
        raise ProbeFailure(ErrorClass.STATUS, f"refuses: {_error(answer)}")


def _error(packet: bytes) -> str:
    return f"{int.from_bytes(packet[1:3], 'little')} {quoted(packet[3:], 100)}"


async def _packet(connection: Connection) -> tuple[int, bytes]:
    """The sequence number and payload of the next packet, which is not empty."""
    header = await connection.exactly(4)
    length = int.from_bytes(header[:3], "little")
    if not 0 < length <= _MAX_PACKET:
        raise ProbeFailure(ErrorClass.PROTOCOL, f"not a MySQL packet: {quoted(header)}")
    return header[3], await connection.exactly(length)


async def _send(connection: Connection, number: int, payload: bytes) -> None:
    await connection.send(len(payload).to_bytes(3, "little") + bytes((number & 255,)) + payload)
