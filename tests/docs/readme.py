"""README.md and docs/ as readers take them: blocks to copy, and which test runs each command of the README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
HOW_TOS = ROOT / "docs" / "how-to"
DEMO = "./scripts/demo"
EXEMPT: Mapping[str, str] = {"./scripts/test": "it is what runs these tests"}
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for line in self.text.splitlines() if line.strip())


def blocks(page: Path = README) -> tuple[Block, ...]:
    """A page's fenced blocks, in order, also those within lists."""
    found = _BLOCK.finditer(page.read_text("utf-8"))
    return tuple(Block(language, dedent(text)) for _, language, text in (f.groups() for f in found))


def block_with(language: str, text: str = "") -> Block:
    """The README's one block of *language* that contains *text*."""
    (found,) = (b for b in blocks() if b.language == language and text in b.text)
    return found


def shell_lines(page: Path = README) -> tuple[str, ...]:
    """Every command that a page asks its readers to type, in order."""
    return tuple(line for block in blocks(page) if block.language == "sh" for line in block.lines)


def install_block() -> Block:
    """How it is installed on a gateway; `tests/docs/test_readme.py` runs it."""
    return block_with("sh", "-m venv")


def is_for_the_gateway(line: str) -> bool:
    """Whether `netns_tests/test_readme_commands.py` runs this line."""
    return line.startswith("ipvs-lb ")
