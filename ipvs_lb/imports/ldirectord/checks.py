"""checktype and service: what a check does, as far as it can be done here.

Protocols that need a login are only spoken to until the greeting; that is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ipvs_lb.config import values
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.ldirectord.places import SERVICES, Real
from ipvs_lb.model.checks import (
    DnsCheck,
    ExecCheck,
    HttpCheck,
    Method,
    MysqlCheck,
    PingCheck,
    PostgresCheck,
    SmtpCheck,
    TcpCheck,
    Tls,
    TlsCheck,
)
from ipvs_lb.model.identity import IPProtocol, Port

_GREETING = "the greeting is checked, nobody logs in"
_HANDSHAKE = "the TLS handshake is checked, nobody logs in"
_DATABASE = "the server's greeting is checked, no query is sent"
_CONNECTION = "a connection is checked, no question is asked"
_GREETED: dict[str, tuple[str, Method]] = {
    "ftp": (_GREETING, TcpCheck(send=b"", expect=b"220")),
    "imap": (_GREETING, TcpCheck(send=b"", expect=b"* OK")),
    "nntp": (_GREETING, TcpCheck(send=b"", expect=b"20")),
    "pop": (_GREETING, TcpCheck(send=b"", expect=b"+OK")),
    "imaps": (_HANDSHAKE, TlsCheck()),
    "ldaps": (_HANDSHAKE, TlsCheck()),
    "pops": (_HANDSHAKE, TlsCheck()),
    "mysql": (_DATABASE, MysqlCheck()),
    "pgsql": (_DATABASE, PostgresCheck()),
    "http_proxy": (_CONNECTION, TcpCheck()),
    "ldap": (_CONNECTION, TcpCheck()),
    "oracle": (_CONNECTION, TcpCheck()),
}
"""What is done instead of a check that would need a login or a question, and how that is told."""

_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a virtual service says about its checks."""

    title: str
    mark: Mark
    kind: str
    service: str
    protocol: IPProtocol | None
    request: str
    receive: str
    host: str | None
    http_method: str
    command: str
    port: Port | None
    where: tuple[str, str]

    @property
    def own_port(self) -> Port | None:
        """The port to check where neither checkport nor the real server says one."""
        number = SERVICES.get(self.service)
        return Port(number) if number else None


def methods(
    asked: Asked, one: Real, server: str, findings: Findings
) -> Iterator[tuple[str, Method]]:
    """What to do with the real server *one* at *server*, each with its kind: connect or negotiate."""
    match asked.kind:
        case "on" | "off":
            return
        case "ping":
            yield "connect", PingCheck()
        case "connect":
            yield "connect", _connect(asked)
        case "external":
            yield from _external(asked, one, server, findings)
        case "external-perl":
            todo = "write it as a program of its own, with a check of type exec"
            findings.left_out(
                asked.mark, f"{asked.title} checktype=external-perl", "there is no Perl here", todo
            )
        case "negotiate":
            yield from _negotiated(asked, one, findings)
        case _:
            yield "connect", _connect(asked)
            yield from _negotiated(asked, one, findings)


def _connect(asked: Asked) -> Method:
    """ldirectord pings where there is nothing to connect to."""
    return PingCheck() if asked.protocol is IPProtocol.UDP else TcpCheck()


def _external(
    asked: Asked, one: Real, server: str, findings: Findings
) -> Iterator[tuple[str, Method]]:
    what = f"{asked.title} checkcommand={asked.command}"
    if not asked.command.startswith("/"):
        findings.left_out(asked.mark, what, "a program is named by its absolute path")
        return
    why = "it runs as nobody, ldirectord runs it as root"
    findings.changed(asked.mark, what, why, "write user: if it needs more")
    yield "connect", ExecCheck(command=(asked.command, *asked.where, server, str(one.port)))


def _negotiated(asked: Asked, one: Real, findings: Findings) -> Iterator[tuple[str, Method]]:
    method = _negotiate(asked, one, findings)
    if method is not None:
        yield "negotiate", method


def _negotiate(asked: Asked, one: Real, findings: Findings) -> Method | None:
    request = asked.request if one.request is None else f"/{one.request.removeprefix('/')}"
    receive = asked.receive if one.receive is None else one.receive
    match asked.service:
        case "http" | "https":
            return _http(asked, request, receive, findings)
        case "smtp" | "submission":
            return SmtpCheck()
        case "dns":
            return _dns(asked, request, receive, findings)
        case "simpletcp":
            return _simple(asked, request, receive, findings)
        case "none":
            return None
        case _:
            return _greeted(asked, findings)


def _greeted(asked: Asked, findings: Findings) -> Method | None:
    """A protocol of which only the beginning is spoken."""
    what = f"{asked.title} service={asked.service}"
    if asked.service not in _GREETED:
        why = "the protocol is not spoken here: servers are not checked"
        findings.left_out(asked.mark, what, why, "write a health_check: of type udp or exec")
        return None
    why, method = _GREETED[asked.service]
    findings.changed(asked.mark, what, why)
    return method


def _http(asked: Asked, request: str, receive: str, findings: Findings) -> HttpCheck:
    host, path = asked.host, request
    if match := re.fullmatch(r"/?https?://([^/]+)(/.*)?", request):
        host, path = host or match[1], match[2] or "/"
        why = "the server's own address and port are asked"
        findings.changed(asked.mark, f"{asked.title} request={request}", why)
    return HttpCheck(
        method=asked.http_method,
        path=path,
        host=host,
        expect_codes=((200, 299),),
        body_regex=_regex(asked, receive, findings) if asked.http_method == "GET" else None,
        tls=Tls() if asked.service == "https" else None,
    )


def _regex(asked: Asked, receive: str, findings: Findings) -> str | None:
    try:
        return values.regex(receive) if receive else None
    except ValueError as error:
        findings.left_out(asked.mark, f'{asked.title} receive="{receive}"', str(error))
        return None


def _dns(asked: Asked, request: str, receive: str, findings: Findings) -> DnsCheck:
    name = request.removeprefix("/") or "."
    kind = "A"
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name):
        kind, name = "PTR", ".".join([*reversed(name.split(".")), "in-addr.arpa"])
    literal = receive.replace("\\.", ".")
    if _SPECIAL.search(literal.replace(".", "")):
        why = "the answer is compared as it is, not with an expression"
        findings.left_out(asked.mark, f'{asked.title} receive="{receive}"', why, "write answer:")
        literal = ""
    return DnsCheck(name=name, record_type=kind, answer=literal or None)


def _simple(asked: Asked, request: str, receive: str, findings: Findings) -> TcpCheck:
    sent = request.removeprefix("/").replace("\\n", "\n").encode()
    if _SPECIAL.search(receive):
        why = "the answer is searched for text, not with an expression"
        findings.left_out(asked.mark, f'{asked.title} receive="{receive}"', why, "write expect:")
        receive = ""
    return TcpCheck(send=sent, expect=receive.encode() or None)
