"""What every command has in common: help, errors, exit codes, and being interrupted."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ipvs_lb import errors
from ipvs_lb.cli.program import program
from tests.cli.conftest import WEB, Box

COMMANDS = [
    [name, *inner]
    for name, command in program.commands.items()
    for inner in ([[sub] for sub in command.commands] if isinstance(command, click.Group) else [[]])
]


def all_errors(cls: type[errors.LBError] = errors.LBError) -> list[type[errors.LBError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in all_errors(sub))]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_examples(box: Box, command: list[str]) -> None:
    result = box.run(*command, "--help")
    assert result.exit_code == 0
    examples = result.output.split("Examples:\n")[1]
    assert examples.lstrip().startswith(f"ipvs-lb {' '.join(command)}")


def test_the_help_of_all_names_the_exit_codes(box: Box) -> None:
    assert "3  the plan has changes" in box.run("--help").output


def test_every_command_documents_its_options(box: Box) -> None:
    for command in program.commands.values():
        assert command.get_short_help_str()
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, option.name


@pytest.mark.parametrize("text", ["", "services: [}"])
def test_a_config_that_cannot_be_read_exits_with_2_and_a_place(box: Box, text: str) -> None:
    box.config(text)
    for command in ("validate", "plan", "apply"):
        result = box.run(command, "-c", "lb.yaml")
        assert result.exit_code == 2
        assert result.stderr.startswith("lb.yaml:1:")
        assert result.stdout == ""


def test_all_problems_of_a_config_are_told_a_line_each(box: Box) -> None:
    box.config(WEB.replace("scheduler", "sheduler").replace("10.0.0.4", "10.0.0.444"))
    result = box.run("validate", "-c", "lb.yaml")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    told = box.run("validate", "lb.yaml", "--output", "json")
    assert len(json.loads(told.stderr)["error"]["problems"]) == 2


def test_a_right_config_is_told_with_its_size(box: Box) -> None:
    result = box.run("validate", "-c", "lb.yaml")
    assert (result.exit_code, result.stdout) == (0, "lb.yaml: ok, 2 services, 2 servers\n")
    told = json.loads(box.run("validate", "lb.yaml", "--output", "json").stdout)
    assert (told["ok"], told["service_count"], told["server_count"]) == (True, 2, 2)


def test_the_config_is_named_by_the_environment_too(box: Box) -> None:
    result = box.run("validate", IPVS_LB_CONFIG="lb.yaml")
    assert result.stdout.startswith("lb.yaml: ok")


def test_an_unknown_option_exits_with_2(box: Box) -> None:
    result = box.run("plan", "--forse")
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_the_schema_is_json(box: Box) -> None:
    result = box.run("schema")
    assert result.exit_code == 0
    assert "$schema" in json.loads(result.stdout)


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("output", ["text", "json"])
def test_every_error_becomes_a_message_a_hint_and_its_exit_code(
    box: Box, monkeypatch: pytest.MonkeyPatch, kind: type[errors.LBError], output: str
) -> None:
    error = kind.__new__(kind)
    errors.LBError.__init__(error, "no can do", hint="try harder")
    if isinstance(error, errors.ConfigError):
        error.problems = ("no can do",)

    def fail() -> None:
        raise error

    monkeypatch.setattr(box.kernel, "read", fail)
    result = box.run("plan", "-c", "lb.yaml", "--output", output)
    assert result.exit_code == kind.exit_code
    if output == "json":
        told = json.loads(result.stderr)["error"]
        assert (told["message"], told["hint"]) == ("no can do", "try harder")
        assert (told["kind"], told["exit_code"]) == (kind.__name__, kind.exit_code)
    else:
        assert result.stderr.splitlines()[-2].endswith("no can do")
        assert result.stderr.splitlines()[-1] == "hint: try harder"
    assert "Traceback" not in result.output


def test_a_bug_is_not_hidden(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise AssertionError("a bug")

    monkeypatch.setattr(box.kernel, "read", fail)
    result = box.run("plan", "-c", "lb.yaml")
    assert isinstance(result.exception, AssertionError)


def test_an_interruption_exits_with_130(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(box.kernel, "read", interrupt)
    result = box.run("plan", "-c", "lb.yaml")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


SLOW = """
import signal, sys, time
from contextlib import contextmanager
from ipvs_lb.cli.environment import Environment
from ipvs_lb.cli.program import program

@contextmanager
def slow(state_dir):
    print("started", flush=True)
    time.sleep(30)
    yield

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs in the background has it ignored
program(sys.argv[1:], obj=Environment(open_gateway=slow), prog_name="ipvs-lb")
"""


def test_ctrl_c_on_a_real_process_leaves_no_traceback(box: Box) -> None:
    command = [sys.executable, "-c", SLOW, "export"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=40)
    assert child.returncode == 130
    assert told == b"interrupted\n"


def test_a_reader_that_goes_away_leaves_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "ipvs_lb", "schema"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            check=False,
            timeout=30,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_the_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom ipvs_lb.cli.program import program\n"
        "try:\n    program(['--help'], prog_name='ipvs-lb')\nexcept SystemExit:\n    pass\n"
        "heavy = {'yaml', 'pydantic', 'pyroute2', 'rich', 'requests', 'sqlite3', 'asyncio', 'structlog', 'scapy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=30
    )
    assert done.stderr == "[]\n"


def test_the_lab_guest_passes_the_command_and_its_status_on(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPVS_LB_GUEST", "nowhere")
    result = box.run("lab", "guest", "--", "ipvsadm", "-Ln")
    assert result.exit_code == 1
    assert "guest 'nowhere' is none of host, uml, qemu" in result.stderr


def test_completion_knows_the_commands(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from ipvs_lb.cli import main; main()"],
        env={
            **os.environ,
            "_IPVS_LB_COMPLETE": "bash_complete",
            "COMP_WORDS": "ipvs-lb r",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=tmp_path,
    )
    assert "rollback" in done.stdout
