"""What each command does to a table, and how the impossible ones are refused."""

from ipaddress import ip_address

import pytest

from ipvs_lb.commands import (
    AddServer,
    AddService,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
    perform,
)
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole, Timeouts
from ipvs_lb.model.table import Table, VirtualService, only

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
TLS = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(443))
A = ServerKey(ip_address("10.0.0.4"), Port(80))
RR, WLC = Service(scheduler="rr"), Service(scheduler="wlc")
ONE, TWO = Server(weight=1), Server(weight=2)
EMPTY = Table()
LONE = Table({WEB: VirtualService(RR)})
FULL = Table({WEB: VirtualService(RR, {A: ONE})})
TIMES = Timeouts(tcp=60, tcp_fin=30, udp=20)
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth0")


@pytest.mark.parametrize(
    ("table", "command", "after", "text"),
    [
        (EMPTY, AddService(WEB, RR), LONE, "add service tcp/10.0.0.16:80 scheduler rr"),
        (
            LONE,
            EditService(WEB, WLC),
            Table({WEB: VirtualService(WLC)}),
            "edit service tcp/10.0.0.16:80 scheduler wlc",
        ),
        (FULL, DeleteService(WEB), EMPTY, "delete service tcp/10.0.0.16:80"),
        (
            LONE,
            AddServer(WEB, A, ONE),
            FULL,
            "add server 10.0.0.4:80 to tcp/10.0.0.16:80 weight 1",
        ),
        (
            FULL,
            EditServer(WEB, A, TWO),
            Table({WEB: VirtualService(RR, {A: TWO})}),
            "edit server 10.0.0.4:80 of tcp/10.0.0.16:80 weight 2",
        ),
        (FULL, DeleteServer(WEB, A), LONE, "delete server 10.0.0.4:80 of tcp/10.0.0.16:80"),
        (
            EMPTY,
            SetTimeouts(TIMES),
            Table(timeouts=TIMES),
            "set timeouts tcp 60 tcp-fin 30 udp 20",
        ),
        (
            EMPTY,
            StartDaemon(MASTER),
            Table(daemons={SyncRole.MASTER: MASTER}),
            "start master sync daemon on eth0",
        ),
        (
            Table(daemons={SyncRole.MASTER: MASTER}),
            StopDaemon(SyncRole.MASTER),
            Table(daemons={}),
            "stop master sync daemon",
        ),
        (FULL, ZeroCounters(WEB), FULL, "zero counters of tcp/10.0.0.16:80"),
        (FULL, ZeroCounters(), FULL, "zero counters of all services"),
        (FULL, Flush(), EMPTY, "flush the table"),
    ],
)
def test_a_command_changes_the_table_and_says_what_it_does(table, command, after, text):
    assert perform(table, command) == after
    assert str(command) == text


@pytest.mark.parametrize(
    ("table", "command", "error"),
    [
        (LONE, AddService(WEB, WLC), FileExistsError),
        (FULL, AddServer(WEB, A, TWO), FileExistsError),
        (EMPTY, AddServer(WEB, A, ONE), FileNotFoundError),
        (EMPTY, EditService(WEB, RR), FileNotFoundError),
        (LONE, EditServer(WEB, A, ONE), FileNotFoundError),
        (EMPTY, DeleteService(WEB), FileNotFoundError),
        (LONE, DeleteServer(WEB, A), FileNotFoundError),
        (EMPTY, DeleteServer(WEB, A), FileNotFoundError),
    ],
)
def test_what_the_kernel_would_refuse_is_refused(table, command, error):
    with pytest.raises(error, match=r"10\.0\.0"):
        perform(table, command)


def test_a_table_can_be_restricted_to_some_services():
    both = Table({WEB: VirtualService(RR), TLS: VirtualService(WLC)}, timeouts=TIMES)
    assert only(both, [TLS]) == Table({TLS: VirtualService(WLC)}, timeouts=TIMES)
