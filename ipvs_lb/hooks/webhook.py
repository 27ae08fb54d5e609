"""Webhooks: one attempt in a thread of its own, which never keeps the process from ending."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from ipvs_lb.hooks.calls import LATE, Call, Outcome
from ipvs_lb.hooks.line import Line
from ipvs_lb.model.hooks import Webhook

_CRASHED = Outcome(reason="a bug in the request", again=True)


async def tell_webhook(webhook: Webhook, call: Call) -> Outcome:
    """One attempt, cut after `timeout` seconds, and at once when cancelled.

    It is over when the thread is, so that there is never a second one beside it. A name that does not resolve can hold
    the thread for as long as the resolver tries.
    """
    loop = asyncio.get_running_loop()
    line = Line()
    answered: asyncio.Future[Outcome] = loop.create_future()

    def settle(outcome: Outcome) -> None:
        if not answered.done():
            answered.set_result(outcome)

    def work() -> None:
        outcome = _CRASHED
        try:
            from ipvs_lb.hooks.post import post

            outcome = post(webhook, call, line)
        finally:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                loop.call_soon_threadsafe(settle, outcome)

    try:
        threading.Thread(target=work, name=f"hook {call.hook}", daemon=True).start()
    except RuntimeError:
        return Outcome(reason="this machine is out of threads", again=True)
    deadline = loop.call_later(webhook.timeout, line.cut)
    try:
        outcome = await answered
    finally:
        deadline.cancel()
        was_cut = line.is_cut
        line.cut()
    if outcome.reason == LATE or (was_cut and not outcome.delivered):
        return Outcome(reason=f"no answer within {webhook.timeout:g} s", again=True)
    return outcome
