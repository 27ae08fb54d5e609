"""The YAML of ipvsctl: services with destinations, over defaults of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ipvs_lb.config import values
from ipvs_lb.config.compose import parse
from ipvs_lb.config.draft import Answers, Draft, DraftServer, DraftService
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.tree import Block, Spot
from ipvs_lb.imports.drafting import Marked, unlike, with_plain_port
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.names import Names
from ipvs_lb.model.identity import Family, IPAddress, IPProtocol, Port, endpoint
from ipvs_lb.model.settings import MAX_WEIGHT, SCHEDULERS, Forwarding, Service, Tunnel

T = TypeVar("T")
_WEIGHT = values.whole(0, MAX_WEIGHT)
_METHODS = {"direct": Forwarding.DR, "nat": Forwarding.MASQ, "tunnel": Forwarding.TUNNEL}
_PROTOCOLS = {"tcp": IPProtocol.TCP, "udp": IPProtocol.UDP, "sctp": IPProtocol.SCTP}
_MOST_VALUES = 2_000_000
_NOT_KNOWN = "not known here", "look up what it is for"
_PARAMETER = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class _Default:
    """What holds where a service or a destination says nothing; ipvsctl's own where the file says nothing."""

    port: Port | None = None
    weight: int | None = None
    scheduler: str = "rr"
    forwarding: Forwarding = Forwarding.DR


def translate(text: str, name: str, findings: Findings) -> Draft:
    """What *text* declares; *findings* are told of the rest."""
    problems = Problems()
    sheltered = _PARAMETER.sub(lambda match: f"${match[0]}", text)
    tree = parse(sheltered, name=name, environ={}, problems=problems, allowance=_MOST_VALUES)
    apart = Findings()
    for problem in problems.found:
        apart.left_out(Mark(name, problem.place.line), problem.path, str(problem.what))
    root = Spot(tree)
    reader = _Reader(apart)
    default = reader.defaults(tree.root.get("defaults"), root.at("defaults"))
    for key in tree.root.keys() - {"defaults", "services"}:
        apart.left_out(_mark(root.at(key)), key, *_NOT_KNOWN)
    names, services = Names(), list[DraftService]()
    written = tree.root.get("services")
    findings.found += apart.found
    for index, one in enumerate(written if isinstance(written, list) else []):
        own = Findings()
        spot = root.at("services", index)
        service = _Reader(own).service(one, spot, default, names)
        if service is not None:
            services.append(service)
        else:
            apart.found += own.found
        findings.found += own.found
    return Draft(services=tuple(services), remarks=apart.remarks())


def _mark(spot: Spot) -> Mark:
    place = spot.place()
    return Mark(place.file, place.line)


def _scheduler(value: object) -> str:
    return values.choice("scheduler", {name: name for name in SCHEDULERS})(value)


_method = values.choice("forward", _METHODS)


@dataclass(frozen=True, slots=True)
class _Mapping:
    """A mapping of the file; *owner* is what messages call it."""

    raw: Block
    spot: Spot
    owner: str
    findings: Findings

    def value(self, key: str, read: Callable[[object], T], plain: T) -> T:
        """What it has under *key*; *plain* where that is nothing, or nothing that makes sense."""
        if key not in self.raw:
            return plain
        try:
            return read(self.raw[key])
        except ValueError as error:
            self._left_out(key, str(error))
            return plain

    def rest(self, *known: str) -> None:
        """Tell what it has besides the *known* keys."""
        for key in self.raw.keys() - set(known):
            self._left_out(key, *_NOT_KNOWN)

    def _left_out(self, key: str, why: str, todo: str = "") -> None:
        mark = _mark(self.spot.at(key))
        self.findings.left_out(mark, f"{self.owner}: {key}", why, todo)


@dataclass(frozen=True, slots=True)
class _Reader:
    findings: Findings

    def defaults(self, raw: object, spot: Spot) -> _Default:
        if not isinstance(raw, Block):
            return _Default()
        plain = _Default()
        said = _Mapping(raw, spot, "defaults", self.findings)
        said.rest("port", "weight", "sched", "forward")
        return _Default(
            port=said.value("port", values.port, None),
            weight=said.value("weight", _WEIGHT, None),
            scheduler=said.value("sched", _scheduler, plain.scheduler),
            forwarding=said.value("forward", _method, plain.forwarding),
        )

    def service(
        self, raw: object, spot: Spot, default: _Default, names: Names
    ) -> DraftService | None:
        mark = _mark(spot)
        if not isinstance(raw, Block):
            self.findings.left_out(mark, "services", "expected a mapping with an address")
            return None
        title = str(raw.get("address", "a service without an address"))
        try:
            answers = _answers(title, default)
        except ValueError as error:
            todo = "its destinations are left out with it"
            self.findings.left_out(mark, title, str(error), todo)
            return None
        said = _Mapping(raw, spot, title, self.findings)
        said.rest("address", "sched", "destinations")
        scheduler = said.value("sched", _scheduler, default.scheduler)
        marked = self._servers(raw, spot.at("destinations"), title, default, answers)
        found = unlike(marked, title, self.findings)
        return DraftService(
            name=names.give(_name(answers)),
            answers=answers,
            settings=Service(scheduler=scheduler),
            servers=tuple(with_plain_port(one, answers.ports) for one in found),
            origin=str(mark),
            remarks=(f"{mark}: {title}", *self.findings.remarks()),
        )

    def _servers(
        self, raw: Block, spot: Spot, title: str, default: _Default, answers: Answers
    ) -> Iterator[Marked]:
        written = raw.get("destinations")
        for index, one in enumerate(written if isinstance(written, list) else []):
            place = spot.at(index)
            if not isinstance(one, Block):
                self.findings.left_out(_mark(place), f"{title}: destinations", "expected a mapping")
                continue
            server = self._server(one, place, title, default, answers)
            if server is not None:
                yield server, _mark(place)

    def _server(
        self, raw: Block, spot: Spot, title: str, default: _Default, answers: Answers
    ) -> DraftServer | None:
        what = f"{title}: {raw.get('address', 'a destination without an address')}"
        try:
            address, port = _destination(str(raw.get("address", "")))
        except ValueError as error:
            self.findings.left_out(_mark(spot), what, str(error))
            return None
        said = _Mapping(raw, spot, what, self.findings)
        said.rest("address", "forward", "weight")
        method = said.value("forward", _method, default.forwarding)
        weight = said.value("weight", _WEIGHT, default.weight)
        if weight is None:
            why = "it says no weight, which is 0 to ipvsctl: no new connections"
            self.findings.changed(_mark(spot), what, why, "write a weight")
        wanted = port or default.port
        if method is not Forwarding.MASQ and wanted:
            if answers.ports and answers.ports != ((wanted, wanted),):
                why = f"port {wanted} gives way to the service's, only nat can map ports"
                self.findings.changed(_mark(spot), what, why)
            wanted = None
        return DraftServer(
            address=address,
            port=wanted,
            weight=weight or 0,
            forwarding=method,
            tunnel=Tunnel() if method is Forwarding.TUNNEL else None,
        )


def _answers(text: str, default: _Default) -> Answers:
    """Where `tcp://ADDRESS:PORT` or `fwmark:NUMBER` answers. Raises ValueError."""
    if text.startswith("fwmark:"):
        mark = values.whole(1, 2**32 - 1)(text.removeprefix("fwmark:"))
        return Answers(fwmark=mark, family=Family.IPV4)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _PROTOCOLS:
        raise ValueError("expected tcp://ADDRESS:PORT, udp://, sctp:// or fwmark:NUMBER")
    address, port = _destination(rest.rstrip("/ "))
    chosen = port or default.port
    if not chosen:
        raise ValueError("it has no port")
    return Answers(vips=(address,), ports=((chosen, chosen),), protocol=_PROTOCOLS[scheme])


def _destination(text: str) -> tuple[IPAddress, Port | None]:
    """An address with a port, where there is one. Raises ValueError."""
    if "${" in text:
        raise ValueError("its parameters come from elsewhere: write the address")
    host, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    return values.address(host), values.port(port) if colon else None


def _name(answers: Answers) -> str:
    if answers.fwmark is not None:
        return f"fwmark-{answers.fwmark}"
    return f"{answers.protocol}-{endpoint(answers.vips[0], answers.ports[0][0])}"
