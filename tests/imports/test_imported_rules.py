"""Rules of ipvsadm, and ipvsctl's YAML, as services of ours; and how files are told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from ipvs_lb.config import loads, render
from ipvs_lb.imports.convert import Imported
from ipvs_lb.imports.findings import Effect
from ipvs_lb.imports.kinds import Kind, guess
from ipvs_lb.ipvsadm.save import render as saved
from ipvs_lb.model.identity import Family, FwmarkKey
from ipvs_lb.model.settings import (
    SCHEDULER_FLAGS,
    Forwarding,
    SchedulerFlags,
    SyncRole,
    Timeouts,
    Tunnel,
)
from ipvs_lb.model.table import Table, VirtualService
from ipvs_lb.policy import effective
from tests.imports.files import config, imported, only, told
from tests.strategies import tables


def rules(text: str) -> Imported:
    return imported(text, Kind.IPVSADM)


RULES = """\
-A -t 10.0.0.16:80 -s rr
-a -t 10.0.0.16:80 -r 10.0.0.4:8080 -m -w 3
-a -t 10.0.0.16:80 -r 10.0.0.6:80 -g -w 1
-A -u [fd00::1]:53 -s wrr -p 300 -M 64 -o
-a -u [fd00::1]:53 -r [fd00::4]:53 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -f 7 -6 -s mh -b mh-port
-a -f 7 -6 -r [fd00::4]:0 -g -w 65535
-A --sctp-service 10.0.0.16:3868 -s rr -b flag-3
"""


def test_saved_rules_come_to_the_same_table():
    found = rules(RULES)
    assert saved(effective(config(found))) == RULES
    assert found.findings == ()


def sayable(table: Table) -> Table:
    """*table* without what rules have no words for."""
    return Table({key: _sayable(virtual) for key, virtual in table.services.items()})


def _sayable(virtual: VirtualService) -> VirtualService:
    service = virtual.service
    if service.scheduler in SCHEDULER_FLAGS:
        service = replace(service, flags=service.flags & ~SchedulerFlags.FLAG_3)
    servers = {
        key: replace(server, upper_threshold=0, lower_threshold=0)
        for key, server in virtual.servers.items()
        if server.forwarding in {Forwarding.MASQ, Forwarding.DR, Forwarding.TUNNEL}
    }
    return VirtualService(service, servers)


@settings(max_examples=60, deadline=None)
@given(tables().map(sayable))
def test_rules_become_what_the_table_they_make_is_exported_as(table: Table):
    exported = effective(loads(render(table))).services
    assert effective(config(rules(saved(table)))).services == exported


def test_a_script_is_read_line_by_line_in_long_words_too():
    script = """\
#!/bin/sh
/sbin/ipvsadm --set 900 60 120
/sbin/ipvsadm -A -t 10.0.0.16:80 -s rr        # the shop
/sbin/ipvsadm --add-server --tcp-service 10.0.0.16:80 --real-server 10.0.0.4:80 --masquerading --weight 3 -x 9 -y 5
ipvsadm -E -t 10.0.0.16:80 -s wlc
ipvsadm -e -t 10.0.0.16:80 -r 10.0.0.4:80 -m -w 4
ipvsadm --start-daemon master --mcast-interface eth1 --syncid 3
"""
    found = rules(script)
    declared = config(found)
    service = only(found)
    assert service.service.scheduler == "wlc"
    assert [(one.weight, one.forwarding, one.upper_threshold) for one in service.servers] == [
        (4, Forwarding.MASQ, 0)
    ]
    assert declared.timeouts == Timeouts(tcp=900, tcp_fin=60, udp=120)
    assert [daemon.role for daemon in declared.sync_daemons] == [SyncRole.MASTER]
    assert found.findings == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("-A -t host:http -s rr", 1, id="names"),
        pytest.param("echo hello", 1, id="other-words"),
        pytest.param("-L -n", 1, id="a-question"),
        pytest.param("-A -t 10.0.0.16:80 -s rr\n-A -t 10.0.0.16:80 -s rr", 2, id="twice"),
        pytest.param("-a -t 10.0.0.16:80 -r 10.0.0.4:80 -m", 1, id="no-service"),
    ],
)
def test_a_line_that_makes_no_sense_is_told_with_its_number_and_stands_in_the_file(text, line):
    found = rules(text)
    (one,) = found.findings
    assert (one.effect, one.mark.line) == (Effect.LEFT_OUT, line)
    assert f"# {one}" in found.text


def test_a_service_that_no_configuration_can_say_is_left_out_as_a_comment():
    found = rules("-A -t 10.0.0.16:80 -s custom\n-A -t 10.0.0.17:80 -s rr")
    assert [str(key) for key in only(found).keys] == ["tcp/10.0.0.17:80"]
    (one,) = found.findings
    assert (one.effect, one.mark.line) == (Effect.LEFT_OUT, 1)
    assert "unknown scheduler" in one.why


def ipvsctl(text: str) -> Imported:
    return imported(text, Kind.IPVSCTL)


def test_ipvsctl_s_services_have_its_defaults():
    found = ipvsctl(
        """\
defaults: {port: 8080, weight: 5, sched: wlc, forward: nat}
services:
- address: tcp://10.0.0.16:80
  sched: rr
  destinations:
  - address: 10.0.0.4
    weight: 300
  - address: 10.0.0.5:80
    forward: direct
  - {address: "10.0.0.6:81", forward: tunnel}
- address: udp://10.0.0.16
- address: fwmark:7
  destinations: [{address: 10.0.0.4}]
"""
    )
    web, dns, mark = config(found).services
    assert (web.service.scheduler, dns.service.scheduler) == ("rr", "wlc")
    assert [(one.port, one.weight, one.forwarding, one.tunnel) for one in web.servers] == [
        (8080, 300, Forwarding.MASQ, None),
        (None, 5, Forwarding.DR, None),
        (None, 5, Forwarding.TUNNEL, Tunnel()),
    ]
    assert str(dns.keys[0]) == "udp/10.0.0.16:8080"
    assert mark.keys == (FwmarkKey(7, Family.IPV4),)
    assert [one.what for one in found.findings] == ["tcp://10.0.0.16:80: 10.0.0.6:81"]


def test_without_defaults_it_has_ipvsctl_s_own():
    found = ipvsctl(
        "services:\n- address: sctp://10.0.0.16:80\n  destinations:\n  - address: 10.0.0.4:80\n"
    )
    service = only(found)
    assert service.service.scheduler == "rr"
    assert [(one.weight, one.forwarding) for one in service.servers] == [(0, Forwarding.DR)]
    assert [one.effect for one in found.findings] == [Effect.CHANGED]


WEB = "services:\n- address: tcp://10.0.0.16:80\n  destinations:\n  - address: 10.0.0.4\n    weight: 1\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(f"{WEB}    colour: red\n", 6, id="unknown"),
        pytest.param(f"{WEB}    forward: x\n", 6, id="forward"),
        pytest.param(f"{WEB}  - 3\n", 6, id="no-destination"),
        pytest.param(f"{WEB}  - address: x\n", 6, id="address"),
        pytest.param(f"{WEB}  - address: '${{env.A}}:80'\n", 6, id="parameter"),
        pytest.param(f"{WEB}- address: tcp://10.0.0.16\n", 6, id="no-port"),
        pytest.param(f"{WEB}- address: http://10.0.0.16:80\n", 6, id="protocol"),
        pytest.param(f"{WEB}- 3\n", 6, id="no-service"),
        pytest.param(f"{WEB}- {{}}\n", 6, id="nothing"),
        pytest.param(
            f"{WEB}- {{address: 'tcp://10.0.0.17:80', colour: red, sched: x}}\n", 6, id="service"
        ),
        pytest.param(f"colour: red\n{WEB}", 1, id="file"),
        pytest.param(f"defaults: {{colour: red}}\n{WEB}", 1, id="default"),
        pytest.param(f"defaults: {{weight: x}}\n{WEB}", 1, id="weight"),
        pytest.param("services: [", 1, id="no-yaml"),
    ],
)
def test_what_ipvsctl_s_file_says_without_sense_is_told_with_its_line(text, line):
    found = ipvsctl(text)
    config(found)
    assert {one.mark.line for one in found.findings if one.effect is Effect.LEFT_OUT} == {line}
    assert len(told(found)) >= 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("! x\nglobal_defs {\n}", Kind.KEEPALIVED),
        ("\n  virtual_server 10.0.0.1 80 {", Kind.KEEPALIVED),
        ("include conf.d/*.conf", Kind.KEEPALIVED),
        ("# x\nvirtual=10.0.0.1:80", Kind.LDIRECTORD),
        ("checktimeout = 3", Kind.LDIRECTORD),
        ("virtual6 = [fd00::1]:80", Kind.LDIRECTORD),
        ("-A -t 10.0.0.1:80 -s rr", Kind.IPVSADM),
        ("#!/bin/sh\n/sbin/ipvsadm -C", Kind.IPVSADM),
        ("ipvsadm --add-service -t 10.0.0.1:80", Kind.IPVSADM),
        ("services:\n- address: tcp://10.0.0.1:80", Kind.IPVSCTL),
        ("services:\n- sched: rr\n  address: fwmark:3", Kind.IPVSCTL),
        ("version: 1\nservices: []", None),
        ("include: a.yaml", None),
        ("", None),
    ],
)
def test_whose_file_it_is_is_seen_in_it(text, kind):
    assert guess(text) is kind
