"""What makes two health checks one probe: the same check of the same target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ipvs_lb.model.checks import FileCheck, HealthCheck, PingCheck, Via
from ipvs_lb.model.identity import NO_PORT, IPAddress, ServerKey, ServiceKey
from ipvs_lb.model.results import Target

_PORT_MEANS_NOTHING = (PingCheck, FileCheck)
_TIMING = HealthCheck(method=PingCheck())


@dataclass(frozen=True, slots=True)
class Probe:
    """A check bound to its target; equal probes run once, however many servers of however many services use them.

    `check` has neither address nor port: both are in `target`. `through` is set when the probe goes to that virtual
    service's VIP and through the forwarding path. `towards`: it is sent from the address that the gateway has on its
    way to that host, not to the target. Probes are looked up all the time, so the hash is kept.
    """

    check: HealthCheck
    target: Target
    through: ServiceKey | None = None
    towards: IPAddress | None = field(default=None, repr=False)
    _hash: int = field(default=0, init=False, repr=False, compare=False)

    def __hash__(self) -> int:
        if not self._hash:
            content = (self.check, self.target, self.through, self.towards)
            object.__setattr__(self, "_hash", hash(content))
        return self._hash


def bound(check: HealthCheck, server: Target) -> Probe:
    """The probe that *check* of *server* is, on the straight way: the check's own address and port come first.

    Without a port where the method knows none, so that one ping serves all ports of a server.
    """
    port = server.port if check.port is None else check.port
    target = Target(
        server.address if check.address is None else check.address,
        NO_PORT if isinstance(check.method, _PORT_MEANS_NOTHING) else port,
    )
    bare = check
    if check.address is not None or check.port is not None:
        bare = replace(check, address=None, port=None)
    return Probe(bare, target)


def probe_of(check: HealthCheck, key: ServiceKey, server: ServerKey) -> Probe:
    """The probe that *check* of *server* in the virtual service *key* is."""
    probe = bound(check, Target(server.address, server.port))
    return Probe(probe.check, probe.target, key) if check.via is Via.VIP else probe


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
    return Probe(check, probe.target, probe.through, probe.towards)
