"""ldirectord.cf as services of ours."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ipvs_lb.imports.convert import Imported
from ipvs_lb.imports.findings import Effect
from ipvs_lb.imports.kinds import Kind
from ipvs_lb.ipvsadm.save import render
from ipvs_lb.model import checks as model
from ipvs_lb.model.config import OnDown
from ipvs_lb.model.identity import Family, FwmarkKey
from ipvs_lb.model.settings import Forwarding, SchedulerFlags
from ipvs_lb.policy import effective
from tests.imports.files import FIXTURES, config, fixture, imported, only, told


def read(text: str) -> Imported:
    return imported(text, Kind.LDIRECTORD)


def virtual(*lines: str, where: str = "10.0.0.16:80", head: str = "") -> str:
    return "\n".join([head, f"virtual={where}", *(f"\t{line}" for line in lines), ""])


def test_the_table_is_the_one_that_ldirectord_itself_made():
    """The rules are what `ipvsadm -Sn` printed while ldirectord of Debian 12 ran with this file."""
    found = fixture("ldirectord/table.cf", Kind.LDIRECTORD)
    rules = (FIXTURES / "ldirectord" / "table.rules").read_text()
    assert sorted(render(effective(config(found))).splitlines()) == sorted(rules.splitlines())
    assert [one.effect for one in found.findings] == [Effect.CHANGED]


def test_a_fallback_is_a_backup_of_its_service_or_of_the_file():
    found = fixture("ldirectord/table.cf", Kind.LDIRECTORD)
    backups = {
        service.name: [
            (str(one.address), one.port, one.forwarding) for one in service.servers if one.tier
        ]
        for service in config(found).services
    }
    assert backups == {
        "Web-Site": [("10.30.0.99", None, Forwarding.DR)],
        "tcp-10.31.0.2:443": [("10.30.1.9", 8080, Forwarding.MASQ)],
        "udp-10.31.0.3:53": [("10.30.0.99", None, Forwarding.DR)],
        "fwmark-71": [("10.30.0.99", None, Forwarding.DR)],
        "tcp-[fd00:31::1]:80": [],
    }
    assert "  # the shop's front page\n" in found.text


def methods(found: Imported) -> dict[str, list[model.Method]]:
    return {
        service.name.rpartition("-")[2]: [check.method for check in service.servers[0].checks]
        for service in config(found).services
    }


def test_every_service_is_checked_as_far_as_it_can_be():
    found = fixture("ldirectord/checks.cf", Kind.LDIRECTORD)
    assert methods(found) == {
        "10.31.1.1:80": [model.HttpCheck(path="/up.html", host="www.example.net", expect_codes=((200, 299),), body_regex="all (is )?well")],
        "10.31.1.2:443": [model.TcpCheck(), model.HttpCheck(method="HEAD", expect_codes=((200, 299),), tls=model.Tls())],
        "10.31.1.3:53": [model.DnsCheck(name="www.example.net", record_type="A", answer="10.30.9.9")],
        "10.31.1.4:5353": [model.PingCheck()],
        "10.31.1.5:110": [model.TcpCheck(send=b"", expect=b"+OK")],
        "10.31.1.6:3306": [model.MysqlCheck()],
        "10.31.1.7:9000": [model.TcpCheck(send=b"PING\n", expect=b"PONG")],
        "10.31.1.8:9001": [model.ExecCheck(command=("/usr/local/bin/check", "10.31.1.8", "9001", "10.30.4.9", "9001"))],
        "10.31.1.9:1812": [],
        "10.31.1.10:8000": [],
        "10.31.1.11:8001": [model.PingCheck()],
    }  # fmt: skip


def test_times_counts_and_the_rest_of_the_file_hold_for_all():
    found = fixture("ldirectord/checks.cf", Kind.LDIRECTORD)
    declared = config(found)
    services = {service.name: service for service in declared.services}
    web, _ = services["tcp-10.31.1.1:80"].servers
    assert declared.daemon.watch
    assert services["tcp-10.31.1.1:80"].policy.on_down is OnDown.QUIESCE
    assert services["udp-10.31.1.9:1812"].policy.on_down is OnDown.REMOVE
    (check,) = web.checks
    assert (check.interval, check.timeout, check.rise, check.fall, check.port) == (
        20,
        8,
        1,
        3,
        8081,
    )
    connect, negotiate = services["tcp-10.31.1.2:443"].servers[0].checks
    assert (connect.interval, connect.timeout, negotiate.interval) == (20, 6, 80)
    assert [one.disabled for one in services["tcp-10.31.1.10:8000"].servers] == [True, True]


def test_what_is_lost_is_told_with_its_line_and_secrets_are_not():
    found = fixture("ldirectord/checks.cf", Kind.LDIRECTORD)
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in told(found)] == [
        '8 emailalert="ops@example.net"',
        '11 callback="/usr/local/bin/copied"',
        '40 virtual=10.31.1.5:110 login="lb"',
        "41 virtual=10.31.1.5:110 passwd=...",
        '45 virtual=10.31.1.6:3306 database="portal"',
        "61 virtual=10.31.1.9:1812 service=radius",
        "63 virtual=10.31.1.9:1812 secret=...",
        "68 virtual=10.31.1.10:8000 real=web12:8000 masq",
        "75 virtual=10.31.1.11:8001 fallbackcommand=/usr/local/bin/fallback",
        "76 virtual=10.31.1.11:8001 colour=red",
        "78 virtual=www.example.net:80",
    ]
    assert "hidden" not in found.text + "".join(map(str, found.findings))


def test_its_own_defaults_are_the_program_s_not_the_manual_s():
    service = only(read(virtual("real=10.0.0.4:80 masq")))
    (check,) = service.servers[0].checks
    assert service.service.scheduler == "wrr"
    assert service.policy.on_down is OnDown.REMOVE
    assert check.method == model.HttpCheck(expect_codes=((200, 299),))
    assert (check.interval, check.timeout, check.fall) == (10, 9, 1)


@pytest.mark.parametrize(
    ("head", "lines", "timeout"),
    [
        ("checkinterval=60", (), 30),
        ("checkinterval=60\nchecktimeout=7", (), 7),
        ("checkinterval=60\nnegotiatetimeout=8", (), 8),
        ("checkinterval=60\nnegotiatetimeout=8", ("checktimeout=9",), 9),
        ("checkinterval=60\nnegotiatetimeout=8", ("checktype=connect",), 8),
        ("checkinterval=60", ("checktype=connect",), 5),
    ],
)
def test_the_two_timeouts_stand_in_for_each_other(head, lines, timeout):
    found = read(virtual("real=10.0.0.4:80 masq", *lines, head=head))
    assert only(found).servers[0].checks[0].timeout == timeout


def test_a_virtual_service_s_own_interval_counts_when_each_has_a_process():
    lines = ("real=10.0.0.4:80 masq", "checkinterval=50", "checkcount=3")
    with_fork = read(virtual(*lines, head="fork=yes"))
    assert only(with_fork).servers[0].checks[0].interval == 50
    without = read(virtual(*lines))
    assert only(without).servers[0].checks[0].interval == 10
    assert len(told(without, Effect.UNNEEDED)) == 2


@pytest.mark.parametrize(
    ("where", "lines", "key"),
    [
        ("7", (), FwmarkKey(7, Family.IPV4)),
        ("10.0.0.16:domain", (), "udp/10.0.0.16:53"),
        ("10.0.0.16:53", ("protocol=tcp",), "tcp/10.0.0.16:53"),
        ("10.0.0.16:http", ("protocol=udp",), "udp/10.0.0.16:80"),
    ],
)
def test_a_service_answers_where_it_did(where, lines, key):
    found = read(virtual("real=10.0.0.4 masq", *lines, where=where))
    assert str(only(found).keys[0]) == str(key)


def test_a_mark_over_ipv6_is_of_that_family():
    found = read("virtual6=7\n    real6=[fd00::4] gate\n    checktype=on\n")
    assert only(found).keys == (FwmarkKey(7, Family.IPV6),)


@pytest.mark.parametrize(
    ("service", "method", "effect"),
    [
        ("ftp", model.TcpCheck(send=b"", expect=b"220"), Effect.CHANGED),
        ("imap", model.TcpCheck(send=b"", expect=b"* OK"), Effect.CHANGED),
        ("nntp", model.TcpCheck(send=b"", expect=b"20"), Effect.CHANGED),
        ("imaps", model.TlsCheck(), Effect.CHANGED),
        ("ldap", model.TcpCheck(), Effect.CHANGED),
        ("pgsql", model.PostgresCheck(), Effect.CHANGED),
        ("submission", model.SmtpCheck(), None),
        ("sip", None, Effect.LEFT_OUT),
        ("none", None, None),
    ],
)
def test_what_needs_a_login_is_spoken_to_until_the_greeting(service, method, effect):
    head = "checktimeout=2"
    found = read(
        virtual("real=10.0.0.4:99 masq", f"service={service}", where="10.0.0.16:99", head=head)
    )
    assert [check.method for check in only(found).servers[0].checks] == [method] * (
        method is not None
    )
    assert [one.effect for one in found.findings] == [effect] * (effect is not None)


@pytest.mark.parametrize(
    ("lines", "method"),
    [
        (('request="http://a.example/x"',), model.HttpCheck(path="/x", host="a.example", expect_codes=((200, 299),))),
        (("service=dns", 'request="10.0.0.9"', 'receive="a.example"'), model.DnsCheck(name="9.0.0.10.in-addr.arpa", record_type="PTR", answer="a.example")),
        (("service=dns", 'request="a.example"', 'receive="10\\.0\\.(1|2)"'), model.DnsCheck(name="a.example", record_type="A")),
        (("service=simpletcp", 'request="a"', 'receive="b|c"'), model.TcpCheck(send=b"a")),
        (('receive="("',), model.HttpCheck(expect_codes=((200, 299),))),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_questions_and_answers_are_carried_over_as_far_as_they_can_be(lines, method):
    found = read(virtual("real=10.0.0.4:80 masq", *lines, head="checktimeout=2"))
    assert [check.method for check in only(found).servers[0].checks] == [method]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("colour=red", "colour=red", id="unknown"),
        pytest.param("just words", "just words", id="no-setting"),
        pytest.param("checkinterval=0", "checkinterval=0", id="number"),
        pytest.param(virtual("real=10.0.0.4:80"), "virtual=10.0.0.16:80 real=10.0.0.4:80", id="real"),
        pytest.param(virtual("real=10.0.0.9->10.0.0.4:80 masq"), "virtual=10.0.0.16:80 real=10.0.0.9->10.0.0.4:80 masq", id="range"),
        pytest.param(virtual("real=10.0.0.4:80 masq 1 l:5 u:4", "checktype=on"), "virtual=10.0.0.16:80 real=10.0.0.4:80 masq 1 l:5 u:4", id="thresholds"),
        pytest.param(virtual("real=10.0.0.4:nowhere masq"), "virtual=10.0.0.16:80 real=10.0.0.4:nowhere masq", id="port-name"),
        pytest.param(virtual("fallback=host"), "virtual=10.0.0.16:80 fallback=host", id="fallback"),
        pytest.param(virtual("fallback=a b c"), "virtual=10.0.0.16:80 fallback=a b c", id="fallback-form"),
        pytest.param(virtual("scheduler=x"), "virtual=10.0.0.16:80 scheduler=x", id="scheduler"),
        pytest.param(virtual("schedflags=sh-port"), "virtual=10.0.0.16:80 schedflags=sh-port", id="flags"),
        pytest.param(virtual("persistent=x"), "virtual=10.0.0.16:80 persistent=x", id="persistent"),
        pytest.param(virtual("checkport=x"), "virtual=10.0.0.16:80 checkport=x", id="checkport"),
        pytest.param(virtual("real=10.0.0.4:80 masq", "checktype=external-perl"), "virtual=10.0.0.16:80 checktype=external-perl", id="perl"),
        pytest.param(virtual("real=10.0.0.4:80 masq", "checktype=external", "checkcommand=check"), "virtual=10.0.0.16:80 checkcommand=check", id="command"),
        pytest.param(virtual(where="nonsense"), "virtual=nonsense", id="virtual"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told_and_the_rest_loads(text, what):
    found = read(text)
    config(found)
    assert [one.what for one in found.findings if one.effect is Effect.LEFT_OUT] == [what]
    assert what in found.text


def test_settings_that_mean_nothing_are_told_in_the_report():
    found = read(
        virtual(
            "netmask=255.255.255.0",
            "real=10.0.0.4:80 masq",
            "checktype=on",
            head="supervised\nlogfile=a",
        )
    )
    assert [one.effect for one in found.findings] == [Effect.UNNEEDED] * 3
    assert str(only(found).keys[0]) == "tcp/10.0.0.16:80"
    assert only(found).servers[0].address == ip_address("10.0.0.4")


def test_flags_of_the_scheduler_are_carried_over():
    found = read(
        virtual(
            "real=10.0.0.4:80 masq 70000",
            "scheduler=mh",
            "schedflags=mh-port,flag-3",
            "checktype=on",
        )
    )
    assert only(found).service.flags == SchedulerFlags.FLAG_2 | SchedulerFlags.FLAG_3
    assert [one.effect for one in found.findings] == [Effect.CHANGED]


def test_an_unindented_line_ends_a_virtual_service():
    found = read(
        "virtual=10.0.0.16:80\n\treal=10.0.0.4:80 masq\n# comment\n\tchecktype=on\nquiescent=yes\n"
    )
    assert only(found).policy.on_down is OnDown.QUIESCE
    assert only(found).servers[0].checks == ()
