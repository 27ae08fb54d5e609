"""What a lab that is up answers to those who ask: run a program, do a sentence, say how it is, end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ipvs_lb.errors import LBError
from ipvs_lb.lab.links import addresses
from ipvs_lb.scenario.by_hand import LabByHand
from ipvs_lb.scenario.play import News
from ipvs_lb.serial import JSON
from ipvs_lb.standing.frames import Frame, Kind, told
from ipvs_lb.standing.links import Channel, Link
from ipvs_lb.standing.programs import Order, Running
from ipvs_lb.standing.settings import told_error


class Desk:
    """Serves links, each in a thread of the caller's. `ended` is set when somebody has asked for the end."""

    def __init__(self, lab: LabByHand, facts: Mapping[str, JSON], programs: Path) -> None:
        self.ended = threading.Event()
        self._lab = lab
        self._facts = facts
        self._programs = programs

    def serve(self, link: Link) -> None:
        """Answer what comes on *link* until the other side is gone; what still runs for it then is ended."""
        open_: dict[int, Running] = {}
        try:
            for frame in link.frames():
                if frame.kind is Kind.REQUEST:
                    running = open_[frame.channel] = Running(Channel(link, frame.channel))
                    words = (running, frame, open_)
                    threading.Thread(target=self._answer, args=words, daemon=True).start()
                elif (running_ := open_.get(frame.channel)) is not None:
                    _hear(running_, frame)
        except ValueError:
            return  # what comes is no frame
        finally:
            for running in list(open_.values()):
                running.abandon()

    def _answer(self, running: Running, frame: Frame, open_: dict[int, Running]) -> None:
        channel = running.channel
        try:
            answer = self._answered(running, frame.value)
        except LBError as error:
            answer = {"error": told_error(error)}
        except OSError as error:
            answer = {"error": told_error(LBError(f"the lab: {error}"))}
        finally:
            open_.pop(frame.channel, None)
        try:
            channel.send(Kind.END, told(0, Kind.END, answer).payload)
        except OSError:
            return  # nobody is there to hear it

    def _answered(self, running: Running, request: Mapping[str, Any]) -> dict[str, object]:
        match request["what"]:
            case "run":
                return {"status": self._run(running, request)}
            case "do":
                return {"failed": self._do(running.channel, request)}
            case "status":
                return {"lab": self.status()}
            case "end":
                self.ended.set()
                return {}
            case what:
                raise LBError(
                    f"the lab does not know what {what!r} is", hint="is it of another version?"
                )

    def _run(self, running: Running, request: Mapping[str, Any]) -> int:
        host = self._lab.host(request["host"])
        environment = {**request["environment"], **self._lab.environment}
        environment["PATH"] = f"{self._programs}:{environment.get('PATH', '')}"
        terminal = request.get("terminal")
        order = Order(
            command=tuple(request["command"]),
            folder=request["folder"],
            environment=environment,
            terminal=(int(terminal[0]), int(terminal[1])) if terminal else None,
        )
        return running.run(host, order)

    def _do(self, channel: Channel, request: Mapping[str, Any]) -> int:
        def tell(news: News) -> None:
            news_json = {
                "kind": news.kind,
                "text": news.text,
                "detail": news.detail,
                "took": news.took,
            }
            channel.send(Kind.TOLD, told(0, Kind.TOLD, news_json).payload)

        return len(self._lab.do(request["sentences"], Path(request["folder"]), tell))

    def status(self) -> dict[str, JSON]:
        """How the lab is."""
        hosts: list[JSON] = []
        for name, host in self._lab.hosts.items():
            hosts.append(
                {
                    "name": name,
                    "condition": self._lab.condition(name),
                    "addresses": list(host.call(addresses)),
                    "namespace": host.namespace,
                }
            )
        services: list[JSON] = [
            {
                "name": name,
                "asked": [f"{goal.protocol}/{goal.address}:{goal.port}" for goal in goals],
            }
            for name, goals in sorted(self._lab.goals.items())
        ]
        return {
            **self._facts,
            "config": str(self._lab.config),
            "hosts": hosts,
            "services": services,
            "environment": dict(self._lab.environment),
        }


def _hear(running: Running, frame: Frame) -> None:
    match frame.kind:
        case Kind.INPUT:
            running.input.put(frame)
        case Kind.SIZE:
            running.resize(*frame.value)
        case Kind.TAKEN:
            running.channel.note_taken(frame)
        case Kind.GONE:
            running.abandon()
        case _:
            return  # of a newer version
