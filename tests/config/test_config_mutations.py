"""Damaged configurations: whatever is in a file, the answer is a configuration or a list of places."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ipvs_lb.config import load
from ipvs_lb.errors import ConfigError

EXAMPLES = sorted(Path(__file__, "../../../config").resolve().glob("*.yaml"))
ROUNDS = 50
MUTANTS_PER_ROUND = 20
LONGEST = 2.0
WORDS = [
    *(
        b"null",
        b"-1",
        b"0",
        b"99999999999999999999",
        b"''",
        b"[]",
        b"{}",
        b"*x",
        b"&x",
        b"!!set",
        b"<<",
    ),
    *(
        b"off",
        b"22:22",
        b"010",
        b"1e9",
        b".inf",
        b"::",
        b"0.0.0.0",
        b"${HOME}",
        b"${",
        b"2001-01-01",
    ),
]

Mutation = Callable[[random.Random, bytes], bytes]


def flip_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def flip_a_bit(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def delete_a_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def repeat_a_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    return b"".join(lines)


def indent_a_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    index = chance.randrange(len(lines))
    lines[index] = chance.choice([b" ", b"  ", b"\t"]) + lines[index]
    return b"".join(lines)


def outdent_a_line(chance: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    index = chance.randrange(len(lines))
    lines[index] = lines[index].lstrip(b" ")
    return b"".join(lines)


def _words(content: bytes) -> list[re.Match[bytes]]:
    return list(re.finditer(rb"[\w./:-]+", content))


def misspell_a_word(chance: random.Random, content: bytes) -> bytes:
    word = chance.choice(_words(content))
    at = chance.randrange(word.start(), word.end())
    return content[:at] + content[at + 1 :]


def swap_two_words(chance: random.Random, content: bytes) -> bytes:
    one, other = sorted(chance.sample(_words(content), 2), key=re.Match.start)
    middle = content[one.end() : other.start()]
    return content[: one.start()] + other[0] + middle + one[0] + content[other.end() :]


def replace_a_word(chance: random.Random, content: bytes) -> bytes:
    word = chance.choice(_words(content))
    return content[: word.start()] + chance.choice(WORDS) + content[word.end() :]


def cut_off(chance: random.Random, content: bytes) -> bytes:
    """All but some of the first half, so that there is something left to damage."""
    return content[: chance.randrange(len(content) // 2, len(content))]


MUTATIONS: list[Mutation] = [
    *(flip_bytes, flip_a_bit, delete_a_line, repeat_a_line, indent_a_line),
    *(outdent_a_line, misspell_a_word, swap_two_words, replace_a_word, cut_off),
]


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """What is imported and built with the first load is not the damaged file's doing."""
    for path in EXAMPLES:
        _problems(path)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_damaged_file_loads_or_is_refused_line_by_line(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    path = tmp_path / "lb.yaml"
    for _ in range(MUTANTS_PER_ROUND):
        content = chance.choice(EXAMPLES).read_bytes()
        for mutation in chance.choices(MUTATIONS, k=chance.randint(1, 3)):
            content = mutation(chance, content)
        path.write_bytes(content)
        _load_or_refuse(path, content)


def _load_or_refuse(path: Path, content: bytes) -> None:
    lines = max(1, len(content.decode(errors="replace").splitlines()))
    start = time.process_time()
    for problem in _problems(path):
        match = re.fullmatch(rf"{re.escape(str(path))}:([0-9]+):([0-9]+): \S.*", problem)
        assert match, (problem, content)
        assert 1 <= int(match[1]) <= lines, (problem, content)
        assert int(match[2]) >= 1
    assert time.process_time() - start < LONGEST


def _problems(path: Path) -> tuple[str, ...]:
    try:
        load(path, environ={})
    except ConfigError as error:
        return error.problems
    return ()
