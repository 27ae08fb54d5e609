"""A whole ldirectord.cf as a draft. Defaults are those of the program, which its manual does not always tell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ipvs_lb.config.draft import Answers, Draft, DraftService
from ipvs_lb.imports.drafting import unlike, with_plain_port, with_shared_checks
from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.ldirectord import places
from ipvs_lb.imports.ldirectord.lines import Section, Setting, read
from ipvs_lb.imports.ldirectord.settings import asking, kernel_settings, leave_out
from ipvs_lb.imports.ldirectord.times import INTERVAL, Times, times
from ipvs_lb.imports.ldirectord.virtual import Clock, Virtual
from ipvs_lb.imports.names import Names
from ipvs_lb.model.config import OnDown
from ipvs_lb.model.identity import Family, IPProtocol, endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class General:
    """What the file says for all virtual services."""

    times: Times
    quiescent: bool
    forking: bool
    fallbacks: dict[Family, Setting]


def translate(text: str, name: str, findings: Findings) -> Draft:
    """What *text* declares; *findings* are told of the rest."""
    apart = Findings()
    written = read(text, name, apart)
    section = written.general
    found = {
        Family.IPV4: section.last("fallback"),
        Family.IPV6: section.last("fallback6"),
    }
    general = General(
        times=times(section, apart),
        quiescent=_is_yes(section.last("quiescent")),
        forking=_is_yes(section.last("fork")),
        fallbacks={family: one for family, one in found.items() if one is not None},
    )
    watch = _is_yes(section.last("autoreload"))
    leave_out(section, apart)
    names, services = Names(), list[DraftService]()
    findings.found += apart.found
    for one in written.virtuals:
        own = Findings()
        service = _service(one, general, names, own)
        if service is not None:
            services.append(service)
        else:
            apart.found += own.found
        findings.found += own.found
    return Draft(services=tuple(services), watch=watch, remarks=apart.remarks())


def _is_yes(setting: Setting | None) -> bool:
    return setting is not None and setting.value == "yes"


def _service(
    section: Section, general: General, names: Names, findings: Findings
) -> DraftService | None:
    try:
        place = places.virtual(section.title.partition("=")[2])
    except ValueError as error:
        todo = "its servers are left out with it"
        findings.left_out(section.mark, section.title, str(error), todo)
        return None
    family = Family.IPV6 if section.title.startswith("virtual6") else Family.IPV4
    answers = _answers(place, section, family)
    settings = kernel_settings(section, answers, family, findings)
    asked = asking(section, place, answers, findings)
    virtual = Virtual(section, answers, family, asked, _clock(section, general, findings), findings)
    on_down = _on_down(section, general)
    servers = unlike(virtual.servers(general.fallbacks), section.title, findings)
    checks, mine = with_shared_checks([with_plain_port(one, answers.ports) for one in servers])
    title, comment = section.last("servicename"), section.last("comment")
    wish = re.sub(r"\s+", "-", title.value) if title else ""
    default = f"fwmark-{place}" if isinstance(place, int) else f"{answers.protocol}-{_where(place)}"
    leave_out(section, findings)
    return DraftService(
        name=names.give(wish, default),
        answers=answers,
        settings=settings,
        servers=mine,
        checks=checks,
        on_down=on_down,
        origin=str(section.mark),
        remarks=_remarks(section, comment, findings),
    )


def _remarks(section: Section, comment: Setting | None, findings: Findings) -> tuple[str, ...]:
    said = (comment.value,) if comment else ()
    return (f"{section.mark}: {section.title}", *said, *findings.remarks())


def _where(place: places.Place) -> str:
    return endpoint(place.address, place.port)


def _answers(place: places.Place | int, section: Section, family: Family) -> Answers:
    protocol = section.last("protocol")
    if isinstance(place, int):
        return Answers(fwmark=place, family=family)
    named = {"tcp": IPProtocol.TCP, "udp": IPProtocol.UDP}
    plain = IPProtocol.UDP if place.port == 53 else IPProtocol.TCP  # noqa: PLR2004  # DNS
    chosen = named.get(protocol.value, plain) if protocol else plain
    return Answers(vips=(place.address,), ports=((place.port, place.port),), protocol=chosen)


def _on_down(section: Section, general: General) -> OnDown:
    setting = section.last("quiescent")
    quiescent = general.quiescent if setting is None else _is_yes(setting)
    return OnDown.QUIESCE if quiescent else OnDown.REMOVE


def _clock(section: Section, general: General, findings: Findings) -> Clock:
    own = times(section, findings)
    if own.interval and not general.forking:
        what = f"{section.title} checkinterval={own.interval}"
        findings.unneeded(section.mark, what, "without fork=yes that of the file counts")
    interval = own.interval if general.forking else None
    return Clock(
        interval=interval or general.times.interval or INTERVAL,
        timeout=own.timeout(general.times),
        negotiate_timeout=own.negotiate_timeout(general.times),
        failures=own.failures or general.times.failures or 1,
    )
