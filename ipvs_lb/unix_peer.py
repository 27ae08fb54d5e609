"""Who is at the other end of a unix socket, as the kernel knows it."""

from __future__ import annotations

import socket
import struct

_UCRED = struct.Struct("3i")  # struct ucred of <linux/socket.h>: pid, uid, gid


def unix_peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user at the other end (SO_PEERCRED, unix(7)); of a listener, those who began to listen."""
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    process, user, _ = _UCRED.unpack(said)
    return process, user
