"""A change as JSON: schema `ipvs_lb/plan/1`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipvs_lb.cli.steps import Step, steps
from ipvs_lb.impact import Closing, Impact, Moved, closings, impacts
from ipvs_lb.model.host import AddAddress, RemoveAddress, SetFirewall, SetSysctl
from ipvs_lb.serial import JSON, command_to_json, host_command_to_json, sysctl_to_json

if TYPE_CHECKING:
    from ipvs_lb.engine.apply import Change
    from ipvs_lb.model.desired import SysctlNeed

PLAN_SCHEMA = "ipvs_lb/plan/1"


def plan_to_json(change: Change) -> dict[str, JSON]:
    """Everything *change* would do, in order, and what it does to people."""
    effects = impacts(change.before, change.desired.table, change.statistics or {})
    return {
        "schema": PLAN_SCHEMA,
        "changes": not change.is_empty,
        "steps": [_step_to_json(step) for step in steps(change)],
        "impact": [_impact_to_json(effect) for effect in effects],
        "closings": [
            {"address": str(closing.address), "own": closing.is_own}
            for closing in closings_of(change)
        ],
        "missing_sysctls": [_missing_to_json(need) for need in change.missing_sysctls],
        "foreign_services": [str(key) for key in change.foreign.services],
    }


def closings_of(change: Change) -> tuple[Closing, ...]:
    """The addresses on which the gateway's own ports stop answering by *change*."""
    state = change.host_state
    return closings(
        state.firewall, change.desired.firewall, state.addresses, change.owned.addresses
    )


def sysctl_command(need: SysctlNeed) -> str:
    """What an operator types to meet *need*."""
    return f"sysctl -w {need.name}={need.value}"


def _step_to_json(step: Step) -> dict[str, JSON]:
    if isinstance(step.command, AddAddress | RemoveAddress | SetSysctl | SetFirewall):
        return host_command_to_json(step.command)
    body = command_to_json(step.command)
    if step.altered:
        body["altered"] = {a.name: {"from": a.old, "to": a.new} for a in step.altered}
    return body


def _impact_to_json(impact: Impact) -> dict[str, JSON]:
    moved = impact.moved
    return {
        "service": str(impact.key),
        "leaving_servers": [
            {
                "address": str(leaving.server.address),
                "port": leaving.server.port,
                "drains": leaving.drains,
                "active_connections": leaving.active,
                "inactive_connections": leaving.inactive,
            }
            for leaving in impact.leaving
        ],
        "moved_clients": None if moved is None else _moved_to_json(moved),
        "unserved": impact.unserved,
    }


def _moved_to_json(moved: Moved) -> dict[str, JSON]:
    return {
        "share": round(moved.share, 4),
        "refused": round(moved.refused, 4),
        "exact": moved.exact,
    }


def _missing_to_json(need: SysctlNeed) -> dict[str, JSON]:
    return {**sysctl_to_json(need), "command": sysctl_command(need)}
