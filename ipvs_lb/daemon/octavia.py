"""The Octavia-compatible API of the running daemon, there while its configuration has a block `octavia`.

Rules kept here:
1. What its clients have made is declared from the start on, before the kernel is first compared: a restart takes
   nothing away.
2. New settings count once the configuration they stand in is in force. Users' tokens end with the old ones. Files are
   read at every reload: one that cannot be used refuses the configuration, a renewed token counts from there on.
3. Without the block, what clients have made stays in the store and leaves the kernel, also what was on its way there.
4. What the configuration's files declare is shown once it is in force.
5. A daemon that never had the block does not load any of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ipvs_lb.api.credentials import token_in
from ipvs_lb.engine.aside import Aside
from ipvs_lb.engine.balancer import Balancer
from ipvs_lb.engine.groups import Group
from ipvs_lb.engine.parts import Parts
from ipvs_lb.errors import ConfigError, LBError
from ipvs_lb.events import Event
from ipvs_lb.model.cloud import OctaviaSettings
from ipvs_lb.model.config import Config
from ipvs_lb.model.identity import IPAddress, ServiceKey

if TYPE_CHECKING:
    from ipvs_lb.octavia.auth import Door
    from ipvs_lb.octavia.desk import Desk
    from ipvs_lb.octavia.files import Shown
    from ipvs_lb.octavia.users import Users

T = TypeVar("T")

_ORDINARY = {"octavia.changed"}
_ABSENT = JSONResponse({"code": 503, "title": "Service Unavailable", "description": ""}, 503)


class Compatible:
    """`groups` is for the balancer's `Parts`, `app` for the listener; `follow` joins the two."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._aside = Aside(parts.threads)
        self._balancer: Balancer | None = None
        self._desk: Desk | None = None
        self._door: Door | None = None
        self._next_door: Door | None = None
        self._files: Shown | None = None
        self._next_files: Shown | None = None
        self._wanted: OctaviaSettings | None = None
        self._settings: OctaviaSettings | None = None
        self._app: ASGIApp = _ABSENT

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application of the settings in force."""
        await self._app(scope, receive, send)

    async def groups(self, config: Config) -> Mapping[str, Group] | None:
        """What clients have made, where *config* changes what that means. Raises ConfigError."""
        self._wanted = config.octavia
        if self._wanted is None:
            return None if self._settings is None else {}
        self._next_door = await self._aside(self._opened_door, self._wanted)
        self._next_files = await self._aside(self._files_shown, config, self._wanted)
        if self._wanted == self._settings:
            return None
        if self._desk is None:
            self._desk = await self._opened(self._wanted)
        return self._desk.groups(self._wanted)

    def follow(self, balancer: Balancer) -> Callable[[], None]:
        """Work with *balancer* from now on, whenever it has a new configuration; the returned function ends that."""
        self._balancer = balancer
        return balancer.subscribe(self._told)

    def begin(self) -> None:
        """Answer, and go on with what was pending when the last process ended."""
        self._enact()
        if self._desk is not None and self._settings is not None:
            self._desk.resume()

    async def finish(self, grace: float) -> None:
        """Give changes that are under way *grace* seconds to come into force."""
        if self._desk is not None:
            try:
                async with asyncio.timeout(grace):
                    await self._desk.finish()
            except TimeoutError:
                return

    def _told(self, event: Event) -> None:
        if event.name == "config.loaded":
            self._enact()

    def _enact(self) -> None:
        self._files = self._next_files
        if self._desk is not None and self._files is not None:
            self._desk.catalogue.show_files(self._files.objects)
        if self._wanted == self._settings:
            if self._door is not None and self._next_door is not None:
                self._door.static_token = self._next_door.static_token
            return
        self._settings, self._door = self._wanted, self._next_door
        if self._settings is None or self._desk is None or self._door is None:
            self._app, self._door = _ABSENT, None
            return
        from ipvs_lb.octavia.app import create_app
        from ipvs_lb.octavia.rest.scene import Scene as Surface
        from ipvs_lb.octavia.sight import Sight

        self._desk.adopt(self._settings)
        assert self._balancer is not None, "followed before it begins"  # noqa: S101  # narrows the type
        self._app = create_app(
            Surface(
                desk=self._desk,
                sight=Sight(self._desk.catalogue, self._balancer.snapshot),
                door=self._door,
                statistics=self._balancer.statistics,
                occupied=self._occupied,
            )
        )

    async def _opened(self, settings: OctaviaSettings) -> Desk:
        """The desk with all that the store holds."""
        from ipvs_lb.octavia import storage
        from ipvs_lb.octavia.desk import Desk, Outside

        stored = storage.read(await self._aside(self._parts.records.records))
        outside = Outside(
            declare=self._declare,
            keep=self._keep,
            clock=self._parts.clock,
            told=self._tell,
            claimed=self._claimed,
        )
        for name in stored.damaged:
            self._tell("record.damaged", {"record": name})
        return Desk(settings, stored, outside)

    def _files_shown(self, config: Config, settings: OctaviaSettings) -> Shown:
        """What the files of *config* declare, as it is shown under *settings*."""
        from ipvs_lb.octavia import files

        if not settings.file_services:
            return files.NOTHING
        before = self._files or files.NOTHING
        if settings != self._settings:
            before = replace(before, branches={})
        return files.shown(config.services, settings, self._parts.clock(), before)

    def _opened_door(self, settings: OctaviaSettings) -> Door:
        """Who may come in. Raises ConfigError when the files of *settings* cannot be used."""
        from ipvs_lb.octavia.auth import Door
        from ipvs_lb.octavia.users import UsersFile

        try:
            users: Callable[[], Users] = dict
            if settings.users is not None:
                path = Path(settings.users)
                users = UsersFile(path, self._parts.clock, self._users_unreadable).users
            token = None if settings.token_file is None else token_in(settings.token_file)
        except LBError as error:
            raise ConfigError([f"{settings.listener.origin}: {error}"]) from error
        return Door(
            settings,
            users,
            clock=self._parts.clock,
            threads=self._parts.threads,
            static_token=token,
        )

    async def _declare(self, group: str, services: Group) -> None:
        assert self._balancer is not None, "followed before it begins"  # noqa: S101  # narrows the type
        await self._balancer.declare(group, services)
        if self._settings is None:  # the block went while this waited for the reload
            await self._balancer.declare(group, ())

    async def _keep(self, texts: Mapping[str, str | None]) -> None:
        await self._aside(self._parts.records.record, texts)

    def _users_unreadable(self, reason: str) -> None:
        self._tell("octavia.users", {"reason": reason})

    def _tell(self, name: str, facts: Mapping[str, str]) -> None:
        if self._balancer is not None:
            tell = self._balancer.note if name in _ORDINARY else self._balancer.warn
            tell(name, facts)

    def _claimed(self, key: ServiceKey) -> str | None:
        """Where the configuration's files declare the virtual service *key*, if they do."""
        from ipvs_lb.octavia.compile import is_compiled

        assert self._balancer is not None, "followed before it begins"  # noqa: S101  # narrows the type
        layout = self._balancer.roster.layouts.get(key)
        if layout is None or is_compiled(layout.declared):
            return None
        return layout.declared.origin

    def _occupied(self) -> set[IPAddress]:
        """Addresses that the configuration's own services answer on, and those of all real servers."""
        from ipvs_lb.octavia.compile import is_compiled

        assert self._balancer is not None, "followed before it begins"  # noqa: S101  # narrows the type
        services = self._balancer.roster.config.services
        taken = {server.address for declared in services for server in declared.servers}
        own = (declared for declared in services if not is_compiled(declared))
        return taken | {vip.address for declared in own for vip in declared.vips}
