"""Forms of health checks to the checks they mean."""

from __future__ import annotations

from collections.abc import Mapping

from ipvs_lb.config import check_forms as forms
from ipvs_lb.config.problems import Problems, Unknown, alternatives, quoted, shown
from ipvs_lb.config.through_vip import refuse_alone
from ipvs_lb.config.tree import Spot
from ipvs_lb.config.validation import fill
from ipvs_lb.config.values import duration_text
from ipvs_lb.model import checks as model

CHECK_KEYS = frozenset({"health_check", "health_checks"})
_DEFAULT_TIMEOUT = 3.0


def without_checks(raw: Mapping[str, object]) -> Mapping[str, object]:
    """*raw* without its health checks, which are read by `checks_of`."""
    if "health_check" in raw or "health_checks" in raw:
        return {key: value for key, value in raw.items() if key not in CHECK_KEYS}
    return raw


def checks_of(
    raw: Mapping[str, object], spot: Spot, defaults: Mapping[str, object], problems: Problems
) -> tuple[model.HealthCheck, ...] | None:
    """The checks that *raw* asks for, over *defaults*; None when it does not say."""
    if "health_check" in raw and "health_checks" in raw:
        what = "either health_check or health_checks, not both"
        spot.at("health_checks").note(problems, what, at_key=True)
    if "health_check" in raw:
        written, where = [raw["health_check"]], [spot.at("health_check")]
    elif "health_checks" in raw:
        many = raw["health_checks"]
        if not isinstance(many, list):
            what = f"expected a list of health checks, found {shown(many)}"
            spot.at("health_checks").note(problems, what)
            return ()
        written, where = many, [spot.at("health_checks", index) for index in range(len(many))]
    else:
        return None
    read = (_read(*one, defaults, problems) for one in zip(written, where, strict=True))
    return tuple(check for check in read if check is not None)


def _read(
    raw: object, spot: Spot, defaults: Mapping[str, object], problems: Problems
) -> model.HealthCheck | None:
    if not isinstance(raw, dict):
        spot.note(problems, f"expected a mapping with a type, found {shown(raw)}")
        return None
    kind = raw.get("type")
    form = forms.FORMS.get(kind) if isinstance(kind, str) else None
    if form is None:
        _refuse_type(kind, spot, problems)
        return None
    filled = fill(form, {**defaults, **raw}, spot, problems)
    return _check(filled.form, spot, problems) if filled else None


def _refuse_type(kind: object, spot: Spot, problems: Problems) -> None:
    what: object
    if kind is None:
        what = f"required key is missing, expected {alternatives(forms.FORMS)}"
        problems.add(spot.place(), (*spot.path, "type"), what)
    elif isinstance(kind, str):
        what = Unknown(f"unknown type {quoted(kind)}", kind, tuple(forms.FORMS))
        spot.at("type").note(problems, what)
    else:
        what = f"expected {alternatives(forms.FORMS)}, found {shown(kind)}"
        spot.at("type").note(problems, what)


def _check(form: forms.CheckForm, spot: Spot, problems: Problems) -> model.HealthCheck:
    timeout = form.timeout or min(_DEFAULT_TIMEOUT, round(form.interval * 0.6, 6))
    fast = form.fast_interval or min(max(form.interval / 5, 1.0), form.interval)
    if timeout >= form.interval:
        what = (
            f"timeout {duration_text(timeout)} must be shorter than "
            f"interval {duration_text(form.interval)}"
        )
        spot.at("timeout" if _is_written(spot, "timeout") else "interval").note(problems, what)
    if fast > form.interval:
        what = (
            f"fast_interval {duration_text(fast)} must not be longer than "
            f"interval {duration_text(form.interval)}"
        )
        spot.at("fast_interval").note(problems, what)
    method = _method(form, spot, problems)
    if form.via is model.Via.VIP:
        refuse_alone(form, method, spot, problems)
    return model.HealthCheck(
        method=method,
        interval=form.interval,
        fast_interval=fast,
        timeout=timeout,
        rise=form.rise,
        fall=form.fall,
        address=form.address,
        port=form.port,
        source=form.source,
        mark=form.mark,
        via=form.via,
    )


def _is_written(spot: Spot, key: str) -> bool:
    target = spot.at(key)
    return spot.tree.find(target.path)[0] == target.path


def _method(form: forms.CheckForm, spot: Spot, problems: Problems) -> model.Method:  # noqa: C901, PLR0912  # one match over all types
    match form:
        case forms.TcpForm():
            return model.TcpCheck(send=form.send, expect=form.expect)
        case forms.HttpForm():
            return _http(form, spot, problems)
        case forms.TlsCheckForm():
            return model.TlsCheck(tls=_tls(form.tls, spot, problems), min_days=form.min_days)
        case forms.UdpForm():
            return _udp(form, spot, problems)
        case forms.SctpForm():
            return model.SctpCheck()
        case forms.DnsForm():
            return model.DnsCheck(
                name=form.name, record_type=form.record_type.upper(), answer=form.answer
            )
        case forms.PingForm():
            return model.PingCheck()
        case forms.SmtpForm():
            return model.SmtpCheck(helo=form.helo)
        case forms.GrpcForm():
            tls = _tls(form.tls, spot, problems) if form.tls else None
            return model.GrpcCheck(service=form.service, tls=tls)
        case forms.RedisForm():
            return model.RedisCheck(role=form.role)
        case forms.MysqlForm():
            return model.MysqlCheck()
        case forms.PostgresForm():
            return model.PostgresCheck()
        case forms.ExecForm():
            return _exec(form, spot, problems)
        case forms.FileForm():
            return model.FileCheck(path=form.path, weight=form.weight)
        case forms.AgentForm():
            if form.port is None and not _is_written(spot, "port"):
                spot.note(problems, "an agent check needs a port, the one the agent listens on")
            return model.AgentCheck(send=form.send)
        case _:
            raise AssertionError(form)


def _http(form: forms.HttpForm, spot: Spot, problems: Problems) -> model.HttpCheck:
    tls = form.tls if isinstance(form, forms.HttpsForm) else None
    return model.HttpCheck(
        method=form.method,
        path=form.path,
        host=form.host,
        headers=tuple(form.headers.items()),
        body=form.body,
        http_version=form.http_version,
        expect_codes=tuple(sorted(set(form.expect))),
        body_contains=form.body_contains,
        body_regex=form.body_regex,
        body_limit=form.body_limit,
        tls=_tls(tls, spot, problems) if tls else None,
    )


def _tls(form: forms.TlsForm, spot: Spot, problems: Problems) -> model.Tls:
    if form.key and not form.certificate:
        spot.at("tls", "key").note(problems, "a key needs its certificate, which is not given")
    return model.Tls(
        server_name=form.server_name,
        verify=form.verify,
        ca_file=form.ca_file,
        certificate=form.certificate,
        key=form.key,
    )


def _udp(form: forms.UdpForm, spot: Spot, problems: Problems) -> model.UdpCheck:
    if form.mask is not None and len(form.mask) != len(form.expect or b""):
        what = f"mask has {len(form.mask)} bytes, expected as many as expect ({len(form.expect or b'')})"
        spot.at("mask").note(problems, what)
    return model.UdpCheck(payload=form.payload, expect=form.expect, mask=form.mask)


def _exec(form: forms.ExecForm, spot: Spot, problems: Problems) -> model.ExecCheck:
    if not form.command[0].startswith("/"):
        spot.at("command", 0).note(problems, "expected the absolute path of a program")
    return model.ExecCheck(command=tuple(form.command), user=form.user, weight=form.weight)
