"""`ipvs-lb doctor` as people and programs see it."""

import json

import pytest
from click.testing import CliRunner

from ipvs_lb.cli.environment import Environment
from ipvs_lb.cli.program import program
from ipvs_lb.doctor import Facts, StateDirectory
from tests.cli.conftest import WEB

WRITABLE = StateDirectory(path="/state", others_write=True)
WARNING = """\
warning state.writable: others may write to /state
    Whoever writes there decides what is taken for ours.
    mend: chmod go-w /state
    more: docs/reference/doctor.md#statewritable
1 warning
"""


class Gateway:
    """A gateway with these facts, and what was asked of it."""

    def __init__(self, folder, **facts):
        self.folder = folder
        self.facts = facts
        self.asked = []

    def examine(self, patient):
        self.asked.append(patient)
        return Facts(**self.facts)

    def doctor(self, *arguments):
        runner = CliRunner(env={"IPVS_LB_SOCKET": str(self.folder / "none.sock")})
        return runner.invoke(program, ["doctor", *arguments], obj=Environment(examine=self.examine))


@pytest.mark.parametrize(
    ("facts", "said", "code"),
    [
        pytest.param({}, "nothing is wrong\n", 0, id="fine"),
        pytest.param({"state": WRITABLE}, WARNING, 6, id="warning"),
        pytest.param({"clock_is_set": False}, "1 note\n", 0, id="note"),
        pytest.param(
            {"ipvs_error": ("no IPVS", "x"), "state": WRITABLE},
            "1 error, 1 warning\n",
            7,
            id="error",
        ),
    ],
)
def test_findings_are_told_and_the_worst_is_the_exit_code(tmp_path, facts, said, code):
    done = Gateway(tmp_path, **facts).doctor()
    assert done.output.endswith(said)
    assert done.exit_code == code


def test_for_a_program(tmp_path):
    done = Gateway(tmp_path, state=WRITABLE).doctor("--output", "json")
    assert json.loads(done.stdout) == {
        "schema": "ipvs_lb/doctor/1",
        "findings": [
            {
                "severity": "warning",
                "code": "state.writable",
                "what": "others may write to /state",
                "effect": "Whoever writes there decides what is taken for ours.",
                "mend": "chmod go-w /state",
                "documented": "docs/reference/doctor.md#statewritable",
            }
        ],
    }


def test_the_configuration_that_is_named_is_looked_at_and_the_links_only_on_request(tmp_path):
    path = tmp_path / "lb.yaml"
    path.write_text(WEB)
    gateway = Gateway(tmp_path)
    gateway.doctor("-c", str(path))
    gateway.doctor("-c", str(path), "--probe")
    quiet, probing = gateway.asked
    assert [one.name for one in quiet.config.services] == ["web"]
    assert (quiet.probe, probing.probe) == (False, True)
    assert not quiet.daemon.running


def test_a_configuration_that_is_refused_is_told_as_by_every_command(tmp_path):
    path = tmp_path / "lb.yaml"
    path.write_text("version: 1\nservices: [{}]\n")
    gateway = Gateway(tmp_path)
    assert gateway.doctor("-c", str(path)).exit_code == 2
    assert gateway.asked == []
