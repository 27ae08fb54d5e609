"""A health check as it stands in a configuration."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ipvs_lb.config.values import duration_text
from ipvs_lb.config.written import Pairs, flow, text
from ipvs_lb.model import checks as model


def check(wanted: model.HealthCheck) -> str:
    """The check in one line: type and timing always, the rest where it is not what holds anyway."""
    return flow([*_method(wanted.method), *_timing(wanted), *_target(wanted)])


def _timing(wanted: model.HealthCheck) -> Pairs:
    yield "interval", duration_text(wanted.interval)
    if not math.isclose(wanted.fast_interval, min(max(wanted.interval / 5, 1.0), wanted.interval)):
        yield "fast_interval", duration_text(wanted.fast_interval)
    yield "timeout", duration_text(wanted.timeout)
    yield "rise", str(wanted.rise)
    yield "fall", str(wanted.fall)


def _target(wanted: model.HealthCheck) -> Pairs:
    if wanted.address is not None:
        yield "address", text(str(wanted.address))
    if wanted.port is not None:
        yield "port", str(wanted.port)
    if wanted.source is not None:
        yield "source", text(str(wanted.source))
    if wanted.mark:
        yield "mark", str(wanted.mark)
    if wanted.via is not model.Via.DIRECT:
        yield "via", str(wanted.via)


def _method(method: model.Method) -> Iterator[tuple[str, str]]:  # noqa: C901, PLR0912  # one match over all types
    yield "type", model.method_name(method)
    match method:
        case model.TcpCheck():
            yield from _octets(send=method.send, expect=method.expect)
        case model.HttpCheck():
            yield from _http(method)
        case model.TlsCheck():
            yield from _tls(method.tls)
            if method.min_days is not None:
                yield "min_days", str(method.min_days)
        case model.UdpCheck():
            yield from _octets(
                payload=method.payload or None, expect=method.expect, mask=method.mask
            )
        case model.DnsCheck():
            yield from _texts(name=method.name, record_type=method.record_type)
            yield from _texts(answer=method.answer)
        case model.SmtpCheck():
            yield from _texts(helo=method.helo)
        case model.GrpcCheck():
            yield from _texts(service=method.service or None)
            yield from _tls(method.tls, given=True)
        case model.RedisCheck():
            yield from _texts(role=method.role)
        case model.ExecCheck():
            yield "command", f"[{', '.join(map(text, method.command))}]"
            yield "user", text(method.user)
            yield from [("weight", "yes")] if method.weight else []
        case model.FileCheck():
            yield "path", text(method.path)
            yield from [("weight", "yes")] if method.weight else []
        case model.AgentCheck():
            yield from _octets(send=method.send or None)
        case model.PingCheck() | model.SctpCheck() | model.MysqlCheck() | model.PostgresCheck():
            pass


def _http(method: model.HttpCheck) -> Pairs:
    plain = model.HttpCheck()
    if method.method != plain.method:
        yield "method", text(method.method)
    yield "path", text(method.path)
    yield from _texts(host=method.host)
    if method.headers:
        yield "headers", flow((text(name), text(value)) for name, value in method.headers)
    yield from _octets(body=method.body)
    if method.http_version != plain.http_version:
        yield "http_version", f'"{method.http_version}"'
    if method.expect_codes != plain.expect_codes:
        yield "expect", f'"{",".join(map(_codes, method.expect_codes))}"'
    yield from _texts(body_contains=method.body_contains, body_regex=method.body_regex)
    if method.body_limit != plain.body_limit:
        yield "body_limit", str(method.body_limit)
    yield from _tls(method.tls)


def _codes(codes: tuple[int, int]) -> str:
    low, high = codes
    return str(low) if low == high else f"{low}-{high}"


def _tls(tls: model.Tls | None, *, given: bool = False) -> Pairs:
    if tls is None:
        return
    pairs = list(
        _texts(
            server_name=tls.server_name,
            verify="yes" if tls.verify else None,
            ca_file=tls.ca_file,
            certificate=tls.certificate,
            key=tls.key,
        )
    )
    if pairs or given:
        yield "tls", flow(pairs)


def _texts(**values: str | None) -> Pairs:
    return ((name, text(value)) for name, value in values.items() if value is not None)


def _octets(**values: bytes | None) -> Pairs:
    return ((name, _bytes(value)) for name, value in values.items() if value is not None)


def _bytes(value: bytes) -> str:
    """Text where people can read it, else hex digits."""
    try:
        found = value.decode()
    except UnicodeDecodeError:
        found = "\0"
    if all(char.isprintable() or char in "\t\r\n" for char in found):
        return text(found)
    return flow([("hex", f'"{value.hex()}"')])
