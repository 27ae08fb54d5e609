"""A lab that is played by hand: sentences are done and judged as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ipvs_lb.errors import UsageError
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.traffic import Goal, ask
from ipvs_lb.scenario.play import Kind, News, play
from ipvs_lb.scenario.reading import Script
from ipvs_lb.scenario.stage import LabStage, opened
from ipvs_lb.scenario.steps import Pace, Watch

_PATIENCE = 5.0


class LabByHand:
    """A built lab with its running daemon. What is done to it is done one after the other, whoever asks."""

    def __init__(self, script: Script, stage: LabStage, *, slack: float) -> None:
        self._script = script
        self._stage = stage
        self._slack = slack
        self._turn = threading.Lock()

    @property
    def config(self) -> Path:
        """The configuration it was built from."""
        return self._script.scenario.config

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The client, the gateway and every server, by name."""
        return self._stage.hosts

    @property
    def goals(self) -> Mapping[str, Sequence[Goal]]:
        """Where clients reach each service."""
        return self._stage.goals

    def condition(self, name: str) -> str:
        """How the applications of a server are; empty for another host."""
        return ", ".join(sorted(self._stage.conditions(name)))

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes every command of `ipvs-lb` mean this lab's daemon."""
        return self._stage.daemon.environment

    def host(self, name: str) -> Host:
        """The host of a name; a server also by its address. Raises UsageError when there is none."""
        by_address = {str(address): name for address, name in self._stage.names.items()}
        found = self.hosts.get(name) or self.hosts.get(by_address.get(name, ""))
        if found is None:
            raise UsageError(f"there is no host {name!r}, only {', '.join(sorted(self.hosts))}")
        return found

    def do(
        self, sentences: Sequence[str], folder: Path, tell: Callable[[News], None] = lambda _: None
    ) -> tuple[News, ...]:
        """Do what *sentences* say, one after the other, and tell it; those of their expectations that failed.

        Files are relative to *folder*. Raises UsageError, before anything is done, when one means nothing; LBError
        when one cannot be done.
        """
        failed: list[News] = []

        def hear(news: News) -> None:
            if news.kind is not Kind.TABLE:
                tell(news)
            if news.kind is Kind.FAILED:
                failed.append(news)

        with self._turn:
            steps = [self._script.read(text, folder) for text in sentences]
            for step in steps:
                watched = [step.doing.demand.service] if isinstance(step.doing, Watch) else []
                with self._stage.asked(watched):
                    scenario = replace(self._script.scenario, steps=(step,))
                    play(scenario, self._stage, hear, slack=self._slack)
        return tuple(failed)

    def get(self, service: str, *, port: int | None = None, timeout: float = _PATIENCE) -> str:
        """The name of the server that answers one request to the first VIP of *service*, to its first port or *port*.

        Raises UsageError when no client can ask that, LabError when nobody answers.
        """
        goals = self._stage.goals.get(service, ())
        asked = [goal for goal in goals if port in {None, goal.port}]
        if not asked:
            raise UsageError(_unknown(service, port, self._stage.goals))
        return ask(self.hosts["client"], asked[0], timeout=timeout)


def _unknown(service: str, port: int | None, goals: Mapping[str, Sequence[Goal]]) -> str:
    if goals.get(service):
        ports = sorted({goal.port for goal in goals[service]})
        return f"{service} has no port {port}, only {', '.join(map(str, ports))}"
    known = ", ".join(name for name in sorted(goals) if goals[name])
    return f"no client can ask a service {service!r}, only {known or 'none'}"


@contextmanager
def played_by_hand(
    config: Path,
    others: Iterable[Path] = (),
    timing: Mapping[str, object] | None = None,
    *,
    slack: float,
) -> Iterator[LabByHand]:
    """The lab of a configuration, up while the block lasts; see `Script` for *others* and *timing*.

    *slack* seconds are added to every `within`, and to the second that a client waits.

    Raises ConfigError when a configuration is refused, LabError when the lab cannot be built.
    """
    script = Script(config, tuple(others), timing)
    with opened(replace(script.scenario, pace=Pace(timeout=Pace().timeout + slack))) as stage:
        yield LabByHand(script, stage, slack=slack)
