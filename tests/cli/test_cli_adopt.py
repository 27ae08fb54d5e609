"""`ipvs-lb adopt`: a table that somebody else made becomes ours as it is."""

from __future__ import annotations

import json

import pytest

from ipvs_lb import loads
from ipvs_lb.ipvsadm.rules import Rule, read_rules
from ipvs_lb.plan import plan
from ipvs_lb.policy import effective
from tests.cli.conftest import WEB, Box

RULES = """\
-A -t 10.0.0.16:80 -s wrr -p 300
-a -t 10.0.0.16:80 -r 10.0.0.4:80 -m -w 3
-A -t 10.0.0.16:443 -s rr
-A -t 10.0.0.16:22 -s rr
-A -u 10.0.0.16:53 -s rr
-A -u 10.0.0.16:123 -s rr
-A -f 7 -s rr
"""


@pytest.fixture
def foreign(box: Box) -> Box:
    """A gateway with services that ipvsadm made."""
    box.kernel.execute([rule.command for rule in read_rules(RULES) if isinstance(rule, Rule)])
    box.kernel.executed.clear()
    return box


def test_what_is_adopted_is_ours_and_the_kernel_is_not_touched(foreign: Box) -> None:
    result = foreign.run("adopt", "-o", "live.yaml")
    assert result.exit_code == 0
    assert result.stdout == ("Written: live.yaml\nNothing to do.\nRecorded: generation 1.\n")
    assert foreign.kernel.executed == []
    assert foreign.store.owned().services == foreign.kernel.table.services.keys()
    assert foreign.run("plan", "-c", "live.yaml").exit_code == 0


def test_what_was_written_and_done_is_json_for_programs(foreign: Box) -> None:
    result = foreign.run("adopt", "-o", "live.yaml", "--output", "json")
    told = json.loads(result.stdout)
    assert (told["schema"], told["written"]) == ("ipvs_lb/apply/1", "live.yaml")
    assert told["generation"]["generation"] == 1
    assert told["plan"]["steps"] == []


def test_the_configuration_suggests_a_check_that_goes_with_each_service(foreign: Box) -> None:
    foreign.run("adopt", "-o", "live.yaml")
    text = (foreign.folder / "live.yaml").read_text()
    checks = [line for line in text.splitlines() if line.startswith("    # health_check: ")]
    assert [line.partition("{")[2].partition(", interval")[0] for line in checks] == [
        "type: http, path: /",
        "type: https, path: /",
        "type: tcp",
        "type: dns, name: example.org",
        "type: ping",
        "type: tcp, port: 80",
    ]
    with_checks = loads(text.replace("    # health_check:", "    health_check:"))
    assert plan(foreign.kernel.table, effective(with_checks)) == ()


def test_a_file_that_is_there_is_replaced_on_demand_only(foreign: Box) -> None:
    before = (foreign.folder / "lb.yaml").read_text()
    refused = foreign.run("adopt", "-o", "lb.yaml")
    assert (refused.exit_code, refused.stderr.splitlines()[0]) == (
        2,
        "error: lb.yaml is there already",
    )
    assert (foreign.folder / "lb.yaml").read_text() == before
    assert foreign.store.owned().services == frozenset()
    assert foreign.run("adopt", "--replace", IPVS_LB_CONFIG="lb.yaml").exit_code == 0


def test_an_empty_table_is_nothing_to_adopt(box: Box) -> None:
    result = box.run("adopt", "-o", "live.yaml")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: there is nothing to adopt: the kernel has no virtual service\n",
    )


def test_what_would_change_something_is_refused_and_nothing_is_written(box: Box) -> None:
    """An earlier apply restricts the clients, which an adopted configuration would not."""
    box.config(WEB + "    allow: [192.0.2.0/24]\n")
    assert box.run("apply", "-c", "lb.yaml").exit_code == 0
    before = box.kernel.table
    box.host.executed.clear()
    result = box.run("adopt", "-o", "live.yaml")
    assert result.exit_code == 2, result.stdout
    assert "adopting would change what is there, first: " in result.stderr
    assert not (box.folder / "live.yaml").exists()
    assert (box.kernel.table, box.host.executed) == (before, [])
