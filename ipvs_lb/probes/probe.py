"""One execution of one health check: whatever happens becomes a `Result`, within the check's timeout."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import assert_never

from ipvs_lb.model.checks import (
    AgentCheck,
    DnsCheck,
    ExecCheck,
    FileCheck,
    GrpcCheck,
    HttpCheck,
    Method,
    MysqlCheck,
    PingCheck,
    PostgresCheck,
    RedisCheck,
    SctpCheck,
    SmtpCheck,
    TcpCheck,
    TlsCheck,
    UdpCheck,
)
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.probes.agent import probe_agent
from ipvs_lb.probes.dns import probe_dns
from ipvs_lb.probes.failures import ProbeFailure, os_failure, printable
from ipvs_lb.probes.file import probe_file
from ipvs_lb.probes.grpc import probe_grpc
from ipvs_lb.probes.mysql import probe_mysql
from ipvs_lb.probes.ping import probe_ping
from ipvs_lb.probes.postgres import probe_postgres
from ipvs_lb.probes.program import probe_exec
from ipvs_lb.probes.redis import probe_redis
from ipvs_lb.probes.sctp import probe_sctp
from ipvs_lb.probes.smtp import probe_smtp
from ipvs_lb.probes.tcp import probe_tcp
from ipvs_lb.probes.tls import probe_tls, tls_failure
from ipvs_lb.probes.udp import probe_udp
from ipvs_lb.probes.web import probe_http
from ipvs_lb.probes.wire import Finding, Stopwatch, Wire, wire_of

_NO_PORT_NEEDED = (PingCheck, FileCheck, ExecCheck)


async def execute(probe: Probe, *, clock: Callable[[], float] = time.monotonic) -> Result:
    """The result of running *probe* once, straight to its target.

    Takes the check's timeout at most, plus, for a program that has to be killed, the kernel's time to do so.
    Every failure is a result; only cancellation comes out as an exception.
    """
    watch = Stopwatch(clock)
    try:
        found = await _run(probe.check.method, wire_of(probe, watch))
    except ProbeFailure as failure:
        return Result(
            error=failure.error,
            detail=printable(failure.detail),
            agent=failure.agent,
            timings=watch.timings(),
        )
    return Result(
        detail=printable(found.detail),
        weight=found.weight,
        agent=found.agent,
        timings=watch.timings(),
    )


async def _run(method: Method, wire: Wire) -> Finding:
    """Raises ProbeFailure and nothing else."""
    if not wire.target.port and not isinstance(method, _NO_PORT_NEEDED):
        raise ProbeFailure(ErrorClass.CHECK, "no port to probe: the check has to name one")
    deadline = asyncio.timeout(wire.timeout)
    try:
        async with deadline:
            return await _dispatch(method, wire)
    except ssl.SSLError as error:
        raise tls_failure(error) from error
    except OSError as error:  # TimeoutError is one, of ours or of the kernel's
        if deadline.expired():
            detail = f"no result after {wire.timeout:g} s, while {wire.watch.doing}"
            raise ProbeFailure(ErrorClass.TIMEOUT, detail) from error
        raise os_failure(error, wire.watch.doing) from error


async def _dispatch(method: Method, wire: Wire) -> Finding:  # noqa: C901, PLR0912  # one case per method
    match method:
        case TcpCheck():
            return await probe_tcp(method, wire)
        case HttpCheck():
            return await probe_http(method, wire)
        case TlsCheck():
            return await probe_tls(method, wire)
        case UdpCheck():
            return await probe_udp(method, wire)
        case SctpCheck():
            return await probe_sctp(method, wire)
        case DnsCheck():
            return await probe_dns(method, wire)
        case PingCheck():
            return await probe_ping(method, wire)
        case SmtpCheck():
            return await probe_smtp(method, wire)
        case GrpcCheck():
            return await probe_grpc(method, wire)
        case RedisCheck():
            return await probe_redis(method, wire)
        case MysqlCheck():
            return await probe_mysql(method, wire)
        case PostgresCheck():
            return await probe_postgres(method, wire)
        case ExecCheck():
            return await probe_exec(method, wire)
        case FileCheck():
            return await probe_file(method, wire)
        case AgentCheck():
            return await probe_agent(method, wire)
        case _:
            assert_never(method)
