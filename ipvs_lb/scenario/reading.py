"""A scenario's file, with the configurations it plays: everything that is wrong with it at once, or what it means."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ipvs_lb.config import load, loads
from ipvs_lb.config.compose import parse
from ipvs_lb.config.documents import Reader, content_of
from ipvs_lb.config.problems import Place, Problems, Unknown, quoted, shown
from ipvs_lb.config.tree import Spot, Tree
from ipvs_lb.config.validation import fill
from ipvs_lb.config.values import seconds
from ipvs_lb.errors import ConfigError, UsageError
from ipvs_lb.lab.backends import Condition
from ipvs_lb.model.checks import HttpCheck
from ipvs_lb.model.config import Config, DeclaredServer, DeclaredService
from ipvs_lb.model.identity import AddressKey, IPAddress
from ipvs_lb.scenario.forms import ScenarioForm, TimingForm
from ipvs_lb.scenario.playable import Timing, playable
from ipvs_lb.scenario.sentences import MOST, read
from ipvs_lb.scenario.steps import Become, Doing, Pace, Reload, Scenario, Step, Who

_AT = re.compile(r"at\s+(\S+)")
_THEN = "then"
_TIME = seconds(0, MOST)
_MAX_BYTES = 1 << 20


def read_scenario(path: Path, config_path: Path) -> Scenario:
    """The scenario in the file at *path*, of the configuration at *config_path*.

    Raises ConfigError with every problem of either, as `FILE:LINE:COLUMN: path: what`.
    """
    load(config_path)
    problems = Problems()
    tree = _tree(path, problems)
    problems.check()
    spot = Spot(tree)
    fill(ScenarioForm, tree.root, spot, problems)
    problems.check()
    form = ScenarioForm.model_validate(tree.root)
    timing = _timing(form.checks, tree.root)
    cast = _Cast(path.parent, timing, _playable(config_path, timing, spot.at("checks"), problems))
    cast.configs[config_path] = cast.first
    problems.check()
    _find_reloads(tree.root["steps"], cast)
    steps = tuple(_steps(tree.root["steps"], spot.at("steps"), cast, problems))
    problems.check()
    return Scenario(
        name=form.name or path.stem,
        file=str(path),
        config=config_path,
        configs=cast.configs,
        steps=steps,
        pace=Pace(form.traffic.rate, form.traffic.timeout),
        timing=timing,
    )


class Script:
    """Sentences about configurations that come one by one. Raises ConfigError when one of these is refused.

    *others* are what the daemon may be told to read later; *timing* is what all checks have instead of their own.
    """

    def __init__(
        self,
        config_path: Path,
        others: Sequence[Path] = (),
        timing: Mapping[str, object] | None = None,
    ) -> None:
        checked = _checked(timing or {})
        load(config_path)
        first = loads(playable_text(config_path, checked), name=str(config_path))
        self._cast = _Cast(Path(), checked, first, {config_path: first})
        for path in others:
            load(path)
            self._cast.configs[path] = loads(playable_text(path, checked), name=str(path))
        self._built = self._cast.addresses()
        self.scenario = Scenario(
            name=config_path.stem,
            file="",
            config=config_path,
            configs=self._cast.configs,
            steps=(),
            timing=checked,
        )

    def read(self, text: str, folder: Path) -> Step:
        """What *text* means, its files being relative to *folder*. Raises UsageError when that is nothing."""
        try:
            sentence, doing = _meaning(text, replace(self._cast, folder=folder))
        except ValueError as error:
            raise UsageError(str(error.args[0])) from None
        if isinstance(doing, Reload):
            self._refuse_strangers(doing.file)
        return Step(text=sentence, when="now", origin="", doing=doing)

    def _refuse_strangers(self, file: Path) -> None:
        servers = [one for each in self._cast.configs[file].services for one in each.servers]
        strangers = [one.name for one in servers if one.address not in self._built]
        if strangers:
            del self._cast.configs[file]
            raise UsageError(
                f"{file} has a server that this lab was built without, {strangers[0]}",
                hint="build the lab with this configuration beside the first",
            )


def _checked(timing: Mapping[str, object]) -> Timing:
    problems = Problems()
    tree = parse(json.dumps(timing), name="checks", environ={}, problems=problems)
    fill(TimingForm, tree.root, Spot(tree), problems)
    problems.check()
    return dict(tree.root)


def playable_text(path: Path, timing: Timing) -> str:
    """The configuration at *path* as the lab plays it. Raises ConfigError."""
    problems = Problems()
    reader = Reader(os.environ, problems)
    reader.read(path)
    problems.check()
    return playable(reader.documents, timing)


@dataclass(slots=True)
class _Cast:
    """Everybody of all configurations that are played."""

    folder: Path
    timing: Timing
    first: Config
    configs: dict[Path, Config] = field(default_factory=dict)

    def server(self, name: str) -> Who:
        """The server of a name or address, in all its services or, as `service/server`, in one."""
        service, _, own = name.rpartition("/")
        found = [
            (declared.name, server)
            for declared, server in self._servers()
            if service in {"", declared.name} and own in {server.name, str(server.address)}
        ]
        if not found:
            raise ValueError(self._unknown(name))
        addresses = {server.address for _, server in found}
        if len(addresses) > 1:
            places = " or ".join(sorted({f"{where}/{own}" for where, _ in found}))
            raise ValueError(f"{quoted(name)} is more than one server, write {places}")
        return Who(addresses.pop(), frozenset(where for where, _ in found))

    def service(self, name: str) -> str:
        """The service of a name; clients have to be able to reach it."""
        services = [one for config in self.configs.values() for one in config.services]
        found = [one for one in services if one.name == name]
        if not found:
            known = tuple(dict.fromkeys(one.name for one in services))
            raise ValueError(Unknown(f"unknown service {quoted(name)}", name, known))
        if not any(isinstance(key, AddressKey) for one in found for key in one.keys):
            raise ValueError(
                f"{name} is told by a firewall mark, which the lab's clients cannot set"
            )
        return name

    def file(self, name: str) -> Path:
        """The configuration of a name, relative to the scenario; it has to be right."""
        path = self.folder / name
        if path not in self.configs:
            try:
                load(path)
                self.configs[path] = loads(playable_text(path, self.timing), name=str(path))
            except ConfigError as error:
                more = f" (and {len(error.problems) - 1} more)" if error.problems[1:] else ""
                raise ValueError(
                    f"this configuration is refused: {error.problems[0]}{more}"
                ) from None
        return path

    def without_http(self, who: Who) -> bool:
        """Whether no check of a server is over HTTP, so that none of them can be told that it is ill."""
        checks = (
            check.method
            for declared, server in self._servers()
            if server.address == who.address and declared.name in who.services
            for check in server.checks
        )
        return not any(isinstance(method, HttpCheck) for method in checks)

    def addresses(self) -> frozenset[IPAddress]:
        """Those of all servers."""
        return frozenset(server.address for _, server in self._servers())

    def _servers(self) -> Iterator[tuple[DeclaredService, DeclaredServer]]:
        for config in self.configs.values():
            for declared in config.services:
                for server in declared.servers:
                    yield declared, server

    def _unknown(self, name: str) -> object:
        known = tuple(dict.fromkeys(server.name for _, server in self._servers()))
        what = f"unknown server {quoted(name)}"
        return Unknown(what, name, known) if known else f"{what}, there are no servers"


def _tree(path: Path, problems: Problems) -> Tree:
    try:
        text = content_of(path, _MAX_BYTES).decode()
    except UnicodeDecodeError:
        problems.add(Place(str(path)), "file", "this is not UTF-8")
    except ValueError as error:
        problems.add(Place(str(path)), "file", str(error))
    else:
        return parse(text, name=str(path), environ=os.environ, problems=problems)
    return parse("", name=str(path), environ={}, problems=problems)


def _timing(form: TimingForm | None, root: Mapping[str, Any]) -> Timing:
    return {} if form is None else dict(root["checks"])


def _playable(path: Path, timing: Timing, spot: Spot, problems: Problems) -> Config:
    """The configuration with the scenario's timing; what is wrong with the two together is the timing's."""
    try:
        return loads(playable_text(path, timing), name=str(path))
    except ConfigError as error:
        _, _, what = error.problems[0].split(": ", 2)
        spot.note(problems, f"together with the configuration's checks: {what}")
        return Config()


def _find_reloads(steps: Sequence[Any], cast: _Cast) -> None:
    """Have every configuration that is read later, so that sentences before can name its servers."""
    for item in steps:
        for _, text in _sentences_of(item):
            word, _, name = str(text).partition(" ")
            if word == "reload":
                try:
                    cast.file(name.strip())
                except ValueError:
                    continue  # told where the sentence is read


def _sentences_of(item: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each sentence of a step, with the way to it."""
    for key, value in item.items() if isinstance(item, dict) else ():
        if isinstance(value, list):
            yield from (((key, index), text) for index, text in enumerate(value))
        else:
            yield (key,), value


def _steps(items: Sequence[Any], spot: Spot, cast: _Cast, problems: Problems) -> Iterator[Step]:
    last = 0.0
    for index, item in enumerate(items):
        here = spot.at(index)
        if not isinstance(item, dict) or len(item) != 1:
            here.note(
                problems, f"expected `at TIME: SENTENCE` or `then: SENTENCE`, found {shown(item)}"
            )
            continue
        (key,) = item
        try:
            last = _moment(key, last)
        except ValueError as error:
            here.at(key).note(problems, error.args[0], at_key=True)
            continue
        for number, (path, text) in enumerate(_sentences_of(item)):
            there = here.at(*path)
            try:
                sentence, doing = _meaning(text, cast)
            except ValueError as error:
                problems.add(there.place(), there.path, error.args[0])
                continue
            yield Step(
                text=sentence,
                when=key,
                origin=str(there.place()),
                doing=doing,
                at=last if key != _THEN else 0.0,
                waits=key == _THEN and number == 0,
            )


def _moment(key: str, last: float) -> float:
    """When a step is due, the one before being due at *last*."""
    if key == _THEN:
        return last
    found = _AT.fullmatch(key)
    if found is None:
        raise ValueError(
            f"expected `then`, or `at` with a time such as `at 5s`, found {quoted(key)}"
        )
    at = float(_TIME(found[1]))
    if at < last:
        raise ValueError(f"steps stand in the order of their times, and {last:g} s came before")
    return at


def _meaning(text: object, cast: _Cast) -> tuple[str, Doing]:
    """A sentence, and what it means. Raises ValueError when that is nothing."""
    if not isinstance(text, str):
        raise ValueError(f"expected a sentence, found {shown(text)}")  # noqa: TRY004  # collected like the others
    sentence = " ".join(text.split())
    doing = read(sentence, cast)
    _refuse_senseless(doing, cast)
    return sentence, doing


def _refuse_senseless(doing: Doing, cast: _Cast) -> None:
    if (
        isinstance(doing, Become)
        and doing.condition is Condition.ILL
        and cast.without_http(doing.who)
    ):
        raise ValueError("none of its checks is over HTTP and can be told so, use stop or hang")
