"""Rules about the kernel: IPVS and its modules, versions, sysctls."""

from __future__ import annotations

from collections.abc import Iterator

from ipvs_lb import hostplan
from ipvs_lb.doctor import declared
from ipvs_lb.doctor.facts import Facts
from ipvs_lb.doctor.finding import Rule, error, some, warning
from ipvs_lb.model.desired import SysctlNeed
from ipvs_lb.model.identity import AddressKey, IPProtocol
from ipvs_lb.model.settings import Forwarding, TunnelType

Found = Iterator[tuple[str, str]]
_SCHEDULERS_SINCE = {"mh": (4, 18), "twos": (6, 6)}
_TUNNELS_SINCE = {TunnelType.GUE: (5, 2), TunnelType.GRE: (5, 3)}
_CHECKSUM_SINCE = (5, 3)
_FTP = 21
_REDIRECTS = "net.ipv4.conf.{}.send_redirects"


def _no_ipvs(facts: Facts) -> Found:
    if facts.ipvs_error is not None:
        yield facts.ipvs_error


def _schedulers(facts: Facts) -> Found:
    yield from _modules(
        facts, "ip_vs_", [(one.service.scheduler, one.name) for one in declared.services(facts)]
    )


def _engines(facts: Facts) -> Found:
    used = [
        (one.service.persistence_engine, one.name)
        for one in declared.services(facts)
        if one.service.persistence_engine
    ]
    yield from _modules(facts, "ip_vs_pe_", used)


def _modules(facts: Facts, prefix: str, used: list[tuple[str, str]]) -> Found:
    """The modules of what is *used*, each with the service that does, that this machine does not have."""
    if facts.modules is None:
        return
    for what in sorted({what for what, _ in used if f"{prefix}{what}" not in facts.modules}):
        services = some([service for each, service in used if each == what])
        yield (
            f"there is no module {prefix}{what}, which {services} needs",
            f"modprobe {prefix}{what}",
        )


def _ftp(facts: Facts) -> Found:
    names = {
        one.name: None
        for one, _ in declared.members(facts, Forwarding.MASQ)
        for key in one.keys
        if isinstance(key, AddressKey) and (key.protocol, key.port) == (IPProtocol.TCP, _FTP)
    }
    if names and "ip_vs_ftp" not in facts.loaded:
        yield f"{some([*names])} balances FTP, and ip_vs_ftp is not loaded", "modprobe ip_vs_ftp"


def _too_old(facts: Facts) -> Found:
    """Schedulers, tunnels and gue's checksums (29930e314da3, "ipvs: add checksum support for gue encapsulation")."""
    kernel = facts.host.kernel
    if kernel is None:
        return
    wanted = {
        f"scheduler {one.service.scheduler} of {one.name}": _SCHEDULERS_SINCE[one.service.scheduler]
        for one in declared.services(facts)
        if one.service.scheduler in _SCHEDULERS_SINCE
    } | {
        f"{server.tunnel.type} tunnel of {one.name}": _TUNNELS_SINCE[server.tunnel.type]
        for one, server in declared.members(facts, Forwarding.TUNNEL)
        if server.tunnel is not None and server.tunnel.type in _TUNNELS_SINCE
    }
    wanted |= {
        f"tunnel checksum {server.tunnel.checksum} of {one.name}": _CHECKSUM_SINCE
        for one, server in declared.members(facts, Forwarding.TUNNEL)
        if server.tunnel is not None and server.tunnel.checksum
    }
    for what, since in wanted.items():
        if kernel < since:
            text = f"the {what} needs Linux {since[0]}.{since[1]}, this is {kernel[0]}.{kernel[1]}"
            yield (
                text,
                f"a kernel of {since[0]}.{since[1]} or later, or another choice in {facts.config_path}",
            )


def _forwarding(facts: Facts) -> Found:
    yield from _unmet(facts, forwarding=True)


def _sysctls(facts: Facts) -> Found:
    yield from _unmet(facts, forwarding=False)


def _unmet(facts: Facts, *, forwarding: bool) -> Found:
    for need in declared.sysctl_needs(facts):
        present = facts.host.sysctls.get(need.name)
        is_forwarding = need.name in hostplan.FORWARDING.values()
        if present not in {None, need.value} and is_forwarding is forwarding:
            yield _need(need, str(present)), f"sysctl -w {need.name}={need.value}"


def _need(need: SysctlNeed, present: str) -> str:
    return f"{need.name} is {present} and should be {need.value}: {need.reason}"


def _redirects(facts: Facts) -> Found:
    """Clients and servers on one link: the kernel tells clients to go to the servers themselves."""
    homes = {vip.place.interface for vip in declared.placed(facts)}
    methods = (Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL)
    ways = {
        route.interface
        for address in declared.servers(facts, *methods)
        if (route := facts.routes.get(address)) is not None and address.version == 4  # noqa: PLR2004  # IP versions
    }
    for interface in sorted(homes & ways - {hostplan.LOOPBACK}):
        names = [_REDIRECTS.format(one.replace(".", "/")) for one in ("all", interface)]
        on = [name for name in names if facts.host.sysctls.get(name) == "1"]
        if on:
            what = f"clients and servers share {interface}, and {' and '.join(on)} is 1"
            yield what, f"sysctl -w {' '.join(f'{name}=0' for name in on)}"


RULES = (
    Rule(error("ipvs.missing", "No service is balanced at all."), _no_ipvs),
    Rule(
        error(
            "scheduler.missing", "The kernel refuses the service, and apply takes back everything."
        ),
        _schedulers,
    ),
    Rule(
        error(
            "persistence_engine.missing",
            "The kernel refuses the service, and apply takes back everything.",
        ),
        _engines,
    ),
    Rule(
        error(
            "kernel.too_old",
            "The kernel refuses the service or server, or takes it for something else.",
        ),
        _too_old,
    ),
    Rule(
        error(
            "forwarding.off",
            "Answers of masq servers do not reach clients: connections time out.",
            "docs/how-to/gateway.md#try-it",
        ),
        _forwarding,
    ),
    Rule(
        warning(
            "sysctl.missing",
            "What it is said to be for does not work.",
            "docs/how-to/gateway.md#try-it",
        ),
        _sysctls,
    ),
    Rule(
        warning("ftp_helper.missing", "FTP logs in, and no transfer in passive mode works."), _ftp
    ),
    Rule(
        warning(
            "redirects.sent",
            "Clients are told a shorter way past the gateway, and their connections hang or are reset.",
        ),
        _redirects,
    ),
)
