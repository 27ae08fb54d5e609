"""A configuration that is written for a person: it loads, says what the draft says, and tells what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

import pytest

from ipvs_lb.config import loads, render_draft
from ipvs_lb.config.draft import Answers, Draft, DraftServer, DraftService
from ipvs_lb.model import checks as model
from ipvs_lb.model.config import OnDown, Quorum, QuorumAction
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelType,
)

VIP = ip_address("10.0.0.16")
ONE = DraftServer(address=ip_address("10.0.0.4"))
TWO = DraftServer(address=ip_address("10.0.0.6"))
WEB = DraftService(
    name="web",
    answers=Answers(vips=(VIP,), ports=((80, 80),)),
    settings=Service(scheduler="rr"),
    servers=(ONE, TWO),
    origin="other.conf:7",
)
RIGHT = replace(WEB, name="right", answers=replace(WEB.answers, ports=((81, 81),)))
TLS = model.Tls(server_name="a.example", verify=True, ca_file="/ca", certificate="/c", key="/k")


def only(service):
    (declared,) = loads(render_draft(Draft(services=(service,))).text).services
    return declared


@pytest.mark.parametrize(
    "method",
    [
        model.TcpCheck(),
        model.TcpCheck(send=b"PING\n", expect=b"\xff\x00"),
        model.HttpCheck(),
        model.HttpCheck(
            method="POST",
            path="/a?b=$c",
            host="a.example",
            headers=(("X-One", "no"), ("X-Two", 'say "2"')),
            body=b"{}",
            http_version="1.0",
            expect_codes=((200, 299), (404, 404)),
            body_contains="été",
            body_regex=r"^\d+: (a|b)$",
            body_limit=100,
        ),
        model.HttpCheck(tls=model.Tls()),
        model.HttpCheck(tls=TLS),
        model.TlsCheck(tls=TLS, min_days=7),
        model.UdpCheck(),
        model.UdpCheck(payload=b"\x01\x02", expect=b"\x0a\x0f", mask=b"\xff\x0f"),
        model.UdpCheck(expect=b"", mask=b""),
        model.DnsCheck(name="a.example", record_type="A", answer="10.0.0.9"),
        model.PingCheck(),
        model.SctpCheck(),
        model.SmtpCheck(helo="lb.example.net"),
        model.GrpcCheck(service="web", tls=model.Tls()),
        model.RedisCheck(role="master"),
        model.MysqlCheck(),
        model.PostgresCheck(),
        model.ExecCheck(command=("/bin/check", "a b", "$HOME", "-x"), user="lb", weight=True),
        model.FileCheck(path="/run/ok", weight=True),
    ],
    ids=repr,
)
def test_a_check_that_is_written_is_read_as_the_same(method):
    check = model.HealthCheck(method=method, interval=8.0, fast_interval=0.5, rise=1, fall=4)
    wanted = replace(check, timeout=2.5)
    assert only(replace(WEB, checks=(wanted,))).servers[0].checks == (wanted,)


def test_where_a_check_goes_and_comes_from_is_read_as_the_same():
    target = model.HealthCheck(
        method=model.AgentCheck(send=b"hello"),
        fast_interval=1.0,
        address=ip_address("fd00::1"),
        port=Port(99),
        source=ip_address("10.0.0.1"),
        mark=7,
    )
    through = model.HealthCheck(method=model.TcpCheck(), via=model.Via.VIP)
    service = replace(WEB, servers=(replace(ONE, checks=(target, through)), TWO))
    assert only(service).servers[0].checks == (target, through)
    assert only(service).servers[1].checks == ()


def test_a_service_s_policy_and_its_servers_are_read_as_the_same():
    persistence = Persistence(300, IPv4Address("255.255.255.0"))
    service = replace(
        WEB,
        settings=Service(scheduler="wlc", persistence=persistence),
        on_down=OnDown.QUIESCE,
        quorum=Quorum(servers=2, action=QuorumAction.BACKUP),
        checks=(model.HealthCheck(method=model.PingCheck()),),
        servers=(
            replace(ONE, weight=3, upper_threshold=9, lower_threshold=5, port=Port(8080)),
            replace(TWO, disabled=True, checks=()),
            replace(TWO, port=Port(81), tier=1),
            replace(TWO, port=Port(82), tier=2),
        ),
    )
    declared = only(service)
    assert declared.service == service.settings
    assert declared.policy.on_down is OnDown.QUIESCE
    assert declared.policy.quorum == service.quorum
    one, two, three, four = declared.servers
    assert (one.weight, one.upper_threshold, one.lower_threshold, one.port) == (3, 9, 5, 8080)
    assert (two.disabled, two.checks, len(one.checks)) == (True, (), 1)
    assert (three.tier, four.tier) == (1, 2)
    assert not declared.vips[0].managed


def test_forwarding_is_the_service_s_where_its_first_server_says_so():
    gre = Tunnel(TunnelType.GRE)
    service = replace(
        WEB,
        servers=(
            replace(ONE, forwarding=Forwarding.TUNNEL, tunnel=gre),
            replace(TWO, forwarding=Forwarding.TUNNEL, tunnel=Tunnel()),
            replace(TWO, address=ip_address("10.0.0.8"), forwarding=Forwarding.DR),
        ),
    )
    assert [(one.forwarding, one.tunnel) for one in only(service).servers] == [
        (Forwarding.TUNNEL, gre),
        (Forwarding.TUNNEL, Tunnel()),
        (Forwarding.DR, None),
    ]


def test_services_share_pools_and_stand_beside_settings_of_the_kernel():
    six = Answers(vips=(ip_address("fd00::1"), ip_address("fd00::2")), ports=((80, 82), (99, 99)))
    marked = Answers(fwmark=7, family=Family.IPV6)
    daemon = SyncDaemon(role=SyncRole.MASTER, interface="eth1", sync_id=3)
    draft = Draft(
        services=(
            replace(WEB, servers="farm"),
            replace(WEB, name="six", answers=six, servers=(), remarks=("a remark", "")),
            replace(WEB, name="mark", answers=marked, servers=()),
        ),
        pools={"farm": (ONE, replace(TWO, forwarding=Forwarding.DR))},
        timeouts=Timeouts(tcp=900, tcp_fin=60, udp=120),
        sync_daemons=(daemon,),
        watch=True,
        remarks=("made by hand",),
    )
    rendered = render_draft(draft)
    assert rendered.text.startswith("# made by hand\nversion: 1\n")
    assert "  # a remark\n  #\n  - name: six\n" in rendered.text
    config = loads(rendered.text)
    web, second, third = config.services
    assert [one.forwarding for one in web.servers] == [Forwarding.MASQ, Forwarding.DR]
    assert len(second.keys) == 8
    assert AddressKey(IPProtocol.TCP, ip_address("fd00::2"), Port(82)) in second.keys
    assert third.keys == (FwmarkKey(7, Family.IPV6),)
    assert config.timeouts == draft.timeouts
    assert config.sync_daemons == (daemon,)
    assert config.daemon.watch
    assert rendered.refused == ()


def test_what_would_not_load_is_left_out_with_the_reason_and_the_rest_stays():
    wrong = replace(WEB, name="wrong", settings=Service(scheduler="none"), origin="other.conf:9")
    rendered = render_draft(Draft(services=(wrong, RIGHT)))
    assert [declared.name for declared in loads(rendered.text).services] == ["right"]
    (refused,) = rendered.refused
    assert (refused.name, refused.origin) == ("wrong", "other.conf:9")
    assert 'unknown scheduler "none"' in refused.reason
    assert "  # - name: wrong\n" in rendered.text


def test_a_pool_that_would_not_load_takes_its_services_with_it_and_no_others():
    nobody = replace(ONE, address=ip_address("224.0.0.1"))
    draft = Draft(
        services=(replace(WEB, servers="farm"), RIGHT),
        pools={"farm": (nobody, TWO)},
    )
    rendered = render_draft(draft)
    assert [declared.name for declared in loads(rendered.text).services] == ["right"]
    assert {one.name for one in rendered.refused} == {"web"}


def test_nothing_at_all_is_a_configuration_too():
    assert loads(render_draft(Draft()).text).services == ()
