"""A process of ipvsadm: its arguments carried out, its exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn, assert_never

from ipvs_lb.cli.ipvsadm.names import SystemNames
from ipvs_lb.commands import Command
from ipvs_lb.errors import KernelError, RuleError
from ipvs_lb.ipvsadm.complaints import complaint
from ipvs_lb.ipvsadm.options import FAILED
from ipvs_lb.ipvsadm.parse import parse
from ipvs_lb.ipvsadm.request import Change, List, ListConnections, Plain, Request, Save
from ipvs_lb.netlink.kernel import NetlinkKernel

NAMES = SystemNames()
_NO_IPVS = 2


def main(arguments: Sequence[str], program: str) -> NoReturn:
    """Do as this process is told, and end it."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as programs in C do
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    status = run(arguments, program)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # nothing is left to do that would be worth the milliseconds


def run(arguments: Sequence[str], program: str = "ipvsadm") -> int:
    """Do what *arguments* say: the exit status."""
    try:
        request = parse(arguments, NAMES, program=program)
    except RuleError as refused:
        complain(str(refused))
        return refused.status
    if request in {Plain.HELP, Plain.VERSION}:
        return tell(request, program)
    try:
        with NetlinkKernel().open() as kernel:
            kernel.info()  # fails where nothing else would work either
            return _do(kernel, request, program)
    except KernelError as error:
        complain(f"Can't initialize ipvs: {_reason(error)}")
        complain("Are you sure that IP Virtual Server is built in the kernel or as module?")
        return _NO_IPVS


def complain(message: str) -> None:
    """Say *message*, after what has been said so far."""
    sys.stdout.flush()
    sys.stderr.write(f"{message}\n")


def tell(request: Request, program: str) -> int:
    """Show the help or the version."""
    from ipvs_lb.ipvsadm.usage import VERSION, usage

    sys.stdout.write(usage(program) if request is Plain.HELP else VERSION)
    return 0


def change(kernel: NetlinkKernel, commands: Sequence[Command]) -> int:
    """Have the *kernel* do *commands*, each whatever becomes of the others: the exit status of the last."""
    refused = kernel.attempt(commands)
    for index, code in sorted(refused.items()):
        complain(complaint(code, commands[index]) or os.strerror(code))
    return FAILED if len(commands) - 1 in refused else 0


def _do(kernel: NetlinkKernel, request: Request, program: str) -> int:
    match request:
        case Change(command):
            return change(kernel, [command])
        case Plain.RESTORE:
            from ipvs_lb.cli.ipvsadm.restore import restore

            return restore(kernel, sys.stdin.fileno(), program)
        case List() | ListConnections() | Save() | Plain():
            from ipvs_lb.cli.ipvsadm.lists import show

            return show(kernel, request)
        case _:
            assert_never(request)


def _reason(error: KernelError) -> str:
    cause = error.__cause__
    known = complaint(cause.errno or 0) if isinstance(cause, OSError) else None
    return known or str(error)
