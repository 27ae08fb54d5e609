"""What is declared at run time, in named groups, beside what the configuration's files declare.

No virtual service is declared twice: whoever comes second is refused, and what was there stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ipvs_lb.errors import ConfigError
from ipvs_lb.model.config import Config, DeclaredService
from ipvs_lb.model.host import Vip
from ipvs_lb.model.identity import IPAddress, ServiceKey

Group = Sequence[DeclaredService]


class Groups:
    """The files' configuration, the groups, and the configuration that both come to."""

    def __init__(self) -> None:
        self._files = Config()
        self._groups: dict[str, tuple[DeclaredService, ...]] = {}
        self._owners: dict[ServiceKey, str] = {}

    @property
    def files(self) -> Config:
        """What the files declare."""
        return self._files

    def with_files(self, files: Config, groups: Mapping[str, Group] | None = None) -> Groups:
        """These groups, or *groups* in their place, beside other *files*. Raises ConfigError."""
        after = Groups()
        after._files = files
        given = self._groups if groups is None else groups
        vips = _vips(files)
        after._groups = {name: _settled(services, vips) for name, services in given.items()}
        after._owners = {
            key: name for name, services in after._groups.items() for key in _keys(services)
        }
        problems = [
            f"{declared.origin}: virtual service {key} is already declared by {after._owners[key]}"
            for declared in files.services
            for key in declared.keys
            if key in after._owners
        ]
        if problems:
            raise ConfigError(problems)
        return after

    def with_group(self, name: str, services: Group) -> Groups:
        """The same with *services* as the group *name*; empty, it is gone. Raises ConfigError."""
        after = Groups()
        after._files = self._files
        after._groups = {**self._groups, name: _settled(services, _vips(self._files))}
        if not services:
            del after._groups[name]
        after._owners = {key: owner for key, owner in self._owners.items() if owner != name}
        taken = {key for declared in self._files.services for key in declared.keys}
        problems = [
            f"virtual service {key} is already declared by {after._owners.get(key, 'the configuration')}"
            for key in _keys(services)
            if key in after._owners or key in taken
        ]
        if problems:
            raise ConfigError(problems)
        after._owners |= dict.fromkeys(_keys(services), name)
        return after

    def merged(self) -> Config:
        """Everything that is declared."""
        if not self._groups:
            return self._files
        declared = (one for services in self._groups.values() for one in services)
        return replace(self._files, services=(*self._files.services, *declared))


def _keys(services: Group) -> Iterable[ServiceKey]:
    return (key for declared in services for key in declared.keys)


def _vips(files: Config) -> dict[IPAddress, Vip]:
    return {vip.address: vip for declared in files.services for vip in declared.vips}


def _settled(services: Group, vips: Mapping[IPAddress, Vip]) -> tuple[DeclaredService, ...]:
    """An address that the files declare has the settings it has there."""
    return tuple(
        declared
        if vips.keys().isdisjoint(vip.address for vip in declared.vips)
        else replace(declared, vips=tuple(vips.get(vip.address, vip) for vip in declared.vips))
        for declared in services
    )
