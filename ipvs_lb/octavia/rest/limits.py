"""Quotas: how many objects of each kind a project may have."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from ipvs_lb.octavia.faults import Fault
from ipvs_lb.octavia.fields import whole
from ipvs_lb.octavia.objects import Kind
from ipvs_lb.octavia.quotas import NO_LIMIT
from ipvs_lb.octavia.rest.answers import done, nothing
from ipvs_lb.octavia.rest.ask import Ask
from ipvs_lb.octavia.rest.scene import Scene, list_rows, project_filter
from ipvs_lb.serial import JSON

MAX_LIMIT = 2_000_000_000
_OLD_NAMES = {
    "load_balancer": Kind.LOAD_BALANCER.value,
    "health_monitor": Kind.HEALTH_MONITOR.value,
}
_LAYER_7 = ("l7policy", "l7rule")
"""There are none of them, so that every limit is kept."""


class Limits:
    """The endpoints about quotas."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def quotas(self, ask: Ask) -> Response:
        """Those of projects that have their own."""
        project = project_filter(ask)
        own = self._scene.desk.quotas
        rows = [self._shown(one) for one in sorted(own) if project in {None, one}]
        names = ("tenant_id", "project_id")
        return list_rows(
            ask, "quotas", rows, fields=names, filters=dict.fromkeys(names, "tenant_id")
        )

    async def quota(self, ask: Ask) -> Response:
        """That of a project."""
        ask.must_see(ask.step("project"))
        return done({"quota": self._shown(ask.step("project"))})

    async def defaults(self, ask: Ask) -> Response:
        """What holds for a project of which nothing else is said."""
        project = ask.request.path_params.get("project", "defaults")
        return done({"quota": _shown(self._scene.desk.settings.limits, project)})

    async def set_quota(self, ask: Ask) -> Response:
        """Own limits for a project; null leaves one to the default."""
        ask.must_be_admin()
        body = await ask.body("quota", "quotas")
        project = ask.step("project")
        if len(project) > 36:  # noqa: PLR2004  # as everywhere
            raise Fault(400, "Missing project ID in request where one is required.")
        limits = {**self._scene.desk.quotas.get(project, {})}
        for name, value in _limits(body).items():
            if value is None:
                limits.pop(name, None)
            else:
                limits[name] = value
        await self._scene.desk.take_quota(project, limits)
        return done({"quota": self._shown(project)}, 202)

    async def reset_quota(self, ask: Ask) -> Response:
        """The defaults again."""
        ask.must_be_admin()
        await self._scene.desk.take_quota(ask.step("project"), None)
        return nothing(202)

    def _shown(self, project: str) -> dict[str, JSON]:
        return _shown(self._scene.desk.limits(project), project)


def _limits(body: Mapping[str, object]) -> dict[str, int | None]:
    """The limits in a body, by kind. Raises Fault."""
    limits: dict[str, int | None] = {}
    for name, value in body.items():
        settled = _OLD_NAMES.get(name, name)
        if settled not in {*Kind, *_LAYER_7}:
            raise Fault(400, f"Unknown attribute for argument quotas.quota: {name}")
        limits[settled] = (
            None if value is None else whole(name, value, least=NO_LIMIT, most=MAX_LIMIT)
        )
    return limits


def _shown(limits: Mapping[str, int], project: str) -> dict[str, JSON]:
    names = [*(kind.value for kind in Kind), *_LAYER_7]
    shown: dict[str, JSON] = {name: limits.get(name, NO_LIMIT) for name in names}
    for old, name in _OLD_NAMES.items():
        shown[old] = shown[name]
    return {**shown, "tenant_id": project, "project_id": project}
