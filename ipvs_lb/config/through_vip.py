"""Health checks through the VIP (`via: vip`): what cannot be checked so, and which marks they take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from ipvs_lb.config.check_forms import CheckForm
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Spot
from ipvs_lb.model.checks import (
    AgentCheck,
    DnsCheck,
    ExecCheck,
    FileCheck,
    HealthCheck,
    Method,
    PingCheck,
    SctpCheck,
    UdpCheck,
    Via,
    method_name,
)
from ipvs_lb.model.config import PROBE_MARKS, DeclaredServer, DeclaredService
from ipvs_lb.model.identity import (
    AddressKey,
    FwmarkKey,
    IPProtocol,
    ServiceKey,
    family_of,
)

_MOST = PROBE_MARKS // 2
_REASONS: dict[type[Method], str] = {
    PingCheck: "the gateway answers pings of its VIP itself",
    ExecCheck: "a program goes its own way",
    FileCheck: "a file is looked up on the gateway",
    AgentCheck: "an agent has a port of its own, which the VIP does not lead to",
}
_OVER_UDP = (UdpCheck, DnsCheck)


def refuse_alone(form: CheckForm, method: Method, spot: Spot, problems: Problems) -> None:
    """What is wrong with a check through the VIP whatever it is a check of."""
    if type(method) in _REASONS:
        what = f"{method_name(method)} checks cannot go through the VIP: {_REASONS[type(method)]}"
        spot.at("via").note(problems, what)
    if form.mark:
        what = "a probe through the VIP has a mark that leads it to its server, no other"
        spot.at("mark").note(problems, what)
    if form.address is not None:
        spot.at("address").note(problems, "a probe through the VIP goes to the VIP")


def refuse_here(declared: DeclaredService, spot: Spot, problems: Problems) -> None:
    """What is wrong with checks through the VIPs of this service."""
    probed = [(s, c) for s in declared.servers for c in s.checks if c.via is Via.VIP]
    if not probed:
        return
    general = chain.from_iterable(
        _misfits(declared, check) for check in dict.fromkeys(check for _, check in probed)
    )
    own = chain.from_iterable(_strangers(declared, *pair) for pair in probed)
    for what in dict.fromkeys(chain(general, own)):
        spot.at("health_check").note(problems, f"via: vip: {what}")


def _misfits(declared: DeclaredService, check: HealthCheck) -> Iterator[str]:
    name = method_name(check.method)
    for key in declared.keys:
        if isinstance(key, FwmarkKey):
            if not any(family_of(vip.address) is key.family for vip in declared.vips):
                yield "a service told by fwmark needs a vip to probe"
        elif key.protocol is not _protocol(check.method):
            yield f"{name} checks are not for {key.protocol} services"
        if check.source is not None and family_of(check.source) is not key.family:
            yield f"source {check.source} is not {key.family} as the VIP is"
        yield from _port_misfits(key, check)


def _protocol(method: Method) -> IPProtocol:
    if isinstance(method, SctpCheck):
        return IPProtocol.SCTP
    return IPProtocol.UDP if isinstance(method, _OVER_UDP) else IPProtocol.TCP


def _port_misfits(key: ServiceKey, check: HealthCheck) -> Iterator[str]:
    if isinstance(key, AddressKey) and key.port:
        if check.port is not None:
            yield f"the service's own port is probed, {key.port}, no other"
    elif check.port is None:
        yield "the service has no port of its own, so the check has to name one"


def _strangers(
    declared: DeclaredService, server: DeclaredServer, check: HealthCheck
) -> Iterator[str]:
    if check.source is not None:
        return
    for family in {key.family for key in declared.keys} - {family_of(server.address)}:
        yield f"server {server.name} is not {family} as the VIP is, so the check needs a source"


def refuse_marks(
    first: int, written: Sequence[tuple[DeclaredService, Spot]], problems: Problems
) -> None:
    """Where checks go through VIPs, nothing else uses the marks from *first* on."""
    probed = 0
    for declared, spot in written:
        servers = sum(
            any(check.via is Via.VIP for check in server.checks) for server in declared.servers
        )
        probed += servers * len(declared.keys)
        if probed > _MOST:
            spot.note(problems, f"with this service more than {_MOST} servers are checked via: vip")
            return
    if probed:
        for declared, spot in written:
            _refuse_taken(first, declared, spot, problems)


def _refuse_taken(first: int, declared: DeclaredService, spot: Spot, problems: Problems) -> None:
    last = first + PROBE_MARKS - 1
    aside = f"{first} to {last} are set aside for probes through VIPs (daemon: probe_marks)"
    for key in declared.keys:
        if isinstance(key, FwmarkKey) and first <= key.mark <= last:
            spot.at("fwmark").note(problems, f"mark {key.mark} is taken: {aside}")
    marks = {check.mark for server in declared.servers for check in server.checks}
    for mark in sorted(marks):
        if first <= mark <= last:
            spot.at("health_check").note(problems, f"mark {mark} is taken: {aside}")
