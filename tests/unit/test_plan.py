"""The planner: tables of cases, and the laws it keeps for any two tables."""

from functools import reduce
from ipaddress import ip_address

import pytest
from hypothesis import given

from ipvs_lb.commands import (
    REMOVALS,
    AddServer,
    AddService,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    perform,
)
from ipvs_lb.model.identity import (
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
)
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole, Timeouts
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.plan import opened, plan, stages
from tests.strategies import tables

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
RR, WLC = Service(scheduler="rr"), Service(scheduler="wlc")
A, B = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 6))
ZERO, ONE, TWO = (Server(weight=n) for n in range(3))
TIMES, OTHER_TIMES = (Timeouts(tcp=t, tcp_fin=120, udp=300) for t in (900, 60))
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth0")
CHOSEN = SyncDaemon(
    role=SyncRole.MASTER,
    interface="eth0",
    max_length=1460,
    group=ip_address("224.0.0.81"),
    port=Port(8848),
    ttl=1,
)
BACKUP = SyncDaemon(role=SyncRole.BACKUP, interface="eth0")


def web(service=RR, **servers):
    names = {"A": A, "B": B}
    return Table({WEB: VirtualService(service, {names[n]: s for n, s in servers.items()})})


def daemons(*present):
    return Table(daemons={daemon.role: daemon for daemon in present})


@pytest.mark.parametrize(
    ("actual", "desired", "commands"),
    [
        pytest.param(Table(), Table(), (), id="nothing-to-do"),
        pytest.param(web(A=ONE), web(A=ONE), (), id="nothing-to-change"),
        pytest.param(
            Table(), web(A=ONE), (AddService(WEB, RR), AddServer(WEB, A, ONE)), id="new-service"
        ),
        pytest.param(web(A=ONE), Table(), (DeleteService(WEB),), id="service-gone"),
        pytest.param(web(A=ONE), web(WLC, A=ONE), (EditService(WEB, WLC),), id="scheduler"),
        pytest.param(web(A=ONE), web(A=ZERO), (EditServer(WEB, A, ZERO),), id="drain"),
        pytest.param(
            web(A=ONE),
            web(B=ONE),
            (AddServer(WEB, B, ONE), DeleteServer(WEB, A)),
            id="add-before-remove",
        ),
        pytest.param(
            web(A=ONE, B=ONE),
            web(A=ZERO, B=TWO),
            (EditServer(WEB, B, TWO), EditServer(WEB, A, ZERO)),
            id="raise-before-lowering",
        ),
        pytest.param(
            Table(timeouts=TIMES),
            Table(timeouts=OTHER_TIMES),
            (SetTimeouts(OTHER_TIMES),),
            id="timeouts",
        ),
        pytest.param(Table(timeouts=TIMES), Table(), (), id="timeouts-not-declared"),
        pytest.param(daemons(CHOSEN), Table(), (), id="daemons-not-declared"),
        pytest.param(
            daemons(), daemons(MASTER, BACKUP), (StartDaemon(MASTER), StartDaemon(BACKUP)),
            id="daemons-start",
        ),
        pytest.param(daemons(CHOSEN), daemons(MASTER), (), id="daemon-with-the-kernels-choices"),
        pytest.param(
            daemons(MASTER), daemons(CHOSEN), (StopDaemon(SyncRole.MASTER), StartDaemon(CHOSEN)),
            id="daemon-changes",
        ),
        pytest.param(daemons(MASTER), daemons(), (StopDaemon(SyncRole.MASTER),), id="daemon-gone"),
    ],
)  # fmt: skip
def test_plan(actual, desired, commands):
    assert plan(actual, desired) == commands


@pytest.mark.parametrize(
    ("commands", "split"),
    [
        pytest.param((), ((), ()), id="none"),
        pytest.param((AddService(WEB, RR),), ((AddService(WEB, RR),), ()), id="only-growth"),
        pytest.param(
            (AddServer(WEB, B, ONE), DeleteServer(WEB, A)),
            ((AddServer(WEB, B, ONE),), (DeleteServer(WEB, A),)),
            id="both",
        ),
    ],
)
def test_a_plan_has_a_part_that_takes_nothing_away(commands, split):
    assert stages(commands) == split


@given(tables(), tables())
def test_following_the_plan_reaches_the_desired_table(actual, desired):
    after = reduce(perform, plan(actual, desired), actual)
    assert after.services == desired.services
    assert plan(after, desired) == ()


@given(tables())
def test_between_equal_tables_the_plan_is_empty(table):
    assert plan(table, table) == ()


@given(tables(), tables())
def test_nothing_is_added_after_the_first_removal(actual, desired):
    _, shrinking = stages(plan(actual, desired))
    services = [c for c in shrinking if not isinstance(c, StartDaemon)]
    assert all(isinstance(command, REMOVALS) for command in services)


DNS = AddressKey(IPProtocol.UDP, ip_address("10.0.0.16"), Port(53))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(AddService(DNS, RR), {DNS: {A.address}}, id="udp"),
        pytest.param(AddService(WEB, RR), {}, id="tcp"),
        pytest.param(AddService(FwmarkKey(7, Family.IPV4), RR), {}, id="a-mark-says-nothing"),
        pytest.param(AddServer(DNS, A, ONE), {}, id="a-server-more"),
    ],
)
def test_udp_services_that_are_opened_are_told_with_their_servers(command, expected):
    assert opened([command], {DNS: VirtualService(RR, {A: ONE})}) == expected
