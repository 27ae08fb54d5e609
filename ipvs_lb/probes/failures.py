"""How everything that can go wrong in a probe becomes an error class and one printable line."""

from __future__ import annotations

import errno
import os

from ipvs_lb.model.results import MAX_DETAIL, AgentReport, ErrorClass

_CLASSES = {
    ErrorClass.REFUSED: (errno.ECONNREFUSED,),
    ErrorClass.TIMEOUT: (errno.ETIMEDOUT,),
    ErrorClass.RESET: (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN),
    ErrorClass.UNREACHABLE: (
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.ENETDOWN,
        errno.ENONET,
        errno.ENOPROTOOPT,  # ICMP "protocol unreachable"
    ),
    ErrorClass.TOO_LARGE: (errno.EMSGSIZE,),
}
_BY_ERRNO = {code: error for error, codes in _CLASSES.items() for code in codes}


class ProbeFailure(Exception):  # noqa: N818  # a failed probe is an outcome, not an error of this program
    """A probe did not pass: the class of the failure, what an operator needs to know, what the agent said."""

    def __init__(self, error: ErrorClass, detail: str, *, agent: AgentReport | None = None) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.agent = agent


def printable(text: str | bytes, limit: int = MAX_DETAIL) -> str:
    """*text* as one printable ASCII line of at most *limit* characters, whatever it contains."""
    shown = text[:limit].decode("ascii", "backslashreplace") if isinstance(text, bytes) else text
    shown = shown[: limit + 1].encode("ascii", "backslashreplace").decode("ascii")
    shown = "".join(char if char.isprintable() else " " for char in shown)
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def quoted(text: str | bytes, limit: int = 60) -> str:
    """What a server said, shortened and made harmless, in double quotes."""
    return f'"{printable(text, limit)}"'


def os_failure(error: OSError, doing: str) -> ProbeFailure:
    """The failure that a refused system call means, while *doing* something.

    An errno without a meaning for the server is this machine's own trouble.
    """
    code = error.errno or 0
    what = os.strerror(code) if code else str(error)
    return ProbeFailure(_BY_ERRNO.get(code, ErrorClass.LOCAL), f"{doing}: {what}")
