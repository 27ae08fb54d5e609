"""What configurations mean: from text to the model."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import yaml

from ipvs_lb.config import compose, load, loads
from ipvs_lb.config.check_forms import FORMS
from ipvs_lb.errors import ConfigError
from ipvs_lb.model import checks
from ipvs_lb.model.checks import HealthCheck, HttpCheck, TcpCheck, Tls, Via
from ipvs_lb.model.config import (
    Config,
    DaemonSettings,
    DeclaredServer,
    DeclaredService,
    Drift,
    FlapDamping,
    HealthPolicy,
    OnDown,
    Quorum,
    SlowStart,
    VipDownWhen,
)
from ipvs_lb.model.host import SourceNat, Vip
from ipvs_lb.model.identity import AddressKey, Family, FwmarkKey, IPProtocol, Port
from ipvs_lb.model.settings import (
    Forwarding,
    Persistence,
    SchedulerFlags,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelChecksum,
    TunnelType,
)

CONFIG = Path(__file__, "../../../config").resolve()
HEAD = "version: 1\nservices:\n  - {name: web, vip: 10.0.0.16, port: 80"


def service(more: str) -> DeclaredService:
    """A service with *more* keys."""
    more = more if "servers:" in more else f"servers: [], {more}"
    return loads(f"{HEAD}, {more}}}\n", environ={}).services[0]


def checks_in(more: str) -> tuple[HealthCheck, ...]:
    return service(f"servers: [{{address: 10.0.0.4}}], {more}").servers[0].checks


def test_the_walkthrough_means_two_servers_behind_two_ports() -> None:
    check = HealthCheck(
        method=HttpCheck(path="/health"),
        interval=60.0,
        fast_interval=12.0,
        timeout=20.0,
        rise=2,
        fall=3,
    )
    vip = IPv4Address("10.0.0.16")
    path = CONFIG / "example.yaml"
    assert load(path) == Config(
        services=(
            DeclaredService(
                name="web",
                keys=tuple(AddressKey(IPProtocol.TCP, vip, Port(port)) for port in (80, 443)),
                service=Service(scheduler="rr"),
                servers=tuple(
                    DeclaredServer(name=name, address=IPv4Address(address), checks=(check,))
                    for name, address in (("server-1", "10.0.0.4"), ("server-2", "10.0.0.6"))
                ),
                vips=(Vip(address=vip),),
                origin=f"{path}:4",
            ),
        )
    )


def test_without_the_c_parser_the_meaning_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(CONFIG.glob("*.yaml"))
    quick = [load(path, environ={}) for path in paths]
    monkeypatch.setattr(compose, "_READER", yaml.BaseLoader)
    assert [load(path, environ={}) for path in paths] == quick


def test_words_are_what_their_key_makes_of_them() -> None:
    config = service(
        "servers: [{name: off, address: 10.0.0.4}, {name: 22:22, address: 10.0.0.5},"
        "{name: 007, address: 10.0.0.6}, {name: 12, address: 10.0.0.7, disabled: On}]"
    )
    assert [server.name for server in config.servers] == ["off", "22:22", "007", "12"]
    assert config.servers[3].disabled


def test_a_server_without_a_name_is_called_by_its_address() -> None:
    more = "servers: [{address: 10.0.0.4}, {address: 10.0.0.4, port: 81}]"
    assert [server.name for server in service(more).servers] == ["10.0.0.4", "10.0.0.4:81"]


def test_ports_are_listed_in_order_for_every_address() -> None:
    text = "version: 1\nservices: [{name: a, vips: [10.0.0.1, 10.0.0.2], ports: [81, 79-80], servers: []}]"
    keys = [str(key) for key in loads(text).services[0].keys]
    assert keys == [f"tcp/10.0.0.{host}:{port}" for host in (1, 2) for port in (81, 79, 80)]


def test_a_bare_address_has_the_settings_it_has_elsewhere() -> None:
    config = load(CONFIG / "vips.yaml")
    floating = Vip(address=IPv4Address("203.0.113.16"), interface="eth1", prefix_length=24)
    assert config.services[0].vips[1] == floating
    assert config.services[1].vips == (floating,)
    assert [(vip.managed, vip.announce) for vip in config.services[0].vips] == [
        (True, True),
        (True, True),
        (False, True),
        (True, False),
    ]


def test_a_fwmark_service_takes_its_family_from_its_addresses() -> None:
    text = 'version: 1\nservices: [{name: a, fwmark: 7, vip: "2001:db8::1", servers: []}]'
    assert loads(text).services[0].keys == (FwmarkKey(7, Family.IPV6),)
    config = load(CONFIG / "fwmark.yaml")
    assert [str(one.keys[0]) for one in config.services] == ["fwmark/1", "fwmark/1/ipv6"]


def test_settings_of_a_service_are_the_kernels() -> None:
    more = "scheduler: sh, flags: [sh-port, flag-3], persistence: {timeout: 1h, prefix: 24}"
    assert service(more).service == Service(
        scheduler="sh",
        flags=SchedulerFlags.FLAG_2 | SchedulerFlags.FLAG_3,
        persistence=Persistence(3600, IPv4Address("255.255.255.0")),
    )


def test_a_server_inherits_forwarding_and_tunnel_from_its_service() -> None:
    config = load(CONFIG / "tunnel.yaml")
    api = config.services[1].servers
    assert api[0].forwarding is Forwarding.TUNNEL
    assert api[0].tunnel == Tunnel(TunnelType.GUE, Port(6080), TunnelChecksum.REMCSUM)
    assert api[1].tunnel == Tunnel(TunnelType.GRE, Port(0), TunnelChecksum.CSUM)
    mixed = load(CONFIG / "direct-routing.yaml").services[0].servers
    assert [(server.forwarding, server.tunnel) for server in mixed] == [
        (Forwarding.DR, None),
        (Forwarding.DR, None),
        (Forwarding.TUNNEL, Tunnel()),
    ]


def test_servers_have_tiers_thresholds_and_can_be_disabled() -> None:
    servers = load(CONFIG / "servers.yaml").services[0].servers
    assert [server.tier for server in servers] == [0, 0, 0, 1, 1, 2]
    assert (servers[1].upper_threshold, servers[1].lower_threshold) == (5000, 4000)
    assert [server.disabled for server in servers[:3]] == [False, False, True]


def test_policy_keys_become_the_policy() -> None:
    assert load(CONFIG / "policy.yaml").services[0].policy == HealthPolicy(
        on_down=OnDown.QUIESCE,
        panic_threshold=0.4,
        quorum=Quorum(servers=2, hysteresis=1),
        slow_start=SlowStart(duration=120.0),
        flap_damping=FlapDamping(changes=3, window=600.0, hold=60.0, max_hold=3600.0),
        drain_timeout=300.0,
        vip_down_when=VipDownWhen.ALL,
    )


def test_kernel_wide_settings_are_carried() -> None:
    config = load(CONFIG / "kernel.yaml")
    master = SyncDaemon(
        role=SyncRole.MASTER,
        interface="eth1",
        sync_id=7,
        group=IPv4Address("224.0.0.81"),
        port=Port(8848),
        ttl=1,
    )
    assert config.timeouts == Timeouts(tcp=900, tcp_fin=120, udp=300)
    assert config.sync_daemons == (master, replace(master, role=SyncRole.BACKUP))
    assert config.manage_sysctls
    assert load(CONFIG / "source-nat.yaml").services[0].source_nat is SourceNat.AUTO


def test_the_networks_of_a_service_are_its_own_or_the_defaults() -> None:
    intranet, _, admin, public = load(CONFIG / "allow.yaml").services
    assert intranet.allow == ("10.0.0.0/8", "2001:db8::/32")
    assert admin.allow == ("192.0.2.7/32",)
    assert public.allow == ("0.0.0.0/0",)
    assert load(CONFIG / "minimal.yaml").services[0].allow == ()


def test_defaults_stand_behind_what_is_written() -> None:
    config = load(CONFIG / "pools.yaml")
    web, intranet, unchecked = config.services
    assert (web.service.scheduler, intranet.service.scheduler) == ("wlc", "sh")
    assert [server.weight for server in web.servers] == [10, 20]
    assert {server.forwarding for server in web.servers} == {Forwarding.DR}
    (check,) = web.servers[0].checks
    assert (check.interval, check.timeout, check.rise, check.fall) == (10.0, 3.0, 2, 2)
    assert intranet.servers[0].checks == web.servers[0].checks
    assert unchecked.servers[0].checks == ()


def test_a_service_can_step_out_of_defaults() -> None:
    text = (
        "version: 1\n"
        "defaults: {service: {scheduler: mh, flags: mh-port, persistence: 60s, health_check: {type: ping}}}\n"
        "services:\n"
        "  - {name: a, vip: 10.0.0.1, port: 80, servers: [{address: 10.0.0.4}]}\n"
        "  - {name: b, vip: 10.0.0.1, port: 81, scheduler: rr, persistence: off, health_checks: [],\n"
        "     servers: [{address: 10.0.0.4}]}\n"
    )
    first, second = loads(text).services
    assert first.service.flags is SchedulerFlags.FLAG_2
    assert first.service.persistence
    assert len(first.servers[0].checks) == 1
    assert second.service == Service(scheduler="rr")
    assert second.servers[0].checks == ()


def test_the_nearest_checks_count() -> None:
    web = load(CONFIG / "health-checks.yaml").services[0]
    assert len(web.servers[0].checks) == 3
    (own,) = web.servers[1].checks
    assert own == HealthCheck(
        method=TcpCheck(), interval=10.0, fast_interval=2.0, timeout=3.0, port=Port(8080)
    )


def test_every_type_of_check_is_carried_field_by_field() -> None:
    services = load(CONFIG / "health-checks.yaml").services
    methods = [check.method for one in services for check in one.servers[0].checks]
    assert methods == [
        HttpCheck(
            path="/health?deep=1",
            host="www.example.org",
            headers=(("X-Probe", "ipvs-lb"),),
            expect_codes=((200, 299), (404, 404)),
            body_regex='"status": *"(ok|degraded)"',
        ),
        HttpCheck(
            method="HEAD", path="/health", tls=Tls(server_name="www.example.org", verify=True)
        ),
        checks.TlsCheck(min_days=14),
        TcpCheck(expect=b"220"),
        checks.SmtpCheck(helo="lb.example.org"),
        checks.MysqlCheck(),
        checks.PostgresCheck(),
        checks.RedisCheck(role="master"),
        checks.GrpcCheck(service="example.Shop"),
        checks.DnsCheck(name="example.org", record_type="A", answer="192.0.2.1"),
        checks.UdpCheck(payload=b"\x00\xff", expect=b"\x80", mask=b"\xf0"),
        checks.PingCheck(),
        checks.SctpCheck(),
        checks.ExecCheck(command=("/usr/lib/ipvs-lb/check-queue", "--limit", "100")),
        checks.FileCheck(path="/run/ipvs-lb/own-tests.weight", weight=True),
        checks.AgentCheck(),
        TcpCheck(),
    ]
    assert services[4].servers[0].checks[3].via is Via.VIP


def test_the_defaults_of_forms_are_those_of_the_model() -> None:
    methods: list[checks.Method] = [
        *(TcpCheck(), HttpCheck(), checks.TlsCheck(), checks.UdpCheck(), checks.SctpCheck()),
        *(
            checks.DnsCheck(),
            checks.PingCheck(),
            checks.SmtpCheck(),
            checks.GrpcCheck(),
            checks.RedisCheck(),
        ),
        *(checks.MysqlCheck(), checks.PostgresCheck()),
    ]
    kinds = [kind for kind in FORMS if kind not in {"https", "exec", "file", "agent"}]
    for kind, method in zip(kinds, methods, strict=True):
        assert checks_in(f"health_check: {{type: {kind}}}") == (HealthCheck(method=method),)
    bare = service("scheduler: wrr")
    assert bare.policy == HealthPolicy()
    assert bare.source_nat is SourceNat.OFF


@pytest.mark.parametrize(
    ("interval", "fast", "timeout"),
    [("60s", 12.0, 3.0), ("5s", 1.0, 3.0), ("2s", 1.0, 1.2), ("500ms", 0.5, 0.3)],
)
def test_fast_interval_and_timeout_follow_the_interval(
    interval: str, fast: float, timeout: float
) -> None:
    (check,) = checks_in(f"health_check: {{type: tcp, interval: {interval}}}")
    assert (check.fast_interval, check.timeout) == (fast, timeout)


def test_references_are_replaced_and_read_as_if_they_had_no_quotes() -> None:
    config = load(
        CONFIG / "environment.yaml", environ={"WEB_PORT": "8080", "WEIGHT": "7", "SITE": ""}
    )
    web = config.services[0]
    assert web.name == "web-main"
    assert web.keys[0] == AddressKey(IPProtocol.TCP, IPv4Address("10.0.0.16"), Port(8080))
    assert web.servers[0].weight == 7
    method = web.servers[0].checks[0].method
    assert isinstance(method, HttpCheck)
    assert method.headers == (("X-Token", "none"),)
    assert method.body_contains == "costs 5$"


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHT", "9")
    assert load(CONFIG / "environment.yaml").services[0].servers[0].weight == 9


def test_a_dollar_sign_alone_stands_for_itself() -> None:
    (check,) = checks_in("health_check: {type: http, body_regex: '^ok$', body_contains: $5}")
    assert isinstance(check.method, HttpCheck)
    assert (check.method.body_regex, check.method.body_contains) == ("^ok$", "$5")


def test_aliases_repeat_values() -> None:
    config = loads(
        "version: 1\nservices:\n"
        "  - {name: a, vip: &vip 10.0.0.1, port: 80, servers: &all [{address: 10.0.0.4}]}\n"
        "  - {name: b, vip: *vip, port: 81, servers: *all}\n"
    )
    assert config.services[0].servers == config.services[1].servers
    assert config.services[1].vips == config.services[0].vips


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60.0),
        ("500ms", 0.5),
        ("2m", 120.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("1.5s", 1.5),
    ],
)
def test_durations_add_up(text: str, seconds: float) -> None:
    assert service(f"drain_timeout: {text}").policy.drain_timeout == seconds


@pytest.mark.parametrize(("text", "share"), [("0.5", 0.5), ("50%", 0.5), ("1", 1.0), (".25", 0.25)])
def test_a_share_is_a_number_or_a_percentage(text: str, share: float) -> None:
    assert service(f"panic_threshold: {text}").policy.panic_threshold == share


@pytest.mark.parametrize(("text", "required"), [("all", None), ("any", 1), ("2", 2)])
def test_required_is_a_word_or_a_number(text: str, required: int | None) -> None:
    assert service(f"required: {text}").policy.required == required


@pytest.mark.parametrize("nested", ["[" * 50_000, "{a: " * 50_000, "- " * 50_000, "? " * 50_000])
def test_deep_nesting_is_refused_at_once(nested: str) -> None:
    with pytest.raises(ConfigError, match=r"nested deeper|key must be plain"):
        loads(f"version: 1\nservices: {nested}" if nested[0] in "[{" else nested)


def test_an_alias_bomb_is_refused_at_once() -> None:
    levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    levels += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    with pytest.raises(ConfigError, match="<string>:7:8: document: more than 2000000 values"):
        loads("\n".join(levels))


def test_a_short_text_cannot_mean_millions_of_rows() -> None:
    servers = ", ".join(f"{{address: 10.0.0.{host}}}" for host in range(1, 201))
    text = f"version: 1\npools: {{p: {{servers: [{servers}]}}}}\nservices:\n" + "".join(
        f"  - {{name: s{host}, vip: 10.1.0.{host}, ports: 1-65535, pool: p}}\n"
        for host in range(1, 201)
    )
    with pytest.raises(ConfigError) as refused:
        loads(text, name="lb.yaml")
    assert refused.value.problems == (
        "lb.yaml:4:5: services.0: with this service the kernel's table has more than 2000000 rows",
    )


def test_lines_may_end_as_on_other_systems() -> None:
    text = (CONFIG / "example.yaml").read_text()
    for ending in ("\r\n", "\r"):
        assert loads(text.replace("\n", ending)) == loads(text)


def test_the_daemon_repairs_every_ten_seconds_and_waits_for_a_reload_unless_told() -> None:
    assert loads("version: 1\n").daemon == DaemonSettings(
        reconcile_interval=10, drift=Drift.REPAIR, watch=False
    )


def test_the_daemon_does_as_its_block_says() -> None:
    text = "version: 1\ndaemon: {reconcile_interval: 1m30s, drift: report, watch: true}\n"
    assert loads(text).daemon == DaemonSettings(
        reconcile_interval=90, drift=Drift.REPORT, watch=True
    )


def test_the_daemon_block_belongs_to_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("daemon: {watch: yes}\n")
    (tmp_path / "lb.yaml").write_text("version: 1\ninclude: more.yaml\n")
    with pytest.raises(ConfigError, match=r"more\.yaml:1:1: daemon: unknown key"):
        load(tmp_path / "lb.yaml")


def test_loading_tells_of_every_file_and_pattern_it_looks_at(tmp_path: Path) -> None:
    path = tmp_path / "lb.yaml"
    seen: list[Path] = []
    (tmp_path / "more.yaml").write_text("services: []\n")
    path.write_text("version: 1\ninclude: ['m*.yaml', gone.yaml]\n")
    with pytest.raises(ConfigError, match=r"cannot read .*gone\.yaml"):
        load(path, seen=seen.append)
    assert [found.name for found in seen] == ["lb.yaml", "m*.yaml", "more.yaml", "gone.yaml"]


def test_a_service_declared_twice_is_refused_with_both_lines() -> None:
    """keepalived #2644"""
    text = """\
version: 1
services:
  - {name: web, vip: 10.0.0.16, port: 80, servers: [{address: 10.0.0.4}]}
  - {name: more, vip: 10.0.0.16, port: 80, servers: [{address: 10.0.0.6}]}
"""
    with pytest.raises(ConfigError) as refused:
        loads(text, name="lb.yaml")
    assert refused.value.problems == (
        "lb.yaml:4:5: services.1: virtual service tcp/10.0.0.16:80 is already declared at lb.yaml:3:5",
    )


def guards(text: str) -> list[bool]:
    config = loads(f"version: 1\n{text}")
    return [vip.guard for declared in config.services for vip in declared.vips]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [False, False], id="off-by-default"),
        pytest.param("guard_vips: yes\n", [True, True], id="for-the-whole-file"),
        pytest.param("guard_vips: no\n", [False, False], id="off"),
    ],
)
def test_vips_are_guarded_when_the_file_says_so(text: str, expected: list[bool]) -> None:
    more = "{name: b, vip: {address: 10.0.0.2, announce: no}, port: 80, servers: []}"
    services = f"services: [{{name: a, vip: 10.0.0.1, port: 80, servers: []}}, {more}]"
    assert guards(text + services) == expected


@pytest.mark.parametrize(("general", "own"), [("yes", "no"), ("no", "yes")])
def test_a_vip_s_own_word_on_its_guard_comes_first_wherever_it_is_said(
    general: str, own: str
) -> None:
    text = f"""\
guard_vips: {general}
services:
  - {{name: a, vip: 10.0.0.1, port: 80, servers: []}}
  - {{name: b, vip: {{address: 10.0.0.1, guard: {own}}}, port: 81, servers: []}}
  - {{name: c, vip: 10.0.0.2, port: 80, servers: []}}
"""
    assert guards(text) == [own == "yes", own == "yes", general == "yes"]


def test_the_guard_of_load_balancers_is_that_of_the_file() -> None:
    octavia = (
        "networks: [{name: n, subnets: [{name: s, cidr: 10.0.0.0/24}]}]\noctavia: {auth: none}\n"
    )
    for word in ("yes", "no"):
        settings = loads(f"version: 1\nguard_vips: {word}\n{octavia}").octavia
        assert settings is not None
        assert settings.guard_vips is (word == "yes")
