"""System errors of this edge as HostErrors: the one place where they are translated."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ipvs_lb.errors import HostError

_AS_ROOT = "run as root or grant CAP_NET_ADMIN and CAP_NET_RAW"
_HINTS = {
    errno.EPERM: _AS_ROOT,
    errno.EACCES: _AS_ROOT,
    errno.EROFS: "/proc/sys is read-only here, as in a container: set it on the host",
    errno.ENODEV: "see `ip link` for the interfaces there are",
    errno.EAFNOSUPPORT: "this kernel or network namespace does not have that address family",
}


def host_error(action: str, code: int, hints: Mapping[int, str] | None = None) -> HostError:
    """The HostError for errno *code* met during *action*; *hints* come before the general ones."""
    hint = (hints or {}).get(code) or _HINTS.get(code)
    reason = os.strerror(code) if code else "the kernel gave no reason"
    return HostError(f"{action}: {reason}", hint=hint)


@contextmanager
def translated(action: str, hints: Mapping[int, str] | None = None) -> Iterator[None]:
    """Raise the OSErrors of the body as HostErrors."""
    try:
        yield
    except OSError as error:
        raise host_error(action, error.errno or 0, hints) from error
