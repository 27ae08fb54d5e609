"""Every difference between our answers and a real Octavia's that is known, with its reason; anything else is a fault."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

_NO_FAULT = ("status", "type", "body*")


class Place(Protocol):
    """Where two answers are not equal."""

    @property
    def question(self) -> str: ...
    @property
    def steps(self) -> str: ...
    @property
    def theirs(self) -> Any: ...
    @property
    def status(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A difference: what it is, why, and where it shows, each as patterns of fnmatch. `status` is the real one's."""

    what: str
    why: str
    questions: tuple[str, ...] = ("*",)
    steps: tuple[str, ...] = ("*",)
    theirs: str = "*"
    status: int | None = None

    def is_of(self, place: Place) -> bool:
        """Whether this is what is different there."""
        return (
            self.status in {None, place.status}
            and any(fnmatchcase(place.question, one) for one in self.questions)
            and any(fnmatchcase(place.steps, one) for one in self.steps)
            and fnmatchcase(str(place.theirs), self.theirs)
        )


OF_THE_RECORDING = (
    Known(
        what="`vip_network_id` is `null`",
        why="The no-op driver behind the recording has no networks to look it up in.",
        steps=("body.loadbalancer.vip_network_id", "body.loadbalancers.*.vip_network_id"),
        theirs="None",
    ),
    Known(
        what="the provider is called `noop_driver`",
        why="It is `ipvs`: a provider is named after what does the work.",
        steps=("body.loadbalancer.provider", "body.loadbalancers.*.provider", "body.providers*"),
    ),
    Known(
        what="a subnet that does not exist is accepted, and an address outside of it given",
        why="The no-op driver knows every subnet; ours are those of the configuration.",
        questions=(
            "load balancers: create loadbalancer vip_address=-",
            '*subnet_id="00000000-0000-4000-8000-000000000000"*',
        ),
    ),
    Known(
        what="a provider of `null` is refused",
        why="There it means the provider `amphora`, which the recording does not have.",
        questions=("load balancers: create loadbalancer provider=null*",),
    ),
)
LAYER_7 = (
    Known(
        what="listeners of HTTP and PROMETHEUS, pools of PROXY, TLS, cookies and L7 policies are made",
        why="501: they need layer 7; here the kernel balances connections, and nobody reads them.",
        questions=("layer 7: create*",),
    ),
    Known(
        what="400 for certificates and inserted headers on a TCP listener",
        why="501: there is no listener that could have them.",
        questions=(
            "listeners: create listener*default_tls*",
            "listeners: create listener*insert_headers*",
        ),
    ),
    Known(
        what="400 for a QoS policy that is no UUID",
        why="501: there are none, whatever they are called.",
        questions=("load balancers: create loadbalancer vip_qos_policy_id*",),
    ),
    Known(
        what="an IPv6 member can be under an IPv4 VIP",
        why="501: the kernel translates addresses within one family.",
        questions=('*address="fd00::*', '*"address":"fd00::*'),
    ),
    Known(
        what="the provider tells what a flavor and an availability zone could say to it",
        why="Nothing: the list is empty, and neither can be made (501).",
        questions=("around: GET providers/octavia/*_capabilities",),
    ),
)
MISHAPS = (
    Known(
        what="500 for values of a wrong kind, for `null` in some places and for some unknown references",
        why="400 or 404, and success where `null` can mean the default: its own code fails on them.",
        status=500,
    ),
    Known(
        what="the same tag twice is a conflict",
        why="Both are written to its database. Here it is the same tag.",
        questions=("load balancers: create loadbalancer tags=*a*a*b*",),
        status=409,
    ),
    Known(
        what="`null` for a new object's `weight`, `connection_limit` or `admin_state_up` is kept as it is, or is false",
        why="Here it is the default, as if it were not said.",
        questions=(
            "members: create member*weight=null",
            "listeners: create listener*connection_limit=null",
            "load balancers: create loadbalancer admin_state_up=null*",
        ),
    ),
    Known(
        what="8.5 is port 8, `true` is port 1, 5 is the address 0.0.0.5",
        why="400: they are no whole numbers and no address.",
        questions=(
            "listeners: create listener protocol_port=8.5",
            "listeners: create listener protocol_port=true",
            "members: create member address=5",
        ),
    ),
    Known(
        what="a limit of 0 or less leads to a next page of `limit=None`",
        why="It means the greatest there is, and then there is no next page.",
        questions=("lists: list members ?limit=0*", "lists: list members ?limit=-1*"),
        steps=("body.members_links",),
    ),
    Known(
        what="`page_reverse` gives the first page of all, whatever the marker",
        why="Here it is the page before the marker, which its link `previous` promises.",
        questions=("lists: list members ?*page_reverse=True",),
    ),
    Known(
        what="`description=` finds nothing",
        why="A description that was never set is NULL in its database, and shown as empty. Here it is empty.",
        questions=("collections: list loadbalancers ?description=*",),
    ),
)
BETTER = (
    Known(
        what="a value of a wrong kind is told by its field, not by the whole body",
        why="`Value: 'many'` in `connection_limit` says what to mend.",
        steps=("body.faultstring",),
        theirs="Invalid input for field/attribute *. Value: '{*}'. *",
    ),
    Known(
        what="a wrong tag is shown with all others",
        why="It is shown by itself.",
        questions=("*tags=*",),
        steps=("body.faultstring",),
        theirs="* tags. Value: '[[]*]'. *",
    ),
    Known(
        what="a whole page's links leave the filters and fields out",
        why="The next page of a filtered list is filtered, too: the links keep all that was asked.",
        questions=("lists: list members ?*fields=name*", "lists: list members ?weight=*"),
        steps=("body.members_links.*.href",),
    ),
    Known(
        what="some 404 and 400 come as `{code, title, description}`, a missing pool's with the title Bad Request",
        why="Clients show `faultstring`; every fault of an object or a query has one here.",
        theirs="*",
        questions=(
            "missing: * pools/00000000-0000-4000-8000-000000000000/members*",
            "bodies: create member from nothing",
            "* show member member*",
            "lists: list members ?*sort=name:sideways",
            "lists: list members ?*sort_dir=up",
            "lists: list members ?limit=x",
        ),
        steps=("body.code", "body.title", "body.description", "body.fault*", "body.debuginfo"),
    ),
    Known(
        what="a method that a path does not have is taken for another, or refused with 400",
        why="It is 405.",
        questions=(
            "doors: PUT loadbalancers",
            "doors: DELETE loadbalancers",
            "doors: POST loadbalancers/*",
            "doors: POST /",
            "states: GET loadbalancers/{lb}/failover",
        ),
    ),
    Known(
        what="a path under an object that does not exist is that object's 404",
        why="Nobody serves the path, and that is said first.",
        questions=("doors: GET loadbalancers/*/nothing",),
    ),
    Known(
        what="`/v2` is text that is called JSON",
        why="The two letters are no JSON.",
        questions=("doors: GET /v2*",),
        steps=("type",),
    ),
    Known(
        what="`tenant_id` is shown and is no filter",
        why="It is one, as `project_id` is.",
        questions=(
            "lists: list members ?tenant_id*",
            "collections: list loadbalancers ?tenant_id*",
        ),
    ),
)
OTHERWISE = (
    Known(
        what="the newest version is 2.30",
        why="It is 2.26: 2.27 is HSTS and 2.28 security groups, neither of which is here.",
        questions=("doors: GET /",),
        steps=("body.versions*",),
    ),
    Known(
        what="persistence timeout and granularity are for UDP and SCTP pools only",
        why="The kernel can for TCP what it can for UDP.",
        questions=(
            "*pool* session_persistence=*SOURCE_IP*persistence_*",
            "changes of pools: show pool pool*",
        ),
        steps=(
            "status",
            "body.fault*",
            "body.debuginfo",
            "body.pool",
            "body.pool.session_persistence",
        ),
    ),
    Known(
        what="with `cascade`, what is in the load balancer stays ACTIVE until it is gone",
        why="It is on its way, and says so.",
        questions=("children: show listener listener",),
        steps=("body.listener.provisioning_status",),
    ),
    Known(
        what="a member that is made together with its pool's health monitor begins as NO_MONITOR",
        why="It begins as OFFLINE, as it would have if the monitor had been made before it.",
        questions=("all at once: *",),
        steps=("body.loadbalancer.pools.*.members.*.operating_status",),
    ),
    Known(
        what="columns of its database are filters as well: `load_balancer_id`, `healthmonitor_id`",
        why="They are not documented; what is shown of an object can be filtered by.",
        questions=(
            "collections: list listeners ?load_balancer_id*",
            "collections: list pools ?healthmonitor_id*",
        ),
    ),
)
SECTIONS: Mapping[str, tuple[Known, ...]] = {
    "Of the recording, not of Octavia": OF_THE_RECORDING,
    "Layer 7 and clouds": LAYER_7,
    "Mishaps that are not copied": MISHAPS,
    "Said more plainly": BETTER,
    "Otherwise": OTHERWISE,
}
KNOWN = tuple(one for section in SECTIONS.values() for one in section)


def known(place: Place) -> Known | None:
    """The known difference that *place* is of, the first of the table."""
    return next((one for one in KNOWN if one.is_of(place)), None)


def document(recording: Mapping[str, Any], found: Collection[Place]) -> str:
    """The page that tells users what is different."""
    return "\n".join(_lines(recording, found)) + "\n"


def _lines(recording: Mapping[str, Any], found: Collection[Place]) -> Iterator[str]:
    asked = recording["questions"]
    alike = asked - len({one.question for one in found if known(one) not in OF_THE_RECORDING})
    yield "# What differs from a real Octavia"
    yield ""
    yield f"A real Octavia {recording['octavia']} API, run from its package with its no-op drivers, was asked {asked} questions on"
    yield f"{recording['date']}; a test asks ours the same and compares status, fault code, fault text and every field. {alike} are"
    yield "answered alike in everything that the recording can tell; the others are here, each with its reason. Identifiers and"
    yield "times are masked, operating states are compared where an object is made."
    yield ""
    yield "This page is written by `python -m tests.octavia.our_answers`; the last column counts the questions that show it."
    for title, entries in SECTIONS.items():
        yield ""
        yield f"## {title}"
        yield ""
        yield "| a real one | here, and why | questions |"
        yield "|---|---|---|"
        for entry in entries:
            count = len({one.question for one in found if known(one) is entry})
            yield f"| {entry.what} | {entry.why} | {count} |"
