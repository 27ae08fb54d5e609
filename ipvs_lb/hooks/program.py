"""Programs as hooks: the call on standard input, the essentials in the environment."""

from __future__ import annotations

import asyncio
import json

from ipvs_lb.hooks.calls import Call, Outcome
from ipvs_lb.model.hooks import Exec
from ipvs_lb.programs import Program, ProgramError, run, user_id


async def tell_program(hook: Exec, call: Call) -> Outcome:
    """Run it to its end; killed after `timeout` seconds, and at once when cancelled."""
    if user_id(hook.user) == 0:
        return Outcome(
            reason=f"user {hook.user} is root, and a hook's program does not run as root"
        )
    program = Program(
        command=hook.command,
        user=hook.user,
        environment=environment(call),
        stdin=call.body(),
    )
    try:
        async with asyncio.timeout(hook.timeout):
            ended = await run(program)
    except TimeoutError:
        return Outcome(reason=f"killed after {hook.timeout:g} s")
    except ProgramError as error:
        return Outcome(reason=str(error))
    return Outcome(reason=f"{ended} {_first_line(ended.output)}".rstrip() if ended.status else "")


def environment(call: Call) -> dict[str, str]:
    """What the program is told besides its standard input."""
    return {
        "IPVS_LB_HOOK": call.hook,
        "IPVS_LB_GATEWAY": call.gateway,
        "IPVS_LB_DELIVERY": call.delivery,
        "IPVS_LB_SERVICE": call.service or "",
        "IPVS_LB_SERVICE_NAME": call.service_name or "",
        "IPVS_LB_EVENTS": " ".join(event.name for event in call.events),
        "IPVS_LB_DROPPED": str(call.dropped),
    }


def _first_line(output: bytes) -> str:
    line = output.strip().partition(b"\n")[0][:100]
    return json.dumps(line.decode(errors="replace")) if line else ""
