"""The transaction: what it touches, what it writes down, and how it takes everything back."""

import errno
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from ipvs_lb.commands import AddServer, AddService, DeleteServer, DeleteService, EditServer
from ipvs_lb.engine.apply import carry_out, prepare, prepare_return
from ipvs_lb.errors import HostError, KernelError, RefusedError
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.desired import Owned
from ipvs_lb.model.host import (
    AddAddress,
    HostState,
    InterfaceAddress,
    RemoveAddress,
    SetSysctl,
    Vip,
)
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole, Timeouts
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.policy import Member
from tests.fake_host import FakeHost
from tests.fake_kernel import FakeKernel
from tests.memory_store import MemoryStore

VIP = ip_address("10.0.0.16")
WEB = AddressKey(IPProtocol.TCP, VIP, Port(80))
TLS = AddressKey(IPProtocol.TCP, VIP, Port(443))
THEIRS = AddressKey(IPProtocol.TCP, ip_address("10.9.9.9"), Port(80))
A, B = (ServerKey(ip_address(f"10.0.0.{last}"), Port(80)) for last in (4, 6))
RR = Service(scheduler="rr")
FOREIGN = VirtualService(RR, {ServerKey(ip_address("10.9.9.1"), Port(80)): Server()})
PLACE = InterfaceAddress("lo", VIP, 32)
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth0")


def web(*last_bytes, keys=(WEB,), weight=1, scheduler="rr"):
    servers = tuple(
        DeclaredServer(name=f"s{last}", address=ip_address(f"10.0.0.{last}"), weight=weight)
        for last in last_bytes
    )
    return DeclaredService(
        name="web",
        keys=keys,
        service=Service(scheduler=scheduler),
        servers=servers,
        vips=(Vip(address=VIP),),
    )


class Box:
    """A gateway of fakes, with the operations in short."""

    def __init__(self, *, foreign=False, state=None):
        self.kernel = FakeKernel(Table({THEIRS: FOREIGN} if foreign else {}))
        self.host = FakeHost(state)
        self.store = MemoryStore()
        self.parts: dict[str, Any] = {"kernel": self.kernel, "host": self.host, "store": self.store}

    def plan(self, *services, prune=False, down=frozenset(), **settings):
        config = Config(services=services, **settings)
        return prepare(config, **self.parts, prune=prune, down=down)

    def apply(self, *services, **options):
        return self.do(self.plan(*services, **options))

    def do(self, change, **options):
        return carry_out(change, **self.parts, origin="test", now=1.0, **options)

    def seen(self):
        """All that a refused run must leave as it was."""
        return self.kernel.table, self.host.state, self.store.owned(), self.store.generations()


def test_a_config_is_put_in_force_and_recorded():
    box = Box()
    summary = box.apply(web(4, 6))
    assert box.kernel.table.services == {WEB: VirtualService(RR, {A: Server(), B: Server()})}
    assert PLACE in box.host.state.addresses
    assert (summary.number, summary.services, summary.servers) == (1, 1, 2)
    assert box.store.owned() == Owned(frozenset({WEB}), frozenset({PLACE}))


def test_applying_twice_changes_and_records_nothing():
    box = Box()
    box.apply(web(4, 6))
    change = box.plan(web(4, 6))
    assert change.is_empty
    assert box.do(change) is None
    assert len(box.store.generations()) == 1


def test_a_table_that_is_right_already_is_adopted_and_recorded():
    box = Box()
    box.apply(web(4))
    box.store = box.parts["store"] = MemoryStore()
    assert box.plan(web(4)).is_empty
    assert box.apply(web(4)).number == 1
    assert box.store.owned().services == {WEB}


def test_a_new_content_that_is_there_already_is_recorded_for_a_rollback():
    box = Box()
    box.apply(web(4))
    box.kernel.execute([EditServer(WEB, A, Server(weight=5))])
    assert box.plan(web(4, weight=5)).is_empty
    assert box.apply(web(4, weight=5)).number == 2


def test_foreign_services_are_seen_and_left_alone():
    box = Box(foreign=True)
    change = box.plan(web(4))
    assert list(change.foreign.services) == [THEIRS]
    box.do(change)
    box.apply()
    assert box.kernel.table.services == {THEIRS: FOREIGN}


def test_prune_removes_foreign_services_too():
    box = Box(foreign=True)
    change = box.plan(web(4), prune=True)
    assert DeleteService(THEIRS) in change.commands
    assert not change.foreign.services
    box.do(change)
    assert list(box.kernel.table.services) == [WEB]


def test_an_empty_config_removes_exactly_what_is_ours():
    box = Box(foreign=True)
    before = box.seen()[:2]
    box.apply(web(4, keys=(WEB, TLS)))
    box.apply()
    assert box.seen()[:2] == before
    assert box.store.owned() == Owned()


def test_members_that_are_down_are_left_out():
    box = Box()
    box.apply(web(4, 6), down={Member(WEB, B)})
    assert list(box.kernel.table.services[WEB].servers) == [A]


def test_what_will_be_ours_is_written_down_before_the_kernel_is_touched():
    box = Box()
    change = box.plan(web(4))
    box.kernel.broken = True
    with pytest.raises(KernelError):
        box.do(change)
    assert box.store.claims[0].services == {WEB}


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(AddServer(TLS, ServerKey(A.address, Port(443)), Server()), id="an-addition"),
        pytest.param(DeleteServer(WEB, B), id="a-removal"),
    ],
)
def test_a_refusal_takes_everything_back(refused):
    box = Box(foreign=True)
    box.apply(web(4, 6))
    before = box.seen()
    change = box.plan(web(4, keys=(WEB, TLS)))
    box.kernel.refuse = {refused: errno.EINVAL}
    with pytest.raises(RefusedError, match="nothing was changed") as caught:
        box.do(change)
    assert [refusal.command for refusal in caught.value.refusals] == [refused]
    assert box.seen() == before


def test_a_refused_change_is_taken_back_whoever_wants_to_interrupt():
    box = Box()
    box.apply(web(4, 6))
    before, asked = box.seen(), []
    change = box.plan(web(4))
    box.kernel.refuse = {DeleteServer(WEB, B): errno.EINVAL}

    def check():
        asked.append(box.seen())

    with pytest.raises(RefusedError):
        box.do(change, check=check)
    assert asked == [before]  # that is, before the step that is refused
    assert box.seen() == before


def test_a_refused_address_takes_everything_back():
    box = Box()
    change = box.plan(web(4))
    before = box.seen()
    box.host.refuse = {AddAddress(PLACE, announce=False): "refused"}
    with pytest.raises(HostError, match="nothing was changed"):
        box.do(change)
    assert box.seen() == before


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_an_interruption_before_any_step_and_before_recording_takes_everything_back(step):
    """New service, its VIP, the old server, the record."""
    box = Box()
    box.apply(replace(web(4, 6), vips=()))
    change, before = box.plan(web(4, keys=(WEB, TLS))), box.seen()
    steps = iter([False] * (step - 1) + [True])

    def check():
        if next(steps):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        box.do(change, check=check)
    assert next(steps, None) is None
    assert box.seen() == before


def test_a_pruned_service_comes_back_after_a_refusal():
    box = Box(foreign=True)
    change = box.plan(web(4), prune=True)
    box.host.refuse = {AddAddress(PLACE, announce=False): "refused"}
    with pytest.raises(HostError):
        box.do(change)
    assert box.kernel.table.services == {THEIRS: FOREIGN}


def test_what_cannot_be_taken_back_is_told():
    box = Box()
    box.apply(web(4))
    change = box.plan(web(6))
    box.kernel.refuse = {DeleteServer(WEB, A): errno.EINVAL, DeleteServer(WEB, B): errno.EBUSY}
    with pytest.raises(KernelError, match="taking back what was done failed too") as caught:
        box.do(change)
    assert "ipvs-lb apply" in str(caught.value.hint)


def test_vips_appear_after_their_services_and_go_before_them():
    log: list[object] = []

    class LoggingKernel(FakeKernel):
        def execute(self, commands):
            log.extend(commands)
            super().execute(commands)

    class LoggingHost(FakeHost):
        def execute(self, command):
            log.append(command)
            super().execute(command)

    box = Box()
    box.parts |= {"kernel": LoggingKernel(), "host": LoggingHost()}
    box.apply(web(4))
    box.apply()
    assert [type(step) for step in log] == [
        AddService,
        AddServer,
        AddAddress,
        RemoveAddress,
        DeleteService,
    ]


def test_progress_is_told_up_to_the_end():
    box = Box()
    steps = []
    box.do(box.plan(web(4, 6)), progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (3, 3)


def test_statistics_are_read_when_somebody_loses_traffic():
    box = Box()
    assert box.plan(web(4)).statistics is None
    box.apply(web(4, 6))
    assert list(box.plan(web(4)).statistics) == [WEB]
    assert list(box.plan(web(4, 6, weight=0)).statistics) == [WEB]
    assert box.plan(web(4, 6, weight=2)).statistics is None


def test_a_generation_can_be_returned_to():
    box = Box()
    box.apply(web(4, 6))
    first = box.kernel.table
    box.apply(web(4, keys=(WEB, TLS), scheduler="wlc"))
    box.do(prepare_return(box.store.generation(1), **box.parts))
    assert box.kernel.table == first
    assert len(box.store.generations()) == 3


def test_timeouts_are_set_and_taken_back():
    box = Box()
    before = box.kernel.table.timeouts
    wanted = Timeouts(tcp=60, tcp_fin=30, udp=20)
    change = box.plan(web(4), timeouts=wanted)
    box.host.refuse = {AddAddress(PLACE, announce=False): "refused"}
    with pytest.raises(HostError):
        box.do(change)
    assert box.kernel.table.timeouts == before
    box.host.refuse = {}
    box.do(change)
    assert box.kernel.table.timeouts == wanted


def test_a_sync_daemon_of_ours_is_stopped_when_it_is_no_longer_declared():
    box = Box()
    box.apply(sync_daemons=(MASTER,))
    assert box.kernel.table.daemons == {SyncRole.MASTER: MASTER}
    box.apply()
    assert box.kernel.table.daemons == {}


def test_somebody_elses_sync_daemon_keeps_running():
    box = Box()
    box.kernel.table = replace(box.kernel.table, daemons={SyncRole.MASTER: MASTER})
    box.apply(web(4))
    box.apply()
    assert box.kernel.table.daemons == {SyncRole.MASTER: MASTER}


def test_sysctls_are_only_set_where_the_config_says_so():
    name = "net.ipv4.ip_forward"
    state = HostState(interfaces=frozenset({"lo"}), sysctls={name: "0"})
    box = Box(state=state)
    change = box.plan(web(4))
    assert [need.name for need in change.missing_sysctls] == [name]
    box.do(change)
    assert box.host.state.sysctls[name] == "0"
    change = box.plan(web(4), manage_sysctls=True)
    assert not change.missing_sysctls
    assert any(isinstance(command, SetSysctl) for command in change.host_before)
    box.do(change)
    assert box.host.state.sysctls[name] == "1"


def test_clients_that_asked_before_a_udp_service_was_there_are_forgotten_as_far_as_possible():
    key = AddressKey(IPProtocol.UDP, VIP, Port(53))
    box = Box()
    box.apply(web(4, keys=(key,)))
    assert box.host.forgotten == [{key: {A.address}}]
    box = Box()
    box.host.trouble = "not permitted"
    box.apply(web(4, keys=(key,)))
    assert key in box.kernel.table.services
