"""The metrics of the running daemon: what it counts from its first event on, and where that is read."""

from __future__ import annotations

from ipvs_lb.api.traffic import Traffic
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.events import Event
from ipvs_lb.metrics.app import Metrics
from ipvs_lb.metrics.counts import Counts
from ipvs_lb.netlink.proc import read_text

_TURNS = frozenset({"config.loaded", "octavia.changed"})
"""After these, services and hooks may be gone."""


def counting(balancer: Balancer, traffic: Traffic, counts: Counts) -> Metrics:
    """The metrics of *balancer*, counted in *counts* from now on."""

    def told(event: Event) -> None:
        counts.told(event)
        if event.name in _TURNS:
            roster = balancer.roster
            counts.keep(
                {str(key) for key in roster.layouts}, {hook.name for hook in roster.config.hooks}
            )

    balancer.subscribe(told)
    return Metrics(balancer, counts=counts, traffic=traffic, read_text=read_text)
