"""The initramfs archive is what the cpio program reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ipvs_lb.lab.stock_kernel import _load_order, cpio


def test_the_archive_starts_as_the_kernel_expects_and_ends_with_its_trailer() -> None:
    archive = cpio([("bin", None), ("bin/one", b"12345")])
    assert archive.startswith(b"070701")
    assert b"TRAILER!!!" in archive
    assert len(archive) % 4 == 0


@pytest.mark.skipif(shutil.which("cpio") is None, reason="a second opinion, where there is one")
def test_the_cpio_program_unpacks_it(tmp_path: Path) -> None:
    archive = cpio([("bin", None), ("bin/one", b"12345"), ("init", b"#!/bin/sh\n")])
    subprocess.run(["cpio", "-id", "--quiet"], input=archive, cwd=tmp_path, check=True)
    assert (tmp_path / "bin/one").read_bytes() == b"12345"
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755


def test_modules_are_loaded_after_what_they_need(tmp_path: Path) -> None:
    dependencies = "fs/9p.ko: net/9pnet.ko fs/netfs.ko\nnet/9pnet.ko:\nfs/netfs.ko:\nother.ko:\n"
    (tmp_path / "modules.dep").write_text(dependencies)
    order = [path.name for path in _load_order(tmp_path, ("9p", "builtin"))]
    assert order == ["netfs.ko", "9pnet.ko", "9p.ko"]
