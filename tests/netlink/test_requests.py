"""Every command is one request that names the right operation and everything it needs."""

from __future__ import annotations

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
    SetTimeouts,
    StartDaemon,
    StopDaemon,
    ZeroCounters,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import Server, Service, SyncDaemon, SyncRole, Timeouts
from ipvs_lb.netlink import daemons, requests, servers, services
from ipvs_lb.netlink.attributes import attributes, nested
from ipvs_lb.netlink.requests import DAEMON, SERVER, SERVICE, Encoder
from tests import strategies

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
MARK = FwmarkKey(5, Family.IPV6)
A = ServerKey(ip_address("10.0.0.4"), Port(80))
RR, ONE = Service(scheduler="rr"), Server()
TIMES = Timeouts(tcp=1, tcp_fin=2, udp=3)
MASTER = SyncDaemon(role=SyncRole.MASTER, interface="eth0")
NAMED, SET = nested(SERVICE, services.encode_key(WEB)), nested(SERVICE, services.encode(WEB, RR))
FULL = nested(SERVER, servers.encode(A, ONE))


@pytest.mark.parametrize(
    ("command", "operation", "content"),
    [
        (AddService(WEB, RR), 1, SET),
        (EditService(WEB, RR), 2, SET),
        (DeleteService(WEB), 3, NAMED),
        (AddServer(WEB, A, ONE), 5, NAMED + FULL),
        (EditServer(WEB, A, ONE), 6, NAMED + FULL),
        (DeleteServer(WEB, A), 7, NAMED + nested(SERVER, servers.encode_key(A))),
        (StartDaemon(MASTER), 9, nested(DAEMON, daemons.encode(MASTER))),
        (StopDaemon(SyncRole.BACKUP), 10, nested(DAEMON, daemons.encode_role(SyncRole.BACKUP))),
        (SetTimeouts(TIMES), 12, daemons.encode_timeouts(TIMES)),
        (ZeroCounters(WEB), 16, NAMED),
        (ZeroCounters(), 16, b""),
        (Flush(), 17, b""),
    ],
    ids=str,
)
def test_a_command_is_one_request(command: Command, operation: int, content: bytes) -> None:
    assert Encoder().encode(command) == bytes([operation, 1, 0, 0]) + content


def test_the_servers_of_one_service_are_asked_for_by_its_name() -> None:
    assert requests.get_servers(WEB) == bytes([8, 1, 0, 0]) + NAMED


@given(st.lists(strategies.commands(), max_size=8))
def test_an_encoder_that_has_seen_other_commands_encodes_the_same(sent: list[Command]) -> None:
    encoder = Encoder()
    assert [encoder.encode(command) for command in sent] == [
        Encoder().encode(command) for command in sent
    ]


@given(strategies.commands())
def test_requests_are_whole_words_of_well_formed_attributes(command: Command) -> None:
    payload = Encoder().encode(command)
    assert len(payload) % 4 == 0
    assert {kind for kind, _ in attributes(payload[4:])} <= set(range(1, 7))
