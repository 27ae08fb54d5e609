"""A small world for policy tests: one VIP, servers by the last byte of their address, results, and a clock."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from ipvs_lb.health import NEW, Health, Status
from ipvs_lb.model.checks import HealthCheck, TcpCheck
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService, HealthPolicy
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.results import ErrorClass, Result
from ipvs_lb.model.settings import Service
from ipvs_lb.policy import Inputs, Member, decide, decide_service, layouts

VIP = ip_address("10.0.0.16")
HTTP = AddressKey(IPProtocol.TCP, VIP, Port(80))
HTTPS = AddressKey(IPProtocol.TCP, VIP, Port(443))
START = 1_000_000.0
TCP = HealthCheck(method=TcpCheck())
PASS, FAIL = Result(), Result(error=ErrorClass.REFUSED, detail="connection refused")


def address(last):
    return ip_address(f"10.0.0.{last}")


def server(last, *, checks=(TCP,), **settings):
    return DeclaredServer(name=f"s{last}", address=address(last), checks=checks, **settings)


def service(*servers, keys=(HTTP,), name="web", **policy):
    return DeclaredService(
        name=name,
        keys=keys,
        service=Service(scheduler="wrr"),
        servers=servers,
        policy=HealthPolicy(**policy),
        vips=(Vip(address=VIP),),
    )


def member(last, key=HTTP, port=None):
    return Member(key, ServerKey(address(last), Port(key.port if port is None else port)))


def up(since=START, **more):
    return Health(status=Status.UP, since=since, **more)


def down(since=START, **more):
    return Health(status=Status.DOWN, since=since, **more)


class World:
    """Takes events, keeps the inputs, and decides about one declared service (its first key)."""

    def __init__(self, declared, **inputs):
        self.declare(declared)
        self.inputs = Inputs(now=START, **inputs)
        self.decision: Any = None  # a ServiceDecision once there is one

    def declare(self, declared):
        self.layout = layouts(declared)[0]
        self.config = Config(services=(declared,))

    def put(self, **inputs):
        self.inputs = replace(self.inputs, **inputs)
        return self

    def health(self, last, *states):
        """Give the checks of a server these states."""
        (seat,) = [s for s in self.layout.seats if s.server.address == address(last)]
        known = dict(zip(seat.probes, states, strict=True))
        return self.put(health={**self.inputs.health, **known})

    def result(self, last, result, number=0):
        """Let one check of a server have a result now."""
        (seat,) = [s for s in self.layout.seats if s.server.address == address(last)]
        probe = seat.probes[number]
        before = self.inputs.health.get(probe, NEW)
        after = before.after(result, probe.check, self.inputs.now)
        return self.put(health={**self.inputs.health, probe: after})

    def all_up(self):
        return self.put(health={probe: up() for seat in self.layout.seats for probe in seat.probes})

    def order(self, last, override):
        orders = {**self.inputs.overrides, member(last): override}
        return self.put(overrides={k: v for k, v in orders.items() if v is not None})

    def connections(self, last, number):
        return self.put(connections={**self.inputs.connections, member(last): number})

    def wait(self, seconds):
        return self.put(now=self.inputs.now + seconds)

    def decide(self):
        self.decision = decide_service(self.layout, self.inputs)
        return self.put(memory={self.layout.key: self.decision.memory})

    def whole(self):
        return decide(self.config, self.inputs)

    @property
    def weights(self):
        """What servers weigh in the kernel after deciding now, by the last byte of their address."""
        self.decide()
        servers = self.decision.virtual.servers
        return {int(key.address) & 255: settings.weight for key, settings in servers.items()}

    @property
    def rules(self):
        self.decide()
        return {int(r.member.server.address) & 255: str(r.rule) for r in self.decision.rulings}
