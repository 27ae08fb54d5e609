"""What the lab's servers have to say so that the checks of a configuration pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ipvs_lb.errors import LabError
from ipvs_lb.lab.backends import Manner, Page
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
    method_name,
)

Replies = tuple[tuple[bytes, bytes], ...]
_PING = (b"*1\r\n$4\r\nPING", b"+PONG\r\n")
_READY = b"up ready\n"
_INFO = b"*2\r\n$4\r\nINFO"
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")
_MYSQL_GREETING = b"\x0a" + b"8.0.0-lab\0" + bytes(40)
_MYSQL_OK = bytes.fromhex("0700000200000002000000")


@dataclass(frozen=True, slots=True)
class Part:
    """What one check needs: something of a `Manner`."""

    greeting: bytes = b""
    replies: Replies = ()
    pages: tuple[tuple[str, Page], ...] = ()


def protocol_of(method: Method, service: str) -> str | None:
    """The transport protocol on which a server has to answer *method*; None: it need not listen for that."""
    match method:
        case UdpCheck() | DnsCheck():
            return "udp"
        case SctpCheck():
            return "sctp"
        case PingCheck() | ExecCheck() | FileCheck():
            return None
        case _:
            return "tcp" if service != "sctp" or not isinstance(method, TcpCheck) else service


def manner_of(methods: Iterable[Method]) -> Manner:
    """How a port has to answer so that all *methods* pass. Raises LabError when the lab cannot do that."""
    wanted = tuple(dict.fromkeys(methods))
    if any(isinstance(method, DnsCheck) for method in wanted):
        (only,) = wanted if len(wanted) == 1 else (None,)
        if not isinstance(only, DnsCheck):
            raise LabError("a dns check and another one on the same port cannot both be answered")
        return Manner(compute=_Resolver(only))
    parts = [_part(method) for method in wanted]
    greetings = {part.greeting for part in parts}
    if len(greetings) > 1:
        names = " and ".join(dict.fromkeys(method_name(method) for method in wanted))
        raise LabError(f"{names} checks on the same port cannot all be answered")
    return Manner(
        greeting=greetings.pop() if greetings else b"",
        replies=tuple(reply for part in parts for reply in part.replies),
        pages=dict(_pages(parts)),
    )


def _pages(parts: Iterable[Part]) -> Iterator[tuple[str, Page]]:
    seen: dict[str, Page] = {}
    for part in parts:
        for path, page in part.pages:
            if seen.setdefault(path, page) != page:
                raise LabError(f"two checks of {path} want different answers")
            yield path, page


def _part(method: Method) -> Part:
    match method:
        case HttpCheck():
            return Part(pages=((method.path, _page(method)),))
        case TlsCheck(tls=tls):
            _refuse_verification(verify=tls.verify)
            return Part()
        case TcpCheck(send=None, expect=expect):
            return Part(greeting=expect or b"")
        case AgentCheck(send=b""):
            return Part(greeting=_READY)
        case TcpCheck(send=bytes(send), expect=expect):
            return Part(replies=((send, expect or b""),))
        case AgentCheck(send=send):
            return Part(replies=((send, _READY),))
        case UdpCheck(payload=payload, expect=expect):
            return Part(replies=((payload, expect or b""),))
        case _:
            return _dialogue(method)


def _dialogue(method: Method) -> Part:
    match method:
        case SmtpCheck():
            return Part(b"220 lab\r\n", ((b"EHLO", b"250 lab\r\n"), (b"QUIT", b"221 bye\r\n")))
        case RedisCheck(role=role):
            text = f"role:{role or 'master'}\r\n".encode()
            return Part(replies=(_PING, (_INFO, b"$%d\r\n%s\r\n" % (len(text), text))))
        case PostgresCheck():
            return Part(replies=((_SSL_REQUEST, b"N"),))
        case MysqlCheck():
            size = len(_MYSQL_GREETING).to_bytes(3, "little")
            return Part(size + b"\0" + _MYSQL_GREETING, ((b"", _MYSQL_OK),))
        case GrpcCheck():
            raise LabError("the lab's servers do not speak gRPC")
        case _:
            return Part()


def _page(check: HttpCheck) -> Page:
    if check.tls is not None:
        _refuse_verification(verify=check.tls.verify)
    if check.body_regex is not None:
        raise LabError("the lab's servers do not know what fits a body_regex")
    return Page(check.expect_codes[0][0], check.body_contains or "")


def _refuse_verification(*, verify: bool) -> None:
    if verify:
        raise LabError(
            "the lab's servers have certificates of their own making, which `verify` refuses"
        )


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Answers the queries of one dns check."""

    check: DnsCheck

    def __call__(self, asked: bytes) -> bytes:
        import dns.exception
        import dns.flags
        import dns.message
        import dns.rrset

        try:
            query = dns.message.from_wire(asked)
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.AA
            if self.check.answer is not None:
                (question,) = query.question
                kind = self.check.record_type
                answer.answer.append(
                    dns.rrset.from_text(question.name, 60, "IN", kind, self.check.answer)
                )
        except (dns.exception.DNSException, ValueError):
            return b""
        return answer.to_wire()
