"""The daemon in virtual time: what the kernel holds, and what is told, after results, orders and accidents."""

import asyncio
import errno
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ipvs_lb.commands import AddServer, DeleteServer, DeleteService
from ipvs_lb.errors import ConfigError, UsageError
from ipvs_lb.events import Event
from ipvs_lb.model.config import (
    DaemonSettings,
    Drift,
    HealthPolicy,
    OnDown,
    VipDownWhen,
)
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.host import InterfaceAddress
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import Server, Service
from ipvs_lb.model.table import ServiceStatistics, Table, VirtualService
from ipvs_lb.overrides import Action, Override
from ipvs_lb.policy import Member
from tests.daemon_world import PASSED, REFUSED, START, VIP, WEB, SlowReads, World, server, web
from tests.fake_kernel import FakeKernel

A, B = (ServerKey(ip_address(f"10.0.0.{last}"), Port(80)) for last in (4, 6))
TLS = AddressKey(IPProtocol.TCP, VIP, Port(443))
PLACE = InterfaceAddress("lo", VIP, 32)


def live(*last_bytes, weight=1):
    """A kernel table that serves already."""
    keys = [ServerKey(ip_address(f"10.0.0.{last}"), Port(80)) for last in last_bytes]
    servers = {key: Server(weight=weight) for key in keys}
    return Table({WEB: VirtualService(Service(scheduler="rr"), servers)})


async def test_a_new_server_is_out_until_its_first_result():
    world = World(web(4, 6))
    world.prober.takes = 0.5
    await world.up(0.01)
    assert world.weights() == {}
    await asyncio.sleep(2)
    assert world.weights() == {4: 1, 6: 1}
    assert PLACE in world.host.state.addresses


async def test_a_server_that_fails_often_enough_goes_and_comes_back_after_rise():
    world = World(web(4, 6))
    await world.up()
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    assert world.weights() == {4: 1}
    world.answer(6, PASSED)
    await asyncio.sleep(10)
    assert world.weights() == {4: 1, 6: 1}
    assert world.names("server.") == ["server.up", "server.up", "server.down", "server.up"]


async def test_a_server_going_down_is_told_with_the_reason():
    world = World(web(4, 6))
    balancer = await world.up()
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    (event,) = [e for e in balancer.events(0) if e.name == "server.down"]
    assert (event.facts["server"], event.facts["error"]) == ("10.0.0.6:80", "refused")


async def test_a_deciding_result_is_in_the_kernel_at_once():
    world = World(web(4, 6), daemon=DaemonSettings(reconcile_interval=1000))
    await world.up()
    world.answer(6, REFUSED)
    while "server.down" not in world.names():
        assert world.weights() == {4: 1, 6: 1}
        await asyncio.sleep(0.01)  # virtual time
    assert world.weights() == {4: 1}


async def down_while_reading():
    """A world whose kernel is being read all the time, when server 6 has just been decided to be down."""
    world = World(web(4, 6))
    world.threads = reads = SlowReads(12.0)
    await world.up(25)
    assert world.weights() == {4: 1, 6: 1}
    world.answer(6, REFUSED)
    await world.until("server.down")
    assert reads.under_way
    return world


async def test_reading_the_whole_table_keeps_no_decision_waiting():
    world = await down_while_reading()
    await asyncio.sleep(0.01)
    assert world.weights() == {4: 1}


async def test_what_was_written_while_the_table_was_read_is_no_drift():
    world = await down_while_reading()
    executed = len(world.kernel.executed)
    await asyncio.sleep(30)
    assert world.names("drift.") == []
    assert world.weights() == {4: 1}
    assert len(world.kernel.executed) <= executed + 1, "the server goes once and stays out"


async def test_what_others_change_is_found_also_when_something_was_written_meanwhile():
    world = await down_while_reading()
    world.without(4)
    await asyncio.sleep(30)
    assert world.weights() == {4: 1}


async def test_a_write_that_fails_while_the_table_is_read_is_made_good():
    world = World(web(4, 6))
    world.threads = reads = SlowReads(12.0)
    await world.up(25)
    world.kernel.refuse = {DeleteServer(WEB, B): errno.EBUSY}
    world.answer(6, REFUSED)
    await world.until("kernel.failed")
    assert reads.under_way
    world.kernel.refuse = {}
    await asyncio.sleep(40)
    assert world.weights() == {4: 1}
    assert world.names("kernel.") == ["kernel.failed", "kernel.recovered"]


async def test_starting_over_a_live_table_touches_nothing_that_is_right():
    world = World(web(4, 6))
    world.kernel = type(world.kernel)(live(4, 6))
    world.prober.takes = 0.5
    await world.up(0.1)
    assert world.kernel.executed == []
    assert world.weights() == {4: 1, 6: 1}


async def test_an_adopted_server_leaves_only_after_its_own_failures():
    world = World(web(4, 6))
    world.kernel = type(world.kernel)(live(4, 6))
    await world.up(0.0)
    world.answer(6, REFUSED)
    await asyncio.sleep(1.5)
    assert world.weights() == {4: 1, 6: 1}
    await asyncio.sleep(10)
    assert world.weights() == {4: 1}


async def test_stopping_leaves_the_table_forwarding():
    world = World(web(4, 6))
    await world.up()
    await world.down()
    assert world.weights() == {4: 1, 6: 1}
    assert PLACE in world.host.state.addresses


async def test_a_restart_remembers_who_was_down():
    world = World(web(4, 6))
    await world.up()
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    await world.down()
    world.prober.results.clear()
    await world.up(0.0)
    assert world.weights() == {4: 1}
    await asyncio.sleep(1.0)
    assert world.weights() == {4: 1}, "one success is less than rise"
    await asyncio.sleep(10)
    assert world.weights() == {4: 1, 6: 1}


async def test_what_others_change_is_repaired_and_told():
    world = World(web(4, 6))
    await world.up()
    world.without(6)
    await asyncio.sleep(11)
    assert world.weights() == {4: 1, 6: 1}
    assert world.names("drift.") == ["drift.repaired"]
    assert world.balancer.snapshot().drifted == 1


async def test_everything_is_back_after_a_flush():
    world = World(web(4, 6))
    await world.up()
    world.meddle(lambda _: Table(timeouts=world.kernel.table.timeouts, daemons={}))
    await asyncio.sleep(11)
    assert world.weights() == {4: 1, 6: 1}


async def test_drift_can_be_reported_only_and_is_told_once():
    world = World(web(4, 6), daemon=DaemonSettings(drift=Drift.REPORT))
    await world.up()
    world.without(6)
    await asyncio.sleep(35)
    assert world.weights() == {4: 1}
    assert world.names("drift.") == ["drift.reported"]


async def test_foreign_services_are_left_alone():
    world = World(web(4))
    world.kernel = type(world.kernel)(Table({TLS: VirtualService(Service(scheduler="lc"))}))
    await world.up(25)
    assert TLS in world.kernel.table.services


async def test_a_reload_adds_and_keeps_history():
    world = World(web(4, 6))
    await world.up()
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    await world.reload(web(4, 6, 7))
    assert world.weights() == {4: 1}, "a failing server does not come back by a reload"
    await asyncio.sleep(2)
    assert world.weights() == {4: 1, 7: 1}


async def test_a_refused_config_leaves_the_old_one_running():
    world = World(web(4, 6))
    balancer = await world.up()
    world.problem = ConfigError(["lb.yaml:1:1: version: missing"])
    with pytest.raises(ConfigError):
        await balancer.reload()
    await asyncio.sleep(11)
    assert world.weights() == {4: 1, 6: 1}
    assert balancer.snapshot().config_error == ("lb.yaml:1:1: version: missing",)
    world.problem = None
    await balancer.reload()
    assert balancer.snapshot().config_error == ()


async def test_a_removed_server_drains_before_it_goes():
    world = World(web(4, 6))
    await world.up()
    world.kernel.counters = {WEB: ServiceStatistics(servers={B: ServerCounters(active=2)})}
    await world.reload(web(4))
    await asyncio.sleep(5)
    assert world.weights() == {4: 1, 6: 0}
    world.kernel.counters = {WEB: ServiceStatistics(servers={B: ServerCounters()})}
    await asyncio.sleep(2)
    assert world.weights() == {4: 1}


async def test_a_drain_ends_at_its_deadline():
    policy = HealthPolicy(drain_timeout=30)
    world = World(web(4, 6, policy=policy))
    await world.up()
    world.kernel.counters = {WEB: ServiceStatistics(servers={B: ServerCounters(active=2)})}
    await world.reload(web(4, policy=policy))
    await asyncio.sleep(29)
    assert world.weights() == {4: 1, 6: 0}
    await asyncio.sleep(2)
    assert world.weights() == {4: 1}


async def test_a_drain_goes_on_after_a_restart():
    policy = HealthPolicy(drain_timeout=60)
    world = World(web(4, 6, policy=policy))
    await world.up()
    world.kernel.counters = {WEB: ServiceStatistics(servers={B: ServerCounters(active=2)})}
    await world.reload(web(4, policy=policy))
    await world.down()
    await world.up(5)
    assert world.weights() == {4: 1, 6: 0}
    await asyncio.sleep(60)
    assert world.weights() == {4: 1}


class CountedKernel(FakeKernel):
    def __init__(self):
        super().__init__()
        self.counted = []

    def statistics(self, keys=None):
        self.counted.append(keys)
        return super().statistics(keys)


async def test_while_a_server_drains_the_counters_of_its_services_are_read_and_no_others():
    tls = replace(web(4, ports=(443,)), name="tls")
    world = World(web(4, 6), tls)
    world.kernel = CountedKernel()
    await world.up(5)
    assert world.kernel.counted == []
    world.kernel.counters = {WEB: ServiceStatistics(servers={B: ServerCounters(active=2)})}
    await world.reload(web(4), tls)
    await asyncio.sleep(5)
    world.kernel.counters = {}
    await asyncio.sleep(5)
    assert world.weights() == {4: 1}
    assert world.kernel.counted == [{WEB}] * 6


async def test_a_removed_service_goes():
    world = World(web(4, ports=(80, 443)))
    await world.up()
    await world.reload(web(4))
    assert list(world.kernel.table.services) == [WEB]


async def test_an_order_is_in_force_at_once_and_survives_a_restart():
    world = World(web(4, 6))
    balancer = await world.up()
    order = Override(action=Action.DOWN, since=START, reason="new disk", who="root")
    await balancer.order([Member(WEB, B)], order)
    await asyncio.sleep(0.01)
    assert world.weights() == {4: 1}
    await world.down()
    balancer = await world.up()
    assert balancer.snapshot().overrides == {Member(WEB, B): order}
    assert world.weights() == {4: 1}
    await balancer.order([Member(WEB, B)], None)
    await asyncio.sleep(0.01)
    assert world.weights() == {4: 1, 6: 1}


async def test_an_order_on_a_server_that_left_the_configuration_is_not_back_with_it_after_a_restart():
    world = World(web(4, 6))
    balancer = await world.up()
    order = Override(action=Action.DRAIN, since=START, reason="new disk", who="root")
    await balancer.order([Member(WEB, B)], order)
    await world.reload(web(4))
    await world.reload(web(4, 6))
    assert balancer.snapshot().overrides == {}
    await world.down()
    balancer = await world.up()
    assert balancer.snapshot().overrides == {}
    assert world.weights() == {4: 1, 6: 1}


async def test_an_order_can_expire():
    world = World(web(4, 6))
    balancer = await world.up()
    now = balancer.snapshot().at
    order = Override(action=Action.WEIGHT, since=now, weight=7, expires=now + 20)
    await balancer.order([Member(WEB, B)], order)
    await asyncio.sleep(19)
    assert world.weights() == {4: 1, 6: 7}
    await asyncio.sleep(2)
    assert world.weights() == {4: 1, 6: 1}


async def test_an_order_for_nobody_changes_nothing():
    world = World(web(4, 6))
    balancer = await world.up()
    order = Override(action=Action.DOWN, since=START)
    with pytest.raises(UsageError, match=r"no such server"):
        await balancer.order([Member(WEB, B), Member(TLS, B)], order)
    await asyncio.sleep(1)
    assert world.weights() == {4: 1, 6: 1}


async def test_probing_goes_on_without_a_kernel_and_the_table_is_right_when_it_is_back():
    world = World(web(4, 6))
    balancer = await world.up()
    world.kernel.broken = True
    world.answer(6, REFUSED)
    await asyncio.sleep(60)
    assert balancer.snapshot().kernel_error is not None
    assert world.weights() == {4: 1, 6: 1}
    world.kernel.broken = False
    await asyncio.sleep(31)
    assert world.weights() == {4: 1}
    assert world.names("kernel.")[-1] == "kernel.recovered"


async def test_a_daemon_starts_without_a_kernel_and_waits_for_it():
    world = World(web(4, 6))
    world.kernel.broken = True
    await world.up(60)
    assert world.names("kernel.") == ["kernel.failed"]
    world.kernel.broken = False
    await asyncio.sleep(31)
    assert world.weights() == {4: 1, 6: 1}


async def test_a_refused_command_is_told_and_tried_again():
    world = World(web(4, 6))
    world.kernel.refuse = {AddServer(WEB, B, Server()): errno.EINVAL}
    await world.up(5)
    assert world.weights() == {4: 1}
    assert PLACE in world.host.state.addresses, "what was not refused goes on"
    assert world.names("kernel.") == ["kernel.failed"]
    world.kernel.refuse = {}
    await asyncio.sleep(31)
    assert world.weights() == {4: 1, 6: 1}


async def test_a_vip_goes_with_its_last_server_and_comes_back():
    world = World(web(4, policy=HealthPolicy(vip_down_when=VipDownWhen.ANY)))
    await world.up()
    assert PLACE in world.host.state.addresses
    world.answer(4, REFUSED)
    await asyncio.sleep(10)
    assert PLACE not in world.host.state.addresses
    world.answer(4, PASSED)
    await asyncio.sleep(10)
    assert PLACE in world.host.state.addresses
    assert world.names("vip.") == ["vip.restored", "vip.withdrawn", "vip.restored"]


async def test_a_new_vip_comes_with_its_first_server_and_not_before():
    """Clients are not invited to a service that refuses them."""
    world = World(web(4, 6))
    world.prober.takes = 0.5
    await world.up(0.4)
    assert WEB in world.kernel.table.services
    assert PLACE not in world.host.state.addresses
    while not world.weights():
        assert PLACE not in world.host.state.addresses
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert PLACE in world.host.state.addresses


async def test_a_new_vip_does_not_wait_for_servers_that_are_known_to_be_down():
    world = World(web(4))
    world.prober.takes = 2
    await world.up(1)
    world.answer(4, REFUSED)
    await asyncio.sleep(3)
    assert world.weights() == {}
    assert PLACE in world.host.state.addresses


async def test_a_vip_that_is_there_stays_while_first_results_are_awaited():
    world = World(web(4))
    world.host.state = replace(world.host.state, addresses=frozenset({PLACE}))
    world.prober.takes = 0.5
    await world.up(0.4)
    assert PLACE in world.host.state.addresses


async def test_a_backup_serves_while_no_primary_can():
    world = World(web(4, servers=(server(9, tier=1),)))
    await world.up(
        5
    )  # the backup's first result may come first: then it serves until the primary's
    assert world.weights() == {4: 1}
    world.answer(4, REFUSED)
    await asyncio.sleep(10)
    assert world.weights() == {9: 1}
    world.answer(4, PASSED)
    await asyncio.sleep(10)
    assert world.weights()[4] == 1


async def test_a_quiesced_server_stays_with_weight_zero():
    world = World(web(4, 6, policy=HealthPolicy(on_down=OnDown.QUIESCE)))
    await world.up()
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    assert world.weights() == {4: 1, 6: 0}


async def test_a_server_can_be_checked_out_of_turn():
    world = World(web(4, 6))
    balancer = await world.up()
    world.answer(6, REFUSED)
    outcomes = await balancer.check([Member(WEB, B)])
    assert [outcome.result for outcome in outcomes.values()] == [REFUSED]


async def test_vips_can_be_announced_again():
    world = World(web(4))
    balancer = await world.up()
    await balancer.announce()
    assert world.host.announced == []


async def test_a_configuration_in_force_makes_one_generation():
    world = World(web(4))
    await world.up(60)
    assert len(world.store.generations()) == 1
    await world.reload(web(4, 6))
    await asyncio.sleep(20)
    assert len(world.store.generations()) == 2


async def test_subscribers_are_told_until_they_leave():
    world = World(web(4, 6))
    balancer = await world.up()
    heard: list[Event] = []
    leave = balancer.subscribe(heard.append)
    world.answer(6, REFUSED)
    await asyncio.sleep(10)
    assert "server.down" in [event.name for event in heard]
    leave()
    before = len(heard)
    world.answer(6, PASSED)
    await asyncio.sleep(10)
    assert len(heard) == before


async def test_damaged_records_are_told_and_the_daemon_starts():
    world = World(web(4, 6))
    await world.up()
    await world.down()
    world.store.texts = dict.fromkeys(world.store.texts, "{")
    await world.up()
    assert world.weights() == {4: 1, 6: 1}
    assert "record.damaged" in world.names()


async def test_event_numbers_go_on_after_a_restart():
    world = World(web(4, 6))
    balancer = await world.up()
    last = balancer.events(0)[-1].number
    await world.down()
    balancer = await world.up()
    numbers = [event.number for event in balancer.events(0)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > last


async def test_a_service_taken_out_by_somebody_is_added_again_with_its_servers():
    world = World(web(4, 6))
    await world.up()
    world.kernel.execute([DeleteService(WEB)])
    world.answer(6, REFUSED)
    await asyncio.sleep(12)
    assert world.weights() == {4: 1}


async def test_a_changed_scheduler_is_set_by_a_reload():
    world = World(web(4, 6))
    await world.up()
    await world.reload(replace(web(4, 6), service=Service(scheduler="wlc")))
    assert world.kernel.table.services[WEB].service.scheduler == "wlc"


async def test_it_has_begun_once_the_kernel_was_compared():
    world = World(web(4))
    balancer = await world.up(0.0)
    await balancer.begun()
    assert WEB in world.kernel.table.services


async def test_it_has_begun_also_when_the_kernel_does_not_answer():
    world = World(web(4))
    world.kernel.broken = True
    balancer = await world.up(0.0)
    async with asyncio.timeout(5):
        await balancer.begun()
    assert balancer.snapshot().kernel_error is not None


def dns(*last_bytes):
    key = AddressKey(IPProtocol.UDP, VIP, Port(53))
    return replace(web(*last_bytes), name="dns", keys=(key,))


async def test_clients_that_asked_before_a_udp_service_was_there_are_forgotten_once():
    world = World(web(4), dns(4))
    await world.up(30)
    assert [list(map(str, services)) for services in world.host.forgotten] == [["udp/10.0.0.16:53"]]
    assert world.names("clients.") == ["clients.forgotten"]


async def test_clients_that_cannot_be_forgotten_are_told_and_nothing_else_suffers():
    world = World(dns(4))
    world.host.trouble = "forget UDP clients in conntrack: not permitted"
    await world.up(5)
    assert world.names("clients.") == ["clients.kept"]
    assert world.names("host.failed") == []
    assert len(world.kernel.table.services) == 1
