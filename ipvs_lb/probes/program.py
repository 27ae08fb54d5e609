"""The exec method: a program decides.

It finds IPVS_LB_ADDRESS, IPVS_LB_PORT, IPVS_LB_FAMILY and IPVS_LB_TIMEOUT in its environment.
"""

from __future__ import annotations

from ipvs_lb.model.checks import ExecCheck
from ipvs_lb.model.identity import family_of
from ipvs_lb.model.results import ErrorClass
from ipvs_lb.probes.failures import ProbeFailure, quoted
from ipvs_lb.probes.weights import parse_weight
from ipvs_lb.probes.wire import Finding, Wire
from ipvs_lb.programs import Fault, Program, ProgramError, run

_FAULTS = {
    Fault.SHORTAGE: ErrorClass.LOCAL,
    Fault.UNFIT: ErrorClass.CHECK,
    Fault.FLOOD: ErrorClass.TOO_LARGE,
}


async def probe_exec(check: ExecCheck, wire: Wire) -> Finding:
    """Pass when the program exits with 0 and, if asked for, has printed a weight."""
    wire.watch.doing = "running the program"
    program = Program(
        command=check.command,
        user=check.user,
        environment=environment(wire),
        stderr=not check.weight,
    )
    try:
        ended = await run(program)
    except ProgramError as error:
        raise ProbeFailure(_FAULTS[error.fault], str(error)) from error
    if ended.status:
        raise ProbeFailure(ErrorClass.EXEC, f"{ended} {_first_line(ended.output)}".rstrip())
    if not check.weight:
        return Finding(detail=_first_line(ended.output))
    weight = parse_weight(ended.output)
    return Finding(weight=weight, detail=f"weight {weight}")


def environment(wire: Wire) -> dict[str, str]:
    """What the program is told."""
    return {
        "IPVS_LB_ADDRESS": str(wire.target.address),
        "IPVS_LB_PORT": str(wire.target.port),
        "IPVS_LB_FAMILY": str(family_of(wire.target.address)),
        "IPVS_LB_TIMEOUT": f"{wire.timeout:g}",
    }


def _first_line(output: bytes) -> str:
    line = output.strip().partition(b"\n")[0]
    return quoted(line, 100) if line else ""
