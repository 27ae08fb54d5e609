"""Questions to a load-balancing API, in the order of a scenario, and their answers in a form that can be compared.

The same questions go to a real Octavia (`python -m benchmarks.octavia_questions record`) and to ours
(`test_same_answers.py`). A question names what earlier ones made: `{lb}` is the identifier that was kept as `lb`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from tests.octavia.world import PROJECT, SUBNET

LBAAS = "/v2.0/lbaas"
NOBODY = "00000000-0000-4000-8000-000000000000"
SITE_ADDRESS = "10.0.0.10"
Json = Any
Exchange = tuple[int, str, bytes]
"""Status, content type and content of an answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request. `keep` names identifiers in its answer, each by the steps that lead to it.

    What it begins is over before the next question, unless it `is_held`.
    """

    name: str
    method: str
    path: str
    body: Json = None
    raw: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    is_held: bool = False

    def asked(self) -> dict[str, Json]:
        """What is asked, as it is recorded."""
        said: dict[str, Json] = {"method": self.method, "path": self.path}
        if self.body is not None:
            said["body"] = self.body
        if self.raw is not None:
            said["raw"] = self.raw
        return said | ({"headers": dict(self.headers)} if self.headers else {})


@dataclass(frozen=True, slots=True)
class Scenario:
    """Questions to an API that has no objects when the first is asked."""

    name: str
    questions: tuple[Question, ...]


def scenario(name: str, *parts: Question | tuple[Question, ...]) -> Scenario:
    """A scenario of single questions and of groups; questions of one name are numbered."""
    seen: dict[str, int] = {}
    named = []
    for part in parts:
        for one in part if isinstance(part, tuple) else (part,):
            seen[one.name] = seen.get(one.name, 0) + 1
            number = f" ({seen[one.name]})" if seen[one.name] > 1 else ""
            values = {slot: getattr(one, slot) for slot in Question.__slots__}
            named.append(Question(**{**values, "name": f"{name}: {one.name}{number}"}))
    return Scenario(name, tuple(named))


# questions about one kind

COLLECTIONS = {
    "loadbalancer": "loadbalancers",
    "listener": "listeners",
    "pool": "pools",
    "member": "pools/{pool}/members",
    "healthmonitor": "healthmonitors",
}
BODIES: Mapping[str, Mapping[str, Json]] = {
    "loadbalancer": {"vip_subnet_id": SUBNET, "vip_address": SITE_ADDRESS},
    "listener": {"loadbalancer_id": "{lb}", "protocol": "TCP", "protocol_port": 80},
    "pool": {"loadbalancer_id": "{lb}", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"},
    "member": {"address": "10.0.0.4", "protocol_port": 80},
    "healthmonitor": {
        "pool_id": "{pool}",
        "type": "TCP",
        "delay": 5,
        "timeout": 3,
        "max_retries": 2,
    },
}
"""What a new object needs; a field that a question gives as `...` is left out."""


def ask(method: str, path: str, name: str = "", **settings: Json) -> Question:
    """A request that is written out; *path* is under `/v2.0/lbaas` unless it begins with a slash."""
    whole = path if path.startswith("/") else f"{LBAAS}/{path}"
    return Question(name or f"{method} {path}", method, whole, **settings)


def create(kind: str, keep: str = "", *, held: bool = False, **fields: Json) -> Question:
    """A new object of *kind*, kept as *keep*."""
    body = {name: value for name, value in {**BODIES[kind], **fields}.items() if value is not ...}
    return ask(
        "POST",
        COLLECTIONS[kind],
        f"create {kind}{_said(fields)}",
        body={kind: body},
        keep={keep: f"{kind}.id"} if keep else {},
        is_held=held,
    )


def update(kind: str, one: str, *, held: bool = False, **fields: Json) -> Question:
    """New values for the object kept as *one*, or of an identifier."""
    path = f"{COLLECTIONS[kind]}/{_id(one)}"
    return ask("PUT", path, f"update {kind}{_said(fields)}", body={kind: fields}, is_held=held)


def nulled(kind: str, one: str, *names: str) -> tuple[Question, ...]:
    """Each of those fields set to null, one after the other."""
    nulls: list[dict[str, Json]] = [{name: None} for name in names]
    return tuple(update(kind, one, **fields) for fields in nulls)


def each_of(kind: str, *several: Mapping[str, Json], **fields: Json) -> tuple[Question, ...]:
    """A new object of *kind* with *fields* and those of each of *several*."""
    return tuple(create(kind, **{**fields, **one}) for one in several)


def show(kind: str, one: str, query: str = "") -> Question:
    """One object."""
    return ask("GET", f"{COLLECTIONS[kind]}/{_id(one)}{query}", f"show {kind} {one}{query}")


def remove(kind: str, one: str, query: str = "", *, held: bool = False) -> Question:
    """An object goes."""
    name = f"delete {kind} {one}{query}"
    return ask("DELETE", f"{COLLECTIONS[kind]}/{_id(one)}{query}", name, is_held=held)


def all_of(kind: str, query: str = "") -> Question:
    """A list."""
    return ask("GET", f"{COLLECTIONS[kind]}{query}", f"list {kind}s {query}".strip())


def batch(*members: Json, query: str = "", held: bool = False) -> Question:
    """All members of a pool at once."""
    said = json.dumps(members, separators=(",", ":"))[:80]
    name = f"batch{query} {said}"
    path = f"pools/{{pool}}/members{query}"
    return ask("PUT", path, name, body={"members": [*members]}, is_held=held)


def _id(one: str) -> str:
    return f"{{{one}}}" if re.fullmatch("[a-z0-9]+", one) else one


def _said(fields: Mapping[str, Json]) -> str:
    words = (
        f"{name}={'-' if value is ... else _short(value)}"
        for name, value in fields.items()
        if not (isinstance(value, str) and value.startswith("{"))
    )
    return "".join(f" {word}" for word in words)


def _short(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= 70 else f"{text[:60]}... ({len(text)})"  # fits a line


SITE = (
    create("loadbalancer", "lb", name="lb"),
    create("listener", "listener", name="listener"),
    create("pool", "pool", name="pool", listener_id="{listener}", loadbalancer_id=...),
    create("member", "member", name="member"),
    create("healthmonitor", "monitor", name="monitor"),
)
"""A load balancer with one of everything."""
LOAD_BALANCER = SITE[0]
BALANCED, POOLED = SITE[:2], SITE[:3]


# asking


def answers(
    of: Scenario, send: Callable[[Question], Exchange], settle: Callable[[], None]
) -> Iterator[tuple[Question, dict[str, Json]]]:
    """Each question of a scenario with its answer."""
    names: dict[str, str] = {}
    for question in of.questions:
        exchange = send(filled(question, names))
        keep(question, exchange, names)
        yield question, normal(question, exchange, names)
        if not question.is_held:
            settle()


def filled(question: Question, names: Mapping[str, str]) -> Question:
    """*question* with identifiers in place of names; what was never made is NOBODY."""
    values = {slot: getattr(question, slot) for slot in Question.__slots__}
    return Question(
        **{
            **values,
            "path": _filled(question.path, names),
            "body": _filled(question.body, names),
        }
    )


def _filled(value: Json, names: Mapping[str, str]) -> Json:
    if isinstance(value, dict):
        return {name: _filled(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\{([a-z0-9]+)\}", lambda found: names.get(found[1], NOBODY), value)


def keep(question: Question, exchange: Exchange, names: MutableMapping[str, str]) -> None:
    """Remember the identifiers that *question* wants kept of its answer."""
    for name, steps in question.keep.items():
        found = _json(exchange[2])
        for step in steps.split("."):
            if isinstance(found, list):
                found = found[int(step)] if int(step) < len(found) else None
            else:
                found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, str):
            names[name] = found


def _json(content: bytes) -> Json:
    try:
        return json.loads(content)
    except ValueError:
        return None


# comparing

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(?![\dZ])")
_ORIGIN = re.compile(r"http://127\.0\.0\.1:\d+")
_CHOICES = re.compile(r"(?<=one of: ).*")
_FIXED = {PROJECT, SUBNET, NOBODY}


def normal(question: Question, exchange: Exchange, names: Mapping[str, str]) -> dict[str, Json]:
    """An answer without what differs from one run to the next: identifiers, times, addresses of the server.

    Operating states are compared where an object is made: later ones depend on what is observed, and behind the
    recorded answers there is nothing to observe.
    """
    status, kind, content = exchange
    by_id = {identifier: f"<{name}>" for name, identifier in names.items()}
    found = _json(content)
    body = content.decode() if found is None else found
    answer: dict[str, Json] = {"status": status}
    if content:
        answer["type"] = kind.partition(";")[0]
        answer["body"] = _normal(body, by_id, is_new=question.method == "POST")
    return answer


def _normal(value: Json, by_id: Mapping[str, str], *, is_new: bool) -> Json:
    if isinstance(value, dict):
        return {
            name: "<state>"
            if name == "operating_status" and not is_new
            else _normal(inner, by_id, is_new=is_new)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        inside = [_normal(one, by_id, is_new=is_new) for one in value]
        refers = all(isinstance(one, dict) and one.keys() == {"id"} for one in inside)
        return sorted(inside, key=lambda one: str(one["id"])) if refers else inside
    return _words(value, by_id) if isinstance(value, str) else value


def _words(text: str, by_id: Mapping[str, str]) -> str:
    def named(found: re.Match[str]) -> str:
        one = found[0]
        return one if one in _FIXED else by_id.get(one, "<uuid>")

    text = _ORIGIN.sub("<origin>", _TIME.sub("<time>", _UUID.sub(named, text)))
    return _CHOICES.sub(lambda found: ", ".join(sorted(found[0].split(", "))), text)


def differences(theirs: Json, ours: Json, path: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Where two answers are not equal: the steps to it, and what each has there; `...` is nothing at all."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted(theirs.keys() | ours.keys()):
            steps = f"{path}.{name}" if path else name
            yield from differences(theirs.get(name, ...), ours.get(name, ...), steps)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}.{number}")
    elif theirs != ours or type(theirs) is not type(ours):
        yield path, theirs, ours
