"""Command lines of ipvsadm: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given, settings
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
from ipvs_lb.errors import RuleError
from ipvs_lb.ipvsadm.parse import parse
from ipvs_lb.ipvsadm.request import Change, Columns, List, ListConnections, Plain, Save
from ipvs_lb.ipvsadm.rules import BadRule, Rule, parse_rule, read_rules
from ipvs_lb.ipvsadm.save import flag_names, render
from ipvs_lb.model.identity import (
    NO_PORT,
    AddressKey,
    Family,
    FwmarkKey,
    IPProtocol,
    Port,
    ServerKey,
)
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
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
    TunnelChecksum,
    TunnelType,
)
from ipvs_lb.model.table import Table
from tests import strategies
from tests.ipvsadm.names import Directory


def key(text: str, port: int = 80, protocol: IPProtocol = IPProtocol.TCP) -> AddressKey:
    return AddressKey(protocol, ip_address(text), Port(port))


def at(text: str, port: int = 80) -> ServerKey:
    return ServerKey(ip_address(text), Port(port))


WEB, WEB6, A = key("10.0.0.16"), key("fd00::16"), at("10.0.0.4")
MARK, MARK6 = FwmarkKey(7, Family.IPV4), FwmarkKey(7, Family.IPV6)
WLC, DR, MASQ = Service(scheduler="wlc"), Server(forwarding=Forwarding.DR), Server()
ONE_CLIENT, NET = IPv4Address("255.255.255.255"), IPv4Address("255.255.255.0")
NAMES = Directory(hosts={"web.test": "10.0.0.16"}, services={"http": 80})


def persistent(timeout: int, granularity: IPv4Address | int) -> Service:
    kept = granularity if isinstance(granularity, IPv4Address) else PrefixLength(granularity)
    return replace(WLC, persistence=Persistence(timeout, kept))


def tunnel(kind: TunnelType, port: int = 0, checksum: TunnelChecksum = TunnelChecksum.NONE):
    return Server(forwarding=Forwarding.TUNNEL, tunnel=Tunnel(kind, Port(port), checksum))


def master(**settings) -> SyncDaemon:
    return SyncDaemon(role=SyncRole.MASTER, **{"interface": "eth0", **settings})


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("-A -t 10.0.0.16:80", AddService(WEB, WLC)),
        ("--add-service --tcp-service=10.0.0.16:80 --scheduler rr", AddService(WEB, Service(scheduler="rr"))),
        ("-At10.0.0.16:80 -srr", AddService(WEB, Service(scheduler="rr"))),
        ("-A -t 10.0.0.16:80 -s=rr", AddService(WEB, Service(scheduler="rr"))),
        ("-A -t 10.16:80", AddService(WEB, WLC)),
        ("-A -t web.test:http", AddService(WEB, WLC)),
        ("-A -u 10.0.0.16:80 -o", AddService(key("10.0.0.16", protocol=IPProtocol.UDP), replace(WLC, one_packet=True))),
        ("-A --sctp-service [fd00::16]:80", AddService(key("fd00::16", protocol=IPProtocol.SCTP), WLC)),
        ("-A -t 10.0.0.16 -p", AddService(key("10.0.0.16", 0), persistent(360, ONE_CLIENT))),
        ("-A -t fd00::16 -p 9", AddService(key("fd00::16", 0), persistent(9, 128))),
        ("-A -t 10.0.0.16:80 -p60 -M 255.255.255.0", AddService(WEB, persistent(60, NET))),
        ("-A -t 10.0.0.16:80 -M web.test -p", AddService(WEB, persistent(360, IPv4Address("10.0.0.16")))),
        ("-A -t [fd00::16]:80 --persistent=60 -M 64", AddService(WEB6, persistent(60, 64))),
        ("-A -M 64 -t [fd00::16]:80 -p", AddService(WEB6, persistent(360, 128))),
        ("-A -f 7 --pe sip -s sh -b sh-port,flag-1", AddService(MARK, Service(scheduler="sh", flags=SchedulerFlags(3), persistence_engine="sip"))),
        ("-A -f 7 -6 -p -M 64x", AddService(MARK6, persistent(360, 64))),
        ("-E -t 10.0.0.16:80 -b flag-3", EditService(WEB, replace(WLC, flags=SchedulerFlags.FLAG_3))),
        ("-D -t 10.0.0.16:80", DeleteService(WEB)),
        ("-D -t [10.0.0.16]:80", DeleteService(key("10.0.0.16", 0))),
        ("-C", Flush()),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4", AddServer(WEB, A, DR)),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4:81 -g", AddServer(WEB, A, DR)),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4:81 -m", AddServer(WEB, at("10.0.0.4", 81), MASQ)),
        ("-a -r 10.0.0.4 -t 10.0.0.16:80 -m", AddServer(WEB, at("10.0.0.4", 0), MASQ)),
        ("-a -f 7 -r 10.0.0.4:81", AddServer(MARK, at("10.0.0.4", 81), DR)),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -m -w 0 -x 9 -y 3", AddServer(WEB, A, Server(weight=0, upper_threshold=9, lower_threshold=3))),
        ("-e -t 10.0.0.16:80 -r 10.0.0.4 -i", EditServer(WEB, A, tunnel(TunnelType.IPIP))),
        ("-e -t 10.0.0.16:80 -r [fd00::4]:80 -i --tun-type gre --tun-csum", EditServer(WEB, at("fd00::4"), tunnel(TunnelType.GRE, 0, TunnelChecksum.CSUM))),
        ("-e -t 10.0.0.16:80 -r 10.0.0.4 -i --tun-type gue --tun-port 6080 --tun-remcsum", EditServer(WEB, A, tunnel(TunnelType.GUE, 6080, TunnelChecksum.REMCSUM))),
        ("-a -f 7 -6 -r [fd00::4]:0 -i --tun-type gue --tun-port 6080 --tun-nocsum", AddServer(MARK6, at("fd00::4", 0), tunnel(TunnelType.GUE, 6080))),
        ("-d -t 10.0.0.16:80 -r 10.0.0.4:81", DeleteServer(WEB, at("10.0.0.4", 81))),
        ("-Z", ZeroCounters()),
        ("-Z -t 0.0.0.0:0", ZeroCounters()),
        ("-Z -t 10.0.0.16:80", ZeroCounters(WEB)),
        ("-Z -t 10.0.0.16", ZeroCounters(key("10.0.0.16", 0))),
        ("-Z -f 7", ZeroCounters(MARK)),
        ("--set 900 0 300", SetTimeouts(Timeouts(tcp=900, tcp_fin=0, udp=300))),
        ("--set -- 900 120 300", SetTimeouts(Timeouts(tcp=900, tcp_fin=120, udp=300))),
        ("--start-daemon master", StartDaemon(master())),
        (
            "--start-daemon=master --mcast-interface eth1 --syncid 5 --sync-maxlen 1400 --mcast-group ff02::1 --mcast-port 9 --mcast-ttl 2",
            StartDaemon(master(interface="eth1", sync_id=5, max_length=1400, group=ip_address("ff02::1"), port=Port(9), ttl=2)),
        ),
        ("--start-daemon master --mcast-group 224.0.0.9", StartDaemon(master(group=IPv4Address("224.0.0.9")))),
        ("--stop-daemon backup --syncid 5", StopDaemon(SyncRole.BACKUP)),
    ],
)  # fmt: skip
def test_a_change_is_one_command(line: str, command: Command) -> None:
    assert parse(line.split(), NAMES) == Change(command)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("", List()),
        ("-L", List()),
        ("-l -n", List(numeric=True)),
        ("-Ln --sort", List(numeric=True)),
        ("-Lnt 10.0.0.16:80", List(numeric=True, key=WEB)),
        ("-L --rate --stats --tun-info", List(columns=Columns.STATS)),
        ("-L --rate -X", List(columns=Columns.RATE, exact=True)),
        ("-L --persistent-conn --thresholds --nosort", List(columns=Columns.THRESHOLDS, sort=False)),
        ("-L --persistent-conn", List(columns=Columns.PERSISTENT)),
        ("-L --tun-info --syncid 5", List(columns=Columns.TUNNELS)),
        ("-Lc", ListConnections(numeric=False, engines=False)),
        ("-Lcn --persistent-conn", ListConnections(numeric=True, engines=True)),
        ("-L --timeout", Plain.LIST_TIMEOUTS),
        ("-L --daemon", Plain.LIST_DAEMONS),
        ("-S", Save(numeric=False)),
        ("--save -n", Save(numeric=True)),
        ("-R", Plain.RESTORE),
        ("-h and more", Plain.HELP),
        ("--version", Plain.VERSION),
    ],
)  # fmt: skip
def test_a_question_is_told_by_its_options(line: str, request_: object) -> None:
    assert parse(line.split()) == request_


TRY = "Try `ipvsadm -h' or 'ipvsadm --help' for more information."


@pytest.mark.parametrize(
    ("line", "message", "status"),
    [
        ("-t 10.0.0.16:80", TRY, 255),
        ("nonsense", TRY, 255),
        ("--nonsense", TRY, 255),
        ("-L --nonsense", "--nonsense: unknown option", 255),
        ("-Lq", "-Lq: unknown option", 255),
        ("-L --numeric=yes", "--numeric=yes: option does not take an argument", 255),
        ("-A -t", "-t: missing argument", 255),
        ("-A -t 10.0.0.16:80 -D", "invalid option `-D'", 2),
        ("-L -h", "invalid option `-h'", 2),
        ("-A -t 10.0.0.16:80 --stop-daemon master", "invalid option `master'", 2),
        ("-L more", "unexpected argument more", 2),
        ("-L ''", "unexpected argument ", 2),
        ("-L -- -n", "unexpected argument -n", 2),
        ("-L -", "unexpected argument -", 2),
        ("-A", "You need to supply the 'service-address' option for the 'add-service' command", 2),
        ("-A -t 10.0.0.16:80 -r 10.0.0.4", "Illegal 'real-server' option with the 'add-service' command", 2),
        ("-C -n", "Illegal 'numeric' option with the 'flush' command", 2),
        ("-a -t 10.0.0.16:80", "You need to supply the 'real-server' option for the 'add-server' command", 2),
        ("-L -c --timeout", "The option 'timeout' conflicts with the 'connection' option in the 'list' command", 2),
        ("-L -c --stats", "options conflicts in the list command", 2),
        ("-L --daemon --persistent-conn", "options conflicts in the list command", 2),
        ("-A -t 10.0.0.16:80 -u 10.0.0.16:80", "multiple 'service-address' options specified", 2),
        ("-L -n -n", "multiple 'numeric' options specified", 2),
        ("-A -t 1", "illegal virtual server address[:port] specified", 2),
        ("-A -t [fd00::16", "illegal virtual server address[:port] specified", 2),
        ("-A -t [fd00::16]", "illegal virtual server address[:port] specified", 2),
        ("-A -t 10.0.0.16:", "illegal virtual server address[:port] specified", 2),
        ("-A -t 10.0.0.16:65536", "illegal virtual server address[:port] specified", 2),
        ("-A -t unknown.test:80", "illegal virtual server address[:port] specified", 2),
        ("-a -t 10.0.0.16:80 -r x", "illegal real server address[:port] specified", 2),
        ("-a -r 10.0.0.4:http -t 10.0.0.16:80", "illegal real server address[:port] specified", 2),
        ("-A -t 10.0.0.16:80 -M x", "illegal virtual server persistent mask specified", 2),
        ("-A -t [fd00::16]:80 -M x", "illegal ipv6 netmask specified", 2),
        ("-A -t [fd00::16]:80 -M 129", "illegal ipv6 netmask specified", 2),
        ("-A -t 10.0.0.16:80 -p 0", "invalid timeout value `0' specified", 2),
        ("-A -t 10.0.0.16:80 -p 2678401", "invalid timeout value `2678401' specified", 2),
        ("-A -f 0", "invalid fwmark value `0' specified", 2),
        ("-A -f 4294967296", "invalid fwmark value `4294967296' specified", 2),
        ("-A -6 -f 7", "-6 used before -f\n", 2),
        ("-A -t 10.0.0.16", "Zero port specified for non-persistent service", 2),
        ("-A -t 10.0.0.16:80 -o", "One-Packet Scheduling is only for UDP virtual services", 2),
        ("-A -t 10.0.0.16:80 -b x", "invalid scheduler flag `x'", 2),
        ("-A -t 10.0.0.16:80 -b sh-port", "incompatible scheduler flag `sh-port'", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -w x", "illegal weight specified", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -w 65536", "illegal weight specified", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -x -1", "illegal u_threshold specified", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -y 2147483648", "illegal l_threshold specified", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -g -m", "multiple 'forwarding-method' options specified", 2),
        ("-a -t 10.0.0.16:80 -r [fd00::4]:80", "Different address family is allowed only for tunneling servers", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 --tun-type ipip", "Tunnel options conflict with forward method", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -i --tun-type x", "illegal tunnel type specified", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -i --tun-port 0", "illegal tunnel port specified", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -i --tun-port 1", "Illegal 'tun-port' option with the 'ipip' tunnel type", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -i --tun-type gue", "You need to supply the 'tun-port' option for the 'gue' tunnel type", 2),
        ("-a -t 10.0.0.16:80 -r 10.0.0.4 -i --tun-type gre --tun-csum --tun-nocsum", "The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'gre' tunnel type", 2),
        ("--set 1 2", "--set option requires 3 timeout values", 2),
        ("--set 1 2 3 4", "unexpected argument 4", 2),
        ("--set 1 2 x", "invalid timeout value `x' specified", 2),
        ("--start-daemon x", "illegal start-daemon parameter specified", 2),
        ("--stop-daemon x", "illegal start_daemon specified", 2),
        ("--start-daemon master --syncid 256", "illegal syncid specified", 2),
        ("--start-daemon master --mcast-port 0", "illegal mcast-port specified", 2),
        ("--start-daemon master --mcast-ttl 256", "illegal mcast-ttl specified", 2),
        ("--start-daemon master --sync-maxlen 0", "illegal sync-maxlen specified", 2),
        ("--start-daemon master --mcast-group 10.0.0.1", "invalid IPv4 mcast-group `10.0.0.1'", 2),
        ("--start-daemon master --mcast-group x", "invalid IPv4 mcast-group `x'", 2),
        ("--start-daemon master --mcast-group ::1", "invalid IPv6 mcast-group `::1'", 2),
        ("--start-daemon master --mcast-group :x", "invalid IPv6 mcast-group `:x'", 2),
    ],
)  # fmt: skip
def test_a_refusal_is_told_as_ipvsadm_tells_it(line: str, message: str, status: int) -> None:
    with pytest.raises(RuleError) as refused:
        parse(shlex.split(line))
    assert (str(refused.value), refused.value.status) == (message, status)


@given(
    arguments=st.lists(
        st.text()
        | st.sampled_from(["-A", "-t", "-u", "-f", "-r", "-p", "-M", "-w", "-L", "-6", "7", "::1"])
    )
)
def test_whatever_the_arguments_nothing_but_a_refusal_comes_of_them(arguments: list[str]) -> None:
    with contextlib.suppress(RuleError):
        parse(arguments)


def sayable(command: Command) -> Command:
    """*command* without what `ipvsadm -S` does not tell: thresholds, and flags without a name."""
    if isinstance(command, AddService):
        named = SCHEDULER_FLAGS.get(command.service.scheduler)
        every = SchedulerFlags(7) if named is None else sum_of(named.values())
        flags = command.service.flags & every
        return replace(command, service=replace(command.service, flags=flags))
    assert isinstance(command, AddServer)
    return replace(command, server=replace(command.server, upper_threshold=0, lower_threshold=0))


def sum_of(flags) -> SchedulerFlags:
    found = SchedulerFlags.NONE
    for flag in flags:
        found |= flag
    return found


def has_rule(service: Service) -> bool:
    """Whether ipvsadm reads back what it prints: it prints `-b` with nothing behind it for flags without a name."""
    return not service.flags or bool(flag_names(service))


@settings(max_examples=50)
@given(strategies.tables())
def test_rules_read_back_as_they_were_saved(table: Table) -> None:
    services = {k: v for k, v in table.services.items() if has_rule(v.service)}
    wanted: list[Command] = []
    for service_key, virtual in services.items():
        wanted.append(AddService(service_key, virtual.service))
        wanted += [AddServer(service_key, *server) for server in virtual.servers.items()]
    read = [parse_rule(line) for line in render(Table(services)).splitlines()]
    assert read == [sayable(command) for command in wanted]


def test_comments_empty_lines_and_the_programs_name_are_no_rules() -> None:
    text = "# all of it\n\n  ipvsadm -D -t 10.0.0.16:80  # gone\n-L\n-A -t 1\n-C"
    assert list(read_rules(text)) == [
        Rule(3, DeleteService(WEB)),
        BadRule(4, "-L changes nothing"),
        BadRule(5, "illegal virtual server address[:port] specified"),
        Rule(6, Flush()),
    ]
    assert parse_rule(" ") is None
    assert parse_rule("-a -f 7 -r 10.0.0.4") == AddServer(MARK, at("10.0.0.4", NO_PORT), DR)
