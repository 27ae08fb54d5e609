"""Every fenced block of the documentation is of a kind that tests try, or it stands here why not."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import import_module

import pytest

from tests.docs.readme import README, ROOT, blocks, is_for_the_gateway, shell_lines

PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "config/README.md"} - {README}
)
TRIED = {"sh", "yaml", "json", "python"}
SHOWN: Mapping[str, str] = {
    "console": "it is a session with another program, or on another machine",
    "text": "it is what a program shows, or another program's input",
    "ini": "it is for systemd, which guest kernels of the tests do not run, or for a reader's own tests",
}
PROGRAMS: Mapping[str, str] = {
    "(umask": "it writes a secret to /etc",
    "OS_USER_DOMAIN_ID=default": "it goes on with an `export`",
    "apt-get": "it installs on the machine; scripts/package --check installs the package in a clean Debian",
    "curl": "it asks a gateway that the page describes",
    "export": "it names files and an address of the reader's",
    "for": "it asks a gateway that the page describes",
    "install": "it is for machines with systemd",
    "ip": "it is for a real server",
    "journalctl": "it is for machines with systemd",
    "mkdir": "netns_tests/test_readme_commands.py runs it",
    "modprobe": "it is for the reader's own kernel",
    "rm": "it is for machines with systemd",
    "scripts/package": "it builds for minutes",
    "ssh": "it needs another machine",
    "sysctl": "it is for a real server",
    "systemctl": "it is for machines with systemd",
}
"""By its first word, why a command that is not ours is not run here."""


def others_programs() -> set[str]:
    lines = [line for page in PAGES for line in shell_lines(page) if not is_for_the_gateway(line)]
    return {line.split()[0] for line in lines} - {"#"}


def test_every_command_that_is_not_ours_has_a_reason_for_not_being_run():
    assert others_programs() == set(PROGRAMS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_is_of_a_kind_that_is_tried_or_only_shown(page):
    kinds = {block.language for block in blocks(page)}
    assert kinds - TRIED - set(SHOWN) == set()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(block.text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page))
        if block.language == "python"
    ],
)
def test_the_python_of_the_pages_is_python_whose_imports_are_there(text):
    tree = ast.parse(text)
    wanted = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    missing = [
        f"{node.module}.{name.name}"
        for node in wanted
        for name in node.names
        if not hasattr(import_module(str(node.module)), name.name)
    ]
    assert missing == []
