"""TLS as a health check speaks it: whether a server works comes first, whom it proves to be only on request."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from ipvs_lb.model.checks import Tls, TlsCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.connection import Connection, connected
from ipvs_lb.probes.failures import ProbeFailure, printable, quoted
from ipvs_lb.probes.wire import Finding, Wire

_DAY = 86400.0


async def secure(
    connection: Connection,
    wire: Wire,
    tls: Tls,
    *,
    host: str | None = None,
    protocol: str | None = None,
) -> ssl.SSLObject:
    """Turn *connection* into TLS as *tls* says; *host* is the name when it has none, *protocol* is offered by ALPN.

    Raises ProbeFailure with the class TLS for all that a server can do wrong, CHECK for unusable files.
    """
    name = tls.server_name or host or (str(wire.target.address) if tls.verify else None)
    try:
        return await connection.start_tls(client_context(tls, protocol), name)
    except ssl.SSLCertVerificationError as error:
        raise ProbeFailure(
            ErrorClass.TLS, f"certificate not accepted: {printable(error.verify_message)}"
        ) from error
    except ssl.SSLError as error:
        raise tls_failure(error) from error
    except ValueError as error:
        raise ProbeFailure(
            ErrorClass.CHECK, f"server name {quoted(name or '')}: {error}"
        ) from error


def tls_failure(error: ssl.SSLError) -> ProbeFailure:
    """The failure that an error of OpenSSL means, before or after the handshake."""
    return ProbeFailure(ErrorClass.TLS, f"TLS failed: {printable(error.reason or str(error))}")


def client_context(tls: Tls, protocol: str | None) -> ssl.SSLContext:
    """The context for *tls*, made anew when one of its files has changed. Raises ProbeFailure (CHECK)."""
    try:
        stamps = tuple(
            (path, Path(path).stat().st_mtime_ns)
            for path in (tls.ca_file, tls.certificate, tls.key)
            if path is not None
        )
        return _context(tls, protocol, stamps)
    except OSError as error:  # ssl.SSLError, for files that are there but make no sense, is one too
        raise ProbeFailure(
            ErrorClass.CHECK, f"certificate files of the check: {printable(str(error))}"
        ) from error


@lru_cache(maxsize=256)
def _context(
    tls: Tls,
    protocol: str | None,
    _stamps: tuple[tuple[str, int], ...],  # only part of the cache's key
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.verify:
        context.load_verify_locations(tls.ca_file) if tls.ca_file else context.load_default_certs()
    else:
        _accept_anyone(context)
    if tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    if protocol:
        context.set_alpn_protocols([protocol])
    return context


def _accept_anyone(context: ssl.SSLContext) -> None:
    """No verification; old versions and short keys are the clients' concern, not the health check's."""
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")


def _no_password() -> str:
    raise ssl.SSLError("the private key is encrypted")


async def probe_tls(check: TlsCheck, wire: Wire) -> Finding:
    """Pass when the handshake completes and the certificate is valid for long enough."""
    async with connected(wire) as connection:
        tls = await secure(connection, wire, check.tls)
        if check.min_days is None:
            return Finding()
        return _judge_expiry(tls.getpeercert(binary_form=True), check.min_days)


def _judge_expiry(certificate: bytes | None, min_days: int) -> Finding:
    left = (_expiry(certificate) - datetime.now(UTC)).total_seconds() / _DAY
    if left < 0:
        raise ProbeFailure(ErrorClass.TLS, f"certificate expired {-left:.0f} days ago")
    if left < min_days:
        raise ProbeFailure(
            ErrorClass.TLS, f"certificate expires in {left:.0f} days, wanted at least {min_days}"
        )
    return Finding(detail=f"certificate expires in {left:.0f} days")


def _expiry(certificate: bytes | None) -> datetime:
    """The end of validity. Python itself decodes only verified certificates."""
    from cryptography.x509 import load_der_x509_certificate  # heavy; needed here only

    if not certificate:
        raise ProbeFailure(ErrorClass.TLS, "the server has no certificate")
    try:
        return load_der_x509_certificate(certificate).not_valid_after_utc
    except ValueError as error:
        raise ProbeFailure(
            ErrorClass.TLS, f"certificate cannot be read: {printable(str(error))}"
        ) from error
