"""The daemon and restricted services: never open, not even while no firewall can be set."""

import asyncio
from dataclasses import replace

from ipvs_lb.errors import HostError
from ipvs_lb.model.config import DaemonSettings, Drift
from ipvs_lb.model.firewall import AccessRule, Firewall
from ipvs_lb.model.host import SetFirewall, Vip
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port
from tests.daemon_world import PASSED, REFUSED, VIP, WEB, World, web
from tests.fake_host import FakeHost

OFFICE, HOME = "192.0.2.0/24", "198.51.100.7/32"
TLS = AddressKey(IPProtocol.TCP, VIP, Port(443))


class Host(FakeHost):
    """A host that has no firewall while `lacks_nft`."""

    lacks_nft = False

    def execute(self, command):
        if self.lacks_nft and isinstance(command, SetFirewall):
            raise HostError("no nft", hint="apt install nftables")
        super().execute(command)


def world(*services, **settings):
    made = World(*services, **settings)
    made.host = Host(made.host.state)
    return made


def restricted(*last_bytes, allow=OFFICE, ports=(80,)):
    return replace(web(*last_bytes, ports=ports), allow=(allow,))


def wall(*rules):
    return Firewall(access=frozenset(rules))


async def test_a_restricted_service_is_there_with_its_restriction():
    gateway = world(restricted(4))
    await gateway.up()
    assert gateway.weights() == {4: 1}
    assert gateway.host.state.firewall == wall(AccessRule(WEB, (OFFICE,)))
    assert gateway.host.executed.index(SetFirewall(gateway.host.state.firewall)) == 0
    await gateway.reload()
    assert gateway.weights() == {}
    assert gateway.host.state.firewall == Firewall()


async def test_without_a_firewall_it_stays_out_and_the_others_serve():
    gateway = world(restricted(4), replace(web(6, ports=(443,)), name="tls"))
    gateway.host.lacks_nft = True
    balancer = await gateway.up(25)
    assert WEB not in gateway.kernel.table.services
    assert gateway.weights(TLS) == {6: 1}
    (failed,) = [event for event in balancer.events(0) if event.name == "host.failed"]
    assert (
        failed.facts["reason"] == "no nft; kept out, since anybody would get in: tcp/10.0.0.16:80"
    )
    assert failed.facts["hint"] == "apt install nftables"
    assert gateway.names("drift.") == []
    gateway.answer(4, REFUSED)
    gateway.answer(6, REFUSED)
    await asyncio.sleep(10)
    assert gateway.weights(TLS) == {}, "what is kept out holds nothing else up"
    gateway.answer(4, PASSED)
    gateway.host.lacks_nft = False
    await asyncio.sleep(30)
    assert gateway.weights() == {4: 1}
    assert "host.recovered" in gateway.names()
    assert gateway.names("drift.") == []


async def test_many_services_that_are_kept_out_are_counted():
    gateway = world(restricted(4, ports=range(80, 88)))
    gateway.host.lacks_nft = True
    balancer = await gateway.up()
    (failed,) = [event for event in balancer.events(0) if event.name == "host.failed"]
    assert str(failed.facts["reason"]).endswith("tcp/10.0.0.16:84 and 3 more")


async def test_what_becomes_restricted_goes_when_nobody_can_be_kept_out():
    gateway = world(web(4))
    await gateway.up()
    gateway.host.lacks_nft = True
    await gateway.reload(restricted(4))
    assert WEB not in gateway.kernel.table.services


async def test_another_list_that_cannot_be_set_leaves_the_old_one_and_the_service():
    gateway = world(restricted(4))
    await gateway.up()
    gateway.host.lacks_nft = True
    await gateway.reload(restricted(4, allow=HOME))
    assert gateway.weights() == {4: 1}
    assert gateway.host.state.firewall == wall(AccessRule(WEB, (OFFICE,)))
    assert "host.failed" in gateway.names()
    gateway.host.lacks_nft = False
    await asyncio.sleep(11)
    assert gateway.host.state.firewall == wall(AccessRule(WEB, (HOME,)))


async def test_flushed_rules_come_back_and_that_is_told_once():
    gateway = world(restricted(4), daemon=DaemonSettings(drift=Drift.REPORT))
    balancer = await gateway.up()
    gateway.host.state = replace(gateway.host.state, firewall=Firewall())
    await asyncio.sleep(25)
    assert gateway.host.state.firewall == wall(AccessRule(WEB, (OFFICE,)))
    (told,) = [event for event in balancer.events(0) if event.name.startswith("drift.")]
    assert told.name == "drift.repaired"
    assert told.facts["first"] == "set firewall: tcp/10.0.0.16:80 for 192.0.2.0/24 only"


async def test_drift_that_is_left_alone_does_not_hide_that_no_firewall_can_be_set():
    gateway = world(restricted(4), daemon=DaemonSettings(drift=Drift.REPORT))
    await gateway.up()
    gateway.host.lacks_nft = True
    gateway.host.state = replace(gateway.host.state, firewall=wall(AccessRule(WEB, (HOME,))))
    gateway.without(4)
    await asyncio.sleep(25)
    assert gateway.names("drift.").count("drift.reported") == 1
    assert "host.failed" in gateway.names()


async def test_a_restriction_that_cannot_be_taken_back_is_tried_again():
    gateway = world(restricted(4))
    await gateway.up()
    gateway.host.lacks_nft = True
    await gateway.reload()
    assert WEB not in gateway.kernel.table.services
    assert "host.failed" in gateway.names()
    gateway.host.lacks_nft = False
    await asyncio.sleep(11)
    assert gateway.host.state.firewall == Firewall()
    assert gateway.names("drift.") == []


def guarded(*last_bytes):
    return replace(web(*last_bytes), vips=(Vip(address=VIP, guard=True),))


ON_WEB = Firewall(guarded=frozenset({VIP}), opened=frozenset({WEB}))


async def test_a_guard_comes_before_its_vip_is_repaired_and_goes_when_it_is_switched_off():
    gateway = world(guarded(4))
    balancer = await gateway.up()
    assert gateway.host.state.firewall == ON_WEB
    assert gateway.host.executed[0] == SetFirewall(ON_WEB)
    gateway.host.state = replace(gateway.host.state, firewall=Firewall())
    await asyncio.sleep(11)
    assert gateway.host.state.firewall == ON_WEB
    (told,) = [event for event in balancer.events(0) if event.name.startswith("drift.")]
    assert told.facts["first"] == "set firewall: on 10.0.0.16 nothing but tcp/10.0.0.16:80 answers"
    await gateway.reload(web(4))
    assert gateway.host.state.firewall == Firewall()
    assert gateway.weights() == {4: 1}


async def test_without_a_firewall_a_vip_serves_unguarded_which_is_told_until_it_is_mended():
    gateway = world(replace(restricted(4, ports=(443,)), vips=(Vip(address=VIP, guard=True),)))
    gateway.host.lacks_nft = True
    balancer = await gateway.up()
    (failed,) = [event for event in balancer.events(0) if event.name == "host.failed"]
    assert failed.facts["reason"] == (
        "no nft; kept out, since anybody would get in: tcp/10.0.0.16:443;"
        " every port of this gateway answers, not services alone, on 10.0.0.16"
    )
    await gateway.reload(guarded(4))
    await asyncio.sleep(2)
    assert gateway.weights() == {4: 1}
    assert {place.address for place in gateway.host.state.addresses} == {VIP}
    told = [event.facts for event in balancer.events(0) if event.name == "host.failed"]
    assert told[-1] == {
        "reason": "no nft; every port of this gateway answers, not services alone, on 10.0.0.16",
        "hint": "apt install nftables",
    }
    gateway.host.lacks_nft = False
    await asyncio.sleep(11)
    assert gateway.host.state.firewall == ON_WEB
    assert "host.recovered" in gateway.names()
