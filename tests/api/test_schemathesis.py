"""The API does what its OpenAPI document says, whatever it is asked: a real engine, served over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode

from ipvs_lb.api.connection import MAX_HEADER
from ipvs_lb.api.openapi import openapi
from tests.daemon_world import World, web
from tests.running_daemon import PATIENCE, TOKEN, Gateway, daemon

Case = schemathesis.Case[Any]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

schema = schemathesis.openapi.from_dict(openapi())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with daemon(tmp_path_factory.mktemp("api"), World(web(4, 6, 8))) as one:
        yield one


def is_too_long(case: Case) -> bool:
    """Whether it is longer than any request may be, which no schema of single parameters can say."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://x")).prepare()
    return len(prepared.url or "") + 1000 > MAX_HEADER


def follows(case: Case) -> bool:
    """Whether it asks for events without end."""
    return bool(case.query) and "follow" in case.query


def is_valid(case: Case) -> bool:
    """Whether it keeps to the document on purpose."""
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def names_servers(case: Case) -> bool:
    """Let it mean servers that are there, if it means any: random names hardly ever do."""
    if isinstance(case.body, dict) and "servers" in case.body:
        case.body = {**case.body, "servers": ["web/*"], "services": []}
    elif case.query and "server" in case.query:
        case.query = {"server": ["s4", "web/s6"]}
    elif case.path_parameters:
        case.path_parameters = {"server": "web/s4"}
        case.query = {}
    else:
        return False
    return True


@schema.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.real_time
def test_every_answer_is_one_that_the_document_tells_of(gateway: Gateway, case: Case) -> None:
    if is_too_long(case) or follows(case):
        return
    case.call_and_validate(base_url=gateway.url, headers=HEADERS, timeout=PATIENCE)
    if is_valid(case) and names_servers(case):
        answer = case.call_and_validate(base_url=gateway.url, headers=HEADERS, timeout=PATIENCE)
        assert answer.status_code == 200


def test_afterwards_the_gateway_is_as_it_was(gateway: Gateway) -> None:
    """In the order of this file: after everything above has been asked."""
    assert {"override.set", "override.cleared", "config.loaded"} <= {*gateway.world.names()}
    url = f"{gateway.url}/v1/servers/override?server=*"
    assert requests.delete(url, headers=HEADERS, timeout=PATIENCE).status_code == 200
    told = requests.get(f"{gateway.url}/v1/status", headers=HEADERS, timeout=PATIENCE).json()
    (service,) = told["services"]
    assert [(one["name"], one["state"]) for one in service["servers"]] == [
        ("s4", "up"),
        ("s6", "up"),
        ("s8", "up"),
    ]
    assert gateway.problems == []
    crashed = [name for name in gateway.world.names() if name in {"task.crashed", "kernel.failed"}]
    assert crashed == []
