"""User-mode Linux: a Linux kernel that is an ordinary program, on the host's own root file system."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from ipvs_lb.errors import LabError
from ipvs_lb.lab.boot import Boot, Job
from ipvs_lb.lab.packages import find_program, need

FEATURES: frozenset[str] = frozenset()
CONTROL = "/dev/tty3"
"""What `Job.control` is in the guest."""


def is_available() -> bool:
    """Whether Debian's user-mode Linux is here or could be installed."""
    if find_program("linux.uml") is not None:
        return True
    apt = find_program("apt-cache")
    if apt is None or os.geteuid() != 0:
        return False
    shown = subprocess.run(  # noqa: S603 - fixed program and arguments
        [apt, "show", "user-mode-linux"], capture_output=True, check=False, timeout=60
    )
    return shown.returncode == 0


def boot(job: Job) -> Boot:
    """How to start *job* under user-mode Linux. Raises LabError when that is not installable."""
    kernel = os.environ.get("IPVS_LB_UML") or need("linux.uml", "user-mode-linux")
    need("ip", "iproute2")
    need("modprobe", "kmod")
    arguments = (
        # A guest's process and kernel are two processes here that take turns: across CPUs, twice as slow.
        *("taskset", "--cpu-list", str(_idlest_cpu())),
        kernel,
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        "quiet",
        f"mem={job.memory}",
        f"uml_dir={job.folder}",
        f"init={job.folder}/init",
        f"IPVS_LB_JOB={job.folder}",
        f"IPVS_LB_MODULES={modules()}",
        "con=null",
        "con0=null,fd:1",
        f"con1=null,fd:{job.out}",
        f"con2=null,fd:{job.err}",
        *(() if job.control is None else (f"con3=fd:{job.control},fd:{job.control}",)),
    )
    return Boot(arguments=arguments, environment={"TMPDIR": str(_memory_folder(job))})


def modules() -> Path:
    """The folder of the newest installed user-mode kernel's modules."""
    folder = Path(os.environ.get("IPVS_LB_UML_MODULES", "/usr/lib/uml/modules"))
    versions = sorted(folder.glob("*/modules.dep"), key=lambda path: path.stat().st_mtime)
    if not versions:
        raise LabError(f"no kernel modules under {folder}", hint="apt-get install user-mode-linux")
    return versions[-1].parent


def _idlest_cpu() -> int:
    """Of the CPUs we may use the one that did least in the last tenth of a second."""
    before = _idle_times()
    time.sleep(0.1)
    after = _idle_times()
    return max(os.sched_getaffinity(0), key=lambda cpu: after.get(cpu, 0) - before.get(cpu, 0))


def _idle_times() -> dict[int, int]:
    rows = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    return {int(row[0][3:]): int(row[4]) for row in rows if re.fullmatch(r"cpu\d+", row[0])}


def _memory_folder(job: Job) -> Path:
    """Where the file goes that is the guest's memory: it is mapped executable and must fit."""
    shared = Path("/dev/shm")  # noqa: S108 - deliberate, the kernel makes an unnamed file there
    if not shared.is_dir():
        return job.folder
    facts = os.statvfs(shared)
    fits = facts.f_bavail * facts.f_frsize >= job.memory_bytes
    return shared if fits and not facts.f_flag & os.ST_NOEXEC else job.folder
