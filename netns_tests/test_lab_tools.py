"""Labs for people and for their tests: the examples for CI do what they say, word for word."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import yaml
from click.testing import CliRunner

from ipvs_lb.cli.program import program

EXAMPLE = Path("config/ci")


def test_the_workflow_for_ci_plays_its_scenario_and_runs_its_tests(tmp_path):
    """Its own commands, in a repository that is only the example; slack for slow machines is all that is added."""
    place = shutil.copytree(EXAMPLE, tmp_path / "repository")
    workflow = yaml.safe_load((place / "github-workflow.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["lab"]["steps"] if "run" in step]
    _install, scenario, tests = (command.removeprefix("sudo ") for command in commands)
    for command in (scenario.replace("lab test", "lab test --slack 20"), tests):
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=place,
            env={**os.environ, "PYTEST_ADDOPTS": "-o ipvs_lb_lab_slack=20"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    played = Xml.parse(place / "scenarios.xml").getroot()
    assert {case.get("name") for case in played.iter("testcase")} >= {
        "then: expect web-1 out within 4s"
    }
    tested = {case.get("name") for case in Xml.parse(place / "pytest.xml").iter("testcase")}
    written = (place / "lab" / "test_failover.py").read_text()
    assert tested == set(re.findall(r"def (test_\w+)", written))


def lab(*words):
    ran = CliRunner().invoke(program, ["lab", *words])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def holders():
    """The processes of labs that are up, and of what runs in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"ipvs_lb.standing.holder" in words or b"1234567" in words:
            found.append(int(path.parent.name))
    return found


def until_gone():
    for _ in range(100):
        if not holders():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def taken_down():
    yield
    lab("down", "--all")


def test_a_lab_that_is_up_is_entered_broken_and_taken_down(taken_down):
    checks = [f"--check={one}" for one in ("interval=1s", "fast_interval=1s", "timeout=900ms")]
    lab("up", "-c", "config/ci/lb.yaml", "--slack", "20", *checks, "--check=rise=1")
    places = [f"expect {server} in within 5s" for server in ("web-1", "web-2")]
    lab("do", *places, "stop web-1", "expect web-1 out within 5s")
    assert lab("exec", "client", "curl", "-s", "http://10.0.0.16/") == "web-2\n"
    words = ["lab", "exec", "10.0.0.6", "sh", "-c", "cat; echo bad >&2; exit 7"]
    echo = [sys.executable, "-m", "ipvs_lb", *words]
    ran = subprocess.run(echo, input="so\n", capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "so\n", "bad\n")
    asked = json.loads(lab("exec", "gateway", "ipvs-lb", "status", "--output", "json"))
    states = {one["name"]: one["state"] for one in asked["services"][0]["servers"]}
    assert states == {"web-1": "down", "web-2": "up"}
    (status,) = json.loads(lab("status", "--output", "json"))["labs"]
    hosts = {host["name"]: host for host in status["hosts"]}
    assert hosts["web-1"]["condition"] == "stopped"
    assert hosts["web-2"]["addresses"] == ["eth0 10.0.0.6/24"]
    lab("exec", "client", "sh", "-c", "sleep 1234567 >/dev/null 2>&1 &")
    assert len(holders()) > 1
    lab("down")
    assert until_gone()
    assert "was not up" in lab("down")


def test_a_lab_whose_holder_is_killed_leaves_nothing(taken_down):
    lab("up", "-c", "config/ci/lb.yaml", "--name", "doomed")
    lab("exec", "--name", "doomed", "client", "sh", "-c", "sleep 1234567 >/dev/null 2>&1 &")
    (status,) = json.loads(lab("status", "--output", "json"))["labs"]
    os.kill(status["process"], signal.SIGKILL)
    assert until_gone()
    assert json.loads(lab("status", "--output", "json"))["labs"] == []
    assert not list(Path("/run/netns").glob("*web-1*"))
    assert not list(Path("/run/ipvs-lb-lab").iterdir())
