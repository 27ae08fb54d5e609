"""What is done about failures: the rules, and the law that following them reaches the wanted result."""

from __future__ import annotations

import errno
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvs_lb.commands import (
    AddServer,
    AddService,
    Command,
    DeleteServer,
    DeleteService,
    EditServer,
    EditService,
    Flush,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
    perform,
)
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.netlink.recovery import Outcome, settle

WEB, API = (AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(p)) for p in (80, 8080))
A, B = (ServerKey(ip_address(f"10.0.0.{n}"), Port(80)) for n in (4, 6))
RR, WLC, UNKNOWN = (Service(scheduler=name) for name in ("rr", "wlc", "nosuch"))
ONE, TWO = Server(weight=1), Server(weight=2)
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth0")
START, STOP = StartDaemon(MASTER), StopDaemon(SyncRole.MASTER)


def never(_: Command) -> bool:
    return False


@pytest.mark.parametrize(
    ("command", "code", "again"),
    [
        (AddService(WEB, RR), errno.EEXIST, (EditService(WEB, RR),)),
        (EditService(WEB, RR), errno.ESRCH, (AddService(WEB, RR),)),
        (AddServer(WEB, A, ONE), errno.EEXIST, (EditServer(WEB, A, ONE),)),
        (EditServer(WEB, A, ONE), errno.ENOENT, (AddServer(WEB, A, ONE),)),
        (START, errno.EEXIST, (STOP, START)),
        (DeleteService(WEB), errno.ESRCH, ()),
        (DeleteServer(WEB, A), errno.ENOENT, ()),
        (DeleteServer(WEB, A), errno.ESRCH, ()),
        (STOP, errno.ESRCH, ()),
    ],
    ids=str,
)
def test_the_wanted_result_is_still_reached(
    command: Command, code: int, again: tuple[Command, ...]
) -> None:
    assert settle([command], {0: code}, never) == Outcome(tuple((0, c) for c in again), {})


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (AddService(WEB, UNKNOWN), errno.ENOENT),
        (AddService(WEB, RR), errno.EPERM),
        (AddServer(WEB, A, ONE), errno.ESRCH),
        (EditServer(WEB, A, ONE), errno.ESRCH),
        (EditServer(WEB, A, ONE), errno.EINVAL),
        (START, errno.EINVAL),
        (ZeroCounters(WEB), errno.ESRCH),
        (Flush(), errno.EPERM),
    ],
    ids=str,
)
def test_anything_else_is_refused(command: Command, code: int) -> None:
    assert settle([command], {0: code}, never) == Outcome((), {0: code})


def test_a_service_is_tried_again_once_its_module_is_there() -> None:
    batch: list[Command] = [
        AddService(WEB, UNKNOWN),
        AddServer(WEB, A, ONE),
        AddServer(API, A, ONE),
    ]
    failed = {0: errno.ENOENT, 1: errno.ESRCH, 2: errno.ESRCH}
    assert settle(batch, failed, lambda _: True) == Outcome(
        ((0, batch[0]), (1, batch[1])), {2: errno.ESRCH}
    )


def test_servers_of_a_service_that_is_added_after_all_follow_it() -> None:
    batch: list[Command] = [AddServer(WEB, A, ONE), EditServer(WEB, B, TWO), EditService(WEB, RR)]
    failed = dict.fromkeys(range(3), errno.ESRCH)
    assert settle(batch, failed, never).again == (
        (2, AddService(WEB, RR)),
        (0, AddServer(WEB, A, ONE)),
        (1, AddServer(WEB, B, TWO)),
    )


@pytest.mark.parametrize(
    "later",
    [EditServer(WEB, A, TWO), DeleteServer(WEB, A), DeleteService(WEB), Flush()],
    ids=str,
)
def test_a_later_command_on_the_same_server_has_decided(later: Command) -> None:
    batch = [AddServer(WEB, A, ONE), later]
    assert settle(batch, {0: errno.EEXIST}, never) == Outcome((), {})


@pytest.mark.parametrize(
    "other", [EditServer(WEB, B, TWO), EditService(WEB, RR), DeleteService(API)], ids=str
)
def test_a_later_command_on_something_else_has_not(other: Command) -> None:
    batch = [AddServer(WEB, A, ONE), other]
    again = settle(batch, {0: errno.EEXIST}, never).again
    assert again == ((0, EditServer(WEB, A, ONE)),)


actions = st.sampled_from(
    [
        *(make(key, service) for make in (AddService, EditService) for key in (WEB, API) for service in (RR, WLC)),
        *(DeleteService(key) for key in (WEB, API)),
        *(
            make(key, server_key, server)
            for make in (AddServer, EditServer)
            for key in (WEB, API)
            for server_key in (A, B)
            for server in (ONE, TWO)
        ),
        *(DeleteServer(key, server_key) for key in (WEB, API) for server_key in (A, B)),
        Flush(),
    ]
)  # fmt: skip


def strictly(table: Table, batch: list[Command]) -> tuple[Table, dict[int, int]]:
    """The table after *batch*, and the errno of each command that failed, as the kernel does it."""
    failed: dict[int, int] = {}
    for index, command in enumerate(batch):
        try:
            table = perform(table, command)
        except FileExistsError:
            failed[index] = errno.EEXIST
        except FileNotFoundError:
            failed[index] = _missing(table, command)
    return table, failed


def _missing(table: Table, command: Command) -> int:
    if isinstance(command, EditServer | DeleteServer) and command.key in table.services:
        return errno.ENOENT
    return errno.ESRCH


def ideally(table: Table, batch: list[Command]) -> Table:
    """The table when every command has the result it wants at once."""
    for command in batch:
        match command:
            case AddService(key, service) | EditService(key, service):
                had = table.services.get(key, VirtualService(service)).servers
                table = Table({**table.services, key: VirtualService(service, had)})
            case _:
                after, failed = strictly(table, [command])
                if failed and isinstance(command, AddServer | EditServer):
                    retry = EditServer if isinstance(command, AddServer) else AddServer
                    after, _ = strictly(
                        table, [retry(command.key, command.server_key, command.server)]
                    )
                table = after
    return table


@given(st.lists(actions, max_size=8), st.lists(actions, max_size=8))
def test_the_table_ends_as_the_last_words_on_everything_want(
    earlier: list[Command], batch: list[Command]
) -> None:
    start = ideally(Table(), earlier)
    table, failed = strictly(start, batch)
    outcome = settle(batch, failed, never)
    table, _ = strictly(table, [command for _, command in outcome.again])
    wanted = ideally(start, batch)
    assert settings_of(table) == settings_of(wanted)
    if not outcome.refused and errno.ESRCH not in failed.values():
        assert table == wanted


def settings_of(table: Table) -> dict[object, Service]:
    return {key: virtual.service for key, virtual in table.services.items()}
