"""The decisions in force: which are made again, and when."""

from __future__ import annotations

from dataclasses import replace

from ipvs_lb.engine.court import Court, withdrawn
from ipvs_lb.engine.roster import lay_out, lay_out_after
from ipvs_lb.health import Health, Status
from ipvs_lb.model.config import Config, HealthPolicy, VipDownWhen
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.desired import Desired, PlacedVip
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from ipvs_lb.model.settings import Server
from ipvs_lb.model.table import ServiceStatistics, Table
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Removed, VipRuling
from tests.daemon_world import START, VIP, WEB, web

TLS = AddressKey(IPProtocol.TCP, VIP, Port(443))


class Case:
    """A court about declared services, all of whose servers are up."""

    def __init__(self, *services) -> None:
        self.roster = lay_out(Config(services=services))
        self.health = dict.fromkeys(self.roster.users, Health(status=Status.UP, since=START))
        self.court = Court(lay_out(Config()), self.health)
        self.now = START
        self.decide(self.turn(*services))

    def turn(self, *services, removed=None):
        """The services that a new configuration has decided again."""
        step = lay_out_after(self.court.roster, Config(services=services))
        self.court.replace(step, removed or {})
        return step.changed

    def decide(self, keys=(WEB,)) -> list[str]:
        return [story.name for story in self.court.decide(keys, self.now)]

    def results(self, status: Status) -> None:
        self.health.update(dict.fromkeys(self.health, Health(status=status, since=self.now)))

    def member(self, last: int, key=WEB):
        (found,) = (
            m for m in self.roster.seats if m.key == key and int(m.server.address) & 255 == last
        )
        return found

    def order(self, last: int, **settings) -> None:
        override = Override(since=self.now, **settings)
        self.court.overrides[self.member(last)] = override

    def weights(self, key=WEB) -> dict[int, int]:
        servers = self.court.table().services[key].servers
        return {int(server.address) & 255: settings.weight for server, settings in servers.items()}


def test_what_is_decided_is_the_table():
    case = Case(web(4, 6, ports=(80, 443)))
    assert case.weights(WEB) == case.weights(TLS) == {4: 1, 6: 1}
    assert case.court.decision.table == case.court.table()


def test_only_the_services_that_are_named_are_decided_again():
    case = Case(web(4, ports=(80, 443)))
    case.results(Status.DOWN)
    assert "server.down" in case.decide((WEB,))
    assert case.weights(WEB) == {}
    assert case.weights(TLS) == {4: 1}


def test_a_new_configuration_has_only_what_changed_decided_again():
    case = Case(web(4, ports=(80, 443)))
    other = replace(web(4, 6, ports=(8080,)), name="other")
    assert case.turn(web(4, ports=(80, 443)), other) == {other.keys[0]}


def test_what_is_no_longer_declared_is_out_of_the_table_and_its_orders_are_forgotten():
    case = Case(web(4, ports=(80, 443)))
    case.order(4, action=Action.DRAIN)
    assert case.turn(web(4, ports=(443,))) == {TLS}
    assert set(case.court.table().services) == {TLS}
    assert case.court.overrides == {}
    case.turn()
    assert case.court.vips == {}


def test_an_order_that_expires_is_due_at_that_time_and_gone_then():
    case = Case(web(4, 6))
    case.order(4, action=Action.WEIGHT, weight=7, expires=START + 30)
    case.decide()
    assert case.weights() == {4: 7, 6: 1}
    assert case.court.wake_at() == START + 30
    assert case.court.due(START + 29) == set()
    assert case.court.due(START + 30) == {WEB}
    case.now = START + 30
    case.decide()
    assert case.weights() == {4: 1, 6: 1}
    assert case.court.overrides == {}


def counted(case: Case, last: int, *, active: int, weight: int, inactive: int = 0) -> None:
    """The kernel's counters for a server that has *weight* there."""
    server = case.member(last).server
    present = case.court.table().services
    shown = replace(present[WEB], servers={**present[WEB].servers, server: Server(weight=weight)})
    counters = {server: ServerCounters(active=active, inactive=inactive)}
    case.court.count({WEB: ServiceStatistics(servers=counters)}, {WEB: shown})


def test_a_drain_ends_when_its_last_connection_has():
    case = Case(web(4, 6))
    case.order(4, action=Action.DRAIN)
    case.decide()
    assert case.weights() == {4: 0, 6: 1}
    assert case.court.draining() == {WEB}
    counted(case, 4, active=1, weight=0)
    case.decide()
    assert case.weights() == {4: 0, 6: 1}
    counted(case, 4, active=0, weight=0)
    case.decide()
    assert case.weights() == {6: 1}
    assert case.court.draining() == set()


def test_closed_connections_that_the_kernel_remembers_keep_no_drain_waiting_after_a_second_look():
    """An inactive connection may also be one that is just being opened: that is seen at the next look."""
    case = Case(web(4, 6))
    case.order(4, action=Action.DRAIN)
    case.decide()
    counted(case, 4, active=0, weight=0, inactive=3)
    case.decide()
    assert case.weights() == {4: 0, 6: 1}
    counted(case, 4, active=1, weight=0, inactive=2)
    case.decide()
    counted(case, 4, active=0, weight=0, inactive=3)
    case.decide()
    assert case.weights() == {4: 0, 6: 1}
    counted(case, 4, active=0, weight=0, inactive=3)
    case.decide()
    assert case.weights() == {6: 1}


def test_a_second_drain_is_not_over_by_the_counts_of_the_first():
    case = Case(web(4, 6))
    case.order(4, action=Action.DRAIN)
    case.decide()
    counted(case, 4, active=0, weight=0)
    case.decide()
    assert case.weights() == {6: 1}
    del case.court.overrides[case.member(4)]
    case.decide()
    assert case.weights() == {4: 1, 6: 1}
    case.now += 10
    case.order(4, action=Action.DRAIN)
    case.decide()
    assert case.weights() == {4: 0, 6: 1}


def test_counts_from_before_the_weight_was_zero_end_no_drain():
    case = Case(web(4, 6))
    case.order(4, action=Action.DRAIN)
    case.decide()
    counted(case, 4, active=0, weight=1)
    case.decide()
    assert case.weights() == {4: 0, 6: 1}


def test_a_server_that_is_no_longer_declared_drains_until_its_deadline():
    case = Case(web(4, 6))
    gone = case.member(6)
    record = Removed(server=Server(), since=START, deadline=START + 60)
    case.decide(case.turn(web(4), removed={gone: record}))
    assert case.weights() == {4: 1, 6: 0}
    case.now = START + 60
    assert case.court.due(case.now) == {WEB}
    case.decide()
    assert case.weights() == {4: 1}
    assert not case.court.removed[WEB]


def test_a_vip_goes_when_its_services_cannot_serve_and_comes_back():
    case = Case(web(4, policy=HealthPolicy(vip_down_when=VipDownWhen.ALL)))
    case.results(Status.DOWN)
    assert case.decide()[-1] == "vip.withdrawn"
    assert not case.court.vips[VIP].is_up
    case.results(Status.UP)
    assert case.decide()[-1] == "vip.restored"


def test_a_vip_that_is_down_is_left_out_of_what_is_wanted():
    place = PlacedVip(InterfaceAddress("lo", VIP, 32), announce=False)
    desired = Desired(Table(), (place,))
    assert withdrawn(desired, {VIP: VipRuling(address=VIP, because=(WEB,))}, {VIP}).vips == ()
    assert withdrawn(desired, {VIP: VipRuling(address=VIP)}, frozenset()) == desired
    assert withdrawn(desired, {}, frozenset()) == desired
    awaited = {VIP: VipRuling(address=VIP, awaited=True)}
    assert withdrawn(desired, awaited, frozenset()).vips == ()
    assert withdrawn(desired, awaited, {VIP}) == desired, "what is there stays"


def test_the_decision_is_one_value_until_something_is_decided_again():
    case = Case(web(4, 6))
    before = case.court.decision
    assert case.court.decision is before
    case.decide()
    after = case.court.decision
    assert after is not before
    case.turn(web(4))
    assert case.court.decision is not after


def test_asking_what_is_due_does_not_forget_it():
    case = Case(web(4, 6))
    case.order(4, action=Action.DOWN, expires=START + 60)
    case.decide()
    assert case.court.wake_at() == START + 60
    assert case.court.due(START + 59) == set()
    assert [case.court.due(START + 60) for _ in range(2)] == [{WEB}, {WEB}]
    case.now = START + 60
    case.decide()
    assert case.court.wake_at() is None
    assert case.court.due(START + 999) == set()


def test_a_service_that_is_gone_is_never_due():
    case = Case(web(4, 6))
    case.order(4, action=Action.DOWN, expires=START + 60)
    case.decide()
    case.turn()
    assert case.court.due(START + 60) == set()


def test_a_vip_is_looked_at_again_only_when_a_service_says_something_else():
    case = Case(web(4, 6, policy=HealthPolicy(vip_down_when=VipDownWhen.ALL), ports=(80, 443)))
    case.decide((WEB, TLS))
    ruling = case.court.vips[VIP]
    case.decide((WEB,))
    assert case.court.vips[VIP] is ruling
    turned = case.court.turned
    case.results(Status.DOWN)
    case.decide((WEB, TLS))
    assert not case.court.vips[VIP].is_up
    assert case.court.turned == turned + 1
