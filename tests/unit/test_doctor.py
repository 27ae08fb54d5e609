"""What the doctor finds, one fault at a time: each finding is there with its fault and gone without it."""

import ast
import os
import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from ipvs_lb.config import loads
from ipvs_lb.doctor import (
    RULES,
    Daemon,
    Facts,
    Listener,
    Route,
    Severity,
    StateDirectory,
    diagnose,
)
from ipvs_lb.doctor.about import ABOUT
from ipvs_lb.doctor.finding import some
from ipvs_lb.doctor.reference import text
from ipvs_lb.model.desired import Owned
from ipvs_lb.model.host import HostState, InterfaceAddress
from ipvs_lb.model.identity import IPProtocol, Port, parse_service_key
from ipvs_lb.policy import effective

ROOT = Path(__file__).parents[2]
VIP, ONE, ROUTER = map(ip_address, ("203.0.113.16", "10.0.0.4", "10.0.0.254"))
WAN = InterfaceAddress("eth0", ip_address("203.0.113.1"), 24)
LAN = InterfaceAddress("eth1", ip_address("10.0.0.1"), 24)
VIP_PLACE = InterfaceAddress("eth0", VIP, 32)
ONE_PLACE = InterfaceAddress("eth1", ONE, 32)
SERVICE = "tcp/203.0.113.16:80"
WELL = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.vs.conntrack": "1",
    "net.ipv4.vs.expire_quiescent_template": "0",
    "net.ipv4.vs.expire_nodest_conn": "0",
    "net.ipv4.vs.conn_reuse_mode": "1",
}
MODULES = frozenset({"ip_vs", "ip_vs_rr"})


def config(*, server="", service="", vip=f"{VIP}", port=80):
    return loads(f"""
version: 1
services:
  - name: web
    vip: {vip}
    port: {port}
    scheduler: rr
    {service or "source_nat: auto"}
    servers:
      - address: {ONE}
        {server or "weight: 1"}
""")


def fine(declared=None, **changes):
    """A gateway without a fault."""
    declared = declared or config()
    facts = Facts(
        config=declared,
        now=1000.0,
        table=effective(declared, frozenset()),
        table_size=4096,
        host=HostState(
            interfaces=frozenset({"lo", "eth0", "eth1"}),
            addresses=frozenset({WAN, LAN}),
            sysctls=WELL,
            kernel=(6, 1),
        ),
        modules=MODULES,
        loaded=MODULES,
        routes={ONE: Route(interface="eth1")},
        file_limit=1024,
        daemon=Daemon(running=True),
    )
    return replace(facts, **changes)


def sysctls(**values):
    names = {name.replace("__", "."): value for name, value in values.items()}
    return replace(fine().host, sysctls={**WELL, **names})


def state(**settings):
    return StateDirectory(path="/state", **settings)


DR, TUNNEL = config(server="forwarding: dr"), config(server="forwarding: tunnel")
GUE = config(server="forwarding: tunnel\n        tunnel: {type: gue, port: 6080}")
SUMMED = config(
    server="forwarding: tunnel\n        tunnel: {type: gue, port: 6080, checksum: csum}"
)
CHECKED = config(server="health_checks: [{type: tcp}]")
PERSISTENT = config(service="persistence: 60s")
NEAR = config(vip="10.0.0.16", service="source_nat: off")
GUARDED = config(vip=f"{{address: {VIP}, guard: yes}}")
ELSEWHERE = config(vip=f"{{address: {VIP}, interface: eth9}}")
SSH = Listener(IPProtocol.TCP, None, Port(22))
HOST = fine().host
OLD = replace(HOST, kernel=(4, 9))
ONE_ARM = config(vip="10.0.0.16")
TO_ITSELF = Route(interface="lo", is_local=True)

CASES = [
    ("ipvs.missing", fine(ipvs_error=("no IPVS", "modprobe ip_vs")), "modprobe ip_vs"),
    ("scheduler.missing", fine(modules=frozenset()), "modprobe ip_vs_rr"),
    (
        "persistence_engine.missing",
        fine(
            config(
                port=5060,
                service="protocol: udp\n    persistence: {timeout: 60s, engine: sip}",
            )
        ),
        "modprobe ip_vs_pe_sip",
    ),
    ("kernel.too_old", fine(GUE, host=OLD), "a kernel of 5.2"),
    ("kernel.too_old", fine(SUMMED, host=replace(HOST, kernel=(5, 2))), "a kernel of 5.3"),
    (
        "kernel.too_old",
        fine(
            loads(
                f"{{version: 1, services: [{{name: web, vip: {VIP}, port: 80, scheduler: mh, servers: [{{address: {ONE}}}]}}]}}"
            ),
            host=OLD,
            modules=None,
        ),
        "a kernel of 4.18",
    ),
    (
        "forwarding.off",
        fine(host=sysctls(net__ipv4__ip_forward="0")),
        "sysctl -w net.ipv4.ip_forward=1",
    ),
    ("sysctl.missing", fine(PERSISTENT), "sysctl -w net.ipv4.vs.expire_quiescent_template=1"),
    ("ftp_helper.missing", fine(config(port=21)), "modprobe ip_vs_ftp"),
    (
        "redirects.sent",
        fine(ONE_ARM, host=sysctls(net__ipv4__conf__eth1__send_redirects="1")),
        "sysctl -w net.ipv4.conf.eth1.send_redirects=0",
    ),
    ("vip.no_interface", fine(ELSEWHERE), "ip link add eth9 type dummy"),
    ("vip.link_down", fine(down=frozenset({"eth0"})), "ip link set eth0 up"),
    ("vip.duplicate", fine(answers={VIP_PLACE: "aa"}), "ip neigh show | grep aa"),
    (
        "dr.answers_arp",
        fine(DR, answers={VIP_PLACE: "aa", ONE_PLACE: "aa"}),
        "on the server: sysctl -w",
    ),
    (
        "dr.routed",
        fine(DR, routes={ONE: Route(interface="eth1", router=ROUTER)}),
        "forwarding: tunnel",
    ),
    (
        "masq.routed",
        fine(routes={ONE: Route(interface="eth1", router=ROUTER)}),
        "on 10.0.0.254: route",
    ),
    ("server.unreachable", fine(routes={ONE: None}), "ip route get 10.0.0.4"),
    (
        "service.no_server",
        fine(table=effective(config(server="weight: 0"), frozenset())),
        "ipvs-lb status",
    ),
    ("service.not_in_kernel", fine(table=Facts().table), "ipvs-lb reload"),
    (
        "service.not_in_kernel",
        fine(table=Facts().table, daemon=Daemon()),
        "ipvs-lb apply -c /etc/ipvs-lb/config.yaml",
    ),
    ("masq.clients_beside_servers", fine(NEAR), "source_nat: auto for web"),
    ("tunnel.mtu", fine(TUNNEL), "ip link set dev eth1 mtu 1520"),
    ("tunnel.mtu", fine(GUE), "ip link set dev eth1 mtu 1532"),
    ("vip.exposed", fine(listeners=(SSH,)), "guard_vips: yes"),
    ("vip.exposed", fine(listeners=(Listener(IPProtocol.TCP, VIP, Port(22)),)), "guard_vips: yes"),
    (
        "vip.exposed",
        fine(listeners=(Listener(IPProtocol.TCP, ip_address("0.0.0.0"), Port(22)),)),
        "guard_vips: yes",
    ),
    ("server.local", fine(routes={ONE: TO_ITSELF}), "in place of 10.0.0.4"),
    ("gateway.own_requests", fine(DR), "curl from another machine"),
    ("state.damaged", fine(state=state(problems=("it is damaged",))), "ipvs-lb apply"),
    (
        "config.refused",
        fine(daemon=Daemon(running=True, config_error=("line 3",))),
        "ipvs-lb validate",
    ),
    ("daemon.absent", fine(CHECKED, daemon=Daemon()), "systemctl enable --now ipvs-lb"),
    ("manager.other", fine(managers=("keepalived",)), "systemctl disable --now keepalived"),
    (
        "conntrack.full",
        fine(
            host=sysctls(
                net__netfilter__nf_conntrack_max="100", net__netfilter__nf_conntrack_count="80"
            )
        ),
        "sysctl -w net.netfilter.nf_conntrack_max=200",
    ),
    ("connection_table.small", fine(connections=40_000), "conn_tab_bits=16"),
    ("files.limit", fine(CHECKED, file_limit=50), "LimitNOFILE=202"),
    ("state.writable", fine(state=state(others_write=True)), "chmod go-w /state"),
    ("state.space", fine(state=state(free=2**20)), "df -h /state"),
    ("clock.went_back", fine(state=state(newest=2000.0)), "timedatectl set-ntp true"),
    ("clock.unsynchronised", fine(clock_is_set=False), "timedatectl set-ntp true"),
    ("service.foreign", fine(config=None), "--prune"),
    ("not_seen", fine(not_seen=("not looked at: routes",)), "run it as root"),
]


def codes(facts):
    return {finding.code for finding in diagnose(facts)}


def test_a_gateway_without_a_fault_has_no_finding():
    assert diagnose(fine()) == ()


@pytest.mark.parametrize(
    ("code", "facts", "mend"),
    CASES,
    ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)],
)
def test_a_fault_is_found_and_how_it_is_mended_is_told(code, facts, mend):
    (finding,) = [one for one in diagnose(facts) if one.code == code]
    assert mend in finding.mend
    assert finding.what
    page, _, anchor = finding.documented.partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    plain = {re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings}
    assert anchor in plain


def test_every_kind_of_finding_has_a_case_and_a_code_of_its_own():
    every = [rule.kind.code for rule in RULES]
    assert sorted(set(every)) == sorted(every)
    assert {case[0] for case in CASES} | {"estimation.costly"} == set(every)


def test_estimating_the_rates_of_a_huge_table_is_noted():
    (virtual,) = fine().table.services.values()
    keys = [parse_service_key(f"fwmark/{number}") for number in range(1, 10_002)]
    huge = replace(fine().table, services=dict.fromkeys(keys, virtual))
    on = fine(table=huge, host=sysctls(net__ipv4__vs__run_estimation="1"))
    assert "estimation.costly" in codes(on)
    assert "estimation.costly" not in codes(replace(on, host=HOST))


def test_the_worst_comes_first():
    facts = fine(clock_is_set=False, managers=("keepalived",), modules=frozenset())
    assert [finding.severity for finding in diagnose(facts)] == [*Severity]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(Facts(), id="nothing-is-known"),
        pytest.param(
            fine(
                GUE,
                modules=None,
                routes={ONE: Route(interface="eth1", mtu=9000)},
                host=replace(HOST, kernel=None),
            ),
            id="no-list-of-modules",
        ),
        pytest.param(fine(config(port=21), loaded=MODULES | {"ip_vs_ftp"}), id="ftp-is-helped"),
        pytest.param(fine(GUARDED, listeners=(SSH,)), id="a-guarded-vip"),
        pytest.param(
            fine(listeners=(Listener(IPProtocol.TCP, None, Port(80)),)), id="a-service-s-own-port"
        ),
        pytest.param(
            fine(listeners=(Listener(IPProtocol.TCP, LAN.address, Port(22)),)), id="another-address"
        ),
        pytest.param(
            fine(listeners=(Listener(IPProtocol.TCP, ip_address("::"), Port(22)),)),
            id="another-family",
        ),
        pytest.param(
            fine(config=None, owned=Owned(services=frozenset({parse_service_key(SERVICE)}))),
            id="ours-without-a-configuration",
        ),
        pytest.param(fine(answers={ONE_PLACE: "aa"}), id="a-server-that-answers-for-itself"),
        pytest.param(
            fine(ONE_ARM, host=sysctls(net__ipv4__conf__eth1__send_redirects="0")),
            id="no-redirects",
        ),
        pytest.param(fine(state=state(newest=900.0, free=2**40)), id="a-state-directory-in-order"),
    ],
)
def test_what_is_as_it_should_be_is_no_finding(facts):
    assert codes(facts) - {"gateway.own_requests"} == set()


def test_a_fwmark_service_and_a_service_of_both_families_are_looked_at_too():
    both = loads(
        f"{{version: 1, services: [{{name: mark, vip: {VIP}, fwmark: 9, source_nat: auto, scheduler: rr,"
        f" servers: [{{address: {ONE}}}, {{address: 10.0.0.6, disabled: yes}}]}}, {{name: more, vip: {VIP}, port: 21, scheduler: rr,"
        f" source_nat: auto, servers: [{{address: {ONE}}}]}}]}}"
    )
    assert codes(fine(both, listeners=(SSH,))) == {"vip.exposed", "ftp_helper.missing"}


def test_long_lists_are_cut():
    assert some(list("abcde")) == "a, b, c, and 2 more"


def test_the_reference_page_is_fresh():
    path = ROOT / "docs/reference/doctor.md"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text())
    assert path.read_text() == text()


def test_every_finding_has_its_fault_and_its_mend_on_a_real_kernel():
    """Each code stands in a test of its own there, or by a name that the test uses."""
    module = ast.parse((ROOT / "netns_tests" / "test_doctor.py").read_text())
    tests = [one for one in module.body if getattr(one, "name", "").startswith("test_")]
    names = {
        getattr(name, "id", ""): text
        for assigned in module.body
        if isinstance(assigned, ast.Assign) and isinstance(assigned.targets[0], ast.Tuple)
        for name, text in zip(
            assigned.targets[0].elts, ast.literal_eval(assigned.value), strict=True
        )
    }
    words = [word for test in tests for word in ast.walk(test)]
    tried = {word.value for word in words if isinstance(word, ast.Constant)}
    tried |= {names.get(word.id) for word in words if isinstance(word, ast.Name)}
    assert [rule.kind.code for rule in RULES if rule.kind.code not in tried] == []


def test_every_finding_is_explained():
    assert {rule.kind.code for rule in RULES} == ABOUT.keys()
