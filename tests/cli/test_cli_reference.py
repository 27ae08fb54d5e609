"""The reference pages say what the program says."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from ipvs_lb.api.endpoints import ENDPOINTS
from ipvs_lb.api.openapi import openapi
from ipvs_lb.api.states import State
from ipvs_lb.cli import (
    change,
    doctor,
    importing,
    lab_by_hand,
    origins,
    plan_json,
    program,
    rollback,
    status_json,
    validate,
)
from ipvs_lb.overrides import Action
from ipvs_lb.policy import Rule
from ipvs_lb.scenario.record import LAB_TEST_SCHEMA
from ipvs_lb.serial import GENERATION_SCHEMA, TABLE_SCHEMA
from tests.cli.conftest import GOLDEN

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

INTRODUCTION = """\
# Command line

Made from `--help`; `UPDATE_GOLDEN=1 pytest tests/cli/test_cli_reference.py` writes it anew.
"""


def paths(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            yield from paths(sub, (*path, name))


def page() -> str:
    runner = CliRunner(
        env={"IPVS_LB_CONFIG": None, "IPVS_LB_STATE_DIR": None, "IPVS_LB_SOCKET": None}
    )
    sections = [INTRODUCTION]
    for path in paths(program.program):
        result = runner.invoke(
            program.program, [*path, "--help"], prog_name="ipvs-lb", terminal_width=100
        )
        title = " ".join(("ipvs-lb", *path))
        sections.append(f"## `{title}`\n\n```text\n{result.output.rstrip()}\n```\n")
    return "\n".join(sections)


def test_the_command_line_page_is_fresh() -> None:
    path = REFERENCE / "cli.md"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(page())
    assert path.read_text() == page()


def words(value: object) -> Iterator[str]:
    """Every member name in *value*."""
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)


def test_the_json_page_describes_every_schema_and_member() -> None:
    text = (REFERENCE / "json.md").read_text()
    described = set(re.findall(r"[\w./-]+", text))
    schemas = {
        TABLE_SCHEMA,
        GENERATION_SCHEMA,
        plan_json.PLAN_SCHEMA,
        change.APPLY_SCHEMA,
        status_json.STATUS_SCHEMA,
        rollback.GENERATIONS_SCHEMA,
        validate.VALIDATE_SCHEMA,
        importing.IMPORT_SCHEMA,
        doctor.DOCTOR_SCHEMA,
        LAB_TEST_SCHEMA,
        lab_by_hand.STATUS_SCHEMA,
        lab_by_hand.DO_SCHEMA,
    }
    written = {
        name for path in GOLDEN.glob("*.json") for name in words(json.loads(path.read_text()))
    }
    assert (schemas | written | {"left_out"}) - described == set()
    assert {*origins.Owner, *State, *Rule, *Action} <= described


def test_the_api_page_describes_every_endpoint_and_status() -> None:
    text = (REFERENCE / "api.md").read_text()
    for endpoint in ENDPOINTS:
        assert f"`{endpoint.method} {endpoint.path.replace(':path', '')}`" in text
        assert all(str(status) in text for status in endpoint.refusals)


def test_the_json_page_describes_every_member_of_the_api() -> None:
    described = set(re.findall(r"[\w./-]+", (REFERENCE / "json.md").read_text()))
    schemas = openapi()["components"]["schemas"]
    bodies = {"CheckBody", "OverrideBody", "Refused", "Problem"}  # described on the API's page
    for name in schemas.keys() - bodies:
        assert set(schemas[name].get("properties", {})) - described == set(), name
