"""The pytest plugin costs nothing where it is not used, and a lab that cannot be had is a failure that says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("pydantic", "pyroute2", "click", "yaml", "ipvs_lb.scenario", "ipvs_lb.lab")
TESTS = """
import os

def test_without_a_configuration(ipvs_lb_lab):
    ipvs_lb_lab()

def test_without_a_kernel(ipvs_lb_lab):
    user = os.geteuid()
    try:
        os.seteuid(65534 if user == 0 else user)  # nobody but root has a lab
        ipvs_lb_lab("lb.yaml")
    finally:
        os.seteuid(user)
"""


def test_loading_it_imports_nothing_of_the_lab() -> None:
    program = "import sys, ipvs_lb.pytest_plugin; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(ran.stdout.split())
    assert "ipvs_lb.pytest_plugin" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_a_lab_that_cannot_be_had_fails_the_test_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    words = ["-p", "no:cacheprovider", "-q", "--tb=short", "test_it.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout
    assert "2 failed" in ran.stdout
    assert "one path as ipvs_lb_lab_config in pytest.ini" in ran.stdout
    assert "no lab here: this kernel has no IPVS for us, or we are not root" in ran.stdout
    assert "hint: ipvs-lb lab guest -- pytest" in ran.stdout
