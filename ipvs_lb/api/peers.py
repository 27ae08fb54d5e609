"""Who is at the other end of a connection, in a word that can stand beside what he ordered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ipvs_lb.unix_peer import unix_peer

_LONGEST = 64  # characters of a name in a certificate that are shown; X.520 allows no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end: a user of this machine on the unix socket, an address and perhaps a certificate on TCP."""

    uid: int | None = None
    address: str = ""
    certificate: str = ""


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """The other end of *transport*, as the kernel and TLS know it."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_UNIX:
        _, user = unix_peer(connection)
        return Peer(uid=user)
    where = transport.get_extra_info("peername")
    address = str(where[0]) if where else ""
    return Peer(address=address, certificate=_common_name(transport.get_extra_info("peercert")))


def _common_name(certificate: Mapping[str, object] | None) -> str:
    """The subject's common name of a certificate as `ssl` decodes it."""
    subject = (certificate or {}).get("subject", ())
    assert isinstance(subject, tuple)  # noqa: S101  # documented by ssl.SSLSocket.getpeercert
    name = next((value for parts in subject for key, value in parts if key == "commonName"), "")
    return "".join(filter(str.isprintable, name))[:_LONGEST]


async def name_of(peer: Peer) -> str:
    """The peer's name: `root`, `uid 1234`, `alice from 10.0.0.9`, `10.0.0.9`. Names may be asked of a server."""
    if peer.uid is not None:
        return await asyncio.to_thread(_user_name, peer.uid)
    return f"{peer.certificate} from {peer.address}" if peer.certificate else peer.address


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def knows(token: str, authorization: str | None) -> bool:
    """Whether an Authorization header carries *token*; takes as long however much of it is right, and however long it is."""
    scheme, _, given = (authorization or "").partition(" ")
    right = hmac.compare_digest(_digest(given.strip()), _digest(token))
    return scheme.lower() == "bearer" and right


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
