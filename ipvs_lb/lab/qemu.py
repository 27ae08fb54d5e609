"""QEMU with the distribution's stock kernel: slower, several CPUs, and all that a real machine's kernel has."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from ipvs_lb.lab.boot import Boot, Job
from ipvs_lb.lab.packages import find_program, need
from ipvs_lb.lab.stock_kernel import StockKernel, ready_kernel
from ipvs_lb.lab.stock_kernel import is_available as has_kernel

FEATURES = frozenset({"nftables"})
CONTROL = "/dev/ttyS3"
"""What `Job.control` is in the guest."""
_CPUS = 2


def is_available() -> bool:
    """Whether QEMU and a kernel for it are here or could be had."""
    if platform.machine() != "x86_64":
        return False
    can_install = os.geteuid() == 0 and find_program("apt-get") is not None
    return (find_program("qemu-system-x86_64") is not None or can_install) and has_kernel()


def boot(job: Job) -> Boot:
    """How to start *job* under QEMU. Raises LabError when QEMU or the kernel cannot be had."""
    program = need("qemu-system-x86_64", "qemu-system-x86")
    need("ip", "iproute2")
    kernel = ready_kernel()
    owner = "passthrough" if os.geteuid() == 0 else "none"
    return Boot(
        arguments=(
            program,
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-m", job.memory, "-smp", str(_CPUS), *_accelerator()),
            *("-kernel", str(kernel.image), "-initrd", str(kernel.initramfs)),
            *("-append", _command_line(job, kernel)),
            *("-fsdev", f"local,id=root,path=/,security_model={owner},multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=root,mount_tag=host"),
            *("-serial", "stdio"),
            *_output("out", job.out),
            *_output("err", job.err),
            *(() if job.control is None else _control(job.control)),
        )
    )


def _command_line(job: Job, kernel: StockKernel) -> str:
    words = (
        "console=ttyS0",
        "quiet",
        "panic=-1",
        "mitigations=off",
        f"IPVS_LB_JOB={job.folder}",
        f"IPVS_LB_MODULES={kernel.modules}",
        "IPVS_LB_OUT=ttyS1",
        "IPVS_LB_ERR=ttyS2",
    )
    return " ".join(words)


def _output(name: str, descriptor: int) -> tuple[str, ...]:
    return (
        *("-chardev", f"file,id={name},path=/proc/self/fd/{descriptor}"),
        *("-serial", f"chardev:{name}"),
    )


def _control(descriptor: int) -> tuple[str, ...]:
    return ("-chardev", f"socket,id=control,fd={descriptor}", "-serial", "chardev:control")


def _accelerator() -> tuple[str, ...]:
    """KVM where the processor says so: /dev/kvm alone can be there and hang."""
    flags = Path("/proc/cpuinfo").read_text()
    has_kvm = re.search(r"^flags\b.*\b(vmx|svm)\b", flags, re.MULTILINE) is not None
    if has_kvm and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ("-accel", "kvm", "-cpu", "host")
    return ("-accel", "tcg,thread=multi", "-cpu", "max,la57=off")
