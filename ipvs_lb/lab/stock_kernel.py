"""The distribution's stock kernel, unpacked into a cache and not installed, with an initramfs for a 9p root."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.errors import LabError
from ipvs_lb.lab.packages import download, find_program, need, say

_METAPACKAGES = ("linux-image-amd64", "linux-image-virtual")
_KERNEL_PACKAGE = re.compile(r"linux-(?:image|modules)(?:-unsigned)?-\d\S*")
_UNUSED = (
    "gpu",
    "media",
    "sound",
    "wireless",
    "bluetooth",
    "iio",
    "infiniband",
    "scsi",
    "usb",
    "staging",
)
_ROOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_BUSYBOX = "busybox-static"
_READY = "ready"
_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /root
for module in /modules/*; do /bin/busybox insmod "$module"; done
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose host /root
exec /bin/busybox switch_root /root "$IPVS_LB_JOB/init"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockKernel:
    """A kernel that can be booted: its image, its initramfs and its modules."""

    image: Path
    initramfs: Path
    modules: Path


def is_available() -> bool:
    """Whether a stock kernel is in the cache or the distribution has one."""
    return any(_cache().glob(f"*/{_READY}")) or any(_is_known(name) for name in _METAPACKAGES)


def ready_kernel() -> StockKernel:
    """The cached kernel, fetched and unpacked at the first call. Raises LabError when it cannot be had."""
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache):
        found = sorted(cache.glob(f"*/{_READY}"))
        folder = found[-1].parent if found else _unpack(cache)
    modules = next(folder.glob("kernel/**/lib/modules/*"))
    return StockKernel(
        image=next(folder.glob("kernel/boot/vmlinuz-*")),
        initramfs=folder / "initramfs",
        modules=modules,
    )


def _cache() -> Path:
    if os.geteuid() == 0:
        return Path("/var/cache/ipvs-lb")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ipvs-lb"


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Nobody else fills the cache meanwhile."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unpack(cache: Path) -> Path:
    packages = _kernel_packages()
    say(f"fetching {' '.join(packages)} for a guest kernel, once")
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        new = Path(scratch) / "new"
        for package in packages:
            _extract(download(package, Path(scratch)), new / "kernel")
        _extract(download(_BUSYBOX, Path(scratch)), new / _BUSYBOX)
        _index_modules(new / "kernel")
        _write_initramfs(new)
        (new / _READY).touch()
        folder = cache / packages[0]
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    return folder


def _kernel_packages() -> tuple[str, ...]:
    """The packages that hold the stock kernel and its modules, image first."""
    for name in _METAPACKAGES:
        if not _is_known(name):
            continue
        shown = _apt_cache("depends", "--recurse", "--important", name)
        found = {word for word in shown.split() if _KERNEL_PACKAGE.fullmatch(word)}
        if found:
            return tuple(sorted(found))
    raise LabError(f"none of {', '.join(_METAPACKAGES)} is in apt's lists", hint="apt-get update")


def _is_known(package: str) -> bool:
    return f"Package: {package}\n" in _apt_cache("show", "--no-all-versions", package)


def _apt_cache(*arguments: str) -> str:
    program = find_program("apt-cache")
    if program is None:
        return ""
    ran = subprocess.run(  # noqa: S603 - fixed program and arguments
        [program, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    return ran.stdout


def _extract(package: Path, folder: Path) -> None:
    """Unpack a .deb without the drivers no guest has use for."""
    folder.mkdir(parents=True, exist_ok=True)
    without = [f"--exclude=*/{name}" for name in _UNUSED]
    with subprocess.Popen(  # noqa: S603 - fixed program
        ["/usr/bin/dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    ) as archive:
        subprocess.run(  # noqa: S603 - fixed program
            ["/bin/tar", "-x", "-C", folder, *without], stdin=archive.stdout, check=True
        )
    if archive.returncode != 0:
        raise LabError(f"{package.name} could not be unpacked")


def _index_modules(root: Path) -> None:
    """Write modules.dep and its like, which a package's installation would have done."""
    modules = next(root.glob("**/lib/modules/*"))
    base = modules.parents[2]
    depmod = need("depmod", "kmod")
    subprocess.run(  # noqa: S603 - fixed program
        [depmod, "-b", base, modules.name], check=True, capture_output=True, timeout=300
    )


def _write_initramfs(folder: Path) -> None:
    modules = next(folder.glob("kernel/**/lib/modules/*"))
    busybox = next((folder / _BUSYBOX).glob("**/bin/busybox"))
    entries = [("bin", None), ("dev", None), ("modules", None)]
    files: list[tuple[str, bytes | None]] = [*entries, ("bin/busybox", busybox.read_bytes())]
    files.append(("init", _INIT.encode()))
    for number, path in enumerate(_load_order(modules, _ROOT_MODULES)):
        files.append((f"modules/{number:02}-{path.name.split('.')[0]}.ko", _module_bytes(path)))
    (folder / "initramfs").write_bytes(gzip.compress(cpio(files), compresslevel=1))


def _load_order(modules: Path, names: Iterable[str]) -> list[Path]:
    """The files of *names* and all they need, in the order to load them; builtin ones are not there."""
    needed: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needed[path] = others.split()
    by_name = {Path(path).name.split(".")[0]: path for path in needed}
    order: dict[str, None] = {}
    for path in (by_name[name] for name in names if name in by_name):
        order.update(dict.fromkeys([*reversed(needed[path]), path]))
    return [modules / path for path in order]


def _module_bytes(path: Path) -> bytes:
    match path.suffix:
        case ".xz":
            return lzma.decompress(path.read_bytes())
        case ".zst":
            zstd = need("zstd", "zstd")
            return subprocess.run(  # noqa: S603 - fixed program
                [zstd, "-dc", path], capture_output=True, check=True
            ).stdout
        case _:
            return path.read_bytes()


def cpio(files: Iterable[tuple[str, bytes | None]]) -> bytes:
    """An archive in the kernel's "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst).

    A file without content is a folder; every file is executable.
    """
    parts = [
        _cpio_entry(number, name, content) for number, (name, content) in enumerate(files, start=1)
    ]
    return b"".join([*parts, _cpio_entry(0, "TRAILER!!!", b"")])


def _cpio_entry(number: int, name: str, content: bytes | None) -> bytes:
    mode = stat.S_IFDIR | 0o755 if content is None else stat.S_IFREG | 0o755
    body = content or b""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + path
    return _padded(head) + _padded(body)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
