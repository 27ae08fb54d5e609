"""config/prometheus and config/grafana: what they ask for exists, and alerts fire when they should and not before."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from ipvs_lb.metrics.families import FAMILIES
from ipvs_lb.metrics.text import Kind
from tests.commands import parse
from tests.metrics.world import promtool

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "config" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "config" / "grafana" / "ipvs-lb.json"
_NAME = re.compile(r"\b(?:ipvs_lb|node_ipvs|process)_\w+|\bup\b(?=\{job)")
_SELECTOR = re.compile(r"(\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|without) \(([^)]*)\)")
_TARGET = {"instance", "job"}


def rules():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if "targets" in panel]


def dashboard_queries():
    board = json.loads(DASHBOARD.read_text())
    yield from (
        (f"{p['title']} {target['refId']}", target["expr"])
        for p in panels()
        for target in p["targets"]
    )
    yield from ((one["name"], one["expr"]) for one in board["annotations"]["list"])
    yield from (
        (v["name"], v["definition"]) for v in board["templating"]["list"] if "definition" in v
    )


QUERIES = [*((rule["alert"], rule["expr"]) for rule in rules()), *dashboard_queries()]
LABELS = {"up": _TARGET}
for family in FAMILIES:
    if family.kind is Kind.HISTOGRAM:
        LABELS[f"{family.name}_bucket"] = {*family.labels, "le"}
        LABELS |= {f"{family.name}{end}": set(family.labels) for end in ("_sum", "_count")}
    else:
        LABELS[family.name] = set(family.labels)


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_asks_for_series_and_labels_that_exist(where, query):
    names = set(_NAME.findall(query))
    assert names
    assert names - LABELS.keys() == set()
    known = {*_TARGET}.union(*(LABELS[name] for name in names))
    for name, matchers in _SELECTOR.findall(query):
        assert set(_MATCHER.findall(matchers)) <= LABELS[name] | _TARGET
    for grouping in _GROUPING.findall(query):
        assert set(grouping.replace(" ", "").split(",")) <= known


def test_the_dashboard_s_queries_are_promql(tmp_path):
    plain = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", query)}
        for number, (_, query) in enumerate(dashboard_queries())
        if not query.startswith("label_values")
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": plain}]}))
    checked = promtool("check", "rules", "--lint=none", str(file))
    assert checked.returncode == 0, checked.stderr
    assert f"{len(plain)} rules found" in checked.stdout


def test_no_panel_lies_on_another_and_every_variable_is_one():
    board = json.loads(DASHBOARD.read_text())
    cells = [
        (x, y)
        for panel in board["panels"]
        if (grid := panel["gridPos"])
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    variables = {one["name"] for one in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text())) - {"__rate_interval", "__all"}
    assert used == variables


def test_every_alert_says_how_bad_it_is_and_what_to_type():
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        texts = rule["annotations"]
        assert texts["summary"][-1] != "."
        assert "`" in texts["description"], rule["alert"]
        known = {*_TARGET}.union(*(LABELS[name] for name in _NAME.findall(rule["expr"])))
        grouped = _GROUPING.findall(rule["expr"])
        kept = set(grouped[0].replace(" ", "").split(",")) if grouped else known
        shown = re.findall(r"\$labels\.(\w+)", texts["summary"] + texts["description"])
        assert set(shown) <= kept, rule["alert"]


def commands():
    told = " ".join(rule["annotations"]["description"] for rule in rules())
    named = set(re.findall(r"`(ipvs-lb [^`]+)`", told))
    return sorted(re.sub(r"\{\{.*?\}\}", "web", one) for one in named)


@pytest.mark.parametrize("line", commands())
def test_the_commands_of_the_alerts_exist(line):
    _, *words = shlex.split(line)
    parse(words)


SERVICE = 'service="web",virtual_service="tcp/10.0.0.16:80",instance="gw",job="ipvs-lb"'
GATEWAY = 'instance="gw",job="ipvs-lb"'
MINUTES = 45
# alert: series, values a minute apart when it has to fire, and when it must not
CASES = {
    "IpvsLbServiceDown": (f"ipvs_lb_service_up{{{SERVICE}}}", "0x45", "0 1x45"),
    "IpvsLbVipWithdrawn": (f'ipvs_lb_vip_up{{vip="10.0.0.16",{GATEWAY}}}', "0x45", "1x45"),
    "IpvsLbKernelUnavailable": (f"ipvs_lb_kernel_up{{{GATEWAY}}}", "0x45", "1x44 0"),
    "IpvsLbDown": (f"up{{{GATEWAY}}}", "0x45", "1x44 0"),
    "IpvsLbPanic": (f"ipvs_lb_service_panicking{{{SERVICE}}}", "1x45", "0x44 1"),
    "IpvsLbQuorumLost": (f"ipvs_lb_service_quorum_lost{{{SERVICE}}}", "1x45", "0x45"),
    "IpvsLbServersDown": (
        f'ipvs_lb_service_servers{{{SERVICE},state="down"}}',
        "1x45",
        "0x42 1x2",
    ),
    "IpvsLbOnBackupTier": (f"ipvs_lb_service_tier{{{SERVICE}}}", "1x45", "0x40 -1x4"),
    "IpvsLbFlapping": (
        f'ipvs_lb_service_transitions_total{{{SERVICE},to="down"}}',
        "0+1x45",
        "0+0.2x45",
    ),
    "IpvsLbConfigRefused": (f"ipvs_lb_config_last_reload_successful{{{GATEWAY}}}", "0x45", "1x45"),
    "IpvsLbDrift": (
        f'ipvs_lb_drift_total{{action="repaired",{GATEWAY}}}',
        "0x40 1x5",
        "3x45",
    ),
    "IpvsLbErrors": (f"ipvs_lb_kernel_failures_total{{{GATEWAY}}}", "0+1x45", "0x40 1x5"),
    "IpvsLbCannotProbe": (
        f'ipvs_lb_probe_results_total{{check="http",result="local",{GATEWAY}}}',
        "0+5x45",
        "0x40 5x5",
    ),
    "IpvsLbHookFailing": (
        f'ipvs_lb_hook_calls_failed_total{{hook="pager",{GATEWAY}}}',
        "0x40 1x5",
        "9x45",
    ),
}
OTHERS = {"IpvsLbNotReconciled", "IpvsLbStandingOrders"}


def case(name, series, minutes, fires, interval="1m"):
    expectation = {
        "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})',
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
    }
    return {
        "interval": interval,
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [expectation],
    }


def cases():
    for name, (series, firing, quiet) in CASES.items():
        yield case(name, {series: firing}, MINUTES, fires=True)
        yield case(name, {series: quiet}, MINUTES, fires=False)
    last = f"ipvs_lb_reconcile_last_success_timestamp_seconds{{{GATEWAY}}}"
    every = {f"ipvs_lb_reconcile_interval_seconds{{{GATEWAY}}}": "10x45"}
    yield case("IpvsLbNotReconciled", {**every, last: "600x45"}, MINUTES, fires=True)
    yield case("IpvsLbNotReconciled", {**every, last: "0+60x45"}, MINUTES, fires=False)
    orders = f'ipvs_lb_overrides{{action="drain",{GATEWAY}}}'
    yield case("IpvsLbStandingOrders", {orders: "1x400"}, 1500, fires=True, interval="4m")
    yield case("IpvsLbStandingOrders", {orders: "0x100 1x300"}, 1500, fires=False, interval="4m")


def test_alerts_fire_when_they_should_and_are_quiet_otherwise(tmp_path):
    assert {rule["alert"] for rule in rules()} == CASES.keys() | OTHERS
    written = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": list(cases())}
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(written))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_to_say_of_the_alerts():
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))
    assert checked.returncode == 0, checked.stdout + checked.stderr
