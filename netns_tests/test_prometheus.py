"""A real Prometheus beside a gateway at work: what dashboards and alerts ask is answered, and rightly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests
import yaml

from netns_tests import node_exporter
from netns_tests.balance import ONE, TWO, config, new_vip, new_vip_6, service
from netns_tests.daemon import IN, SLACK, Backend, eventually, running, seen, web
from netns_tests.launcher import Launcher

PROJECT = Path(__file__).parents[1]
OURS, PROMETHEUS = 9750, 9090
READ_EVERY = 1  # second

FOR_NODE_EXPORTER = (
    "node_ipvs_connections_total{S}",
    "node_ipvs_incoming_packets_total{S}",
    "node_ipvs_outgoing_packets_total{S}",
    "node_ipvs_incoming_bytes_total{S}",
    "node_ipvs_outgoing_bytes_total{S}",
    "node_ipvs_backend_weight{S}",
    'node_ipvs_backend_connections_active{S,local_port="8000",proto="TCP"}',
    "sum by (local_address, local_port, proto) (node_ipvs_backend_connections_active{S})",
    "sum by (remote_address) (node_ipvs_backend_connections_inactive{S})",
    "count by (local_address, local_port) (node_ipvs_backend_weight{S})",
    "count by (remote_address, remote_port) (node_ipvs_backend_weight{S} > 0)",
    "topk(1, sum by (local_address) (node_ipvs_backend_weight{S}))",
)
"""What dashboards and alerts that were made for node_exporter ask of its series; S is the choice of a job."""

RATES = (
    "rate(node_ipvs_connections_total{S}[20s])",
    "8 * irate(node_ipvs_incoming_bytes_total{S}[20s])",
    "irate(node_ipvs_outgoing_packets_total{S}[20s])",
)
"""Of these the values depend on when a page was read."""


class Prometheus:
    """The one on *host*, as Grafana asks it."""

    def __init__(self, host):
        self._host = host

    def is_ready(self):
        """Whether it takes questions."""
        return self._get("-/ready", {}).ok

    def ask(self, path, **parameters):
        """The data of an answer of its API."""
        answer = self._get(f"api/v1/{path}", parameters)
        answer.raise_for_status()
        return answer.json()["data"]

    def _get(self, path, parameters):
        address = f"http://127.0.0.1:{PROMETHEUS}/{path}"
        return self._host.call(requests.get, address, params=parameters, timeout=30)

    def query(self, expression):
        """Values by labels; those of the target are not among them."""
        found = {}
        for one in self.ask("query", query=expression)["result"]:
            labels = {k: v for k, v in one["metric"].items() if k not in {"job", "instance"}}
            found[frozenset(labels.items())] = float(one["value"][1])
        return found

    def firing(self):
        """The alerts that somebody would be called for, each with the service it is about."""
        alerts = self.ask("alerts")["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("service"))
            for one in alerts
            if one["state"] == "firing"
        }


@pytest.fixture(scope="module")
def backends(bench):
    return [Backend(host) for host in bench.servers]


@pytest.fixture(scope="module")
def daemon(bench, backends, tmp_path_factory):
    with running(
        bench, tmp_path_factory.mktemp("daemon"), Launcher(bench.gateway).start
    ) as started:
        vip, other, vip_6 = new_vip(), new_vip(), new_vip_6()
        udp = service(vip, TWO, name="dns", protocol="udp", ports=[53])
        declared = [
            web(vip, ONE, TWO, name="web"),
            web(other, ONE, name="shop"),
            service(vip_6, "2001:db8:2::4", name="six"),
            udp,
        ]
        metrics = {"address": "127.0.0.1", "port": OURS}
        started.balancer.write(config(*declared, metrics=metrics))
        started.api.post("/v1/reload")
        started.becomes(vip, {ONE: 1, TWO: 1}, IN + SLACK)
        started.becomes(other, {ONE: 1}, IN + SLACK)
        seen(bench.outsider, vip, 6)
        bench.seen(vip, 2, port=53, protocol="udp")
        yield started


@pytest.fixture(scope="module")
def prometheus(bench, daemon, tmp_path_factory) -> Iterator[Prometheus]:
    """It reads the daemon and a node_exporter, and has our alerts without their patience."""
    folder = tmp_path_factory.mktemp("prometheus")
    rules = yaml.safe_load((PROJECT / "config/prometheus/alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "0s"
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    every = f"{READ_EVERY}s"
    settings = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for name, port in {"ipvs-lb": OURS, "node": node_exporter.PORT}.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{PROMETHEUS}",
    ]
    with node_exporter.exporting(bench.gateway):
        program = bench.gateway.start(command, log=folder / "log")
        try:
            bench.gateway.wait_for_listener(PROMETHEUS, program)
            asked = Prometheus(bench.gateway)
            eventually(asked.is_ready, SLACK, "it is ready")
            up = {frozenset({("__name__", "up")}): 1.0}
            for job in ("ipvs-lb", "node"):
                expression = f'sum_over_time(up{{job="{job}"}}[1m]) >= 3'
                eventually(partial(asked.query, expression), SLACK, f"{job} was read")
                assert asked.query(f'up{{job="{job}"}}') == up
            yield asked
        finally:
            program.terminate()
            program.wait(10)


def of(job, expression):
    return expression.replace("{S", f'{{job="{job}"')


def test_what_is_asked_of_node_exporter_s_series_has_the_same_answer_from_ours(prometheus):
    def differing():
        answers = {
            expression: [prometheus.query(of(job, expression)) for job in ("node", "ipvs-lb")]
            for expression in FOR_NODE_EXPORTER
        }
        return {e: both for e, both in answers.items() if both[0] != both[1] or not both[0]}

    eventually(lambda: not differing(), SLACK, "Prometheus has read both since the last change")
    for expression in RATES:
        theirs, ours = (prometheus.query(of(job, expression)) for job in ("node", "ipvs-lb"))
        assert theirs.keys() == ours.keys() != set(), expression
    names = prometheus.ask(
        "label/local_address/values", **{"match[]": 'node_ipvs_backend_weight{job="ipvs-lb"}'}
    )
    assert len(names) == 3


def test_every_panel_and_choice_of_our_dashboard_has_data_and_a_service_that_is_down_calls_somebody(
    prometheus, backends, daemon, bench
):
    board = json.loads((PROJECT / "config/grafana/ipvs-lb.json").read_text())
    assert ("IpvsLbServiceDown", "shop") not in prometheus.firing()
    backends[0].status = 500
    try:
        eventually(
            lambda: ("IpvsLbServiceDown", "shop") in prometheus.firing(), SLACK, "it is told"
        )
        assert ("IpvsLbServiceDown", "web") not in prometheus.firing()
        for choice in board["templating"]["list"]:
            if choice["type"] == "query":
                assert chosen(prometheus, choice["query"]["query"]), choice["name"]
        expressions = [
            target["expr"] for panel in board["panels"] for target in panel.get("targets", ())
        ]
        assert len(expressions) > 30
        for expression in expressions:
            if "ipvs_lb_hook_" not in expression:  # there are no hooks here
                ask = partial(prometheus.query, as_grafana_asks(expression))
                eventually(ask, SLACK, expression)
    finally:
        backends[0].status = 200
    eventually(
        lambda: ("IpvsLbServiceDown", "shop") not in prometheus.firing(), SLACK, "it is over"
    )


def as_grafana_asks(expression):
    """*expression* with everything chosen."""
    values = {"$__rate_interval": "20s", "$instance": ".*", "$service": ".*", "$job": ".*"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def chosen(prometheus, query):
    """What can be chosen: `label_values(SELECTOR, LABEL)`."""
    selector, _, label = query.removeprefix("label_values(").removesuffix(")").rpartition(", ")
    return prometheus.ask(f"label/{label}/values", **{"match[]": as_grafana_asks(selector)})
