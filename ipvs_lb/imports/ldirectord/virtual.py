"""The real servers and the fallback of a virtual service, with their checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ipvs_lb.config.draft import Answers, Checks, DraftServer
from ipvs_lb.imports.drafting import Marked, port_of, weight
from ipvs_lb.imports.findings import Findings, Mark
from ipvs_lb.imports.ldirectord.checks import Asked, methods
from ipvs_lb.imports.ldirectord.lines import Section, Setting
from ipvs_lb.imports.ldirectord.places import Real, fallback, real
from ipvs_lb.imports.ldirectord.settings import Asking
from ipvs_lb.imports.timing import Target, Timing, checked, fitted
from ipvs_lb.model.identity import Family, Port
from ipvs_lb.model.settings import Forwarding, Tunnel


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Seconds between checks and for one, of either kind; failures that take a server down."""

    interval: int
    timeout: int
    negotiate_timeout: int
    failures: int


@dataclass(frozen=True, slots=True)
class Virtual:
    """A virtual service, as far as its servers are concerned."""

    section: Section
    answers: Answers
    family: Family
    asked: Asking
    clock: Clock
    findings: Findings

    def servers(self, fallbacks: Mapping[Family, Setting]) -> Iterator[Marked]:
        """The servers, the fallback last: its own, or that of the file among *fallbacks*."""
        for setting in self.section.every("real", "real6"):
            yield from ((server, setting.mark) for server in self._reals(setting))
        last = self.section.last("fallback", "fallback6") or fallbacks.get(self.family)
        if last is not None:
            yield from ((server, last.mark) for server in self._fallback(last))

    def _what(self, setting: Setting) -> str:
        return f"{self.section.title} {setting.title}"

    def _reals(self, setting: Setting) -> Iterator[DraftServer]:
        what = self._what(setting)
        try:
            found = real(setting.value)
        except ValueError as error:
            self.findings.left_out(setting.mark, what, str(error))
            return
        if found.lower > found.upper:
            self.findings.left_out(setting.mark, what, f"l:{found.lower} is above u:{found.upper}")
        for address in found.addresses:
            yield DraftServer(
                address=address,
                port=self._port(found.forwarding, found.port, setting.mark, what),
                weight=weight(found.weight, setting.mark, what, self.findings),
                forwarding=found.forwarding,
                tunnel=Tunnel() if found.forwarding is Forwarding.TUNNEL else None,
                upper_threshold=found.upper,
                lower_threshold=found.lower if found.lower <= found.upper else 0,
                disabled=self.asked.kind == "off",
                checks=self._checks(found, str(address), setting.mark),
            )

    def _fallback(self, setting: Setting) -> Iterator[DraftServer]:
        try:
            place = fallback(setting.value)
        except ValueError as error:
            self.findings.left_out(setting.mark, self._what(setting), str(error))
            return
        yield DraftServer(
            address=place.address,
            port=self._port(place.forwarding, place.port, setting.mark, self._what(setting)),
            forwarding=place.forwarding,
            tunnel=Tunnel() if place.forwarding is Forwarding.TUNNEL else None,
            tier=1,
            disabled=self.asked.kind == "off",
            checks=(),
        )

    def _port(self, method: Forwarding, port: Port, mark: Mark, what: str) -> Port | None:
        """The port in the table: without masq it is that of the virtual service."""
        if method is Forwarding.MASQ:
            return port_of(port)
        if port and self.answers.ports and self.answers.ports != ((port, port),):
            why = f"port {port} gives way to the service's, only masq maps ports"
            self.findings.changed(mark, what, why)
        return None

    def _checks(self, one: Real, server: str, mark: Mark) -> Checks:
        asked = self.asked.about(mark)
        target = Target(port=asked.port or (None if one.port else asked.own_port))
        return tuple(
            checked(method, self._timing(asked, kind), target)
            for kind, method in methods(asked, one, server, self.findings)
        )

    def _timing(self, asked: Asked, kind: str) -> Timing:
        negotiates = kind == "negotiate"
        every = int(asked.kind) + 1 if negotiates and asked.kind.isdigit() else 1
        interval = self.clock.interval * every
        timing, told = fitted(
            Timing(
                interval=interval,
                fast_interval=interval,
                timeout=self.clock.negotiate_timeout if negotiates else self.clock.timeout,
                fall=self.clock.failures,
            )
        )
        if told:
            what = f"{self.section.title} {kind} check"
            self.findings.changed(self.section.mark, what, ", ".join(told))
        return timing
