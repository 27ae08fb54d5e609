"""Back ends that answer checks and clients as told, and can fail: refuse, keep silent, say that they are ill.

Whatever a back end speaks besides, a client that asks for `PATH` over TCP or SCTP, with TLS or without, or sends `ASK`
over UDP, is told the name of its host. One thread accepts for all back ends.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import functools
import selectors
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from ipvs_lb.errors import LabError
from ipvs_lb.lab.clients import SOCKET_KINDS
from ipvs_lb.lab.hosts import Host

PATH = "/ipvs-lb-lab"
ASK = b"ipvs-lb lab: who?"
NAMED = b"Lab-Server: "
_BUFFER = 65536
_PATIENCE = 60.0
_TLS_HANDSHAKE = b"\x16"  # ContentType of a ClientHello's record, RFC 8446, section 5.1


class Condition(enum.StrEnum):
    """How a back end is: well, refusing connections, accepting them and silent, or saying that it is ill."""

    WELL = "well"
    STOPPED = "stopped"
    HANGING = "hanging"
    ILL = "ill"


@dataclass(frozen=True, slots=True)
class Page:
    """What an HTTP request for one path is answered with."""

    status: int = 200
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What a back end says: first of all, to what begins in some way (the first that fits), and on its pages."""

    greeting: bytes = b""
    replies: tuple[tuple[bytes, bytes], ...] = ()
    pages: Mapping[str, Page] = field(default_factory=dict)
    compute: Callable[[bytes], bytes] | None = None


class Backend:
    """One address and port of one host. It begins well; `condition` can be set at any time."""

    def __init__(
        self, owner: Backends, open_: Callable[[], socket.socket], name: str, manner: Manner
    ) -> None:
        self.name = name
        self.manner = manner
        self._owner = owner
        self._open = open_
        self._condition = Condition.WELL
        self._listening: socket.socket | None = None

    @property
    def condition(self) -> Condition:
        """How it is."""
        return self._condition

    @condition.setter
    def condition(self, condition: Condition) -> None:
        self._condition = condition
        if condition is Condition.STOPPED:
            self.close()
        elif self._listening is None:
            self._listening = self._open()
            self._owner.watch(self._listening, self)

    def close(self) -> None:
        """Listen no more; connections go on."""
        if self._listening is not None:
            self._owner.forget(self._listening)
            self._listening.close()
            self._listening = None

    def serve(self, listening: socket.socket) -> None:
        """Take what has come."""
        if listening.type == socket.SOCK_DGRAM:
            self._answer_datagram(listening)
            return
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _answer_datagram(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            asked, peer = listening.recvfrom(_BUFFER)
            if self._condition is Condition.WELL:
                answer = self._named() if asked == ASK else self._reply(asked)
                if answer:
                    listening.sendto(answer, peer)

    def _talk(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), plain:
            plain.settimeout(_PATIENCE)
            if self._condition is Condition.HANGING:
                while plain.recv(_BUFFER):
                    pass
                return
            if self.manner.greeting:
                plain.sendall(self.manner.greeting)
            elif plain.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE:
                with _tls(self.name).wrap_socket(plain, server_side=True) as secure:
                    self._converse(secure)
                return
            self._converse(plain)

    def _converse(self, connection: socket.socket) -> None:
        """Answer until the other side ends it, or a request over HTTP has been answered."""
        asked = b""
        while received := connection.recv(_BUFFER):
            asked += received
            if self._condition is Condition.HANGING:
                continue
            head, end, _ = asked.partition(b"\r\n\r\n")
            if b" HTTP/1." in head.partition(b"\r\n")[0]:
                if end:
                    connection.sendall(self._page(head))
                    return
                continue
            connection.sendall(self._reply(asked))
            asked = b""

    def _page(self, head: bytes) -> bytes:
        method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        page = self.manner.pages.get(target, Page())
        if self._condition is Condition.ILL and target != PATH:
            page = Page(503)
        body = f"{self.name}\n{page.text}".encode()
        first = f"HTTP/1.1 {page.status} Lab\r\nContent-Length: {len(body)}\r\n".encode()
        return (
            first
            + b"Connection: close\r\n"
            + self._named()
            + b"\r\n"
            + (b"" if method == "HEAD" else body)
        )

    def _named(self) -> bytes:
        return NAMED + self.name.encode() + b"\r\n"

    def _reply(self, asked: bytes) -> bytes:
        if self.manner.compute is not None:
            return self.manner.compute(asked)
        return next((reply for start, reply in self.manner.replies if asked.startswith(start)), b"")


class Backends:
    """The back ends of a lab, for as long as the `with` block lasts."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="back ends", daemon=True)
        self._all: list[Backend] = []
        self._ended = False

    def __enter__(self) -> Self:
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._wake.send(b"x")
        self._thread.join()
        for backend in self._all:
            backend.close()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def add(self, host: Host, protocol: str, address: str, port: int, manner: Manner) -> Backend:
        """A back end on *host*, listening. Raises LabError when it cannot."""

        def open_() -> socket.socket:
            try:
                return host.call(_listen, protocol, address, port)
            except OSError as error:
                where = f"{host.name}: {protocol} on {address} port {port}"
                raise LabError(f"{where}: {error.strerror}") from error

        backend = Backend(self, open_, host.name, manner)
        backend.condition = Condition.WELL
        self._all.append(backend)
        return backend

    def watch(self, listening: socket.socket, backend: Backend) -> None:
        """Serve what comes to *listening*."""
        with self._lock:
            self._selector.register(listening, selectors.EVENT_READ, backend)
        self._wake.send(b"x")

    def forget(self, listening: socket.socket) -> None:
        """Do so no more."""
        with self._lock:
            self._selector.unregister(listening)

    def _accept(self) -> None:
        while not self._ended:
            ready = self._selector.select()
            with self._lock:
                watched = self._selector.get_map()
                for key in [watched[key.fd] for key, _ in ready if key.fd in watched]:
                    if key.data is None:
                        self._woken.recv(_BUFFER)
                    else:
                        key.data.serve(key.fileobj)


def _listen(protocol: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, *SOCKET_KINDS[protocol])
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        if listening.type == socket.SOCK_STREAM:
            listening.listen(128)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


@functools.cache
def _tls(name: str) -> ssl.SSLContext:
    """TLS with a certificate of its own making, valid for a year."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 365 * day)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        secret = key.private_bytes(pem, plain, serialization.NoEncryption())
        file.write_bytes(secret + certificate.public_bytes(pem))
        context.load_cert_chain(file)
    return context
