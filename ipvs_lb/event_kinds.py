"""Every event there is: its name, its levels, when it happens, and what its facts mean.

Webhooks, programs and dashboards rely on these names: what is here stays, and facts are added only. Names that end in
`?` are facts that are there in some cases. The page docs/reference/events.md is made from this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ipvs_lb.events import Event, Level

_I, _W, _E = Level.INFO, Level.WARNING, Level.ERROR
_SERVICE = "the virtual service, `tcp/10.0.0.16:80`"
_SERVER: Final = {
    "service": _SERVICE,
    "server": "the real server, `10.0.0.4:80`",
    "name": "its name in the configuration",
}
_RULED: Final = {
    **_SERVER,
    "weight": "the weight that it has now; `null`: it is out",
    "rule": "the [rule](json.md) that gave it",
}
_WHOLE: Final = {
    "service": _SERVICE,
    "tier": "the tier that serves: 0 are the servers, 1 and above the backups; `null`: none",
    "live": "the servers that may serve",
}
_TROUBLE: Final = {"reason": "what went wrong", "hint": "what to do about it, or `null`"}
_VIP: Final = {"vip": "the address", "because": "the services that decided it"}
_DRIFT: Final = {
    "commands": "how many changes of ours it took, or would take",
    "first": "the first of them",
    "after?": "when all was last found as it should be (Unix seconds), or `null`",
    "before?": "when it was found changed",
}


@dataclass(frozen=True, slots=True)
class EventKind:
    """One sort of event."""

    name: str
    levels: tuple[Level, ...]
    when: str
    facts: Mapping[str, str]

    def against(self, event: Event) -> str:
        """What speaks against *event* being of this kind; empty when nothing does."""
        if event.level not in self.levels:
            return f"{event.name} has level {event.level}"
        known = {name.removesuffix("?") for name in self.facts}
        always = {name for name in self.facts if not name.endswith("?")}
        wrong = (event.facts.keys() - known) | (always - event.facts.keys())
        return f"{event.name} has unknown facts or lacks some: {sorted(wrong)}" if wrong else ""


KINDS: Final = (
    EventKind("server.up", (_I,), "A server that was out of order, or new, may serve.", _RULED),
    EventKind(
        "server.down",
        (_W,),
        "A server is out of order: its checks fail, or it is kept out for changing too often.",
        {
            **_RULED,
            "error?": "the class of its last failed check, `refused` say",
            "detail?": "that failure in words",
        },
    ),
    EventKind(
        "server.changed",
        (_I,),
        "Another rule decides about a server: an order, a drain, slow start.",
        {**_RULED, "before": "the rule that did"},
    ),
    EventKind(
        "server.removed", (_I,), "A server is no longer declared, and has left the table.", _SERVER
    ),
    EventKind("service.served", (_I,), "A service has a server for new connections again.", _WHOLE),
    EventKind("service.unserved", (_E,), "A service has no server for new connections.", _WHOLE),
    EventKind(
        "tier.changed",
        (_W,),
        "Backups have taken over, or given back.",
        {**_WHOLE, "before": "the tier that served"},
    ),
    EventKind(
        "panic.began",
        (_W,),
        "So few servers are well that all of them are kept in (`panic_threshold`).",
        _WHOLE,
    ),
    EventKind("panic.ended", (_W,), "Enough servers are well again.", _WHOLE),
    EventKind("quorum.lost", (_W,), "Fewer servers are well than `quorum` asks for.", _WHOLE),
    EventKind("quorum.regained", (_W,), "As many as it asks for are.", _WHOLE),
    EventKind("vip.withdrawn", (_W,), "A VIP is taken away, since a service cannot serve.", _VIP),
    EventKind("vip.restored", (_I,), "It is back.", _VIP),
    EventKind(
        "override.set",
        (_I,),
        "Somebody gave an order on a server: drain, disable, enable --force, weight.",
        {
            "service": _SERVICE,
            "server": _SERVER["server"],
            "action": "`up`, `down`, `drain` or `weight`",
            "weight": "with `weight`, the weight; else `null`",
            "expires": "when it ends (Unix seconds), or `null`",
            "reason": "why, in the words of who gave it",
            "who": "who gave it",
        },
    ),
    EventKind(
        "override.cleared",
        (_I,),
        "An order was taken back, or has ended.",
        {"service": _SERVICE, "server": _SERVER["server"]},
    ),
    EventKind(
        "plan.applied",
        (_I,),
        "The kernel's table was changed.",
        {"commands": "how many changes", "first": "the first of them"},
    ),
    EventKind(
        "drift.repaired", (_W,), "Something else had changed what is ours; it is put right.", _DRIFT
    ),
    EventKind(
        "drift.reported", (_W,), "The same with `drift: report`: it is left as it is.", _DRIFT
    ),
    EventKind(
        "kernel.failed",
        (_E,),
        "IPVS does not answer, or refuses.",
        {**_TROUBLE, "retry_in": "seconds until it is asked again"},
    ),
    EventKind("kernel.recovered", (_I,), "It answers again.", {"failures": "attempts that failed"}),
    EventKind(
        "host.failed",
        (_E,),
        "An address, a route, a sysctl, the firewall, the state: refused.",
        _TROUBLE,
    ),
    EventKind("host.recovered", (_I,), "That works again.", {"reason": _TROUBLE["reason"]}),
    EventKind(
        "host.changed",
        (_I,),
        "An address, a sysctl or the firewall was set.",
        {"what": "what was done"},
    ),
    EventKind(
        "sysctl.missing",
        (_W,),
        "A kernel parameter is not as it should be, and is not ours to set.",
        {"sysctl": "what it should be, `name=value`", "reason": "what for"},
    ),
    EventKind(
        "client.refused",
        (_W,),
        "Somebody asked the API on TCP without the right token; told at once, then at most every minute.",
        {
            "listener": "the API's listener",
            "address": "the address of the last one",
            "times": "how many requests since it was last told",
        },
    ),
    EventKind(
        "clients.forgotten",
        (_I,),
        "Connections that were tracked before their service was there were forgotten.",
        {"services": "the first services", "clients": "how many connections"},
    ),
    EventKind(
        "clients.kept",
        (_W,),
        "They could not be: such clients reach the service once they are silent for a while.",
        {"services": "the first services", **_TROUBLE},
    ),
    EventKind(
        "config.loaded",
        (_I,),
        "A configuration is in force: at the start, or after a reload.",
        {"services": "its virtual services"},
    ),
    EventKind(
        "config.refused",
        (_E,),
        "A configuration has problems; the one before stays in force.",
        {"problems": "how many", "first": "the first, with its line"},
    ),
    EventKind(
        "daemon.started", (_I,), "The daemon begins.", {"origin": "the configuration's path"}
    ),
    EventKind("daemon.stopped", (_I,), "It ends; the table goes on forwarding.", {}),
    EventKind(
        "record.damaged",
        (_W,),
        "A record of the state directory could not be read, and is left out.",
        {"record": "its name"},
    ),
    EventKind(
        "task.crashed",
        (_E,),
        "A fault in ipvs_lb itself. What failed begins anew; please report it.",
        {
            "task": "which part",
            "error": "the exception",
            "retry_in": "seconds until it begins anew",
        },
    ),
    EventKind(
        "hook.failed",
        (_W,),
        "A call of a hook was given up. Further ones within 10 s are told together.",
        {
            "hook": "its name",
            "service": "the service it was about, or `null`",
            "reason": "why the last attempt failed",
            "attempts": "how many there were",
            "events": "events that were not delivered",
            "calls": "calls that were given up",
        },
    ),
    EventKind(
        "octavia.changed",
        (_I,),
        "A client of the compatible API changed something.",
        {
            "user": "who",
            "address": "from where",
            "request": "the request's id",
            "what": "method and path",
        },
    ),
    EventKind(
        "octavia.refused",
        (_W,),
        "A load balancer could not be put in force; it is in ERROR.",
        {"load_balancer": "its id", "reason": "why"},
    ),
    EventKind(
        "octavia.users",
        (_W,),
        "The file of users cannot be read; the users before stay.",
        {"reason": "why"},
    ),
)

_HEAD: Final = """\
# Events

What the daemon tells: to its log, to `ipvs-lb events`, to [hooks](../how-to/hooks.md) and on `GET /v1/events`. Each event has
a `number` (without gaps), `at` (Unix seconds), a `name`, a `level` and `facts`; the last 1,000 are kept, also over
restarts. Made from the code; `UPDATE_GOLDEN=1 pytest tests/unit/test_event_kinds.py` writes it anew.

```json
{"number": 42, "at": 1795842000.25, "name": "server.down", "level": "warning", "facts": {"service": "tcp/10.0.0.16:80",
 "server": "10.0.0.6:80", "name": "web-2", "weight": null, "rule": "failing", "error": "refused", "detail": "connection refused"}}
```

Names and facts stay what they are; more may come. A fact with `?` is there in some cases.
"""


def page() -> str:
    """The reference page."""
    return "\n".join((_HEAD, *_sections()))


def _sections() -> Iterator[str]:
    for kind in KINDS:
        levels = ", ".join(map(str, kind.levels))
        yield f"## {kind.name}\n\n{kind.when} Level: {levels}.\n"
        if kind.facts:
            yield "| fact | meaning |\n|---|---|"
            yield from (f"| `{name}` | {meaning} |" for name, meaning in kind.facts.items())
            yield ""
