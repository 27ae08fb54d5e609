"""What is wrong with a gateway: facts in, findings out.

Rules kept here:
1. Every rule looks at facts alone, and finds one kind of thing.
2. A finding says what there is, what it does to users, and how it is mended: a command that makes it go, or leads to
   its cause.
3. What is not known is not found: a missing fact is no finding, but for `not_seen`.
"""

from ipvs_lb.doctor import kernel, paths, upkeep
from ipvs_lb.doctor.facts import Daemon, Facts, Listener, Route, StateDirectory
from ipvs_lb.doctor.finding import Finding, Rule, Severity

RULES: tuple[Rule, ...] = (*kernel.RULES, *paths.RULES, *upkeep.RULES)
_ORDER = tuple(Severity)

__all__ = [
    "RULES",
    "Daemon",
    "Facts",
    "Finding",
    "Listener",
    "Route",
    "Severity",
    "StateDirectory",
    "diagnose",
]


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Everything that is wrong with the gateway of *facts*, the worst first."""
    found = [finding for rule in RULES for finding in rule.findings(facts)]
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.severity)))
