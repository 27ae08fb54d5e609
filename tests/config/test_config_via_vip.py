"""Checks through the VIP in a configuration: what they mean, and what is refused with which words."""

import pytest

from ipvs_lb import loads
from ipvs_lb.errors import ConfigError
from ipvs_lb.model.checks import Via
from ipvs_lb.model.config import PROBE_MARKS, DaemonSettings

FIRST = DaemonSettings().probe_marks
LAST = FIRST + PROBE_MARKS - 1


def written(check, answers="vip: 10.0.0.16, port: 80", server="address: 10.0.0.4", more=""):
    return f"""\
version: 1
services:
  - {{name: web, {answers}, servers: [{{{server}}}], health_check: {{via: vip, {check}}}}}
{more}"""


def problems(text):
    with pytest.raises(ConfigError) as refused:
        loads(text, name="lb.yaml")
    return [problem.partition(": ")[2] for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("check", "answers"),
    [
        pytest.param("type: tcp", "vip: 10.0.0.16, port: 80", id="tcp"),
        pytest.param("type: https", "vip: 10.0.0.16, ports: [443, 444]", id="https"),
        pytest.param("type: dns", "vip: 10.0.0.16, port: 53, protocol: udp", id="udp"),
        pytest.param("type: tcp, port: 80", "vip: 10.0.0.16, fwmark: 7", id="fwmark"),
        pytest.param("type: udp, port: 80", "vip: 10.0.0.16, fwmark: 7", id="fwmark-with-udp"),
        pytest.param(
            "type: tcp, port: 80", "vip: 10.0.0.16, port: 0, persistence: 60s", id="every-port"
        ),
        pytest.param("type: tcp, source: 10.0.0.2", "vip: 10.0.0.16, port: 80", id="source"),
    ],
)
def test_what_can_be_probed_through_the_vip(check, answers):
    (service,) = loads(written(check, answers)).services
    assert service.servers[0].checks[0].via is Via.VIP


CHECK = "services.0.health_check"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            written("type: ping"),
            f"{CHECK}.via: ping checks cannot go through the VIP: the gateway answers pings of its VIP itself",
            id="ping",
        ),
        pytest.param(
            written("type: exec, command: [/bin/true]"),
            f"{CHECK}.via: exec checks cannot go through the VIP: a program goes its own way",
            id="exec",
        ),
        pytest.param(
            written("type: tcp, mark: 5"),
            f"{CHECK}.mark: a probe through the VIP has a mark that leads it to its server, no other",
            id="mark",
        ),
        pytest.param(
            written("type: tcp, address: 10.0.0.9"),
            f"{CHECK}.address: a probe through the VIP goes to the VIP",
            id="address",
        ),
        pytest.param(
            written("type: tcp, port: 81"),
            f"{CHECK}: via: vip: the service's own port is probed, 80, no other",
            id="another-port",
        ),
        pytest.param(
            written("type: tcp", "vip: 10.0.0.16, fwmark: 7"),
            f"{CHECK}: via: vip: the service has no port of its own, so the check has to name one",
            id="no-port",
        ),
        pytest.param(
            written("type: tcp, port: 80", "fwmark: 7"),
            f"{CHECK}: via: vip: a service told by fwmark needs a vip to probe",
            id="no-vip",
        ),
        pytest.param(
            written("type: tcp", "vip: 10.0.0.16, port: 53, protocol: udp"),
            f"{CHECK}: via: vip: tcp checks are not for udp services",
            id="tcp-for-udp",
        ),
        pytest.param(
            written("type: dns"),
            f"{CHECK}: via: vip: dns checks are not for tcp services",
            id="udp-for-tcp",
        ),
        pytest.param(
            written("type: tcp", "vip: 10.0.0.16, port: 53, protocol: sctp"),
            f"{CHECK}: via: vip: tcp checks are not for sctp services",
            id="tcp-for-sctp",
        ),
        pytest.param(
            written("type: sctp"),
            f"{CHECK}: via: vip: sctp checks are not for tcp services",
            id="sctp-for-tcp",
        ),
        pytest.param(
            written('type: tcp, source: "2001:db8::2"'),
            f"{CHECK}: via: vip: source 2001:db8::2 is not ipv4 as the VIP is",
            id="source-of-another-family",
        ),
        pytest.param(
            written("type: tcp", server='address: "2001:db8::4", forwarding: tunnel'),
            f"{CHECK}: via: vip: server 2001:db8::4 is not ipv4 as the VIP is, so the check needs a source",
            id="server-of-another-family",
        ),
        pytest.param(
            written(
                "type: tcp",
                more=f"  - {{name: marked, fwmark: {LAST}, servers: []}}\n",
            ),
            f"services.1.fwmark: mark {LAST} is taken: {FIRST} to {LAST} are set aside for probes through VIPs"
            " (daemon: probe_marks)",
            id="marked-service",
        ),
        pytest.param(
            written(
                "type: tcp",
                more="  - {name: b, vip: 10.0.0.17, port: 80, servers: [{address: 10.0.0.4}],"
                f" health_check: {{type: tcp, mark: {FIRST}}}}}\n",
            ),
            f"services.1.health_check: mark {FIRST} is taken: {FIRST} to {LAST} are set aside for probes through VIPs"
            " (daemon: probe_marks)",
            id="marked-check",
        ),
    ],
)
def test_what_cannot_be_probed_through_the_vip_is_refused(text, expected):
    assert problems(text) == [expected]


def test_a_tunnel_server_of_another_family_is_probed_from_a_source_that_is_named():
    server = 'address: "2001:db8::4", forwarding: tunnel'
    loads(written("type: tcp, source: 10.0.0.2", server=server))


def test_the_marks_can_be_moved_and_are_free_where_no_check_goes_through_a_vip():
    marked = f"  - {{name: marked, fwmark: {FIRST}, servers: []}}\n"
    loads("version: 1\nservices:\n" + marked)
    moved = loads(written("type: tcp", more=marked + "daemon: {probe_marks: 4096}\n"))
    assert moved.daemon.probe_marks == 4096
    assert problems(written("type: tcp", more=f"daemon: {{probe_marks: {2**32 - 1}}}\n"))


def test_there_are_not_more_such_checks_than_marks():
    ports = "vip: 10.0.0.16, ports: [1-65535]"
    servers = ", ".join(f"{{address: 10.0.1.{last}}}" for last in range(1, 9))
    text = f"version: 1\nservices:\n  - {{name: web, {ports}, servers: [{servers}], health_check: {{type: tcp, via: vip}}}}\n"
    loads(text)
    more = text.replace("10.0.1.1}", "10.0.1.9}, {address: 10.0.1.10}, {address: 10.0.1.1}")
    assert problems(more) == [
        "services.0: with this service more than 524288 servers are checked via: vip"
    ]
