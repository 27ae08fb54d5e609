"""Settings of ldirectord.cf about the kernel's table, about checks, and those that have no counterpart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ipvs_lb.config import values
from ipvs_lb.config.draft import Answers
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.ldirectord.checks import Asked
from ipvs_lb.imports.ldirectord.lines import Section, Setting
from ipvs_lb.imports.ldirectord.places import SERVICES, Place, port
from ipvs_lb.model.identity import Family, IPProtocol, Port
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    SCHEDULERS,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Service,
)

_ANY_FLAGS = {f"flag-{number}": flag for number, flag in enumerate(SchedulerFlags, start=1)}
_HOOKS = "a hook on server.* events can run a program or post: hooks: in the configuration"
_LEFT_OUT = {
    "callback": ("nobody is told of a changed file", "have it done by what changes the file"),
    "emailalert": ("no mail is sent", _HOOKS),
    "emailalertfreq": ("no mail is sent", ""),
    "emailalertfrom": ("no mail is sent", ""),
    "emailalertstatus": ("no mail is sent", ""),
    "smtp": ("no mail is sent", ""),
    "execute": (
        "other configurations are not started",
        "import them one by one, and include: them",
    ),
    "fallbackcommand": ("programs are run by hooks only", _HOOKS),
    "maintenancedir": ("no folder is looked at", "ipvs-lb drain and ipvs-lb disable do that"),
    "monitorfile": (
        "checks are not logged one by one",
        "ipvs-lb events and status tell the results",
    ),
    "login": ("nobody logs in", "write a health_check: of type exec for it"),
    "passwd": ("nobody logs in", ""),
    "database": ("no query is sent", ""),
    "secret": ("nobody logs in", ""),
    "load": ("the load is not measured", "a check of type agent takes weights from the server"),
}
_UNNEEDED = {
    "logfile": "logs go to standard error, and under systemd to the journal",
    "supervised": "the daemon always stays in the foreground",
    "cleanstop": "the table stays when the daemon stops",
    "readdquiescent": "the table is compared as a whole, again and again",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """What a virtual service says about checks, and where each of it stands."""

    kind: str
    template: Asked
    marks: dict[str, Mark] = field(default_factory=dict)

    def about(self, mark: Mark) -> Asked:
        """The same for the real server at *mark*, which messages name where nothing else is to blame."""
        blamed = self.marks.get("service", self.marks.get("checktype", mark))
        return replace(self.template, mark=blamed)


def kernel_settings(
    section: Section, answers: Answers, family: Family, findings: Findings
) -> Service:
    """What the kernel keeps of the virtual service."""
    scheduler = "wrr"
    setting = section.last("scheduler")
    if setting is not None and setting.value in SCHEDULERS:
        scheduler = setting.value
    elif setting is not None:
        why = f"there is no such scheduler, {scheduler} takes its place"
        findings.left_out(setting.mark, f"{section.title} {setting.title}", why)
    ops = section.last("ops")
    is_udp = answers.fwmark is None and answers.protocol is IPProtocol.UDP
    return Service(
        scheduler=scheduler,
        flags=_flags(section, scheduler, findings),
        persistence=_persistence(section, family, findings),
        one_packet=ops is not None and ops.value == "yes" and is_udp,
    )


def _flags(section: Section, scheduler: str, findings: Findings) -> SchedulerFlags:
    setting = section.last("schedflags")
    known = {**SCHEDULER_FLAGS.get(scheduler, {}), **_ANY_FLAGS}
    result = SchedulerFlags.NONE
    for name in setting.value.split(",") if setting else []:
        if name in known:
            result |= known[name]
        elif setting is not None:
            why = f"{name} is not for scheduler {scheduler}"
            findings.left_out(setting.mark, f"{section.title} {setting.title}", why)
    return result


def _persistence(section: Section, family: Family, findings: Findings) -> Persistence | None:
    mask, setting = section.last("netmask"), section.last("persistent")
    if setting is None:
        if mask is not None:
            why = "it means nothing without persistent"
            findings.unneeded(mask.mark, f"{section.title} {mask.title}", why)
        return None
    try:
        timeout = values.whole(1, 31 * values.DAY)(setting.value)
        if family is Family.IPV6:
            bits = values.whole(1, 128)(mask.value) if mask else 128
            return Persistence(timeout, PrefixLength(bits))
        return Persistence(timeout, values.netmask(mask.value if mask else "255.255.255.255"))
    except ValueError as error:
        findings.left_out(setting.mark, f"{section.title} {setting.title}", str(error))
        return None


def asking(section: Section, place: Place | int, answers: Answers, findings: Findings) -> Asking:
    """Take what *section* says about checks."""
    taken = {key: section.last(key) for key in _ASKED}
    said = {key: setting for key, setting in taken.items() if setting is not None}
    number = 0 if isinstance(place, int) else place.port
    plain = next((name for name, own in SERVICES.items() if own == number), "none")
    where = (str(place), "0") if isinstance(place, int) else (str(place.address), str(place.port))
    kind = _word(said.get("checktype"), "negotiate")
    template = Asked(
        title=section.title,
        mark=section.mark,
        kind=kind,
        service=_word(said.get("service"), plain),
        protocol=None if answers.fwmark is not None else answers.protocol,
        request="/" + _word(said.get("request"), "/").removeprefix("/"),
        receive=_word(said.get("receive"), ""),
        host=_word(said.get("virtualhost"), "") or None,
        http_method=_word(said.get("httpmethod"), "GET").upper(),
        command=_word(said.get("checkcommand"), "/bin/true"),
        port=_check_port(said.get("checkport"), section, findings),
        where=where,
    )
    return Asking(kind, template, {key: setting.mark for key, setting in said.items()})


_ASKED = (
    "checktype", "service", "request", "receive", "virtualhost", "httpmethod", "checkcommand", "checkport",
)  # fmt: skip


def _check_port(setting: Setting | None, section: Section, findings: Findings) -> Port | None:
    try:
        return (port(setting.value) or None) if setting else None
    except ValueError as error:
        if setting is not None:
            what = f"{section.title} {setting.title}"
            findings.left_out(setting.mark, what, str(error))
        return None


def _word(setting: Setting | None, plain: str) -> str:
    return setting.plain if setting is not None else plain


def leave_out(section: Section, findings: Findings) -> None:
    """Tell what *section* says that has no counterpart, and what is not known at all."""
    for setting in section.every(*_UNNEEDED):
        what = f"{section.title} {setting.title}".strip()
        findings.unneeded(setting.mark, what, _UNNEEDED[setting.key])
    for setting in section.every(*_LEFT_OUT):
        why, todo = _LEFT_OUT[setting.key]
        hidden = setting.key in {"passwd", "secret"}
        shown = f"{setting.key}=..." if hidden else setting.title
        findings.left_out(setting.mark, f"{section.title} {shown}".strip(), why, todo)
    for setting in section.every(*[one.key for one in section.written]):
        what = f"{section.title} {setting.title}".strip()
        findings.left_out(setting.mark, what, "not known here", "look up what it is for")
