"""The files that an import reads on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvs_lb.errors import LBError
from ipvs_lb.imports import files
from ipvs_lb.imports.files import Files, alternatives, read_file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("a.conf", "b.conf", "sub/c.conf"):
        (tmp_path / name).write_text(name)
    (tmp_path / "latin.conf").write_bytes(b"# caf\xe9\n")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.conf", ["a.conf"]),
        ("*.conf", ["a.conf", "b.conf"]),
        ("sub/*.conf", ["sub/c.conf"]),
        ("{b,a,sub/c}.conf", ["b.conf", "a.conf", "sub/c.conf"]),
        ("gone.conf", []),
        ("sub", []),
    ],
)
def test_includes_are_found_from_the_folder_and_those_that_cannot_be_read_are_not(
    folder, pattern, names
):
    assert [one.name for one in Files().find(pattern, str(folder))] == names
    absolute = [one.name for one in Files().find(f"{folder}/{pattern}", "/nowhere")]
    assert absolute == names


def test_braces_stand_for_each_of_their_parts():
    assert alternatives("x{a,{b,c}}y") == ["xay", "xby", "xcy"]


def test_a_file_is_named_from_here_and_knows_its_folder(folder):
    found = read_file(folder / "sub" / "c.conf")
    assert (found.name, found.folder, found.text) == (
        "sub/c.conf",
        str(folder / "sub"),
        "sub/c.conf",
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("gone.conf", "cannot read gone.conf: No such file"),
        ("sub", "cannot read sub: Is a dir"),
        ("latin.conf", "latin.conf: byte 5 is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_name(folder, name, what):
    with pytest.raises(LBError, match=what):
        read_file(Path(name))


def test_a_file_that_is_too_large_is_refused(folder, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES", 3)
    with pytest.raises(LBError, match="more than 3 bytes"):
        read_file(folder / "a.conf")
