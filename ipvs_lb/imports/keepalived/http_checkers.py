"""HTTP_GET and SSL_GET: one check for each url."""

from __future__ import annotations

from dataclasses import dataclass, field

from ipvs_lb.config import values
from ipvs_lb.imports.keepalived.given import Giver
from ipvs_lb.imports.keepalived.statements import Block, Statement
from ipvs_lb.model.checks import HttpCheck, Method, Tls

_OPTIONS = {"caseless": "i", "dotall": "s", "extended": "x", "multiline": "m"}
_HARMLESS = frozenset({"utf", "ucp", "no_auto_possess", "no_start_optimize"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What holds around a checker: whose it is, the host name to ask for, and the file's settings."""

    owner: str
    virtualhost: str | None = None
    script_user: str | None = None
    tls: Tls = field(default_factory=Tls)


def urls(giver: Giver, around: Surroundings) -> list[Method]:
    """The requests of HTTP_GET or SSL_GET."""
    secure = giver.owner.endswith("SSL_GET")
    version = giver.text("http_protocol") or "1.0"
    host = giver.text("virtualhost") or around.virtualhost
    sni = giver.flag("enable_sni")
    giver.unneeded(
        "the urls of a server are asked at once, not one after the other", "fast_recovery"
    )
    tls = around.tls if secure else None
    if sni and host is None:
        giver.findings.changed(
            giver.block.mark, f"{giver.owner}: enable_sni", "there is no virtualhost to name"
        )
    found: list[Method] = [
        _url(Giver(Block(one), f"{giver.owner}: url", giver.findings), host, version, tls)
        for one in giver.block.every("url")
    ]
    if not found:
        giver.findings.left_out(giver.block.mark, giver.owner, "it has no url", "add one")
    return found


def _url(giver: Giver, host: str | None, version: str, tls: Tls | None) -> HttpCheck:
    digest = giver.block.last("digest")
    if digest is not None:
        giver.findings.left_out(
            digest.mark,
            giver.what(digest),
            "the content's digest is not compared",
            "write body_contains: or body_regex: with what the page must say",
        )
    codes = giver.block.last("status_code")
    path = giver.value(values.http_path, "path")
    return HttpCheck(
        path="/" if path is None else path,
        host=giver.text("virtualhost") or host,
        http_version="1.1" if version == "1.1" else "1.0",
        expect_codes=_codes(giver, codes),
        body_regex=_finish(giver, _regex(giver)),
        tls=tls,
    )


def _finish(giver: Giver, regex: str | None) -> str | None:
    giver.unneeded("expressions have a time limit instead", "regex_stack")
    giver.left_out("the whole body is searched", "", "regex_min_offset", "regex_max_offset")
    giver.end()
    return regex


def _codes(giver: Giver, statement: Statement | None) -> tuple[tuple[int, int], ...]:
    if statement is None:
        return ((200, 299),)
    found = set()
    for word in statement.values:
        try:
            found.add(values.status_codes(word))
        except ValueError as error:
            giver.findings.left_out(statement.mark, giver.what(statement), str(error))
    return tuple(sorted(found)) or ((200, 299),)


def _regex(giver: Giver) -> str | None:
    statement, options = giver.block.last("regex"), giver.block.last("regex_options")
    absent = giver.flag("regex_no_match")
    if statement is None:
        return None
    flags = "".join(_option(giver, options, name) for name in (options.values if options else []))
    pattern = f"(?{flags}){statement.value}" if flags else statement.value
    if absent:
        inner = f"(?{flags}:{statement.value})" if flags else f"(?:{statement.value})"
        pattern = rf"\A(?![\s\S]*{inner})"
    try:
        return values.regex(pattern)
    except ValueError as error:
        giver.findings.left_out(
            statement.mark, giver.what(statement), str(error), "write body_regex: in another way"
        )
        return None


def _option(giver: Giver, options: Statement | None, name: str) -> str:
    if name not in _OPTIONS and name not in _HARMLESS and options is not None:
        why = f"{name} has no counterpart"
        giver.findings.left_out(options.mark, f"{giver.owner}: regex_options {name}", why)
    return _OPTIONS.get(name, "")
