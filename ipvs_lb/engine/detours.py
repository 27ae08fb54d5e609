"""Probes through a VIP take the way that policy lays for them, once it is in the kernel; all others go straight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ipvs_lb.engine.mirror import Mirror
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.policy import NO_DATAPATH, Datapath
from ipvs_lb.ports import Prober

_NO_WAY = Result(
    error=ErrorClass.LOCAL, detail="the kernel has no service yet that leads to this server"
)


class Detours:
    """An `ipvs_lb.ports.Prober` before another, by the *datapath* in force.

    Without its service in the kernel a marked packet would go to any server of the VIP: such a probe is not sent,
    which says nothing about the server.
    """

    def __init__(self, prober: Prober, mirror: Mirror) -> None:
        self._prober = prober
        self._mirror = mirror
        self.datapath: Datapath = NO_DATAPATH

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        """Begin one execution; the returned function gives it up."""
        if probe.through is None:
            return self._prober.start(probe, done)
        sent = self._sent(probe)
        if sent is None:
            return asyncio.get_running_loop().call_soon(done, _NO_WAY).cancel
        return self._prober.start(sent, done)

    def _sent(self, probe: Probe) -> Probe | None:
        """What *probe* really is, when the kernel has what leads it there."""
        line, known = self.datapath.lines.get(probe), self._mirror.services
        if line is None or known is None:
            return None
        is_laid = known.get(line.key) == self.datapath.services[line.key]
        return line.sent if is_laid else None
