"""virtual_server and what belongs to it, as services of ours."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest

from ipvs_lb.imports.findings import Effect
from ipvs_lb.imports.kinds import Kind
from ipvs_lb.model import checks as model
from ipvs_lb.model.config import OnDown, Quorum, QuorumAction
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    SchedulerFlags,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)
from tests.imports.files import FIXTURES, config, fixture, imported, only, told

REAL = "real_server 10.0.0.4 80 {\n}\n"


def server(inside: str = REAL, where: str = "10.0.0.16 80", head: str = "protocol TCP") -> str:
    return f"virtual_server {where} {{\n{head}\n{inside}\n}}\n"


def checks(inside: str, head: str = "protocol TCP") -> tuple[model.HealthCheck, ...]:
    """The checks of one real server with *inside* in its block."""
    found = imported(server(f"real_server 10.0.0.4 80 {{\n{inside}\n}}", head=head))
    return only(found).servers[0].checks


def web(found: model.HealthCheck) -> model.HttpCheck:
    assert isinstance(found.method, model.HttpCheck)
    return found.method


def check(inside: str, head: str = "protocol TCP") -> model.HealthCheck:
    (found,) = checks(inside, head)
    return found


@pytest.mark.parametrize(
    "path", sorted((FIXTURES / "keepalived").glob("*.conf")), ids=lambda p: p.name
)
def test_every_fixture_becomes_a_configuration_that_loads_whole(path):
    found = fixture(f"keepalived/{path.name}", Kind.KEEPALIVED)
    assert len(config(found).services) == found.services > 0
    assert not [one for one in found.findings if "not known" in one.why]
    assert "# - name" not in found.text


def test_what_is_not_said_has_keepalived_s_defaults():
    found = imported("virtual_server 10.0.0.16 80 {\n" + REAL + "}")
    service = only(found)
    assert service.keys == (AddressKey(IPProtocol.UDP, ip_address("10.0.0.16"), Port(80)),)
    assert service.service.scheduler == "wlc"
    assert service.service.persistence is None
    assert [(one.forwarding, one.weight, one.checks) for one in service.servers] == [
        (Forwarding.MASQ, 1, ())
    ]
    assert not service.vips[0].managed
    assert told(found, Effect.CHANGED) == [
        "1: virtual_server 10.0.0.16 80: it names no protocol, and keepalived then takes UDP"
    ]


DEFAULT = {"interval": 60.0, "timeout": 5.0, "rise": 1}


@pytest.mark.parametrize(
    ("inside", "method", "times"),
    [
        ("TCP_CHECK {\n}", model.TcpCheck(), {"fall": 2, "fast_interval": 1.0}),
        (
            "HTTP_GET {\nurl {\npath /\n}\n}",
            model.HttpCheck(http_version="1.0", expect_codes=((200, 299),)),
            {"fall": 2, "fast_interval": 3.0},
        ),
        (
            "SSL_GET {\nurl {\npath /x\nstatus_code 200 300-302\n}\nhttp_protocol 1.1\n}",
            model.HttpCheck(path="/x", expect_codes=((200, 200), (300, 302)), tls=model.Tls()),
            {"fall": 2, "fast_interval": 3.0},
        ),
        (
            "SMTP_CHECK {\n}",
            model.SmtpCheck(helo="smtpchecker.keepalived.org"),
            {"fall": 2, "fast_interval": 1.0},
        ),
        ("DNS_CHECK {\n}", model.DnsCheck(), {"fall": 4, "fast_interval": 60.0}),
        (
            "DNS_CHECK {\ntype mx\nname a.example\n}",
            model.DnsCheck(name="a.example", record_type="MX"),
            {"fall": 4, "fast_interval": 60.0},
        ),
        ("UDP_CHECK {\n}", model.UdpCheck(), {"fall": 2, "fast_interval": 1.0}),
        (
            "UDP_CHECK {\npayload Ab12f 3\nrequire_reply 0a xF\n}",
            model.UdpCheck(payload=b"\xab\x12\x0f\x03", expect=b"\x0a\x0f", mask=b"\xff\x0f"),
            {"fall": 2, "fast_interval": 1.0},
        ),
        (
            "UDP_CHECK {\nrequire_reply\n}",
            model.UdpCheck(expect=b"", mask=b""),
            {"fall": 2, "fast_interval": 1.0},
        ),
        ("PING_CHECK {\n}", model.PingCheck(), {"fall": 2, "fast_interval": 1.0}),
        (
            "MISC_CHECK {\nmisc_path \"/bin/c 'a b' d\"\nmisc_timeout 4\nuser lb\n}",
            model.ExecCheck(command=("/bin/c", "a b", "d"), user="lb"),
            {"fall": 1, "fast_interval": 1.0, "timeout": 4.0},
        ),
    ],
    ids=lambda value: value.replace("\n", " ") if isinstance(value, str) else "",
)
def test_a_checker_has_its_own_defaults(inside, method, times):
    assert check(inside) == model.HealthCheck(method=method, **(DEFAULT | times))


def test_times_of_a_checker_come_before_the_server_s_and_those_before_the_virtual_server_s():
    head = "protocol TCP\ndelay_loop 30\nconnect_timeout 4\nretry 5\ndelay_before_retry 6"
    outer = check("TCP_CHECK {\n}", head)
    assert (outer.interval, outer.timeout, outer.fall, outer.fast_interval) == (30, 4, 6, 6)
    inner = check("delay_loop 20\nretry 1\nTCP_CHECK {\nretry 2\nconnect_timeout 1.5\n}", head)
    assert (inner.interval, inner.timeout, inner.fall, inner.fast_interval) == (20, 1.5, 3, 6)


@pytest.mark.parametrize(
    ("times", "interval", "timeout", "fast_interval"),
    [
        ("delay_loop 3\nconnect_timeout 5", 3.0, 2.7, 1.0),
        ("delay_loop 0.05", 0.2, 0.18, 0.2),
        ("delay_loop 5\ndelay_before_retry 9\nconnect_timeout 1", 5.0, 1.0, 5.0),
        ("delay_loop 200000", 86400.0, 5.0, 1.0),
    ],
)
def test_times_that_do_not_fit_are_adjusted(times, interval, timeout, fast_interval):
    found = check(f"TCP_CHECK {{\n{times}\n}}")
    assert (found.interval, found.timeout, found.fast_interval) == (
        interval,
        timeout,
        fast_interval,
    )


def test_an_adjusted_time_is_told_beside_the_service():
    found = imported(server("real_server 10.0.0.4 80 {\nTCP_CHECK {\ndelay_loop 3\n}\n}"))
    (line,) = told(found, Effect.CHANGED)
    assert line.endswith(
        "TCP_CHECK: timeout 2700ms instead of 5 s: it must be below the interval, 3s"
    )
    assert f"  # x:{line}".replace(": virtual", ": changed: virtual", 1) in found.text


def test_a_checker_goes_where_it_is_told():
    inside = "connect_ip 10.0.0.9\nconnect_port 81\nbindto 10.0.0.1\nfwmark 7\nbind_port 99\nbind_if eth0"
    text = server(f"real_server 10.0.0.4 80 {{\nTCP_CHECK {{\n{inside}\n}}\n}}")
    found = imported(text)
    (one,) = only(found).servers[0].checks
    assert (one.address, one.port, one.source, one.mark) == (
        ip_address("10.0.0.9"), 81, ip_address("10.0.0.1"), 7,
    )  # fmt: skip
    assert [line.split(": ")[4] for line in told(found)] == ["bind_port 99", "bind_if eth0"]


def test_a_checker_with_several_hosts_or_urls_is_several_checks():
    hosts = checks("SMTP_CHECK {\nhost {\nconnect_ip 10.0.0.5\n}\nhost {\nconnect_port 26\n}\n}")
    assert [(one.address, one.port) for one in hosts] == [
        (ip_address("10.0.0.5"), None),
        (None, 26),
    ]
    urls = checks("HTTP_GET {\nurl {\npath /a\n}\nurl {\npath /b\n}\n}")
    assert [web(one).path for one in urls] == ["/a", "/b"]


@pytest.mark.parametrize(
    ("places", "host"),
    [
        ({"vs": "v", "rs": "r", "checker": "c", "url": "u"}, "u"),
        ({"vs": "v", "rs": "r", "checker": "c"}, "c"),
        ({"vs": "v", "rs": "r"}, "r"),
        ({"vs": "v"}, "v"),
        ({}, None),
    ],
)
def test_the_nearest_virtualhost_is_asked_for(places, host):
    said = {
        place: f"virtualhost {places[place]}" if place in places else ""
        for place in ("vs", "rs", "checker", "url")
    }
    inside = f"{said['rs']}\nHTTP_GET {{\n{said['checker']}\nurl {{\npath /\n{said['url']}\n}}\n}}"
    assert web(check(inside, f"protocol TCP\n{said['vs']}")).host == host


@pytest.mark.parametrize(
    ("lines", "pattern"),
    [
        (r'regex "a\\.b"', r"a\.b"),
        ("regex ab\nregex_options caseless dotall utf", "(?is)ab"),
        ("regex ab\nregex_no_match", r"\A(?![\s\S]*(?:ab))"),
        ("regex ab\nregex_no_match\nregex_options multiline", r"\A(?![\s\S]*(?m:ab))"),
        ("", None),
    ],
)
def test_an_expression_is_searched_in_the_body(lines, pattern):
    assert web(check(f"HTTP_GET {{\nurl {{\npath /\n{lines}\n}}\n}}")).body_regex == pattern


def test_an_expression_that_must_not_match_passes_where_it_does_not():
    import regex

    pattern = (
        web(check("HTTP_GET {\nurl {\npath /\nregex down\nregex_no_match\n}\n}")).body_regex or ""
    )
    assert regex.search(pattern, "all\nis well")
    assert not regex.search(pattern, "all\nis down")


@pytest.mark.parametrize(
    ("method", "forwarding", "tunnel"),
    [
        ("NAT", Forwarding.MASQ, None),
        ("DR", Forwarding.DR, None),
        ("TUN", Forwarding.TUNNEL, Tunnel()),
        (
            "TUN type gre csum",
            Forwarding.TUNNEL,
            Tunnel(TunnelType.GRE, checksum=TunnelChecksum.CSUM),
        ),
        (
            "TUN type gue port 6080 remcsum",
            Forwarding.TUNNEL,
            Tunnel(TunnelType.GUE, Port(6080), TunnelChecksum.REMCSUM),
        ),
    ],
)
def test_the_forwarding_method_may_stand_behind_the_servers(method, forwarding, tunnel):
    (one,) = only(imported(server(f"{REAL}lvs_method {method}"))).servers
    assert (one.forwarding, one.tunnel) == (forwarding, tunnel)


@pytest.mark.parametrize(
    ("settings", "flags", "one_packet"),
    [
        ("lb_algo sh\nsh-port\nsh-fallback", SchedulerFlags.FLAG_1 | SchedulerFlags.FLAG_2, False),
        ("mh-port\nlvs_sched mh", SchedulerFlags.FLAG_2, False),
        ("lb_algo rr\nflag-3\nops", SchedulerFlags.FLAG_3, True),
    ],
)
def test_a_scheduler_has_flags(settings, flags, one_packet):
    found = only(imported(server(head=f"protocol UDP\n{settings}"))).service
    assert (found.flags, found.one_packet) == (flags, one_packet)


@pytest.mark.parametrize(
    ("settings", "where", "persistence", "engine"),
    [
        ("persistence_timeout", "10.0.0.16 80", (360, IPv4Address("255.255.255.255")), None),
        ("persistence_timeout 9", "10.0.0.16 80", (9, IPv4Address("255.255.255.255")), None),
        ("persistence_granularity 255.255.0.0", "10.0.0.16 80", (360, IPv4Address("255.255.0.0")), None),
        ("persistence_timeout 9\npersistence_granularity 64", "fd00::1 80", (9, 64), None),
        ("persistence_timeout 9\npersistence_engine sip", "10.0.0.16 80", (9, IPv4Address("255.255.255.255")), "sip"),
        ("persistence_engine sip", "10.0.0.16 80", None, None),
    ],
)  # fmt: skip
def test_clients_stay_as_long_as_they_did(settings, where, persistence, engine):
    real = "real_server fd00::4 80 {\n}" if ":" in where else REAL
    found = only(imported(server(real, where, f"protocol UDP\n{settings}"))).service
    assert found.persistence == (Persistence(*persistence) if persistence else None)
    assert found.persistence_engine == engine


def test_a_group_becomes_services_that_share_a_pool():
    found = fixture("keepalived/group.conf", Kind.KEEPALIVED)
    services = {service.name: service for service in config(found).services}
    keys = {name: service.keys for name, service in services.items()}
    assert [str(key) for key in keys["shop-tcp-10.21.4.2:80"]] == [
        f"tcp/10.21.4.{last}:80" for last in (2, 3, 4, 5, 6)
    ]
    assert [str(key) for key in keys["shop-tcp-10.21.4.16:82"]] == [
        f"tcp/10.21.4.{last}:82" for last in (16, 17, 18, 19)
    ]
    assert keys["shop-fwmark-41"] == (FwmarkKey(41, Family.IPV4),)
    assert (
        len({service.servers for name, service in services.items() if name.startswith("shop")}) == 1
    )
    assert found.text.count("    pool: shop\n") == 6
    assert len(keys["six"]) == len(keys["six-2"]) == 4


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("real_server 10.0.0.4 {\n}", Family.IPV4),
        ("real_server fd00::4 {\n}", Family.IPV6),
        ("lvs_method TUN\nip_family inet6\nreal_server 10.0.0.4 {\n}", Family.IPV6),
        ("lvs_method TUN\nreal_server 10.0.0.4 {\n}\nreal_server fd00::4 {\n}", Family.IPV4),
        ("lvs_method TUN\nreal_server fd00::4 {\n}", Family.IPV6),
        ("lvs_method TUN\npersistence_granularity 64\nreal_server 10.0.0.4 {\n}", Family.IPV6),
    ],
)
def test_a_mark_is_of_the_family_of_its_servers(text, family):
    assert only(imported(server(text, "fwmark 5", ""))).keys == (FwmarkKey(5, family),)


def test_a_sorry_server_is_a_backup_that_is_not_checked():
    inside = "sorry_server 10.0.0.9 81\nreal_server 10.0.0.4 80 {\nTCP_CHECK {\n}\n}"
    one, two = only(imported(server(inside))).servers
    assert (one.tier, len(one.checks)) == (0, 1)
    assert (two.tier, two.checks, two.port) == (1, (), 81)


@pytest.mark.parametrize(
    ("settings", "on_down", "left"),
    [
        ("inhibit_on_failure\n" + REAL, OnDown.QUIESCE, 0),
        ("real_server 10.0.0.4 80 {\ninhibit_on_failure\n}", OnDown.QUIESCE, 0),
        (
            "inhibit_on_failure\nreal_server 10.0.0.4 80 {\ninhibit_on_failure off\n}",
            OnDown.REMOVE,
            0,
        ),
        (REAL + "real_server 10.0.0.5 80 {\ninhibit_on_failure\n}", OnDown.REMOVE, 1),
    ],
)
def test_servers_that_stay_with_weight_0_do_so_together_or_not_at_all(settings, on_down, left):
    found = imported(server(settings))
    assert only(found).policy.on_down is on_down
    assert len(told(found)) == left


def reals(count: int, weight: int) -> str:
    return "\n".join(
        f"real_server 10.0.0.{n} 80 {{\nweight {weight}\n}}" for n in range(1, count + 1)
    )


@pytest.mark.parametrize(
    ("settings", "quorum", "effects"),
    [
        ("quorum 1", None, []),
        ("quorum 7\nhysteresis 2", Quorum(servers=7, hysteresis=2), []),
        ("quorum 4\nsorry_server 10.0.0.99 80", Quorum(servers=4, action=QuorumAction.BACKUP), []),
        ("quorum 12", Quorum(servers=10), [Effect.CHANGED]),
        ("quorum none", None, [Effect.LEFT_OUT]),
        ("quorum 1\nreal_server 10.0.0.98 80 {\nweight 0\n}", None, []),
    ],
)
def test_a_quorum_counts_servers(settings, quorum, effects):
    found = imported(server(f"{settings}\n{reals(10, 1)}"))
    assert only(found).policy.quorum == quorum
    assert [one.effect for one in found.findings] == effects


@pytest.mark.parametrize(
    ("settings", "lost_below", "regained_at", "effects"),
    [
        ("quorum 8", 4, 4, []),
        ("quorum 5\nhysteresis 2", 2, 4, []),
        ("quorum 7", 4, 4, []),
        ("quorum 6\nhysteresis 1", 3, 4, [Effect.CHANGED]),
    ],
)
def test_a_quorum_of_weights_is_that_of_as_many_servers(settings, lost_below, regained_at, effects):
    found = imported(server(f"{settings}\n{reals(6, 2)}"))
    quorum = only(found).policy.quorum
    assert quorum is not None
    if not effects:
        assert quorum.servers - quorum.hysteresis == lost_below
        assert quorum.servers + quorum.hysteresis == regained_at
    assert [one.effect for one in found.findings] == effects


def test_a_quorum_over_unequal_weights_is_left_out():
    text = "quorum 3\n" + REAL + "real_server 10.0.0.5 80 {\nweight 4\n}"
    found = imported(server(text))
    assert only(found).policy.quorum is None
    assert told(found) == [
        "3: virtual_server 10.0.0.16 80: quorum 3: weights are not added up, servers are counted"
    ]


@pytest.mark.parametrize(
    ("settings", "daemons"),
    [
        ("lvs_sync_daemon eth1 office id 3", ()),
        ("lvs_sync_daemon eth1 inst office", ()),
        ("lvs_sync_daemon eth1 id 3 maxlen 1400 port 8849 ttl 4 group 224.0.0.82", (3, 1400, 8849, 4, ip_address("224.0.0.82"))),
        ("lvs_sync_daemon eth1", (0, 0, 0, 0, None)),
    ],
)  # fmt: skip
def test_sync_daemons_run_where_no_vrrp_decides_their_role(settings, daemons):
    found = imported(f"global_defs {{\n{settings}\n}}")
    wanted = [
        SyncDaemon(role=role, interface="eth1", sync_id=daemons[0], max_length=daemons[1], port=daemons[2], ttl=daemons[3], group=daemons[4])
        for role in (SyncRole.MASTER, SyncRole.BACKUP)
        if daemons
    ]  # fmt: skip
    assert list(config(found).sync_daemons) == wanted
    assert bool(told(found)) == (not wanted)


def test_timeouts_that_are_not_said_become_the_kernel_s():
    found = imported("global_defs {\nlvs_timeouts tcp 800 udp 9\n}")
    assert config(found).timeouts == Timeouts(tcp=800, tcp_fin=120, udp=9)
    assert len(told(found, Effect.CHANGED)) == 1
    whole = imported("global_defs {\nlvs_timeouts tcp 800 tcpfin 5 udp 9\n}")
    assert (config(whole).timeouts, whole.findings) == (Timeouts(tcp=800, tcp_fin=5, udp=9), ())


def test_who_holds_a_vip_is_told_and_what_to_do():
    found = fixture("keepalived/sorry.conf", Kind.KEEPALIVED)
    (one,) = [one for one in found.findings if one.what.endswith("10.21.11.1")]
    assert one.effect is Effect.CHANGED
    assert one.why.startswith("vrrp_instance office (")
    assert "keepalived --vrrp" in one.todo
    assert "static_ipaddress" in "".join(told(found, Effect.CHANGED))


def test_a_client_certificate_is_shown_by_every_ssl_check():
    found = fixture("keepalived/certificates.conf", Kind.KEEPALIVED)
    (one,) = only(found).servers[0].checks
    assert web(one).tls == model.Tls(
        certificate="/etc/ipvs-lb/client.pem", key="/etc/ipvs-lb/client.key"
    )
    assert "secret" not in found.text + "".join(map(str, found.findings))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("colour red", "colour red", id="unknown-in-the-file"),
        pytest.param("vrrp_instance a {\nstate MASTER\n}", "vrrp_instance a", id="vrrp"),
        pytest.param("static_routes {\n}", "static_routes", id="routes"),
        pytest.param("track_file a {\nfile /a\n}", "track_file a", id="watched-file"),
        pytest.param("include gone.conf", "include gone.conf", id="include"),
        pytest.param(
            "global_defs {\ncolour red\n}", "global_defs: colour red", id="unknown-global"
        ),
        pytest.param("global_defs {\nlvs_flush\n}", "global_defs: lvs_flush", id="flush"),
        pytest.param(
            "global_defs {\nnet_namespace a\n}", "global_defs: net_namespace a", id="namespace"
        ),
        pytest.param(
            "global_defs {\nlvs_timeouts tcp x\n}", "global_defs: lvs_timeouts tcp x", id="timeout"
        ),
        pytest.param(
            "global_defs {\nlvs_timeouts x 1\n}", "global_defs: lvs_timeouts x 1", id="timeout-name"
        ),
        pytest.param(
            "global_defs {\nlvs_sync_daemon eth1 id x\n}",
            "global_defs: lvs_sync_daemon eth1 id x",
            id="sync",
        ),
        pytest.param("virtual_server host 80 {\n}", "virtual_server host 80", id="vip"),
        pytest.param(
            "virtual_server 10.0.0.0/8 80 {\n}", "virtual_server 10.0.0.0/8 80", id="too-many-vips"
        ),
        pytest.param(
            "virtual_server 10.0.0.9-5 80 {\n}", "virtual_server 10.0.0.9-5 80", id="backwards"
        ),
        pytest.param("virtual_server fwmark x {\n}", "virtual_server fwmark x", id="mark"),
        pytest.param("virtual_server group a {\n}", "virtual_server group a", id="group"),
        pytest.param(
            "virtual_server_group a {\nhost 80\n}",
            "virtual_server_group a: host 80",
            id="group-entry",
        ),
    ],
)
def test_what_stands_alone_is_told_in_the_report_and_in_the_file(text, what):
    found = imported(text)
    (one,) = found.findings
    assert (one.effect, one.what, one.mark.line) == (Effect.LEFT_OUT, what, one.mark.line)
    assert f"# {one}" in found.text
    assert config(found).services == ()


VS = "virtual_server 10.0.0.16 80"
RS = f"{VS}: real_server 10.0.0.4 80"


def real(inside: str) -> str:
    return f"real_server 10.0.0.4 80 {{\n{inside}\n}}"


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        (f"{REAL}colour red", [f"{VS}: colour red"]),
        (f"{REAL}lb_algo x", [f"{VS}: lb_algo x"]),
        (f"{REAL}persistence_timeout x", [f"{VS}: persistence_timeout x"]),
        (f"{REAL}persistence_granularity 1.2", [f"{VS}: persistence_granularity 1.2"]),
        (f"{REAL}persistence_granularity 64", [f"{VS}: persistence_granularity 64"]),
        (f"{REAL}lvs_method X", [f"{VS}: lvs_method X"]),
        (f"{REAL}lvs_method TUN type gue", [f"{VS}: lvs_method TUN type gue"]),
        (f"{REAL}ha_suspend", [f"{VS}: ha_suspend"]),
        (f"{REAL}quorum_up /bin/a", [f"{VS}: quorum_up /bin/a"]),
        (f"{REAL}quorum_down /bin/a", [f"{VS}: quorum_down /bin/a"]),
        (f"{REAL}smtp_alert", [f"{VS}: smtp_alert"]),
        (f"{REAL}sorry_server x", [f"{VS}: sorry_server x"]),
        (f"{REAL}sorry_server 10.0.0.4 80", [f"{VS}: 10.0.0.4"]),
        (f"{REAL}sorry_server 10.0.0.5 80\nsorry_server_inhibit", [f"{VS}: sorry_server_inhibit"]),
        (f"{REAL}{REAL}", [f"{VS}: 10.0.0.4"]),
        (f"{REAL}real_server x 80 {{\n}}", [f"{VS}: real_server x 80"]),
        (f"{REAL}real_server fd00::4 80 {{\n}}", [f"{VS}: fd00::4"]),
        (real("notify_up /bin/a"), [f"{RS}: notify_up /bin/a"]),
        (real("notify_down /bin/a"), [f"{RS}: notify_down /bin/a"]),
        (real("weight x"), [f"{RS}: weight x"]),
        (real("alpha maybe\ninhibit_on_failure maybe"), [f"{RS}: inhibit_on_failure maybe"]),
        (real("uthreshold 5\nlthreshold 6"), [f"{RS}: lthreshold 6"]),
        (real("colour red"), [f"{RS}: colour red"]),
        (real("BFD_CHECK {\nname a\n}"), [f"{RS}: BFD_CHECK", RS]),
        (real("FILE_CHECK {\ntrack_file a\n}"), [f"{RS}: FILE_CHECK", RS]),
        (real("HTTP_GET {\n}"), [f"{RS}: HTTP_GET", RS]),
        (real("HTTP_GET {\nurl {\npath x\n}\n}"), [f"{RS}: HTTP_GET: url: path x"]),
        (real("HTTP_GET {\nurl {\nstatus_code x\n}\n}"), [f"{RS}: HTTP_GET: url: status_code x"]),
        (real("HTTP_GET {\nurl {\ndigest x\n}\n}"), [f"{RS}: HTTP_GET: url: digest x"]),
        (real("HTTP_GET {\nurl {\nregex (\n}\n}"), [f"{RS}: HTTP_GET: url: regex ("]),
        (
            real("HTTP_GET {\nurl {\nregex a\nregex_options ungreedy\nregex_min_offset 3\n}\n}"),
            [f"{RS}: HTTP_GET: url: regex_options ungreedy", f"{RS}: HTTP_GET: url: regex_min_offset 3"],
        ),
        (real("MISC_CHECK {\n}"), [f"{RS}: MISC_CHECK", RS]),
        (real("MISC_CHECK {\nmisc_path check\n}"), [f"{RS}: MISC_CHECK: misc_path check", RS]),
        (real("MISC_CHECK {\nmisc_path \"/a 'b\"\n}"), [f"{RS}: MISC_CHECK: misc_path /a 'b", RS]),
        (real("MISC_CHECK {\nmisc_path /a\nmisc_dynamic\n}"), [f"{RS}: MISC_CHECK: misc_dynamic"]),
        (real("UDP_CHECK {\npayload xx\n}"), [f"{RS}: UDP_CHECK: payload xx"]),
        (real("UDP_CHECK {\nrequire_reply zz\n}"), [f"{RS}: UDP_CHECK: require_reply zz"]),
        (real("TCP_CHECK {\nconnect_ip x\n}"), [f"{RS}: TCP_CHECK: connect_ip x"]),
        (real("TCP_CHECK {\ndelay_loop x\n}"), [f"{RS}: TCP_CHECK: delay_loop x"]),
        (real("TCP_CHECK {\ncolour red\n}"), [f"{RS}: TCP_CHECK: colour red"]),
    ],
)  # fmt: skip
def test_what_a_virtual_server_cannot_carry_over_is_told_and_it_still_loads(inside, what):
    found = imported(server(inside))
    left = [one for one in found.findings if one.effect is Effect.LEFT_OUT]
    assert sorted(one.what for one in left) == sorted(what)
    assert all(f"  # {one}" in found.text for one in left)
    assert len(config(found).services) == 1


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        (f"{REAL}alpha\nomega\nhashed\nwarmup 3\nops\nsh-port", 6),
        (real("snmp_name a\nalpha"), 2),
        (
            real(
                "HTTP_GET {\nfast_recovery\nurl {\npath /\nregex_stack 1 2\n}\nlog_all_failures\n}"
            ),
            3,
        ),
    ],
)
def test_what_nothing_is_lost_with_stands_in_the_report_alone(inside, why):
    found = imported(server(inside))
    assert [one.effect for one in found.findings] == [Effect.UNNEEDED] * why
    assert "unneeded" not in found.text


@pytest.mark.parametrize(
    ("inside", "ports"),
    [
        ("lvs_method DR\nreal_server 10.0.0.4 81 {\n}", [None]),
        ("real_server 10.0.0.4 81 {\n}\nreal_server 10.0.0.5 {\n}", [81, None]),
    ],
)
def test_only_nat_maps_ports(inside, ports):
    assert [one.port for one in only(imported(server(inside))).servers] == ports


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("global_defs {\nnftables_ipvs\n}", "global_defs: nftables_ipvs", id="one-mark-for-a-group"),
        pytest.param(server(real("weight 70000")), RS, id="weight"),
        pytest.param(server(real("TCP_CHECK {\nretry 2000\n}")), f"{RS}: TCP_CHECK", id="failures"),
        pytest.param(
            server(real("SSL_GET {\nenable_sni\nurl {\npath /\n}\n}")), f"{RS}: SSL_GET: enable_sni", id="no-name"
        ),
        pytest.param(server(real("MISC_CHECK {\nmisc_path /a\nmisc_timeout 3\n}")), f"{RS}: MISC_CHECK: misc_path /a", id="user"),
        pytest.param(
            "virtual_server_group a {\n10.0.0.16 80\n}\n" + server("real_server 10.0.0.4 {\n}", "group a"),
            "virtual_server group a: 10.0.0.4",
            id="port-0-in-a-group",
        ),
    ],
)  # fmt: skip
def test_what_comes_over_as_something_else_is_told(text, what):
    found = imported(text)
    (one,) = found.findings
    assert (one.effect, one.what) == (Effect.CHANGED, what)
    assert str(one) in found.text


def test_what_the_file_says_about_vrrp_alone_is_not_missed():
    found = imported(
        "global_defs {\nvrrp_garp_master_repeat 2\nvrrp_garp_master_repeat 3\nbfd_rlimit_rttime 3\n}"
    )
    assert [(one.mark.line, one.effect) for one in found.findings] == [
        (2, Effect.UNNEEDED),
        (3, Effect.UNNEEDED),
        (4, Effect.UNNEEDED),
    ]


def test_addresses_without_sense_are_held_by_nobody():
    text = "vrrp_instance a {\nvirtual_ipaddress {\nnonsense\n10.0.0.16/24 dev eth0\n}\n}\n"
    found = imported(text + server())
    assert [one.what for one in found.findings] == [
        "vrrp_instance a",
        "virtual_server 10.0.0.16 80: 10.0.0.16",
    ]


def test_a_virtual_server_without_servers_is_ignored_as_keepalived_does():
    found = imported(server(""))
    assert (found.services, [one.effect for one in found.findings]) == (0, [Effect.UNNEEDED])


def test_names_are_taken_from_snmp_and_groups_and_each_is_given_once():
    text = server(head="protocol TCP\nsnmp_name web") + server(
        where="10.0.0.17 80", head="protocol TCP\nsnmp_name web"
    )
    text += server(where="10.0.0.18 80", head="protocol TCP\nsnmp_name 'no name'")
    names = [service.name for service in config(imported(text)).services]
    assert names == ["web", "web-2", "tcp-10.0.0.18:80"]


def test_a_service_that_stands_twice_is_left_out_once_with_both_places():
    found = imported(server() + server())
    assert found.services == 1
    (one,) = [one for one in found.findings if one.effect is Effect.LEFT_OUT]
    assert (one.mark.line, one.why) == (
        7,
        "services.1: virtual service tcp/10.0.0.16:80 is already declared at x:1",
    )
