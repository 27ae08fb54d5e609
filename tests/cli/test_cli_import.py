"""`ipvs-lb import`: what is written where, and the exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from click.testing import CliRunner

from ipvs_lb.cli.program import program
from ipvs_lb.config import loads
from tests.cli.test_cli_reference import REFERENCE, words

WHOLE = """\
virtual_server 10.0.0.16 80 {
    protocol TCP
    real_server 10.0.0.4 80 {
    }
}
"""
PARTLY = WHOLE + "vrrp_instance a {\n}\n"


def test_the_configuration_goes_to_standard_output_and_the_report_to_standard_error(box):
    (box.folder / "k.conf").write_text(PARTLY)
    result = box.run("import", "k.conf")
    assert result.exit_code == 5
    assert [service.name for service in loads(result.stdout).services] == ["tcp-10.0.0.16:80"]
    first, last = result.stderr.splitlines()
    assert first.startswith("k.conf:6: left out: vrrp_instance a: ")
    assert last == "k.conf (keepalived): 1 service, 1 server; 1 left out, 0 changed, 0 unneeded"


def test_an_imported_configuration_is_validated_and_applied_as_it_is(box):
    (box.folder / "k.conf").write_text(WHOLE)
    result = box.run("import", "k.conf", "-o", "lb.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert box.run("validate", "lb.yaml").exit_code == 0
    assert box.run("apply", "-c", "lb.yaml").exit_code == 0
    assert [str(key) for key in box.kernel.read().services] == ["tcp/10.0.0.16:80"]


def test_the_report_as_json_has_the_configuration_or_says_where_it_is(box):
    (box.folder / "k.conf").write_text(PARTLY)
    result = box.run("import", "k.conf", "--output", "json")
    report = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (5, "")
    assert (report["schema"], report["from"], report["written"]) == (
        "ipvs_lb/import/1",
        "keepalived",
        None,
    )
    assert len(loads(report["config"]).services) == report["service_count"] == 1
    (left,) = report["left_out"]
    assert (left["file"], left["line"], left["place"]) == ("k.conf", 6, "k.conf:6")
    assert left["todo"].startswith("keep keepalived for it")
    written = json.loads(box.run("import", "k.conf", "--output", "json", "-o", "x.yaml").stdout)
    assert (written["config"], written["written"]) == (None, "x.yaml")
    described = (REFERENCE / "json.md").read_text()
    assert [name for name in [*words(report), report["schema"]] if name not in described] == []


def test_standard_input_is_a_file_too(box):
    runner = CliRunner()
    result = runner.invoke(program, ["import", "-"], input="-A -t 10.0.0.16:80 -s rr\n")
    assert result.exit_code == 0
    assert "-:1: tcp/10.0.0.16:80" in result.stdout


def test_what_looks_like_nothing_known_is_asked_about(box):
    result = box.run("import", "lb.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "lb.yaml looks like none of keepalived, ldirectord, ipvsadm, ipvsctl" in result.stderr
    assert "--from" in result.stderr
    assert box.run("import", "lb.yaml", "--from", "keepalived").exit_code == 5


def test_a_file_that_is_not_there_changes_nothing(box):
    before = Path(box.folder, "lb.yaml").read_text()
    result = box.run("import", "gone.conf", "-o", "lb.yaml")
    assert result.exit_code == 1
    assert "cannot read gone.conf" in result.stderr
    assert Path(box.folder, "lb.yaml").read_text() == before


def test_lines_are_for_the_machine_that_is_named(box):
    (box.folder / "k.conf").write_text(
        WHOLE.replace("    protocol", "    @spare lb_algo rr\n    protocol")
    )
    assert "scheduler: rr" in box.run("import", "k.conf", "--config-id", "spare").stdout
    own = os.uname().nodename.partition(".")[0]
    assert f"config-id is {own}" in box.run("import", "k.conf").stderr
