"""`ipvsadm -R`: every line of standard input is a command line of its own.

What has arrived is sent to the kernel in one go, so a file takes a few system calls, and a program that writes line by
line sees each done before it goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from ipvs_lb.cli.ipvsadm.lists import show
from ipvs_lb.cli.ipvsadm.program import NAMES, change, complain, tell
from ipvs_lb.commands import Command
from ipvs_lb.errors import RuleError
from ipvs_lb.ipvsadm.parse import parse, try_help
from ipvs_lb.ipvsadm.request import Change, Plain
from ipvs_lb.ipvsadm.rules import split_rule
from ipvs_lb.netlink.kernel import NetlinkKernel

_CHUNK = 1 << 20


def restore(kernel: NetlinkKernel, source: int, program: str) -> int:
    """Carry out what file descriptor *source* brings: the exit status of the last line, or of one that ends it all."""
    work = _Work(kernel, program)
    for lines in _arrivals(source):
        for line in lines:
            if words := split_rule(line):
                work.take(words)
            if work.ended:
                return work.status
        work.settle()
    return work.status


class _Work:
    """Lines taken so far, and those of them the kernel does not know yet."""

    def __init__(self, kernel: NetlinkKernel, program: str) -> None:
        self.status = 0
        self.ended = False
        self._kernel = kernel
        self._program = program
        self._waiting: list[Command] = []

    def take(self, words: list[str]) -> None:
        """Do one line, or have it wait for more."""
        try:
            request = parse(words, NAMES, program=self._program)
            if request is Plain.RESTORE:
                raise try_help(self._program)
        except RuleError as refused:
            self.settle()
            complain(str(refused))
            self.status, self.ended = refused.status, not refused.goes_on
            return
        if isinstance(request, Change):
            self._waiting.append(request.command)
            return
        self.settle()
        if request in {Plain.HELP, Plain.VERSION}:
            self.status, self.ended = tell(request, self._program), True
        else:
            self.status = show(self._kernel, request)
            self.ended = self.status != 0

    def settle(self) -> None:
        """Have the kernel do what waits."""
        if self._waiting:
            self.status = change(self._kernel, self._waiting)
            self._waiting = []


def _arrivals(source: int) -> Iterator[list[str]]:
    """The whole lines that each read brings; the last one may lack its end."""
    rest = b""
    while chunk := os.read(source, _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield [line.decode(errors="surrogateescape") for line in lines]
    yield [rest.decode(errors="surrogateescape")]
