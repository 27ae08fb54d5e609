"""What makes two health checks one probe: the same check of the same target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ipvs_lb.model.checks import FileCheck, HealthCheck, PingCheck, Via
from ipvs_lb.model.identity import NO_PORT, ServerKey, ServiceKey
from ipvs_lb.model.results import Target

_PORT_MEANS_NOTHING = (PingCheck, FileCheck)
_TIMING = HealthCheck(method=PingCheck())


@dataclass(frozen=True, slots=True)
class Probe:
    """A check bound to its target; equal probes run once, however many servers of however many services use them.

    `check` has neither address nor port: both are in `target`. `through` is set when the probe goes to that virtual
    service's VIP and through the forwarding path. Probes are looked up all the time, so the hash is kept.
    """

    check: HealthCheck
    target: Target
    through: ServiceKey | None = None
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        if not self._hash:
            object.__setattr__(self, "_hash", hash((self.check, self.target, self.through)))
        return self._hash


def probe_of(check: HealthCheck, key: ServiceKey, server: ServerKey) -> Probe:
    """The probe that *check* of *server* in the virtual service *key* is."""
    port = server.port if check.port is None else check.port
    target = Target(
        server.address if check.address is None else check.address,
        NO_PORT if isinstance(check.method, _PORT_MEANS_NOTHING) else port,
    )
    bare = check
    if check.address is not None or check.port is not None:
        bare = replace(check, address=None, port=None)
    return Probe(bare, target, key if check.via is Via.VIP else None)


def content_of(probe: Probe) -> Probe:
    """*probe* as if its times and thresholds were the defaults: equal when the same is asked of the same target."""
    check = replace(
        probe.check,
        interval=_TIMING.interval,
        fast_interval=_TIMING.fast_interval,
        timeout=_TIMING.timeout,
        rise=_TIMING.rise,
        fall=_TIMING.fall,
    )
    return Probe(check, probe.target, probe.through)
