"""The sctp method: an association is made by its whole handshake (RFC 9260, section 5.1), and aborted.

It has one address of this machine: by itself the kernel would name all of them to the server, the VIPs, too.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from ipvs_lb.model.checks import SctpCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure
from ipvs_lb.probes.wire import Finding, Wire

_NO_SCTP = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}


async def probe_sctp(_check: SctpCheck, wire: Wire) -> Finding:
    """Pass when the server accepts an association."""
    with _opened(wire) as sock:
        wire.watch.doing = "connecting"
        await _connect(sock, wire.destination)
        wire.watch.connect = wire.watch.elapsed()
    return Finding()


def _opened(wire: Wire) -> socket.socket:
    """An SCTP socket of the one-to-one style (RFC 6458, section 4). Raises OSError or ProbeFailure."""
    try:
        return wire.open_socket(socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    except OSError as error:
        if error.errno not in _NO_SCTP:
            raise
        what = "this machine's kernel has no SCTP: modprobe sctp"
        raise ProbeFailure(ErrorClass.LOCAL, what) from error


async def _connect(sock: socket.socket, destination: tuple[str, int]) -> None:
    """Connect; the loop's own way would look the address up in a thread, as it does not know SCTP."""
    code = sock.connect_ex(destination)
    if code == errno.EINPROGRESS:
        await _decided(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


async def _decided(sock: socket.socket) -> None:
    """Return when the handshake is over, well or not."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(sock, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_writer(sock)
