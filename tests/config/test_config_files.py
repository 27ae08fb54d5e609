"""The files of the project's own config/ folder, and files that are not fit to be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ipvs_lb.config import load, loads, schema
from ipvs_lb.config.compose import parse
from ipvs_lb.config.documents import MAX_BYTES
from ipvs_lb.config.json_schema import text as schema_text
from ipvs_lb.config.problems import Problems
from ipvs_lb.config.reference import text as reference_text
from ipvs_lb.errors import ConfigError

ROOT = Path(__file__, "../../..").resolve()
COMPLETE = sorted((ROOT / "config").glob("*.yaml"))
EXAMPLES = [*COMPLETE, *sorted((ROOT / "config/conf.d").glob("*.yaml"))]
SERVICE = "services:\n  - {{name: {0}, vip: 10.0.0.{1}, port: 80, servers: []}}\n"


def name_of(path: Path) -> str:
    return path.name


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(path, environ={})
    return [problem.replace(f"{path.parent}/", "") for problem in refused.value.problems]


@pytest.mark.parametrize("path", COMPLETE, ids=name_of)
def test_every_example_loads(path: Path) -> None:
    assert load(path, environ={}).services


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_every_example_names_its_schema_and_satisfies_it(path: Path) -> None:
    text = path.read_text()
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == ROOT / "config/schema.json"
    as_read = parse(text, name=path.name, environ={}, problems=Problems()).root
    for document in (as_read, yaml.safe_load(text)):
        assert not list(Draft202012Validator(schema()).iter_errors(document))


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    validator = Draft202012Validator(schema())
    for text in (
        "version: 2",
        "version: 1\nservces: []",
        "version: 1\nservices: [{name: a, vip: 10.0.0.1, port: 80, servers: [{adress: 10.0.0.4}]}]",
        "version: 1\nservices: [{name: a, vip: 10.0.0.1, port: 70000, servers: []}]",
        "version: 1\nservices: [{name: a, vip: 10.0.0.1, port: 80, scheduler: abc, servers: []}]",
    ):
        assert list(validator.iter_errors(yaml.safe_load(text)))


def test_the_schema_file_is_fresh() -> None:
    """`python -m ipvs_lb.config.schema` writes it."""
    Draft202012Validator.check_schema(schema())
    assert json.loads((ROOT / "config/schema.json").read_text()) == schema()
    assert (ROOT / "config/schema.json").read_text() == schema_text()


def test_the_reference_is_fresh() -> None:
    """`python -m ipvs_lb.config.reference` writes it."""
    assert (ROOT / "docs/reference/config.md").read_text() == reference_text()


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "lb.yaml") == [
        'lb.yaml:1:1: file: cannot read "lb.yaml": No such file or directory'
    ]


def test_a_path_may_be_given_as_text(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("services: []")
    path = tmp_path / "lb.yaml"
    path.write_text("version: 1\ninclude: more.yaml\n")
    assert load(str(path)) == load(path)


def test_a_folder_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "lb.yaml"
    folder.mkdir()
    assert problems_of(folder) == ['lb.yaml:1:1: file: cannot read "lb.yaml": Is a directory']


def test_a_pipe_is_a_problem_and_does_not_block(tmp_path: Path) -> None:
    pipe = tmp_path / "lb.yaml"
    os.mkfifo(pipe)
    assert problems_of(pipe) == ['lb.yaml:1:1: file: "lb.yaml" is not a regular file']


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "lb.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    (problem,) = problems_of(path)
    assert problem.endswith(
        f"has 100000000 bytes, expected at most {MAX_BYTES} in all files together"
    )


def test_a_name_that_no_file_can_have_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="embedded null byte"):
        load(Path("a\0b"))


def test_bytes_that_are_not_utf_8_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "lb.yaml"
    path.write_bytes("version: 1\n# ü ".encode() + b"\xff\n")
    assert problems_of(path) == ["lb.yaml:2:5: syntax: byte 0xff is not UTF-8"]


def test_includes_bring_services_and_pools_in_order(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/b.yaml").write_text(SERVICE.format("b", 2))
    (tmp_path / "conf.d/a.yaml").write_text(SERVICE.format("a", 1) + "include: [../c.yaml]\n")
    (tmp_path / "conf.d/.hidden.yaml").write_text("no")
    (tmp_path / "conf.d/README").write_text("no")
    (tmp_path / "c.yaml").write_text(SERVICE.format("c", 3).replace("servers: []", "pool: p"))
    main = tmp_path / "lb.yaml"
    main.write_text(
        "version: 1\ninclude: conf.d/*.yaml\npools: {p: {servers: [{address: 10.0.0.9}]}}\n"
        + SERVICE.format("main", 4)
    )
    config = load(main)
    assert [service.name for service in config.services] == ["main", "a", "c", "b"]
    assert config.services[1].origin == f"{tmp_path}/conf.d/a.yaml:2"
    assert [str(server.address) for server in config.services[2].servers] == ["10.0.0.9"]


def test_a_problem_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE.format("main", 1) + "timeouts: {}\ndefaults: {}\n")
    main = tmp_path / "lb.yaml"
    main.write_text("version: 1\ninclude: [a.yaml]\n" + SERVICE.format("main", 1))
    assert problems_of(main) == [
        "a.yaml:2:5: services.0: virtual service tcp/10.0.0.1:80 is already declared at "
        f"{tmp_path}/lb.yaml:4:5".replace(f"{tmp_path}/", ""),
        'a.yaml:2:12: services.0.name: another service is called "main" at lb.yaml:4:5',
        "a.yaml:3:1: timeouts: unknown key, expected version, include, pools or services",
        "a.yaml:4:1: defaults: defaults belong to the first file",
    ]


@pytest.mark.parametrize(
    ("include", "problem"),
    [
        ("lb.yaml", "include: a file cannot include itself: lb.yaml -> lb.yaml"),
        ("a.yaml", "include: a file cannot include itself: lb.yaml -> a.yaml -> lb.yaml"),
        ("nothing.yaml", 'include: cannot read "nothing.yaml": No such file or directory'),
        ("nowhere/*.yaml", 'include: cannot list "nowhere": No such file or directory'),
        ("'*/a.yaml'", 'include: "*/a.yaml": only the last part of a path may be a pattern'),
        ("[b.yaml, b.yaml]", 'include.1: "b.yaml" is already included at lb.yaml:2:11'),
        ("[b.yaml, 5, {}]", "include.2: expected text, found a mapping"),
    ],
)
def test_what_cannot_be_included_is_told_at_the_include(
    include: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text("include: lb.yaml\n")
    (tmp_path / "b.yaml").write_text("services: []\n")
    main = tmp_path / "lb.yaml"
    main.write_text(f"version: 1\ninclude: {include}\n")
    (found,) = problems_of(main)
    assert found.split(" ", 1)[1] == problem


def test_a_pattern_that_matches_nothing_or_the_file_itself_is_fine(tmp_path: Path) -> None:
    main = tmp_path / "lb.yaml"
    main.write_text('version: 1\ninclude: ["*.yaml", "*.yml"]\n')
    assert load(main).services == ()


def test_a_text_can_include_relative_to_a_base(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE.format("a", 1))
    config = loads("version: 1\ninclude: a.yaml\n", base=tmp_path)
    assert [service.name for service in config.services] == ["a"]


def test_a_long_list_of_problems_is_cut_and_counted() -> None:
    text = "version: 1\n" + "".join(f"key{number}: 1\n" for number in range(250))
    with pytest.raises(ConfigError) as refused:
        loads(text, name="lb.yaml")
    assert len(refused.value.problems) == 101
    assert refused.value.problems[-1] == (
        "lb.yaml:102:1: key100: and 150 more problems from here on"
    )
