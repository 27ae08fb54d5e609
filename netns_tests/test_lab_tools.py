"""Labs for people and for their tests: the examples for CI do what they say, word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as Xml

import yaml

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
