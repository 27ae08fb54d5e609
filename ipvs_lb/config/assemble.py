"""All documents of a configuration, seen together, to the configuration they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ipvs_lb.config.api import api_settings
from ipvs_lb.config.check_forms import CheckSettings
from ipvs_lb.config.checks import checks_of, without_checks
from ipvs_lb.config.documents import Document
from ipvs_lb.config.fields import Form
from ipvs_lb.config.forms import (
    DaemonForm,
    DefaultsForm,
    PoolForm,
    RootForm,
    ServerSettings,
    ServiceSettings,
    SyncForm,
    TimeoutsForm,
)
from ipvs_lb.config.hooks import hooks_of
from ipvs_lb.config.metrics import metrics_settings
from ipvs_lb.config.networks import networks_of
from ipvs_lb.config.octavia import octavia_settings
from ipvs_lb.config.problems import Problems, quoted, shown
from ipvs_lb.config.servers import Defaults, roster
from ipvs_lb.config.services import Context, Pool, WrittenService, service
from ipvs_lb.config.through_vip import refuse_marks
from ipvs_lb.config.tree import Block, Spot
from ipvs_lb.config.validation import fill
from ipvs_lb.config.values import name as parse_name
from ipvs_lb.model.api import ApiSettings
from ipvs_lb.model.cloud import OctaviaSettings
from ipvs_lb.model.config import Config, DaemonSettings, DeclaredService
from ipvs_lb.model.hooks import Hook
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import IPAddress, Port, ServiceKey, family_of
from ipvs_lb.model.metrics import MetricsSettings
from ipvs_lb.model.settings import SyncDaemon, SyncRole, Timeouts

MAX_ROWS = 2_000_000
_DEFAULTS: dict[str, type[Form]] = {
    "service": ServiceSettings,
    "server": ServerSettings,
    "health_check": CheckSettings,
}


@dataclass(slots=True)
class _Seen:
    """What must not be there twice, and what adds up."""

    names: dict[str, Spot] = field(default_factory=dict)
    keys: dict[ServiceKey, Spot] = field(default_factory=dict)
    vips: dict[IPAddress, tuple[Vip, Spot]] = field(default_factory=dict)
    rows: int = 0


def assemble(documents: Sequence[Document], problems: Problems) -> Config:
    """The configuration; only to be used when no problem was found."""
    context = ground(documents, problems)
    context = replace(context, pools=dict(pools(documents, context.nested, problems)))
    written = (service(raw, spot, context, problems) for spot, raw in entries(documents, problems))
    return put_together(documents, written, problems)


def put_together(
    documents: Sequence[Document], services: Iterable[WrittenService | None], problems: Problems
) -> Config:
    """The configuration that *documents* declare beside *services*, which are all there are in them."""
    root = _root(documents)
    seen = _Seen()
    written = list(_accepted(services, seen, problems))
    settings = _daemon_settings(root.daemon)
    refuse_marks(settings.probe_marks, [(one.declared, one.spot) for one in written], problems)
    return Config(
        services=tuple(_with_settled_vips(one.declared, seen.vips) for one in written),
        timeouts=_timeouts(root.timeouts) if root.timeouts else None,
        sync_daemons=_sync_daemons(root, documents, written, problems),
        manage_sysctls=root.manage_sysctls,
        daemon=settings,
        api=(api := _api(root, documents, problems)),
        octavia=(octavia := _octavia(root, documents, api, problems)),
        metrics=_metrics(root, documents, Config(api=api, octavia=octavia), problems),
        hooks=_hooks(root, documents, seen, problems),
    )


def _root(documents: Sequence[Document]) -> RootForm:
    """What the first document says; if that cannot be told, nothing."""
    header = documents[0].header if documents else None
    return header if isinstance(header, RootForm) else RootForm(version=1)


def _accepted(
    services: Iterable[WrittenService | None], seen: _Seen, problems: Problems
) -> Iterator[WrittenService]:
    """Every service that can be told; no more once there are too many rows."""
    for one in services:
        if one is None:
            continue
        yield one
        seen.rows += len(one.declared.keys) * (1 + len(one.declared.servers))
        if seen.rows > MAX_ROWS:
            what = f"with this service the kernel's table has more than {MAX_ROWS} rows"
            one.spot.note(problems, what)
            return
        _refuse_again(one, seen, problems)


def ground(documents: Sequence[Document], problems: Problems) -> Context:
    """Defaults as they are written, without what is wrong with them; no pools yet.

    Nothing but the first document counts.
    """
    blocks = _defaults(documents[0], problems) if documents else {}
    nested = Defaults(server=blocks.get("server", {}), health_check=blocks.get("health_check", {}))
    own = blocks.get("service", {})
    checks = None
    if documents:
        spot = documents[0].spot.at("defaults", "service")
        checks = checks_of(own, spot, nested.health_check, problems)
    return Context(own, checks or (), nested, {}, _root(documents).guard_vips)


def _defaults(document: Document, problems: Problems) -> dict[str, dict[str, object]]:
    """The sound part of every block of `defaults`."""
    written = document.tree.root.get("defaults", {})
    spot = document.spot.at("defaults")
    if not isinstance(written, dict):
        spot.note(problems, f"expected a mapping, found {shown(written)}")
        return {}
    fill(DefaultsForm, {key: {} for key in written}, spot, problems)
    blocks = {}
    for key, form in _DEFAULTS.items():
        raw = written.get(key, {})
        if not isinstance(raw, dict):
            spot.at(key).note(problems, f"expected a mapping, found {shown(raw)}")
            continue
        filled = fill(form, without_checks(raw), spot.at(key), problems)
        broken = filled.broken if filled else raw.keys()
        blocks[key] = {name: value for name, value in raw.items() if name not in broken}
    return blocks


def pools(
    documents: Sequence[Document], defaults: Defaults, problems: Problems
) -> Iterator[tuple[str, Pool]]:
    """Every entry of every `pools`."""
    places: dict[str, Spot] = {}
    for document in documents:
        written = document.tree.root.get("pools", {})
        spot = document.spot.at("pools")
        if not isinstance(written, dict):
            spot.note(problems, f"expected a mapping of names to pools, found {shown(written)}")
            continue
        for name, raw in written.items():
            where = spot.at(name)
            _check_pool_name(name, where, problems)
            first = places.setdefault(name, where)
            if first is not where:
                what = f"pool {quoted(name)} is already at {first.place(at_key=True)}"
                where.note(problems, what, at_key=True)
            yield name, _pool(raw, where, defaults, problems)


def _check_pool_name(name: str, spot: Spot, problems: Problems) -> None:
    try:
        parse_name(name)
    except ValueError as error:
        spot.note(problems, str(error), at_key=True)


def _pool(raw: object, spot: Spot, defaults: Defaults, problems: Problems) -> Pool:
    if not isinstance(raw, Block):
        spot.note(problems, f"expected a mapping with servers, found {shown(raw)}")
        return Pool(roster([], spot, defaults, problems), None)
    header = {key: [] if key == "servers" else value for key, value in raw.items()}
    fill(PoolForm, without_checks(header), spot, problems)
    checks = checks_of(raw, spot, defaults.health_check, problems)
    return Pool(roster(raw.get("servers", []), spot.at("servers"), defaults, problems), checks)


def entries(documents: Sequence[Document], problems: Problems) -> Iterator[tuple[Spot, Block]]:
    """Every entry of every `services`."""
    for document in documents:
        services = document.tree.root.get("services", [])
        spot = document.spot.at("services")
        if not isinstance(services, list):
            spot.note(problems, f"expected a list of services, found {shown(services)}")
            continue
        for index, raw in enumerate(services):
            if isinstance(raw, Block):
                yield spot.at(index), raw
            else:
                spot.at(index).note(problems, f"expected a mapping, found {shown(raw)}")


def _refuse_again(one: WrittenService, seen: _Seen, problems: Problems) -> None:
    """The same name, the same virtual service, or one VIP with different settings."""
    first = seen.names.setdefault(one.declared.name, one.spot)
    if first is not one.spot:
        what = f"another service is called {quoted(one.declared.name)} at {first.place()}"
        one.spot.at("name").note(problems, what)
    for key in one.declared.keys:
        other = seen.keys.setdefault(key, one.spot)
        if other is not one.spot:
            one.spot.note(problems, f"virtual service {key} is already declared at {other.place()}")
            break
    for written in one.vips:
        if written.bare:
            continue
        vip, where = seen.vips.setdefault(written.vip.address, (written.vip, written.spot))
        if vip != written.vip:
            what = f"address {vip.address} has other settings at {where.place()}"
            written.spot.note(problems, what)


def _with_settled_vips(
    declared: DeclaredService, settled: Mapping[IPAddress, tuple[Vip, Spot]]
) -> DeclaredService:
    """A bare address has the settings that the same address has elsewhere."""
    vips = tuple(
        settled[vip.address][0] if vip.address in settled else vip for vip in declared.vips
    )
    return declared if vips == declared.vips else replace(declared, vips=vips)


def _timeouts(form: TimeoutsForm) -> Timeouts:
    return Timeouts(tcp=form.tcp, tcp_fin=form.tcp_fin, udp=form.udp)


def _daemon_settings(form: DaemonForm) -> DaemonSettings:
    return DaemonSettings(
        reconcile_interval=form.reconcile_interval,
        drift=form.drift,
        watch=form.watch,
        probe_marks=form.probe_marks,
    )


def _api(root: RootForm, documents: Sequence[Document], problems: Problems) -> ApiSettings:
    if not root.api.listen:
        return ApiSettings()
    return api_settings(root.api, documents[0].spot.at("api"), problems)


def _octavia(
    root: RootForm, documents: Sequence[Document], api: ApiSettings, problems: Problems
) -> OctaviaSettings | None:
    if not documents:
        return None
    spot = documents[0].spot
    networks = networks_of(root.networks, spot.at("networks"), problems)
    if root.octavia is None:
        return None
    settings = octavia_settings(root.octavia, networks, api, spot.at("octavia"), problems)
    return replace(settings, guard_vips=root.guard_vips)


def _metrics(
    root: RootForm, documents: Sequence[Document], others: Config, problems: Problems
) -> MetricsSettings:
    if root.metrics is None:
        return MetricsSettings()
    document = documents[0]
    raw, spot = document.tree.root["metrics"], document.spot.at("metrics")
    return metrics_settings(root.metrics, raw, others.listeners, spot, problems)


def _hooks(
    root: RootForm, documents: Sequence[Document], seen: _Seen, problems: Problems
) -> tuple[Hook, ...]:
    if not root.hooks:
        return ()
    return hooks_of(root.hooks, documents[0].spot.at("hooks"), seen.names, problems)


def _sync_daemons(
    root: RootForm,
    documents: Sequence[Document],
    written: Sequence[WrittenService],
    problems: Problems,
) -> tuple[SyncDaemon, ...]:
    if not root.sync:
        return ()
    spot = documents[0].spot.at("sync")
    roles: dict[SyncRole, int] = {}
    for index, form in enumerate(root.sync):
        first = roles.setdefault(form.role, index)
        if first != index:
            what = f"a {form.role} daemon is already at {spot.at(first).place()}"
            spot.at(index, "role").note(problems, what)
    for one in written:
        if _is_mixed(one.declared):
            what = "a service that mixes families cannot go with sync, the kernel refuses that"
            one.spot.note(problems, what)
    return tuple(map(_sync_daemon, root.sync))


def _is_mixed(declared: DeclaredService) -> bool:
    families = {key.family for key in declared.keys}
    return any(families - {family_of(server.address)} for server in declared.servers)


def _sync_daemon(form: SyncForm) -> SyncDaemon:
    return SyncDaemon(
        role=form.role,
        interface=form.interface,
        sync_id=form.id,
        max_length=form.max_length,
        group=form.group,
        port=form.port or Port(0),
        ttl=form.ttl,
    )
