"""Everything that one page of metrics is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ipvs_lb.engine.control import Snapshot
from ipvs_lb.metrics.counts import Counts
from ipvs_lb.metrics.families import SERVER_UP
from ipvs_lb.metrics.kernel import KernelTable
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.metrics import MetricsSettings
from ipvs_lb.model.table import Statistics
from ipvs_lb.policy import ServiceDecision

Requests = Mapping[tuple[str, str, str, str], int]
"""Answered requests by face, method, route and status code."""
Refused = Mapping[tuple[str, str], int]
"""Connections without an answer by face and reason."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A gateway at one moment. `statistics` None: the kernel cannot be asked; `table` None: it has no IPVS to show."""

    snapshot: Snapshot
    statistics: Statistics | None
    table: KernelTable | None
    counts: Counts
    requests: Requests
    refused: Refused = field(default_factory=dict)
    settings: MetricsSettings
    _sets: dict[ServiceKey, tuple[str, ...]] = field(default_factory=dict)

    @property
    def services(self) -> Iterator[tuple[ServiceDecision, tuple[str, str]]]:
        """Every virtual service with its labels."""
        layouts = self.snapshot.layouts
        for key, decision in self.snapshot.decision.services.items():
            if key in layouts:
                yield decision, (layouts[key].declared.name, str(key))

    def server_sets(self, decision: ServiceDecision, service: tuple[str, str]) -> tuple[str, ...]:
        """The labels of the servers of a virtual service, made once for all families."""
        known = self._sets.get(decision.key)
        if known is None:
            known = self._sets[decision.key] = tuple(
                [
                    SERVER_UP.set_of(*service, ruling.name, str(ruling.member.server))
                    for ruling in decision.rulings
                ]
            )
        return known
