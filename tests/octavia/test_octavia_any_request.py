"""Whatever the compatible API is asked, it answers, a refused request changes nothing, and what it keeps is what it has.

Real objects, desk and store; a kernel that takes everything; a real socket.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.schemas import OpenApiSchema

from ipvs_lb.api.connection import MAX_HEADER
from ipvs_lb.model.config import DeclaredService
from ipvs_lb.octavia import storage
from ipvs_lb.octavia.app import endpoints
from ipvs_lb.octavia.catalogue import Name, name_of
from ipvs_lb.octavia.floating import FloatingIp
from ipvs_lb.octavia.objects import AnyObject, Kind, Provisioning
from ipvs_lb.octavia.rest.absent import ABSENT
from tests.octavia import document as api
from tests.octavia.serve import Served, served
from tests.octavia.world import PRIVATE, PROJECT, PUBLIC, SUBNET, Site, World

PATIENCE = 10.0
MANY = 20
Case = schemathesis.Case[Any]
ALIKE = {*ABSENT} - {"flavors"}
"""What there is nothing of, all in the same way."""
asked = [one for one in endpoints(World().scene) if not ALIKE & {*one.path.split("/")}]


def loaded(mode: GenerationMode) -> OpenApiSchema:
    """Requests that keep to the document, or that do not."""
    schema = schemathesis.openapi.from_dict(api.document(asked))
    schema.config.generation.update(modes=[mode])
    return schema


right, wrong = loaded(GenerationMode.POSITIVE), loaded(GenerationMode.NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything there is: in memory, on the disk, in the kernel."""

    objects: dict[Name, AnyObject]
    floating: dict[str, FloatingIp]
    quotas: dict[str, dict[str, int]]
    texts: dict[str, str]
    services: dict[str, tuple[DeclaredService, ...]]


@dataclass
class Gateway:
    """One that is asked over its socket, and what it has answered so far."""

    served: Served
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    site: Site | None = None
    floating: str = ""

    @property
    def world(self) -> World:
        """Behind the socket."""
        return self.served.world

    def stock(self) -> dict[str, str]:
        """What the words of the document stand for: one of everything, made anew when something of it has gone."""
        return self.served.do(self._stock())

    async def _stock(self) -> dict[str, str]:
        known = self.world.desk.catalogue
        if self.site is None or len(known.load_balancers) > MANY or not self._is_whole(self.site):
            for one in [*known.load_balancers]:
                await self.world.ask("DELETE", f"/v2/lbaas/loadbalancers/{one}?cascade=true")
            await self.world.ask("DELETE", f"/v2/lbaas/quotas/{PROJECT}")
            await self.world.desk.finish()
            self.site = await self.world.site()
        if self.floating not in self.world.desk.floating:
            for one in [*self.world.desk.floating]:
                await self.world.ask("DELETE", f"/v2.0/floatingips/{one}")
            body = {"floatingip": {"floating_network_id": PUBLIC.id}}
            made = await self.world.ask("POST", "/v2.0/floatingips", body)
            self.floating = made.json["floatingip"]["id"]
        return self._words(self.site)

    def _is_whole(self, site: Site) -> bool:
        known = self.world.desk.catalogue
        return (
            site.load_balancer in known.load_balancers
            and site.listener in known.listeners
            and site.pool in known.pools
            and site.member in known.members
            and site.monitor in known.monitors
        )

    def _words(self, site: Site) -> dict[str, str]:
        vip = self.world.desk.catalogue.load_balancer(site.load_balancer).vip
        assert vip.port_id is not None
        return {
            "the-loadbalancer": site.load_balancer,
            "the-listener": site.listener,
            "the-pool": site.pool,
            "the-member": site.member,
            "the-healthmonitor": site.monitor,
            api.SUBNET: SUBNET,
            api.NETWORK: PRIVATE.id,
            api.OUTSIDE: PUBLIC.id,
            api.PORT: vip.port_id,
            api.FLOATING: self.floating,
            api.PROJECT: PROJECT,
            api.PROVIDER: "ipvs",
        }

    def state(self) -> State:
        """Everything there is now."""
        desk = self.world.desk
        every = (one for kind in Kind for one in desk.catalogue.of_kind(kind).values())
        return State(
            objects={name_of(one): one for one in every},
            floating={**desk.floating},
            quotas={**desk.quotas},
            texts={**self.world.texts},
            services={**self.world.services},
        )

    def check_kept(self) -> None:
        """Nothing is under way, and what the disk has is what memory has."""
        self.served.do(self.world.desk.finish())
        state = self.state()
        kept = storage.read(state.texts)
        assert kept.damaged == []
        assert {name_of(one): one for one in kept.objects} == state.objects
        assert {one.id: one for one in kept.floating} == state.floating
        assert kept.quotas == state.quotas
        assert {one.provisioning for one in state.objects.values()} <= {Provisioning.ACTIVE}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with served() as one:
        yield Gateway(one)


def real(value: Any, words: dict[str, str]) -> Any:
    """*value* with what its words stand for."""
    if isinstance(value, dict):
        return {name: real(one, words) for name, one in value.items()}
    if isinstance(value, list):
        return [real(one, words) for one in value]
    if isinstance(value, str) and (found := re.fullmatch(r"(the-.+)-\d+", value)):
        return words.get(found[1], value)
    return value


def is_too_long(case: Case) -> bool:
    """Whether it is longer than any request may be."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://x")).prepare()
    return len(prepared.url or "") + 1000 > MAX_HEADER


def bounded(examples: int) -> settings:
    """So many of each kind, the same in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


@right.include(method=["POST", "PUT"]).parametrize()
@bounded(12)
@pytest.mark.real_time
def test_a_change_is_kept_or_it_is_refused_and_nothing_has_changed(
    gateway: Gateway, case: Case
) -> None:
    check(gateway, case)


@right.include(method=["GET", "DELETE"]).parametrize()
@bounded(4)
@pytest.mark.real_time
def test_looking_changes_nothing_and_what_is_deleted_leaves_nothing(
    gateway: Gateway, case: Case
) -> None:
    check(gateway, case)


@wrong.include(method=["POST", "PUT"]).exclude(path_regex="failover|flavors").parametrize()
@bounded(5)
@pytest.mark.real_time
def test_a_body_of_a_wrong_form_is_answered_as_well(gateway: Gateway, case: Case) -> None:
    check(gateway, case)


def check(gateway: Gateway, case: Case) -> None:
    words = gateway.stock()
    case.path_parameters = real(case.path_parameters, words)
    case.query = real(case.query, words)
    case.body = real(case.body, words)
    if is_too_long(case):
        return
    before = gateway.state()
    answer = case.call(base_url=gateway.served.origin, timeout=PATIENCE)
    status = answer.status_code
    gateway.answers[case.method, status] += 1
    assert status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.NOT_IMPLEMENTED
    assert "x-openstack-request-id" in answer.headers
    if status >= HTTPStatus.BAD_REQUEST:
        assert isinstance(answer.json(), dict)
    if status >= HTTPStatus.BAD_REQUEST or case.method == "GET":
        assert gateway.state() == before
    else:
        gateway.check_kept()


def test_afterwards_it_works_as_ever(gateway: Gateway) -> None:
    """In the order of this file: after everything above has been asked."""
    done = [("GET", 200), ("POST", 201), ("PUT", 200), ("PUT", 202), ("DELETE", 204)]
    refused = [("GET", 400), ("POST", 409), ("POST", 501), ("PUT", 404), ("DELETE", 404)]
    assert {*done, *refused} <= gateway.answers.keys()
    assert gateway.served.problems == []
    gateway.site = None
    gateway.stock()
    gateway.check_kept()
