"""What is read rather than looked at: everything of one server, and what the keys do."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import click

from ipvs_lb.amounts import duration
from ipvs_lb.cli.daemon_text import explanation_lines
from ipvs_lb.cli.top.readings import TICKS, Identity, Known

_NARROWEST = 20  # columns in which folding makes sense
_HELP = f"""\
 up down j k    select                PgUp PgDn   a page further
 Home End g G   first, last           Enter       all of a server: why, checks
 /              filter: words in name, address, service or state
 !              only what needs a look, or everything
 s              sort by the next column           r   the other way round
 Space          ask the daemon now
 d              drain the selected server: no new connections, out when empty
 e              enable it: its order is taken back, its checks decide again
 ? Esc q        this help; back, filter away; back, quit

 WEIGHT   wanted/in the kernel, - where it is not in the table
 ACTIVE   established connections; INACT others the kernel remembers
 CONN/S, IN/S, OUT/S   connections and bytes per second between two looks at the
          kernel's counters, - until there are two
 CHECKS   the last {TICKS} results or as many as fit, the newest at the right:
          + passed, - failed, ? could not be carried out here
 STATE    up takes new connections; idle has weight 0; standby: another tier
          serves; unknown: no result yet; foreign: not of this configuration"""


def help_lines() -> Sequence[str]:
    """What the keys do and the columns mean."""
    return _HELP.splitlines()


def detail_lines(known: Known, identity: Identity | None, width: int) -> Sequence[str]:
    """What is known of one server, its order and the results of its checks, in *width* columns."""
    explanation = known.explanation
    if identity is None or explanation is None or identity not in explanation.servers:
        where = "no server" if identity is None else f"{identity.place} of {identity.service}"
        return (f"{where}: nothing is told about it (yet)",)
    explained = explanation.servers[identity]
    lines = [click.unstyle(line) for line in explanation_lines(explained, explanation.at)]
    server = explained["server"]
    if server["override"] is not None:
        given = server["override"]
        ago = duration(max(0.0, explanation.at - given["since"]))
        reason = f": {given['reason']}" if given["reason"] else ""
        lines.insert(1, f"  order:  {given['action']}, {ago} ago by {given['who']}{reason}")
    return [part for line in lines for part in _folded(line, width)]


def _folded(line: str, width: int) -> Sequence[str]:
    beginning = " " * (len(line) - len(line.lstrip()) + 2)
    return wrap(line, max(width, _NARROWEST), subsequent_indent=beginning)
