"""A page of metrics: what stands on it, that Prometheus' own tools read it, and that it is made in pieces."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ipvs_lb import __version__
from ipvs_lb.api.states import State
from ipvs_lb.errors import KernelError
from ipvs_lb.events import Level, Ring
from ipvs_lb.metrics.counts import Counts
from ipvs_lb.metrics.families import FAMILIES
from ipvs_lb.metrics.kernel import parse
from ipvs_lb.metrics.page import _OF, BATCH, page
from ipvs_lb.metrics.text import Family, Kind
from ipvs_lb.model.activity import Activity, Distribution, ProbeActivity
from ipvs_lb.model.hooks import Exec, Hook
from ipvs_lb.model.metrics import MetricsSettings
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.overrides import Action, Override
from tests.fake_control import START, FakeControl, many, member
from tests.metrics.world import TABLE, TOTALS, promtool, reading, series, text, value

WEB = {"service": "web", "virtual_service": "tcp/10.0.0.16:80"}
ONE = {**WEB, "server": "server-1", "address": "10.0.0.4:80"}


def busy() -> tuple[FakeControl, Counts]:
    """A gateway in which everything that can be counted has happened."""
    control = FakeControl().everything_up().fail("10.0.0.4")
    hooks = (Hook(name="pager", events=frozenset({"server.up"}), action=Exec(command=("/x",))),)
    control.config = replace(control.config, hooks=hooks)
    key = next(iter(control.layouts))
    control.overrides[member(key, "10.0.0.6", 80)] = Override(action=Action.DRAIN, since=START)
    control._decide()
    control.activity = Activity(
        probes={
            "http": ProbeActivity(
                durations=Distribution(bounds=(0.1, 1.0), counts=(5, 2, 1), total=3.5),
                results={None: 7, ErrorClass.STATUS: 1},
            )
        },
        comparisons=Distribution(bounds=(0.1, 1.0), counts=(9, 1, 0), total=0.5),
        kernel_failures=3,
        host_failures=2,
    )
    counts = Counts()
    control.subscribe(counts.told)
    control.tell("daemon.started")
    control.tell("server.down", Level.WARNING, service=str(key), server="10.0.0.4:80")
    control.tell("plan.applied", commands=4)
    control.tell("hook.failed", Level.WARNING, hook="pager", calls=3)
    control.tell("drift.repaired", Level.WARNING)
    control.tell("config.refused", Level.ERROR)
    return control, counts


async def test_every_family_is_there_with_its_type_meaning_and_labels():
    control, counts = busy()
    requests = {("native", "GET", "/v1/status", "200"): 2}
    refused = {("native", "slow"): 1}
    said = await text(control, counts=counts, requests=requests, refused=refused)
    found = {family.name: family for family in text_string_to_metric_families(said)}
    for family in FAMILIES:
        name = family.name.removesuffix("_total") if family.kind is Kind.COUNTER else family.name
        read = found.pop(name)
        assert (read.type, read.documentation) == (family.kind.value, family.meaning)
        labels = {frozenset(sample.labels) - {"le"} for sample in read.samples}
        assert labels == {frozenset(family.labels)}
    assert found == {}


async def test_promtool_finds_nothing_to_say_of_it():
    control, counts = busy()
    checked = promtool("check", "metrics", given=await text(control, counts=counts))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    wrong = promtool("check", "metrics", given="# TYPE some counter\nsome 1\n")
    assert wrong.returncode != 0


def test_what_is_shown_and_what_is_listed_are_the_same():
    assert tuple(family for family, _ in _OF) == FAMILIES
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


async def test_health_of_servers_and_services():
    control, counts = busy()
    said = await text(control, counts=counts)
    assert value(said, "ipvs_lb_server_up", **ONE) == 0
    assert value(said, "ipvs_lb_server_state", **ONE, state="down") == 1
    two = {**WEB, "server": "server-2", "address": "10.0.0.6:80"}
    assert value(said, "ipvs_lb_server_state", **two, state="draining") == 1
    assert value(said, "ipvs_lb_service_up", **WEB) == 0
    assert value(
        said, "ipvs_lb_service_up", service="mail", virtual_service="tcp/[2001:db8::25]:25"
    )
    states = {
        dict(labels)["state"]: number
        for (name, labels), number in series(said).items()
        if name == "ipvs_lb_service_servers" and set(WEB.items()) <= labels
    }
    nobody = dict.fromkeys((str(state) for state in State if state is not State.FOREIGN), 0.0)
    assert states == {**nobody, "down": 1, "draining": 1}
    assert value(said, "ipvs_lb_service_transitions_total", **WEB, to="down") == 1
    assert value(said, "ipvs_lb_service_transitions_total", **WEB, to="up") == 0
    assert value(said, "ipvs_lb_overrides", action="drain") == 1
    assert value(said, "ipvs_lb_vip_up", vip="10.0.0.16") == 1


async def test_traffic_is_what_the_kernel_counts():
    control = FakeControl().everything_up()
    said = await text(control)
    assert value(said, "ipvs_lb_service_connections_total", **WEB) == 99
    assert value(said, "ipvs_lb_server_connections_total", **ONE) == 99


async def test_what_the_daemon_did_and_what_it_could_not_do():
    control, counts = busy()
    said = await text(control, counts=counts, requests={("native", "GET", "/v1/status", "200"): 2})
    for name, number in {
        "ipvs_lb_kernel_up": 1,
        "ipvs_lb_kernel_failures_total": 3,
        "ipvs_lb_host_failures_total": 2,
        "ipvs_lb_reconcile_last_success_timestamp_seconds": START,
        "ipvs_lb_reconcile_interval_seconds": 10,
        "ipvs_lb_reconcile_duration_seconds_count": 10,
        "ipvs_lb_config_generation": 7,
        "ipvs_lb_config_last_reload_successful": 1,
        "ipvs_lb_config_last_reload_success_timestamp_seconds": START,
        "ipvs_lb_probes": 5,
        "ipvs_lb_probe_users": 5,
        "ipvs_lb_plan_commands_sum": 4,
    }.items():
        assert value(said, name) == number, name
    assert value(said, "ipvs_lb_build_info", version=__version__, python_version=_python())
    assert value(said, "ipvs_lb_hook_calls_failed_total", hook="pager") == 3
    assert value(said, "ipvs_lb_drift_total", action="repaired") == 1
    assert value(said, "ipvs_lb_config_reloads_total", outcome="refused") == 1
    assert value(said, "ipvs_lb_events_total", event="config.refused", level="error") == 1
    assert value(said, "ipvs_lb_probe_results_total", check="http", result="passed") == 7
    assert value(said, "ipvs_lb_probe_results_total", check="http", result="status") == 1
    assert value(said, "ipvs_lb_probe_duration_seconds_bucket", check="http", le="1.0") == 7
    assert value(said, "ipvs_lb_probe_duration_seconds_bucket", check="http", le="+Inf") == 8
    asked = {"face": "native", "method": "GET", "route": "/v1/status", "code": "200"}
    assert value(said, "ipvs_lb_api_requests_total", **asked) == 2


def _python():
    import platform

    return platform.python_version()


async def test_a_refused_configuration_is_seen():
    control = FakeControl()
    control.config_error = ("lb.yaml:1:1: no",)
    assert value(await text(control), "ipvs_lb_config_last_reload_successful") == 0


async def test_a_kernel_that_cannot_be_asked_costs_its_own_series_only():
    control = FakeControl().everything_up()
    control.broken["kernel"] = KernelError("gone")
    said = await text(control)
    names = {name for name, _ in series(said)}
    assert value(said, "ipvs_lb_kernel_up") == 0
    assert "ipvs_lb_server_up" in names
    assert "ipvs_lb_service_connections_total" not in names


async def test_the_kernel_s_table_has_the_names_and_labels_of_node_exporter():
    said = await text(FakeControl())
    found = {key: number for key, number in series(said).items() if key[0].startswith("node_")}

    def row(*labels):
        names = (
            "local_address",
            "local_port",
            "remote_address",
            "remote_port",
            "proto",
            "local_mark",
        )
        return frozenset(zip(names, labels, strict=True))

    first = row("10.0.0.16", "80", "10.0.0.6", "80", "TCP", "")
    rows = {
        first: (5, 12, 3),
        row("10.0.0.16", "80", "10.0.0.4", "80", "TCP", ""): (1, 7, 0),
        row("2001:db8::25", "53", "2001:db8::4", "53", "UDP", ""): (1, 0, 2),
        row("10.0.0.16", "2905", "10.0.0.8", "2905", "SCTP", ""): (9, 1, 1),
        row("", "0", "10.0.0.4", "0", "FWM", "00000009"): (2, 0, 0),
    }
    wanted = {
        (name, labels): numbers[place]
        for labels, numbers in rows.items()
        for place, name in enumerate(
            (
                "node_ipvs_backend_weight",
                "node_ipvs_backend_connections_active",
                "node_ipvs_backend_connections_inactive",
            )
        )
    }
    totals = (
        "connections",
        "incoming_packets",
        "outgoing_packets",
        "incoming_bytes",
        "outgoing_bytes",
    )
    numbers = (0x1F, 0xA0, 0xB0, 0xC0DE, 0x1FFFFFFFFF)
    wanted |= {
        (f"node_ipvs_{name}_total", frozenset()): number
        for name, number in zip(totals, numbers, strict=True)
    }  # fmt: skip
    assert found == wanted


@pytest.mark.parametrize(
    ("table", "totals"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("TCP  0A00:0050 rr\n  -> 0A000004:0050 Masq 1 0 0\n", "a\nb\n1 2\n", id="cut-off"),
        pytest.param("  -> 0A000004:0050 Masq 1 0 0\n", "a\nb\nx 2 3 4 5\n", id="of-no-service"),
        pytest.param("TCP  0A000010:0050 rr\n  -> 0A000004:0050 Masq x 0 0\n", "a\n", id="no-number"),
        pytest.param("TCP  0A000010:0050 rr\n  -> 0A000004:0050 Masq\n\n", "", id="too-short"),
    ],
)  # fmt: skip
def test_a_kernel_table_that_is_not_whole_has_no_rows_that_are_wrong(table, totals):
    read = parse(table, totals)
    assert (read.rows, read.totals) == ({}, ())


def test_a_row_that_the_kernel_shows_twice_is_one_series():
    assert len(parse(TABLE + TABLE, TOTALS).rows) == 5


async def test_servers_and_the_kernel_s_table_can_be_left_out():
    control = FakeControl().everything_up()
    without = {
        name for name, _ in series(await text(control, settings=MetricsSettings(servers=False)))
    }
    assert not {family.name for family in FAMILIES if family.of_server} & without
    assert "ipvs_lb_service_servers" in without
    assert "node_ipvs_connections_total" in without
    said = await text(control, settings=MetricsSettings(kernel=False))
    assert not [name for name, _ in series(said) if name.startswith("node_")]
    assert "ipvs_lb_server_up" in said


async def test_a_big_page_is_made_in_pieces_of_one_service_or_a_few_rows():
    control = FakeControl(config=many(200, 20)).everything_up()
    rows = "".join(f"  -> 0A{n:06X}:0050 Masq 1 0 0\n" for n in range(4000))
    read = await reading(control, table=parse(f"TCP 0A000010:0050 rr\n{rows}", TOTALS))
    pieces = list(page(read))
    assert len(pieces) > 200 * 12
    assert max(piece.count(b"\n") for piece in pieces) <= BATCH + 2
    assert len(series(b"".join(pieces).decode())) > 4000 * 9


@given(st.text(), st.floats(allow_nan=False))
def test_any_text_can_be_a_label(label, number):
    family = Family(name="some_total", kind=Kind.GAUGE, meaning="a\\b\nc", labels=("one", "two"))
    said = family.head + family.line(number, label, "x")
    (read,) = text_string_to_metric_families(said.replace("\r", "\\r"))
    (sample,) = read.samples
    assert sample.labels == {"one": label.replace("\r", "\\r"), "two": "x"}
    assert sample.value == number
    assert read.documentation == "a\\b\nc"


def test_what_belongs_to_nobody_any_more_is_forgotten():
    counts, ring = Counts(), Ring()
    for event in (
        ring.add("server.up", 1.0, Level.INFO, service="a"),
        ring.add("server.up", 1.0, Level.INFO, service="b"),
        ring.add("hook.failed", 1.0, Level.WARNING, hook="h", calls=2),
        ring.add("hook.failed", 1.0, Level.WARNING, hook="i", calls=2),
    ):
        counts.told(event)
    counts.keep({"a"}, {"i"})
    assert counts.transitions == {("a", "up"): 1}
    assert counts.hook_failures == {"i": 2}
    assert counts.times("server.up") == 2
