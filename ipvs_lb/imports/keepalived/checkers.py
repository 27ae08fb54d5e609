"""The checkers of a real server, and the times that they share.

Defaults and meaning are those of keepalived.conf(5) and of keepalived 2.2.7: a server goes down after `retry` + 1
failures, `delay_before_retry` apart, and comes up with the first success.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.keepalived.given import Giver
from ipvs_lb.imports.keepalived.http_checkers import Surroundings, urls
from ipvs_lb.imports.keepalived.replies import hex_bytes, masked
from ipvs_lb.imports.keepalived.statements import Block, Statement
from ipvs_lb.imports.timing import Target, Timing, checked, fitted
from ipvs_lb.model.checks import (
    DnsCheck,
    ExecCheck,
    HealthCheck,
    Method,
    PingCheck,
    SmtpCheck,
    TcpCheck,
    UdpCheck,
)

DELAY_LOOP = 60.0
CONNECT_TIMEOUT = 5.0
_HELO = "smtpchecker.keepalived.org"
_NOTHING_TO_TIME = "FILE_CHECK", "BFD_CHECK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a virtual server, a real server or a checker says about times; None: nothing."""

    delay_loop: float | None = None
    connect_timeout: float | None = None
    retry: int | None = None
    delay_before_retry: float | None = None

    def within(self, outer: Times) -> Times:
        """These, and where they say nothing the *outer* ones."""
        return Times(
            delay_loop=outer.delay_loop if self.delay_loop is None else self.delay_loop,
            connect_timeout=(
                outer.connect_timeout if self.connect_timeout is None else self.connect_timeout
            ),
            retry=outer.retry if self.retry is None else self.retry,
            delay_before_retry=(
                outer.delay_before_retry
                if self.delay_before_retry is None
                else self.delay_before_retry
            ),
        )


def times(giver: Giver) -> Times:
    """Take what a block says about times."""
    giver.unneeded("the daemon spreads first checks by itself", "warmup")
    giver.unneeded(
        "a new server is out until its first check, with the daemon in any case", "alpha"
    )
    return Times(
        delay_loop=giver.seconds("delay_loop"),
        connect_timeout=giver.seconds("connect_timeout"),
        retry=giver.number("retry", "nb_get_retry"),
        delay_before_retry=giver.seconds("delay_before_retry"),
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a checker is read, its own default of `retry`, and of `delay_before_retry` (None: `delay_loop`)."""

    methods: Callable[[Giver, Surroundings], list[Method]]
    retry: int = 1
    delay: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Checkers:
    """The checkers of one real server."""

    surroundings: Surroundings
    times: Times
    findings: Findings

    def read(self, statements: list[Statement]) -> tuple[HealthCheck, ...]:
        """The checks that *statements* ask for; those that have no counterpart are told."""
        return tuple(check for statement in statements for check in self._checks(statement))

    def _checks(self, statement: Statement) -> Iterator[HealthCheck]:
        kind = _KINDS[statement.keyword]
        owner = f"{self.surroundings.owner}: {statement.keyword}"
        giver = Giver(Block(statement), owner, self.findings)
        own = times(giver).within(self.times)
        giver.unneeded("every change of state is logged, with the reason", "log_all_failures")
        target = _target(giver)
        hosts = giver.block.every("host")
        methods = kind.methods(giver, self.surroundings)
        timeout = giver.seconds("misc_timeout")
        if isinstance(methods[0] if methods else None, ExecCheck):
            own = _script_times(own, timeout)
        giver.end()
        timing = self._timing(own, kind, statement)
        for method in methods:
            if not hosts:
                yield checked(method, timing, target)
            for host in hosts:
                inner = Giver(Block(host), owner, self.findings)
                yield checked(method, timing, _target(inner))
                times(inner)
                inner.end()

    def _timing(self, own: Times, kind: _Kind, statement: Statement) -> Timing:
        delay_loop = DELAY_LOOP if own.delay_loop is None else own.delay_loop
        delay = kind.delay if own.delay_before_retry is None else own.delay_before_retry
        timing, told = fitted(
            Timing(
                interval=delay_loop,
                fast_interval=delay_loop if delay is None else delay,
                timeout=CONNECT_TIMEOUT if own.connect_timeout is None else own.connect_timeout,
                fall=(kind.retry if own.retry is None else own.retry) + 1,
            )
        )
        what = f"{self.surroundings.owner}: {statement.keyword}"
        if told and statement.keyword not in _NOTHING_TO_TIME:
            self.findings.changed(statement.mark, what, ", ".join(told))
        return timing


def _script_times(own: Times, timeout: float | None) -> Times:
    """A script is killed after `misc_timeout`, by default when it is due again."""
    delay_loop = DELAY_LOOP if own.delay_loop is None else own.delay_loop
    return replace(own, connect_timeout=timeout or delay_loop)


def _target(giver: Giver) -> Target:
    giver.left_out(
        "a probe's own port is the kernel's choice", "let the server allow any port", "bind_port"
    )
    giver.left_out(
        "a probe is bound to an address, not to an interface",
        "write source: with the interface's address",
        "bind_if",
    )
    return Target(
        address=giver.address("connect_ip"),
        port=giver.port("connect_port"),
        source=giver.address("bindto", "bind_to"),
        mark=giver.number("fwmark") or 0,
    )


def _tcp(_giver: Giver, _around: Surroundings) -> list[Method]:
    return [TcpCheck()]


def _smtp(giver: Giver, _around: Surroundings) -> list[Method]:
    return [SmtpCheck(helo=giver.text("helo_name") or _HELO)]


def _dns(giver: Giver, _around: Surroundings) -> list[Method]:
    kind = giver.text("type") or "SOA"
    return [DnsCheck(name=giver.text("name") or ".", record_type=kind.upper())]


def _ping(_giver: Giver, _around: Surroundings) -> list[Method]:
    return [PingCheck()]


def _udp(giver: Giver, _around: Surroundings) -> list[Method]:
    why = "the length of the answer is not looked at"
    giver.left_out(why, "expect the bytes it begins with", "min_reply_length", "max_reply_length")
    payload = giver.block.last("payload")
    reply = giver.block.last("require_reply")
    sent = b""
    if payload is None:
        giver.findings.changed(
            giver.block.mark, giver.owner, "an empty datagram is sent instead of a random one"
        )
    else:
        sent = _hex(giver, payload) or b""
    if reply is None:
        return [UdpCheck(payload=sent)]
    try:
        expect, mask = masked(" ".join(reply.values))
    except ValueError as error:
        giver.findings.left_out(reply.mark, giver.what(reply), str(error))
        expect, mask = b"", b""
    return [UdpCheck(payload=sent, expect=expect, mask=mask)]


def _hex(giver: Giver, statement: Statement) -> bytes | None:
    try:
        return hex_bytes(" ".join(statement.values))
    except ValueError as error:
        giver.findings.left_out(statement.mark, giver.what(statement), str(error))
        return None


def _misc(giver: Giver, around: Surroundings) -> list[Method]:
    giver.left_out(
        "an exit status is not a weight",
        "let the script print the weight, and write weight: yes",
        "misc_dynamic",
    )
    path, user = giver.block.last("misc_path"), giver.block.last("user")
    if path is None or not path.value:
        giver.findings.left_out(giver.block.mark, giver.owner, "it has no misc_path")
        return []
    try:
        command = shlex.split(" ".join(path.values))
    except ValueError as error:
        giver.findings.left_out(path.mark, giver.what(path), str(error))
        return []
    if not command or not command[0].startswith("/"):
        why = "a program is named by its absolute path"
        giver.findings.left_out(path.mark, giver.what(path), why, "write the whole path")
        return []
    return [ExecCheck(command=tuple(command), user=_user(giver, path, user, around))]


def _user(giver: Giver, path: Statement, user: Statement | None, around: Surroundings) -> str:
    if user is not None and user.values[1:]:
        why = f"the group is that of the user, not {user.values[1]}"
        giver.findings.changed(user.mark, giver.what(user), why)
    name = user.value if user is not None else around.script_user
    if name:
        return name
    why = "it runs as nobody; keepalived runs it as keepalived_script or root"
    giver.findings.changed(path.mark, giver.what(path), why, "write user: if it needs more")
    return "nobody"


def _bfd(giver: Giver, _around: Surroundings) -> list[Method]:
    giver.block.every("name")
    giver.findings.left_out(
        giver.block.mark, giver.owner, "BFD is not spoken", "use ping or tcp, with a short interval"
    )
    return []


def _file(giver: Giver, _around: Surroundings) -> list[Method]:
    giver.block.every("track_file", "dynamic", "weight")
    giver.findings.left_out(
        giver.block.mark,
        giver.owner,
        "a number in a file that is added to the weight has no counterpart",
        "use a check of type file with weight: yes, whose file holds the weight itself",
    )
    return []


_KINDS = {
    "TCP_CHECK": _Kind(_tcp),
    "HTTP_GET": _Kind(urls, delay=3.0),
    "SSL_GET": _Kind(urls, delay=3.0),
    "SMTP_CHECK": _Kind(_smtp),
    "DNS_CHECK": _Kind(_dns, retry=3, delay=None),
    "UDP_CHECK": _Kind(_udp),
    "PING_CHECK": _Kind(_ping),
    "MISC_CHECK": _Kind(_misc, retry=0),
    "BFD_CHECK": _Kind(_bfd),
    "FILE_CHECK": _Kind(_file),
}
CHECKERS = frozenset(_KINDS)
