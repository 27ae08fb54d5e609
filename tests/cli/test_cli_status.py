"""`ipvs-lb status` and `export`: what is in the kernel now."""

import json
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from ipvs_lb import load
from ipvs_lb.model.counters import Counters, ServerCounters
from ipvs_lb.model.desired import Owned
from ipvs_lb.model.identity import AddressKey, IPProtocol, Port, ServerKey
from ipvs_lb.model.settings import (
    Persistence,
    PrefixLength,
    Server,
    Service,
    SyncDaemon,
    SyncRole,
    Timeouts,
)
from ipvs_lb.model.table import ServiceStatistics, Table, VirtualService
from ipvs_lb.policy import all_layouts, datapath
from ipvs_lb.serial import table_from_json
from tests.cli.conftest import WEB, Box

Golden = Callable[[str, str], None]

WEB_80, DNS = (
    AddressKey(protocol, ip_address(address), Port(port))
    for protocol, address, port in (
        (IPProtocol.TCP, "10.0.0.16", 80),
        (IPProtocol.UDP, "2001:db8::16", 53),
    )
)


@pytest.fixture
def busy(box: Box) -> Box:
    """The walkthrough in force, with traffic, beside somebody else's service."""
    box.run("apply", "-c", "lb.yaml")
    foreign = VirtualService(
        Service(scheduler="wlc", persistence=Persistence(300, PrefixLength(64)), one_packet=True),
        {ServerKey(ip_address("2001:db8:0:1::1234"), Port(53)): Server(weight=0)},
    )
    box.kernel.table = Table(
        {**box.kernel.table.services, DNS: foreign},
        Timeouts(tcp=900, tcp_fin=120, udp=300),
        {SyncRole.MASTER: SyncDaemon(role=SyncRole.MASTER, interface="eth0", sync_id=3)},
    )
    traffic = Counters(connections=9, connection_rate=12, in_byte_rate=3456, out_byte_rate=98765)
    server = ServerKey(ip_address("10.0.0.4"), Port(80))
    box.kernel.counters = {
        WEB_80: ServiceStatistics(
            traffic, {server: ServerCounters(active=1234, inactive=56, traffic=traffic)}
        )
    }
    return box


def test_the_status_for_a_person(busy: Box, golden: Golden) -> None:
    result = busy.run("status", "-c", "lb.yaml")
    assert result.exit_code == 0
    golden("status.txt", result.output)


def test_the_status_for_a_program(busy: Box, golden: Golden) -> None:
    result = busy.run("status", "-c", "lb.yaml", "--output", "json")
    assert result.exit_code == 0
    golden("status.json", result.stdout.replace(str(busy.folder), "/etc/ipvs-lb"))


def test_the_status_fits_80_columns(busy: Box) -> None:
    lines = busy.run("status", "-c", "lb.yaml").stdout.splitlines()
    assert max(map(len, lines)) <= 80


def test_an_empty_kernel_says_so(box: Box) -> None:
    result = box.run("status")
    assert result.exit_code == 0
    assert result.stdout.startswith("No virtual services in this kernel.\n")


def test_the_status_needs_no_config(busy: Box) -> None:
    result = busy.run("status")
    assert result.exit_code == 0
    assert "[generation 1]" in result.stdout


def test_a_config_that_was_named_must_be_readable(busy: Box) -> None:
    busy.config("version: 1\nservices: 5\n")
    assert busy.run("status", "-c", "lb.yaml").exit_code == 2
    assert busy.run("status", IPVS_LB_CONFIG="nowhere.yaml").exit_code == 2


def test_what_an_interrupted_run_left_is_told(box: Box) -> None:
    box.kernel.table = Table({WEB_80: VirtualService(Service(scheduler="rr"))}, None, {})
    box.store.claim(Owned(frozenset({WEB_80})))
    told = box.run("status").stdout
    assert "[left by an interrupted run]" in told
    assert "no server" in told


def test_what_is_declared_but_not_applied_is_told(box: Box) -> None:
    box.kernel.table = Table({WEB_80: VirtualService(Service(scheduler="rr"))}, None, {})
    assert "[web, not applied yet]" in box.run("status", "-c", "lb.yaml").stdout


def test_the_table_is_exported_as_json(busy: Box) -> None:
    result = busy.run("export", "--format", "json")
    assert result.exit_code == 0
    assert table_from_json(json.loads(result.stdout)) == busy.kernel.table


def test_the_table_is_exported_as_ipvsadm_rules(busy: Box) -> None:
    lines = busy.run("export", "--format", "ipvsadm").stdout.splitlines()
    assert any(line.startswith("-A -t 10.0.0.16:80 -s rr") for line in lines)


def test_applying_the_exported_config_changes_nothing(box: Box) -> None:
    box.run("apply", "-c", "lb.yaml")
    before = box.kernel.table
    assert box.run("export", "-o", "live.yaml").exit_code == 0
    result = box.run("apply", "-c", "live.yaml")
    assert result.exit_code == 0
    assert box.kernel.table == before


def test_an_export_replaces_its_file_at_once(busy: Box) -> None:
    target = busy.folder / "table.json"
    target.write_text("old")
    result = busy.run("export", "--format", "json", "-o", "table.json")
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(target.read_text())["schema"] == "ipvs_lb/table/1"
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in busy.folder.glob(".table*")] == []


def test_an_export_to_nowhere_is_an_error(busy: Box) -> None:
    result = busy.run("export", "--format", "json", "-o", "none/table.json")
    assert result.exit_code == 1
    assert "none/table.json: No such file or directory" in result.stderr


def test_names_follow_the_config_file(busy: Box) -> None:
    busy.config(WEB.replace("server-1", "alpha"))
    assert "alpha" in busy.run("status", "-c", "lb.yaml").stdout


def test_services_that_the_daemon_keeps_for_its_probes_are_told_as_such(box: Box) -> None:
    check = "    health_check: {type: tcp, via: vip}\n    servers:\n"
    box.config(WEB.replace("    servers:\n", check))
    config = load(box.folder / "lb.yaml")
    laid = datapath(all_layouts(config), config.daemon.probe_marks).services
    box.kernel.table = Table(dict([next(iter(laid.items()))]))
    shown = json.loads(box.run("status", "-c", "lb.yaml", "--output", "json").stdout)
    (service,) = shown["services"]
    assert service["name"].startswith("probes of 10.0.0.")
    assert service["name"].endswith(" through tcp/10.0.0.16:80")
