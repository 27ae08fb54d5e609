"""The daemon, asked in a thread of its own: a slow or dead one never stops the keys."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ipvs_lb.cli.top.readings import Explanation, Gone, News, Said, identity_of
from ipvs_lb.cli.top.view import Order, Sight
from ipvs_lb.errors import LBError

if TYPE_CHECKING:
    from ipvs_lb.api.answers import Explanations, Ordered, Server, Status
    from ipvs_lb.cli.daemon import Daemon

_OVERRIDE = "/v1/servers/override"


class Look:
    """Ask now."""


class Feed:
    """Asks every *interval* seconds and when told; what it hears waits to be taken."""

    def __init__(self, daemon: Daemon, interval: float) -> None:
        self._daemon = daemon
        self._interval = interval
        self._wishes: queue.SimpleQueue[Sight | Order | Look] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[Status | News] = queue.SimpleQueue()
        self._sight = Sight()

    def start(self) -> None:
        """Begin; the thread ends with the process, whatever it waits for."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def tell(self, wish: Sight | Order | Look) -> None:
        """What is to be done as soon as possible."""
        self._wishes.put(wish)

    def heard(self) -> Iterator[Status | News]:
        """What has come since."""
        while not self._heard.empty():
            yield self._heard.get()

    def _run(self) -> None:
        while True:
            self._ask()
            due = time.monotonic() + self._interval
            while (left := due - time.monotonic()) > 0:
                try:
                    wish = self._wishes.get(timeout=left)
                except queue.Empty:
                    break
                if self._do(wish):
                    break

    def _do(self, wish: Sight | Order | Look) -> bool:
        """Whether everything is to be asked anew."""
        match wish:
            case Sight():
                self._sight = wish
                self._explain()
                return False
            case Order():
                self._order(wish)
                return True
            case Look():
                return True

    def _ask(self) -> None:
        try:
            status: Status = self._daemon.get("/v1/status")
        except LBError as error:
            self._heard.put(Gone(str(error), error.hint or ""))
            return
        self._heard.put(status)
        self._explain()

    def _explain(self) -> None:
        """What went out of sight or away meanwhile is not missed: the next status tells that it is gone."""
        from ipvs_lb.cli.daemon import explain_path

        sight = self._sight
        if sight.server is None and not sight.services:
            return
        servers = "*" if sight.server is None else sight.server.place
        services = sight.services if sight.server is None else (sight.server.service,)
        try:
            answer: Explanations = self._daemon.get(explain_path(servers), {"service": services})
        except LBError:
            return
        found = {identity_of(one["server"]): one for one in answer["servers"]}
        self._heard.put(Explanation(answer["at"], found))

    def _order(self, order: Order) -> None:
        place, service = order.server.place, order.server.service
        try:
            answer: Ordered = (
                self._daemon.post(_OVERRIDE, _body(order))
                if order.action == "drain"
                else self._daemon.delete(_OVERRIDE, {"server": [place], "service": [service]})
            )
        except LBError as error:
            hint = f"; {error.hint}" if error.hint else ""
            self._heard.put(Said(f"{order.action} {order.name} FAILED: {error}{hint}", failed=True))
            return
        self._heard.put(_told(order, answer))


def _body(order: Order) -> Mapping[str, Any]:
    return {
        "servers": [order.server.place],
        "services": [order.server.service],
        "action": order.action,
    }


def _told(order: Order, answer: Ordered) -> Said:
    skipped = [one["reason"] for one in answer["skipped"]]
    if skipped:
        return Said(f"{order.action} {order.name} FAILED: {'; '.join(skipped)}", failed=True)
    states = ", ".join(map(_state, answer["servers"]))
    return Said(f"{order.action} {order.name}: it is {states}")


def _state(server: Server) -> str:
    weight = "" if server["weight"] is None else f", weight {server['weight']}"
    return f"{server['state']}{weight}"
