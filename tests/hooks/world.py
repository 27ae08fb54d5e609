"""What the tests of hooks share: events, hooks, and a receiver in place of the network."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from ipvs_lb.events import Event, Fact, Level
from ipvs_lb.hooks.calls import Call, Outcome
from ipvs_lb.hooks.dispatcher import Dispatcher
from ipvs_lb.model.event import HOOKABLE
from ipvs_lb.model.hooks import Action, Hook, Webhook

WEB, MAIL = "tcp/10.0.0.16:80", "tcp/10.0.0.17:25"
NAMES = {WEB: "web", MAIL: "mail"}
DELIVERED = Outcome()
AGAIN = Outcome(reason="status 503", again=True)
REFUSED = Outcome(reason="status 403")


def hook(name="pager", *, action: Action | None = None, events=HOOKABLE, **settings) -> Hook:
    action = action or Webhook(url="http://127.0.0.1/", attempts=3)
    return Hook(name=name, action=action, events=frozenset(events), **settings)


def event(number, name="server.down", service: str | None = WEB, level=Level.WARNING) -> Event:
    facts: dict[str, Fact] = {} if service is None else {"service": service}
    return Event(number=number, at=float(number), name=name, level=level, facts=facts)


def call(*numbers: int, **settings) -> Call:
    settings = {"service": WEB, "service_name": "web", "delivery": "d-1", **settings}
    return Call(hook="pager", gateway="gw", events=tuple(map(event, numbers or (1,))), **settings)


class Receiver:
    """Takes *seconds* for an attempt and answers with *outcomes*, the last of them for ever."""

    def __init__(self, *outcomes: Outcome, seconds: float = 0.0) -> None:
        self.outcomes = list(outcomes or (DELIVERED,))
        self.seconds = seconds
        self.attempts: list[tuple[float, Action, Call]] = []
        self.got: list[Call] = []
        self.busy: dict[tuple[str, str | None], int] = {}
        self.most = 0

    async def __call__(self, action: Action, call: Call) -> Outcome:
        key = (call.hook, call.service)
        assert not self.busy.get(key), "two at once"
        self.busy[key] = 1
        self.most = max(self.most, sum(self.busy.values()))
        self.attempts.append((asyncio.get_running_loop().time(), action, call))
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.busy[key] = 0
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if outcome.delivered:
            self.got.append(call)
        return outcome

    def numbers(self) -> list[list[int]]:
        return [[event.number for event in call.events] for call in self.got]

    def times(self) -> list[float]:
        return [round(at, 3) for at, _, _ in self.attempts]


class World:
    """A dispatcher with a receiver; `told` is what it made events of."""

    def __init__(self, *hooks: Hook, receiver: Receiver | None = None) -> None:
        self.receiver = receiver or Receiver()
        self.told: list[Mapping[str, Fact]] = []
        self.dropped: Counter[str] = Counter()
        self.dispatcher = Dispatcher(
            gateway="gw",
            tell=self._tell,
            dropped=self.dropped,
            send=self.receiver,
            chance=lambda: 0.0,
        )
        self.configure(*hooks)

    def _tell(self, name: str, facts: Mapping[str, Fact]) -> None:
        assert name == "hook.failed"
        self.told.append(facts)

    def configure(self, *hooks: Hook) -> None:
        self.dispatcher.configure(hooks, lambda key: NAMES.get(str(key)))

    def tell(self, *events: Event) -> None:
        for one in events:
            self.dispatcher.told(one)
