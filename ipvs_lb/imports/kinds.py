"""The kinds of files that can be imported, and how they are told apart."""

from __future__ import annotations

import enum
import re


class Kind(enum.StrEnum):
    """Whose file it is."""

    KEEPALIVED = "keepalived"
    LDIRECTORD = "ldirectord"
    IPVSADM = "ipvsadm"
    IPVSCTL = "ipvsctl"


_SIGNS = (
    (Kind.IPVSADM, r"(?:\S*ipvsadm\s+)?(?:-A|-a|--add-service|--add-server|-C|--clear)\b"),
    (Kind.LDIRECTORD, r"virtual6?\s*="),
    (
        Kind.KEEPALIVED,
        r"(?:virtual_server|virtual_server_group|global_defs|vrrp_\w+|static_ipaddress|include[rmwba]?)\b(?!\s*[:=])",
    ),
    (Kind.LDIRECTORD, r"(?:checktimeout|checkinterval|negotiatetimeout|autoreload|quiescent)\s*="),
    (Kind.IPVSCTL, r"(?:- )?\s*[\"']?address[\"']?:\s*[\"']?(?:tcp|udp|sctp)://"),
    (Kind.IPVSCTL, r"(?:- )?\s*[\"']?address[\"']?:\s*[\"']?fwmark:"),
    (Kind.IPVSCTL, r"destinations:"),
)


def guess(text: str) -> Kind | None:
    """Whose file *text* is, by the first line that only one kind has."""
    for line in text.splitlines():
        for kind, sign in _SIGNS:
            if re.match(sign, line.strip()):
                return kind
    return None
