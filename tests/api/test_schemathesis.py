"""The API does what its OpenAPI document says, whatever it is asked: a real engine, served over a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode

from ipvs_lb.api.connection import MAX_HEADER
from ipvs_lb.api.openapi import openapi
from ipvs_lb.api.openings import Openings
from ipvs_lb.api.server import serving
from ipvs_lb.model.api import ApiListener
from ipvs_lb.model.identity import Port
from tests.daemon_world import World, web
from tests.probes.servers import free_port

TOKEN = "a-token-of-some-length"
PATIENCE = 10.0
Case = schemathesis.Case[Any]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

schema = schemathesis.openapi.from_dict(openapi())


@dataclass
class Gateway:
    """A daemon over fakes on a loop and a thread of its own."""

    url: str
    world: World
    problems: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def daemon(folder: Path) -> Iterator[Gateway]:
    port, loop, stop = free_port(), asyncio.new_event_loop(), asyncio.Event()
    started = threading.Event()
    gateway = Gateway(f"http://127.0.0.1:{port}", World(web(4, 6, 8)))

    async def run() -> None:
        listener = ApiListener(address=ip_address("127.0.0.1"), port=Port(port), token=TOKEN)
        openings = Openings()
        openings.prepare([listener])
        balancer = await gateway.world.up(0.2)
        async with serving(balancer, folder / "api.sock", openings=openings):
            started.set()
            await stop.wait()
        await gateway.world.down()

    loop.set_exception_handler(lambda _loop, context: gateway.problems.append(context))
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield gateway
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with daemon(tmp_path_factory.mktemp("api")) as one:
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
