"""Checks and their results as JSON values. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ipvs_lb.engine.control import Outcome, ProbeView, Snapshot
from ipvs_lb.health import NEW, Status
from ipvs_lb.model.checks import method_name
from ipvs_lb.model.probe import Probe
from ipvs_lb.serial import JSON


def check_name(probe: Probe) -> str:
    """`http check of 10.0.0.4:80`, with ` through tcp/10.0.0.16:80` when it goes to that VIP."""
    through = "" if probe.through is None else f" through {probe.through}"
    return f"{method_name(probe.check.method)} check of {target_name(probe)}{through}"


def target_name(probe: Probe) -> str:
    """Where *probe* goes: without a port where it needs none."""
    return str(probe.target if probe.target.port else probe.target.address)


def identity_to_json(probe: Probe) -> dict[str, JSON]:
    """What tells a check from others, for people."""
    return {
        "check": check_name(probe),
        "type": method_name(probe.check.method),
        "target": target_name(probe),
        "through": None if probe.through is None else str(probe.through),
    }


def check_to_json(snapshot: Snapshot, probe: Probe) -> dict[str, JSON]:
    """What is believed of a probe's target, how far that is from changing, and the last results."""
    view = snapshot.probes.get(probe)
    health = NEW if view is None else view.health
    check = probe.check
    return {
        **identity_to_json(probe),
        "interval": check.interval,
        "timeout": check.timeout,
        "rise": check.rise,
        "fall": check.fall,
        "status": str(health.status),
        "adopted": health.adopted,
        "streak": health.streak,
        "since": None if health.status is Status.UNKNOWN else health.since,
        "shared_by": 0 if view is None else view.users,
        "results": [outcome_to_json(outcome) for outcome in (view.history if view else ())],
    }


def outcome_to_json(outcome: Outcome) -> dict[str, JSON]:
    """One execution of a check."""
    result, timings = outcome.result, outcome.result.timings
    return {
        "at": outcome.at,
        "passed": result.passed,
        "error": None if result.error is None else str(result.error),
        "detail": result.detail,
        "timings": {
            "connect": timings.connect,
            "tls": timings.tls,
            "first_byte": timings.first_byte,
            "total": timings.total,
        },
        "weight": result.weight,
    }


def last_error_to_json(views: Iterable[ProbeView]) -> JSON:
    """The newest failure among the kept results of some probes."""
    newest: Outcome | None = None
    where = ""
    for view in views:
        failed = view.history.newest_failure()
        if failed is not None and (newest is None or failed.at > newest.at):
            newest, where = failed, check_name(view.probe)
    if newest is None:
        return None
    error, detail = str(newest.result.error), newest.result.detail
    return {"at": newest.at, "check": where, "error": error, "detail": detail}
