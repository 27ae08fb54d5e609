"""One entry of `services`, with everything that holds for it, to the service it declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from ipvs_lb.config.access import allowed
from ipvs_lb.config.checks import CHECK_KEYS, checks_of
from ipvs_lb.config.forms import (
    FlapDampingForm,
    PersistenceForm,
    QuorumForm,
    ServiceForm,
    SlowStartForm,
)
from ipvs_lb.config.listeners import Listeners, WrittenVip, listeners
from ipvs_lb.config.problems import Problems, Unknown, alternatives, number_of, quoted
from ipvs_lb.config.servers import Defaults, Roster, Setting, declared, roster, tunnel_of
from ipvs_lb.config.through_vip import refuse_here
from ipvs_lb.config.tree import Block, Spot
from ipvs_lb.config.validation import Filled, fill
from ipvs_lb.model.checks import HealthCheck
from ipvs_lb.model.config import (
    DeclaredServer,
    DeclaredService,
    FlapDamping,
    HealthPolicy,
    Quorum,
    SlowStart,
)
from ipvs_lb.model.host import SourceNat
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Service,
)

_READ_APART = CHECK_KEYS | {"servers"}
_ANY_FLAGS = {
    "flag-1": SchedulerFlags.FLAG_1,
    "flag-2": SchedulerFlags.FLAG_2,
    "flag-3": SchedulerFlags.FLAG_3,
}
_IPV4_BITS, _IPV6_BITS = 32, 128


@dataclass(frozen=True, slots=True)
class Pool:
    """Named servers, and the checks they come with."""

    servers: Roster
    checks: tuple[HealthCheck, ...] | None


@dataclass(frozen=True, slots=True)
class Context:
    """What a service can refer to: defaults as they are written, pools, and whether VIPs are guarded."""

    service: Mapping[str, object]
    checks: tuple[HealthCheck, ...]
    nested: Defaults
    pools: Mapping[str, Pool]
    guard_vips: bool = False


@dataclass(frozen=True, slots=True)
class WrittenService:
    """A declared service and where its parts are written."""

    declared: DeclaredService
    vips: tuple[WrittenVip, ...]
    spot: Spot


def service(raw: Block, spot: Spot, context: Context, problems: Problems) -> WrittenService | None:
    """The service that *raw* declares; None if there is too little to tell."""
    own = (
        roster(raw["servers"], spot.at("servers"), context.nested, problems)
        if "servers" in raw
        else None
    )
    own_checks = checks_of(raw, spot, context.nested.health_check, problems)
    filled = fill(ServiceForm, _merged(raw, context), spot, problems)
    if filled is None:
        return None
    form = filled.form
    answers = listeners(form, raw, spot, problems, guard_vips=context.guard_vips)
    if own is None:
        pool = _pool(filled, spot, context, problems)
    else:
        pool = Pool(own, None)
        if "pool" in raw:
            spot.at("pool").note(problems, "either servers or pool, not both", at_key=True)
    checks = _first(own_checks, pool.checks, context.checks)
    members = declared(pool.servers, _setting(form, answers, checks, spot, problems), problems)
    for key, what in _misfits(form, raw, members):
        spot.at(key).note(problems, what)
    result = DeclaredService(
        name=form.name,
        keys=answers.keys,
        service=_settings(filled, answers, spot, problems),
        servers=members,
        policy=_policy(form),
        vips=tuple(written.vip for written in answers.vips),
        source_nat=form.source_nat,
        allow=allowed(filled, raw, answers.families, spot, problems),
        origin=_origin(spot),
    )
    refuse_here(result, spot, problems)
    return WrittenService(result, answers.vips, spot)


def _first(*candidates: tuple[HealthCheck, ...] | None) -> tuple[HealthCheck, ...]:
    return next((found for found in candidates if found is not None), ())


def _origin(spot: Spot) -> str:
    place = spot.place()
    return f"{place.file}:{place.line}"


def _merged(raw: Block, context: Context) -> dict[str, object]:
    """*raw* over the defaults, without what is read apart; a scheduler of its own drops the default's flags."""
    defaults = {
        key: value
        for key, value in context.service.items()
        if key not in CHECK_KEYS and not (key == "flags" and "scheduler" in raw)
    }
    merged = defaults | {key: value for key, value in raw.items() if key not in _READ_APART}
    if merged.get("persistence") == "off":
        del merged["persistence"]
    if "fwmark" in raw and "protocol" not in raw:
        merged.pop("protocol", None)
    return merged


def _pool(filled: Filled[ServiceForm], spot: Spot, context: Context, problems: Problems) -> Pool:
    """The pool the service names; an empty one where that is a problem."""
    name = filled.form.pool
    nothing = Pool(Roster(spot.at("pool")), None)
    if name is None:
        if "pool" not in filled.broken:
            what: object = "the servers are missing: servers, which may be [], or pool"
            spot.at("servers").note(problems, what)
        return nothing
    if name in context.pools:
        return context.pools[name]
    kind = f"unknown pool {quoted(name)}"
    what = (
        Unknown(kind, name, tuple(context.pools))
        if context.pools
        else f"{kind}, there are no pools"
    )
    spot.at("pool").note(problems, what)
    return nothing


def _setting(
    form: ServiceForm,
    answers: Listeners,
    checks: tuple[HealthCheck, ...],
    spot: Spot,
    problems: Problems,
) -> Setting:
    return Setting(
        forwarding=form.forwarding,
        tunnel=tunnel_of(form.tunnel, spot.at("tunnel"), problems) if form.tunnel else None,
        checks=checks,
        families=answers.families,
        ports=frozenset(key.port if isinstance(key, AddressKey) else 0 for key in answers.keys),
    )


def _settings(
    filled: Filled[ServiceForm], answers: Listeners, spot: Spot, problems: Problems
) -> Service:
    form, persistence = filled.form, filled.form.persistence
    everything = any(isinstance(key, AddressKey) and not key.port for key in answers.keys)
    if everything and persistence is None and "persistence" not in filled.broken:
        spot.at("ports" if form.ports else "port").note(
            problems, "port 0, all ports, needs persistence"
        )
    for key, what in _udp_only(form, answers):
        spot.at(*key).note(problems, what)
    return Service(
        scheduler=form.scheduler,
        flags=_flags(form, spot, problems),
        persistence=_persistence(persistence, answers, spot.at("persistence"), problems)
        if persistence
        else None,
        persistence_engine=persistence.engine if persistence else None,
        one_packet=form.one_packet,
    )


def _udp_only(form: ServiceForm, answers: Listeners) -> Iterator[tuple[tuple[str, ...], str]]:
    if form.protocol is IPProtocol.UDP or any(isinstance(key, FwmarkKey) for key in answers.keys):
        return
    if form.one_packet:
        yield ("one_packet",), f"one-packet scheduling is for udp, this is {form.protocol}"
    if form.persistence and form.persistence.engine:
        what = f"persistence engine {form.persistence.engine} is for udp, this is {form.protocol}"
        yield ("persistence", "engine"), what


def _flags(form: ServiceForm, spot: Spot, problems: Problems) -> SchedulerFlags:
    known = {**SCHEDULER_FLAGS.get(form.scheduler, {}), **_ANY_FLAGS}
    result = SchedulerFlags.NONE
    for index, name in enumerate(form.flags):
        if name not in known:
            what = f"{name} is not for scheduler {form.scheduler}, expected {alternatives(known)}"
            spot.at("flags", index).note(problems, what)
        result |= known.get(name, SchedulerFlags.NONE)
    return result


def _persistence(
    form: PersistenceForm, answers: Listeners, spot: Spot, problems: Problems
) -> Persistence:
    if form.netmask is not None and form.prefix is not None:
        spot.at("prefix").note(problems, "either netmask or prefix, not both", at_key=True)
    if len(answers.families) > 1:
        what = "a persistent service has addresses of one family, declare two services that share a pool"
        spot.note(problems, what)
    if answers.families == {Family.IPV6}:
        if form.netmask is not None:
            spot.at("netmask").note(problems, "an ipv6 service has a prefix instead of a netmask")
        return Persistence(form.timeout, PrefixLength(form.prefix or _IPV6_BITS))
    bits = form.prefix or _IPV4_BITS
    if bits > _IPV4_BITS and answers.families:
        spot.at("prefix").note(
            problems, f"an IPv4 prefix has at most {_IPV4_BITS} bits, found {bits}"
        )
    mask = IPv4Network(f"0.0.0.0/{min(bits, _IPV4_BITS)}").netmask
    return Persistence(form.timeout, mask if form.netmask is None else form.netmask)


def _misfits(
    form: ServiceForm, raw: Block, members: tuple[DeclaredServer, ...]
) -> Iterator[tuple[str, str]]:
    methods = {form.forwarding} if not members else {server.forwarding for server in members}
    if "tunnel" in raw and Forwarding.TUNNEL not in methods | {form.forwarding}:
        yield "tunnel", "no server has forwarding tunnel"
    if form.source_nat is SourceNat.ON and Forwarding.MASQ not in methods:
        yield "source_nat", "source NAT is for masq, and no server has that"
    if form.quorum is not None:
        yield from _quorum_misfits(form.quorum.servers, form.quorum.hysteresis, len(members))
    if form.flap_damping is not None and form.flap_damping.max_hold < form.flap_damping.hold:
        yield "flap_damping", "max_hold must not be shorter than hold"
    tested = [len(server.checks) for server in members if server.checks]
    if form.required is not None and tested and form.required > min(tested):
        yield (
            "required",
            f"{number_of(form.required, 'check')} required of a server that has {min(tested)}",
        )


def _quorum_misfits(servers: int, hysteresis: int, present: int) -> Iterator[tuple[str, str]]:
    if hysteresis >= servers:
        yield "quorum", f"hysteresis {hysteresis} must be less than the quorum, {servers}"
    elif present and servers + hysteresis > present:
        yield (
            "quorum",
            f"a quorum regained at {servers + hysteresis} needs as many servers, found {present}",
        )


def _policy(form: ServiceForm) -> HealthPolicy:
    return HealthPolicy(
        on_down=form.on_down,
        required=form.required,
        panic_threshold=form.panic_threshold,
        quorum=_quorum(form.quorum) if form.quorum else None,
        slow_start=_slow_start(form.slow_start) if form.slow_start else None,
        flap_damping=_flap_damping(form.flap_damping) if form.flap_damping else None,
        drain_timeout=form.drain_timeout,
        vip_down_when=form.vip_down_when,
    )


def _quorum(form: QuorumForm) -> Quorum:
    return Quorum(servers=form.servers, hysteresis=form.hysteresis, action=form.action)


def _slow_start(form: SlowStartForm) -> SlowStart:
    return SlowStart(duration=form.duration, steps=form.steps)


def _flap_damping(form: FlapDampingForm) -> FlapDamping:
    return FlapDamping(
        changes=form.changes, window=form.window, hold=form.hold, max_hold=form.max_hold
    )
