"""Servers on the loopback interface that do exactly what a test says, with certificates to go with them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ipvs_lb.model.checks import HealthCheck, Method
from ipvs_lb.model.identity import Port
from ipvs_lb.model.probe import bound
from ipvs_lb.model.results import Result, Target
from ipvs_lb.probes import execute

LOOPBACK = IPv4Address("127.0.0.1")
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def run(
    method: Method,
    port: int,
    *,
    timeout: float = 2.0,  # noqa: ASYNC109  # the check's, not the call's
    **settings,
) -> Result:
    check = HealthCheck(method=method, timeout=timeout, **settings)
    return await execute(bound(check, Target(LOOPBACK, Port(port))))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def serving(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """The port of a server that does *behaviour* with every connection."""

    async def forgiving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # probes abort their connections, and `serving` its servers
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(forgiving, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        handlers = {task for task in others if "forgiving" in repr(task)}
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def saying(*pieces: bytes, then_close: bool = True, pause: float = 0.0) -> Behaviour:
    """Send *pieces* whatever is asked, one after the other, and close or stay silent."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if then_close:
            writer.write_eof()
        while await reader.read(4096):
            pass
        await asyncio.sleep(0 if then_close else 30)

    return behaviour


def answering(*answers: bytes) -> Behaviour:
    """Send one of *answers* each time something was received, then close."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            await reader.read()
        writer.close()
        await writer.wait_closed()

    return behaviour


def flooding(first: bytes, forever: bytes) -> Behaviour:
    """Send *first*, then *forever* again and again as fast as it goes."""

    async def behaviour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(forever)
            await writer.drain()

    return behaviour


def dripping(text: bytes, *, every: float = 0.05) -> Behaviour:
    """Send *text* a byte at a time."""
    return saying(*(text[i : i + 1] for i in range(len(text))), pause=every, then_close=False)


async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def early_close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    await asyncio.sleep(0.05)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


@asynccontextmanager
async def datagram_server(reply: Callable[[bytes], list[bytes]]) -> AsyncIterator[int]:
    """The port of a UDP server that answers each datagram with those that *reply* makes of it."""

    class Protocol(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, payload, peer):
            for answer in reply(payload):
                self.transport.sendto(answer, peer)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Protocol, local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


class Authority:
    """A certificate authority whose files lie in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        certificate = self._signed(self._name, self._key, days=30, names=(), authority=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, *names: str, days: int = 30, file: str = "leaf") -> tuple[Path, Path]:
        """The files of a certificate for *names* and of its key; *days* may be in the past."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._signed(subject, key, days=days, names=names, authority=False)
        chain, secret = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return chain, secret

    def server(self, *names: str, days: int = 30, clients: bool = False) -> ssl.SSLContext:
        """A server's context; with *clients* it wants a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names, days=days, file=f"server{days}"))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def _signed(self, subject, key, *, days, names, authority):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days, minutes=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if names:
            alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
