"""The file method: a regular file on a local disk is there, perhaps with a weight in it."""

from __future__ import annotations

import os
import stat

from ipvs_lb.model.checks import FileCheck
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.weights import parse_weight
from ipvs_lb.probes.wire import Finding, Wire

_MAX_SIZE = 64


async def probe_file(check: FileCheck, _wire: Wire) -> Finding:
    """Pass when the file exists and, if asked for, contains a weight.

    It is read on the spot: a file that can keep its readers waiting, as one on NFS can, does not belong here.
    """
    try:
        content = _read(check.path, _MAX_SIZE + 1 if check.weight else 0)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ProbeFailure(ErrorClass.FILE, f"{quoted(check.path, 100)}: {reason}") from error
    if not check.weight:
        return Finding()
    if len(content) > _MAX_SIZE:
        raise ProbeFailure(ErrorClass.TOO_LARGE, f"a weight of more than {_MAX_SIZE} bytes")
    weight = parse_weight(content)
    return Finding(weight=weight, detail=f"weight {weight}")


def _read(path: str, count: int) -> bytes:
    """The first *count* bytes of a regular file; with 0 it does not have to be readable."""
    _require_regular(os.stat(path))  # noqa: PTH116  # the same form as for the open file
    if not count:
        return b""
    # O_NONBLOCK: opening a FIFO put there meanwhile would wait for a writer.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(handle))
        return os.read(handle, count)
    finally:
        os.close(handle)


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
