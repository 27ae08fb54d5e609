"""What every Kernel must do: the suite runs on the fake one and on the real one."""

from __future__ import annotations

import errno
from functools import reduce
from ipaddress import ip_address
from itertools import combinations

import pytest

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    SetTimeouts,
    StopDaemon,
    ZeroCounters,
    perform,
)
from ipvs_lb.errors import RefusedError
from ipvs_lb.model.counters import ServerCounters
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
    ServiceKey,
)
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Server,
    Service,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.plan import plan
from ipvs_lb.ports import Kernel

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
DNS = AddressKey(IPProtocol.UDP, ip_address("fd00::16"), Port(53))
MARK = FwmarkKey(7, Family.IPV4)
GONE = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(8080))
A, B = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 6))
RR, WLC = Service(scheduler="rr"), Service(scheduler="wlc")
UNKNOWN = Service(scheduler="nosuch")
ONE, TWO = Server(weight=1), Server(weight=2)
GUE = Tunnel(TunnelType.GUE, Port(6080), TunnelChecksum.REMCSUM)
EVERYTHING = Table(
    {
        WEB: VirtualService(RR, {A: ONE, B: Server(forwarding=Forwarding.DR, weight=0)}),
        DNS: VirtualService(
            Service(
                scheduler="mh",
                flags=SchedulerFlags.FLAG_2,
                persistence=Persistence(60, PrefixLength(64)),
                one_packet=True,
            ),
            {
                ServerKey(ip_address("fd00::4"), Port(5353)): Server(upper_threshold=9),
                ServerKey(ip_address("10.0.0.4"), Port(53)): Server(
                    forwarding=Forwarding.TUNNEL, tunnel=GUE, weight=65535
                ),
            },
        ),
        MARK: VirtualService(WLC),
    },
    Timeouts(tcp=100, tcp_fin=10, udp=50),
    {},
)


def refusals(kernel: Kernel, commands: list[Command]) -> dict[Command, int]:
    with pytest.raises(RefusedError) as caught:
        kernel.execute(commands)
    return {refusal.command: refusal.code for refusal in caught.value.refusals}


class KernelContract:
    """Subclasses give a fixture `kernel` whose table is empty."""

    def test_a_fresh_kernel_has_timeouts_and_nothing_else(self, kernel: Kernel) -> None:
        table = kernel.read()
        assert (table.services, table.daemons) == ({}, {})
        assert table.timeouts == Timeouts(tcp=900, tcp_fin=120, udp=300)

    def test_what_was_planned_is_read_back(self, kernel: Kernel) -> None:
        kernel.execute(plan(kernel.read(), EVERYTHING))
        assert kernel.read() == EVERYTHING
        assert plan(kernel.read(), EVERYTHING) == ()

    def test_a_changed_plan_is_read_back(self, kernel: Kernel) -> None:
        kernel.execute(plan(kernel.read(), EVERYTHING))
        changes: tuple[Command, ...] = (
            EditService(WEB, WLC),
            EditServer(WEB, A, TWO),
            DeleteServer(WEB, B),
            DeleteService(DNS),
        )
        changed = reduce(perform, changes, EVERYTHING)
        kernel.execute(plan(kernel.read(), changed))
        assert kernel.read() == changed

    def test_nothing_to_execute_is_fine(self, kernel: Kernel) -> None:
        kernel.execute([])
        assert kernel.read().services == {}

    def test_adding_what_is_there_sets_it(self, kernel: Kernel) -> None:
        kernel.execute([AddService(WEB, RR), AddServer(WEB, A, ONE)])
        kernel.execute([AddService(WEB, WLC), AddServer(WEB, A, TWO)])
        assert kernel.read().services == {WEB: VirtualService(WLC, {A: TWO})}

    def test_editing_what_is_gone_adds_it(self, kernel: Kernel) -> None:
        kernel.execute([EditService(WEB, RR), EditServer(WEB, A, ONE)])
        assert kernel.read().services == {WEB: VirtualService(RR, {A: ONE})}

    def test_deleting_what_is_gone_is_done(self, kernel: Kernel) -> None:
        kernel.execute([AddService(WEB, RR)])
        kernel.execute(
            [
                DeleteServer(WEB, A),
                DeleteServer(DNS, A),
                DeleteService(MARK),
                StopDaemon(SyncRole.MASTER),
            ]
        )
        assert kernel.read().services == {WEB: VirtualService(RR)}

    def test_a_later_command_decides_over_an_earlier_one(self, kernel: Kernel) -> None:
        kernel.execute([AddService(WEB, RR), AddServer(WEB, A, ONE)])
        kernel.execute(
            [
                AddServer(WEB, A, TWO),
                EditServer(WEB, A, ONE),
                AddService(WEB, WLC),
                DeleteService(WEB),
            ]
        )
        assert kernel.read().services == {}

    def test_an_unknown_scheduler_is_refused_alone_and_named(self, kernel: Kernel) -> None:
        bad = AddService(DNS, UNKNOWN)
        batch: list[Command] = [
            AddService(WEB, RR),
            AddServer(WEB, A, ONE),
            bad,
            AddService(MARK, RR),
        ]
        with pytest.raises(RefusedError, match="nosuch") as caught:
            kernel.execute(batch)
        assert [(r.command, r.code) for r in caught.value.refusals] == [(bad, errno.ENOENT)]
        assert caught.value.hint == "modprobe ip_vs_nosuch"
        assert kernel.read().services == {
            WEB: VirtualService(RR, {A: ONE}),
            MARK: VirtualService(RR),
        }

    def test_servers_of_a_refused_service_are_refused_with_it(self, kernel: Kernel) -> None:
        service, server = AddService(WEB, UNKNOWN), AddServer(WEB, A, ONE)
        assert refusals(kernel, [service, server]) == {
            service: errno.ENOENT,
            server: errno.ESRCH,
        }

    def test_editing_a_server_without_its_service_is_refused(self, kernel: Kernel) -> None:
        command = EditServer(WEB, A, ONE)
        assert refusals(kernel, [command]) == {command: errno.ESRCH}

    def test_timeouts_are_set(self, kernel: Kernel) -> None:
        wanted = Timeouts(tcp=1, tcp_fin=2, udp=3)
        kernel.execute([SetTimeouts(wanted)])
        assert kernel.read().timeouts == wanted

    def test_flush_empties_the_table(self, kernel: Kernel) -> None:
        kernel.execute(plan(kernel.read(), EVERYTHING))
        kernel.execute([Flush()])
        assert kernel.read().services == {}

    def test_statistics_name_every_service_and_server(self, kernel: Kernel) -> None:
        kernel.execute([*plan(kernel.read(), EVERYTHING), ZeroCounters(WEB), ZeroCounters()])
        statistics = kernel.statistics()
        assert statistics.keys() == EVERYTHING.services.keys()
        assert statistics[WEB].servers == {A: ServerCounters(), B: ServerCounters()}

    @pytest.mark.parametrize("count", range(5))
    def test_statistics_of_chosen_services_leave_out_all_others_and_what_is_gone(
        self, kernel: Kernel, count: int
    ) -> None:
        services: tuple[ServiceKey, ...] = (WEB, DNS, MARK, GONE)
        kernel.execute([*plan(kernel.read(), EVERYTHING), AddService(GONE, RR)])
        kernel.execute([DeleteService(GONE)])
        everything = kernel.statistics()
        for chosen in combinations(services, count):
            wanted = {key: everything[key] for key in chosen if key != GONE}
            assert kernel.statistics(frozenset(chosen)) == wanted

    def test_the_version_is_told(self, kernel: Kernel) -> None:
        assert kernel.info().version >= (1, 2, 1)
        assert kernel.info().connection_table_size > 0
