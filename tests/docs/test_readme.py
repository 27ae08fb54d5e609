"""What README.md and docs/ say is so: commands work, examples are valid, links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from ipvs_lb import load, loads
from ipvs_lb.errors import ConfigError
from ipvs_lb.scenario.reading import read_scenario
from tests.commands import parse
from tests.docs.readme import (
    DEMO,
    EXEMPT,
    HOW_TOS,
    README,
    ROOT,
    block_with,
    blocks,
    install_block,
    is_for_the_gateway,
    shell_lines,
)

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MISSPELT = """\
version: 1
services:
  - name: web
    vip: 10.0.0.16
    port: 80
    servers:
      - address: 10.0.0.4
        weigth: 2
"""
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def shell(script: str, timeout: float, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_every_command_of_the_readme_is_run_by_a_test_or_exempt_with_a_reason():
    run_here = {DEMO, *install_block().lines}
    left = {line for line in shell_lines() if not is_for_the_gateway(line)} - run_here
    assert left == set(EXEMPT)


def test_every_block_of_the_readme_is_of_a_kind_that_a_test_knows():
    assert {block.language for block in blocks()} == {"sh", "text", "yaml", "python"}


def test_the_readme_s_configuration_is_the_example_file():
    modeline, _, text = (ROOT / "config" / "example.yaml").read_text().partition("\n")
    assert modeline.startswith("# ")
    assert block_with("yaml").text == text
    assert [service.name for service in loads(text).services] == ["web"]


def test_a_misspelt_key_is_told_as_the_readme_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lb.yaml").write_text(MISSPELT)
    with pytest.raises(ConfigError) as refused:
        load("lb.yaml")
    assert f"{refused.value}\n" == block_with("text", "lb.yaml:8").text


@pytest.mark.timeout(240)
def test_the_demo_shows_what_the_readme_says():
    done = shell(DEMO, 200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("every step held")
    steps = [line for line in done.stdout.splitlines() if line[:1].isdigit()]
    assert [step.partition(".")[0] for step in steps] == list("12345678")
    assert done.stdout.count("in turn") >= 10
    shown = block_with("text", "/health on server-2").lines
    assert [line for line in shown if line not in done.stdout and "in turn" not in line] == []


@pytest.mark.timeout(240)
def test_the_installation_gives_a_command_that_works(tmp_path):
    """As the README says, but below *tmp_path*, with the versions we test, and without apt's changes."""
    script = install_block().text
    for theirs, ours in (
        ("apt-get install", "apt-get --simulate install"),
        ("/opt/", f"{tmp_path}/opt/"),
        ("/usr/local/bin/", f"{tmp_path}/bin/"),
    ):
        assert theirs in script
        script = script.replace(theirs, ours)
    (tmp_path / "opt").mkdir()
    (tmp_path / "bin").mkdir()
    quiet = {"PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COMPILE": "1"}
    done = shell(script, 200, PIP_CONSTRAINT=str(ROOT / "requirements.txt"), **quiet)
    assert done.returncode == 0, done.stdout + done.stderr
    config = tmp_path / "config.yaml"
    config.write_text(block_with("yaml").text)
    validated = shell(f"cd / && {tmp_path}/bin/ipvs-lb validate -c {config}", 60)
    assert (validated.returncode, validated.stderr) == (0, "")


COMMANDS = sorted(
    {
        line
        for page in (README, *HOW_TOS.glob("*.md"))
        for line in shell_lines(page)
        if is_for_the_gateway(line)
    }
)
EXAMPLES = [
    pytest.param(block.text, id=f"{page.stem}-{number}")
    for page in sorted(HOW_TOS.glob("*.md"))
    for number, block in enumerate(blocks(page))
    if block.language == "yaml"
]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_of_the_pages_exist_with_their_options(line):
    parse(shlex.split(line.partition("||")[0])[1:])


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_configurations_of_the_how_tos_are_valid(text):
    loads(text)


SCENARIOS = [
    pytest.param(page, block.text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if "\nsteps:\n" in block.text
]


@pytest.mark.parametrize(("page", "text"), SCENARIOS)
def test_the_scenarios_of_the_pages_are_understood(page, text, tmp_path):
    """With the configuration of the page, where it shows one."""
    own = [block.text for block in blocks(page) if "\nservices:\n" in block.text]
    config, scenario = tmp_path / "lb.yaml", tmp_path / "scenario.yaml"
    config.write_text(own[0] if own else (ROOT / "config" / "example.yaml").read_text())
    scenario.write_text(text)
    assert read_scenario(scenario, config).steps


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    titles = _HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files_and_headings_that_are_there(page):
    missing = []
    for link in _LINK.findall(prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    assert missing == []


def test_every_page_of_the_documentation_can_be_reached_from_the_readme():
    seen, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        names = [link.partition("#")[0] for link in _LINK.findall(prose(page)) if "://" not in link]
        ahead += [(page.parent / name).resolve() for name in names]
    assert [page for page in PAGES if page not in seen] == []
