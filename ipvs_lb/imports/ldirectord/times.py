"""Times and counts of ldirectord's checks, of a virtual service over those of the file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ipvs_lb.imports.findings import Findings
from ipvs_lb.imports.ldirectord.lines import Section

INTERVAL, CHECK_TIMEOUT, NEGOTIATE_TIMEOUT = 10, 5, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What one section says; None: nothing."""

    check: int | None = None
    negotiate: int | None = None
    interval: int | None = None
    failures: int | None = None

    def timeout(self, general: Times) -> int:
        """Seconds for connect, external and ping: the two timeouts stand in for each other."""
        given = (self.check, self.negotiate, general.check, general.negotiate)
        return next((one for one in given if one is not None), CHECK_TIMEOUT)

    def negotiate_timeout(self, general: Times) -> int:
        """Seconds for a negotiate check."""
        given = (self.negotiate, self.check, general.negotiate, general.check)
        return next((one for one in given if one is not None), NEGOTIATE_TIMEOUT)


def times(section: Section, findings: Findings) -> Times:
    """Take the times out of *section*; how often a ping is repeated at once is not among them."""
    for setting in section.every("checkcount"):
        what = f"{section.title} {setting.title}".strip()
        findings.unneeded(setting.mark, what, "failurecount is what counts")
    return Times(
        check=number(section, "checktimeout", findings),
        negotiate=number(section, "negotiatetimeout", findings),
        interval=number(section, "checkinterval", findings),
        failures=number(section, "failurecount", findings),
    )


def number(section: Section, key: str, findings: Findings) -> int | None:
    """The number of a setting, as ldirectord finds it in there; 0 makes no sense."""
    setting = section.last(key)
    if setting is None:
        return None
    match = re.search(r"\d+", setting.value)
    if match is None or not int(match[0]):
        findings.left_out(
            setting.mark, f"{section.title} {setting.title}".strip(), "expected a number from 1 on"
        )
        return None
    return int(match[0])
