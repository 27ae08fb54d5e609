"""JSON values: what is written is read back the same, and what is malformed is named by its path."""

import copy
import json
from ipaddress import ip_address
from typing import Any

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
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.desired import Desired, Generation, GenerationSummary, PlacedVip, SysctlNeed
from ipvs_lb.model.firewall import EVERYONE, AccessRule, Firewall, SourceNatRule
from ipvs_lb.model.host import (
    AddAddress,
    HostCommand,
    InterfaceAddress,
    RemoveAddress,
    SetFirewall,
    SetSysctl,
)
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    PrefixLength,
    SchedulerFlags,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.serial import (
    MalformedError,
    command_to_json,
    desired_from_json,
    desired_to_json,
    generation_from_json,
    generation_to_json,
    host_command_to_json,
    server_counters_to_json,
    table_from_json,
    table_to_json,
)
from tests.strategies import tables

WEB = AddressKey(IPProtocol.TCP, ip_address("10.0.0.16"), Port(80))
A = ServerKey(ip_address("10.0.0.4"), Port(80))
PLACE = InterfaceAddress("eth0", ip_address("10.0.0.16"), 32)
FULL = Table(
    {
        WEB: VirtualService(
            Service(
                scheduler="sh",
                flags=SchedulerFlags.FLAG_2 | SchedulerFlags.FLAG_3,
                persistence=Persistence(300, PrefixLength(64)),
                persistence_engine="sip",
            ),
            {A: Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel(TunnelType.GUE, Port(6080)))},
        )
    },
    Timeouts(tcp=900, tcp_fin=120, udp=300),
    {SyncRole.MASTER: SyncDaemon(role=SyncRole.MASTER, interface="eth0")},
)

places = st.builds(InterfaceAddress, st.text(min_size=1), st.ip_addresses(), st.integers(0, 32))
rules = st.builds(
    SourceNatRule, st.ip_addresses(), st.sampled_from(["10.0.0.0/24", "2001:db8::/64"])
)
access_rules = st.builds(
    AccessRule,
    st.sampled_from([WEB, FwmarkKey(7, Family.IPV4)]),
    st.sampled_from([(), ("10.0.0.0/8", "192.0.2.7/32"), EVERYONE[Family.IPV4]]),
)
desireds = st.builds(
    Desired,
    table=tables(),
    vips=st.lists(st.builds(PlacedVip, places, st.booleans()), max_size=3).map(tuple),
    firewall=st.builds(
        Firewall,
        source_nat=st.frozensets(rules, max_size=3),
        access=st.frozensets(access_rules, max_size=3),
        guarded=st.frozensets(st.ip_addresses(), max_size=3),
        opened=st.frozensets(st.sampled_from([WEB, FwmarkKey(7, Family.IPV6)])),
    ),
    sysctls=st.lists(st.builds(SysctlNeed, st.text(), st.text(), st.text()), max_size=3).map(tuple),
    manage_sysctls=st.booleans(),
    unmanaged=st.frozensets(st.ip_addresses(), max_size=2),
)
summaries = st.builds(
    GenerationSummary,
    number=st.integers(1, 2**40),
    created=st.floats(0, 2**33),
    origin=st.text(),
    services=st.integers(0, 2**20),
    servers=st.integers(0, 2**20),
)


def through_text(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(tables())
def test_a_table_comes_back_as_it_was_in_its_order(table: Table) -> None:
    back = table_from_json(through_text(table_to_json(table)))
    assert back == table
    assert list(back.services) == list(table.services)
    for key, virtual in table.services.items():
        assert list(back.services[key].servers) == list(virtual.servers)


@given(desireds)
def test_a_desired_state_comes_back_as_it_was(desired: Desired) -> None:
    assert desired_from_json(through_text(desired_to_json(desired))) == desired


@given(st.builds(Generation, summary=summaries, desired=desireds))
def test_a_generation_comes_back_as_it_was(generation: Generation) -> None:
    assert generation_from_json(through_text(generation_to_json(generation))) == generation


def test_a_desired_state_of_an_earlier_version_restricts_nobody() -> None:
    rule = SourceNatRule(ip_address("10.0.0.16"), "10.0.0.0/24")
    written = through_text(
        desired_to_json(Desired(firewall=Firewall(source_nat=frozenset({rule}))))
    )
    for added in ("access", "guarded", "opened"):
        assert written.pop(added) == []
    assert desired_from_json(written).firewall == Firewall(source_nat=frozenset({rule}))


def test_the_schema_of_a_table_is_this() -> None:
    assert table_to_json(FULL) == {
        "schema": "ipvs_lb/table/1",
        "services": [
            {
                "service": "tcp/10.0.0.16:80",
                "protocol": "tcp",
                "vip": "10.0.0.16",
                "port": 80,
                "scheduler": "sh",
                "scheduler_flags": ["sh-port", "flag-3"],
                "persistence": {"timeout": 300, "prefix_length": 64},
                "persistence_engine": "sip",
                "one_packet": False,
                "servers": [
                    {
                        "address": "10.0.0.4",
                        "port": 80,
                        "forwarding": "tunnel",
                        "weight": 1,
                        "upper_threshold": 0,
                        "lower_threshold": 0,
                        "tunnel": {"type": "gue", "port": 6080, "checksum": "none"},
                    }
                ],
            }
        ],
        "timeouts": {"tcp": 900, "tcp_fin": 120, "udp": 300},
        "sync_daemons": [
            {
                "role": "master",
                "interface": "eth0",
                "sync_id": 0,
                "max_length": 0,
                "group": None,
                "port": 0,
                "ttl": 0,
            }
        ],
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "ipvs_lb/table/9", "schema: expected ipvs_lb/table/1, got ipvs_lb/table/9"),
        ("services", None, "services: expected an array, got None"),
        ("services", "ab", "services: expected an array, got 'ab'"),
        ("services.0", 5, "services.0: expected an object, got 5"),
        ("services.0.service", "quic/10.0.0.1:1", "services.0.service: 'quic/10.0.0.1:1'"),
        ("services.0.scheduler", 7, "services.0.scheduler: expected a string, got 7"),
        (
            "services.0.scheduler_flags.0",
            "sh-prot",
            "services.0.scheduler_flags.0: expected one of flag-1, flag-2, flag-3,",
        ),
        ("services.0.one_packet", 1, "services.0.one_packet: expected true or false, got 1"),
        (
            "services.0.persistence.prefix_length",
            129,
            "services.0.persistence.prefix_length: expected a whole number 0 to 128, got 129",
        ),
        (
            "services.0.servers.0.weight",
            True,
            "services.0.servers.0.weight: expected a whole number 0 to 65535, got True",
        ),
        (
            "services.0.servers.0.weight",
            "x" * 99,
            "services.0.servers.0.weight: expected a whole number 0 to 65535, got 'xxx",
        ),
        ("services.0.servers.0.address", "10.0.0", "services.0.servers.0.address: Expected 4"),
        ("services.0.servers.0.address", [], "services.0.servers.0.address: expected a string"),
        (
            "services.0.servers.0.forwarding",
            "nat",
            "services.0.servers.0.forwarding: expected one of masq, local, tunnel, dr, bypass,",
        ),
        ("sync_daemons.0.ttl", 256, "sync_daemons.0.ttl: expected a whole number 0 to 255"),
    ],
)
def test_a_malformed_table_is_refused_with_the_path(path: str, value: Any, message: str) -> None:
    broken: Any = copy.deepcopy(through_text(table_to_json(FULL)))
    *outer, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place = broken
    for part in outer:
        place = place[part]
    place[last] = value
    with pytest.raises(MalformedError) as caught:
        table_from_json(broken)
    assert str(caught.value).startswith(message)


def test_a_missing_member_is_named() -> None:
    with pytest.raises(MalformedError, match=r"^timeouts\.udp: missing$"):
        table_from_json(
            {
                "schema": "ipvs_lb/table/1",
                "services": [],
                "timeouts": {"tcp": 1, "tcp_fin": 1},
                "sync_daemons": None,
            }
        )


def test_a_generation_of_another_schema_is_refused() -> None:
    with pytest.raises(MalformedError, match="expected ipvs_lb/generation/1, got x"):
        generation_from_json({"schema": "x"})


def test_a_time_that_is_no_number_is_refused() -> None:
    with pytest.raises(MalformedError, match=r"^created: expected a number, got True$"):
        generation_from_json({"schema": "ipvs_lb/generation/1", "generation": 1, "created": True})


SERVICE, SERVER = Service(scheduler="rr"), Server(weight=3)


@pytest.mark.parametrize(
    ("command", "do", "members"),
    [
        (AddService(WEB, SERVICE), "add-service", {"service", "settings"}),
        (EditService(WEB, SERVICE), "edit-service", {"service", "settings"}),
        (DeleteService(WEB), "delete-service", {"service"}),
        (AddServer(WEB, A, SERVER), "add-server", {"service", "server"}),
        (EditServer(WEB, A, SERVER), "edit-server", {"service", "server"}),
        (DeleteServer(WEB, A), "delete-server", {"service", "server"}),
        (SetTimeouts(Timeouts(tcp=1, tcp_fin=2, udp=3)), "set-timeouts", {"timeouts"}),
        (
            StartDaemon(SyncDaemon(role=SyncRole.BACKUP, interface="eth0")),
            "start-sync-daemon",
            {"sync_daemon"},
        ),
        (StopDaemon(SyncRole.BACKUP), "stop-sync-daemon", {"role"}),
        (ZeroCounters(WEB), "zero-counters", {"service"}),
        (ZeroCounters(), "zero-counters", {"service"}),
        (Flush(), "flush", set()),
    ],
)
def test_a_kernel_command_says_what_it_does(command: Command, do: str, members: set[str]) -> None:
    written = command_to_json(command)
    assert written["do"] == do
    assert written.keys() == {"do"} | members


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            AddAddress(PLACE, announce=True),
            {
                "do": "add-address",
                "address": "10.0.0.16",
                "prefix_length": 32,
                "interface": "eth0",
                "announce": True,
            },
        ),
        (
            RemoveAddress(PLACE),
            {
                "do": "remove-address",
                "address": "10.0.0.16",
                "prefix_length": 32,
                "interface": "eth0",
            },
        ),
        (
            SetSysctl("net.ipv4.vs.conntrack", "1", "source NAT"),
            {
                "do": "set-sysctl",
                "name": "net.ipv4.vs.conntrack",
                "value": "1",
                "reason": "source NAT",
            },
        ),
        (
            SetFirewall(
                Firewall(
                    source_nat=frozenset({SourceNatRule(ip_address("10.0.0.16"), "10.0.0.0/24")}),
                    access=frozenset({AccessRule(WEB, ("10.0.0.0/8",))}),
                    guarded=frozenset({ip_address("10.0.0.16"), ip_address("10.0.0.9")}),
                    opened=frozenset({WEB}),
                )
            ),
            {
                "do": "set-firewall",
                "source_nat": [{"vip": "10.0.0.16", "subnet": "10.0.0.0/24"}],
                "access": [{"service": "tcp/10.0.0.16:80", "networks": ["10.0.0.0/8"]}],
                "guarded": ["10.0.0.9", "10.0.0.16"],
                "opened": ["tcp/10.0.0.16:80"],
            },
        ),
    ],
)
def test_a_host_command_says_what_it_does(command: HostCommand, expected: Any) -> None:
    assert host_command_to_json(command) == expected


def test_counters_carry_totals_and_rates() -> None:
    counters = ServerCounters(active=1, inactive=2, persistent=3, traffic=Counters(in_byte_rate=9))
    written: Any = server_counters_to_json(counters)
    assert written["active_connections"] == 1
    assert written["traffic"]["per_second"]["in_bytes"] == 9
