"""Everything ipvs_lb raises on purpose.

    LBError                 exit 1   something an operator can act on
    ├── ConfigError         exit 2   the configuration is refused; carries every problem found
    ├── UsageError          exit 2   a command was asked for something it cannot do
    │   └── RuleError       exit 2   arguments that ipvsadm refuses
    ├── KernelError         exit 4   the kernel would not do, or could not be asked
    │   └── RefusedError    exit 4   one or more commands of a batch were refused
    ├── CodecError          exit 4   the kernel's answer is malformed
    ├── HostError           exit 1   an address, a sysctl or a firewall rule could not be changed
    ├── StoreError          exit 1   the state directory cannot be used
    │   └── LockedError     exit 1   another ipvs-lb holds it
    ├── DaemonError         exit 1   the daemon is not there, or its answer makes no sense
    ├── RefusalError        exit 1   a request that the daemon's API refuses (`ipvs_lb.api.refusals`)
    └── LabError            exit 1   a lab or its guest kernel could not be made, died or hung

A message says what, where, what was expected and what came; `hint` is the next command to type.
Bugs are `AssertionError` and are never caught.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipvs_lb.commands import Command


class LBError(Exception):
    """An error with a message for the operator and, where one is known, the next step."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(LBError):
    """A configuration is refused; `problems` are sorted by place, one line each."""

    exit_code = 2

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UsageError(LBError):
    """A command was asked for something that does not exist or does not go together."""

    exit_code = 2


class RuleError(UsageError):
    """Arguments of ipvsadm that it refuses, in its words; `status` is what it then exits with.

    With `goes_on` a refused line of `ipvsadm -R` does not keep it from reading the next.
    """

    def __init__(self, message: str, *, status: int = 2, goes_on: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.goes_on = goes_on


class KernelError(LBError):
    """The kernel would not do, or could not be asked."""

    exit_code = 4


class Refusal:
    """One command the kernel refused, with its errno and what an operator can do."""

    __slots__ = ("code", "command", "hint", "message")

    def __init__(self, command: Command, code: int, message: str, hint: str | None) -> None:
        self.command = command
        self.code = code
        self.message = message
        self.hint = hint


class RefusedError(KernelError):
    """The kernel refused commands of a batch; the others were carried out.

    `outcome` tells what became of those others, where the caller knows.
    """

    def __init__(self, refusals: Sequence[Refusal], *, outcome: str | None = None) -> None:
        first = refusals[0]
        more = f" (and {len(refusals) - 1} more)" if len(refusals) > 1 else ""
        after = f"; {outcome}" if outcome else ""
        super().__init__(f"{first.message}{more}{after}", hint=first.hint)
        self.refusals = tuple(refusals)


class CodecError(LBError):
    """A netlink answer does not have the shape the kernel's headers promise."""

    exit_code = 4


class HostError(LBError):
    """An address, a sysctl or a firewall rule could not be read or changed."""


class StoreError(LBError):
    """The state directory cannot be read or written."""


class LockedError(StoreError):
    """Another ipvs-lb holds the state directory."""


class DaemonError(LBError):
    """The daemon does not answer, or not as it should."""


class LabError(LBError):
    """A lab or its guest kernel could not be made, died or hung."""
