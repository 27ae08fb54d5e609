"""What the tests on a real kernel share: a fresh network, the walkthrough's network, and a clear word without IPVS."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from ipvs_lb.lab import host, walkthrough
from ipvs_lb.lab.network import Network
from ipvs_lb.lab.walkthrough import Walkthrough
from netns_tests.balance import Balancer, Bench, build, reset

settings.register_profile("guest", database=None, deadline=None)
settings.load_profile("guest")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Selections beside -m and -k, which are the caller's."""
    parser.addoption("--nftables", choices=["with", "without", "only"], default="with")
    parser.addoption("--share", choices=["1/2", "2/2"], help="every other module, for two guests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this kernel is not meant for, and what another guest runs."""
    kept = [item for item in items if _is_wanted(item, config.getoption("--nftables"))]
    share = config.getoption("--share")
    if share is not None:
        modules = sorted({item.path for item in kept})[int(share[0]) - 1 :: 2]
        kept = [item for item in kept if item.path in modules]
    left = set(items).difference(kept)
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = kept


def _is_wanted(item: pytest.Item, choice: str) -> bool:
    return choice == "with" or (item.get_closest_marker("nftables") is None) == (
        choice == "without"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """End the run when there is no IPVS: a test that cannot run here is a failure, never a skip."""
    if not session.config.option.collectonly and not host.has_ipvs():
        pytest.exit(
            "no IPVS here, or not root: run these as scripts/guest pytest netns_tests", returncode=1
        )


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of its own, with nothing in it, undone after the test."""
    with Network() as fresh:
        yield fresh


@pytest.fixture
def lab(network: Network) -> Walkthrough:
    """The walkthrough's network: client, gateway, two web servers; nothing balanced yet."""
    return walkthrough.build(network)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The network that tests of traffic share within a module."""
    with Network() as network:
        yield build(network)


@pytest.fixture
def balancer(bench: Bench, tmp_path: Path) -> Iterator[Balancer]:
    """The product on the bench's gateway; what a test leaves behind is taken out."""
    balancer = Balancer(bench.gateway, tmp_path)
    yield balancer
    reset(balancer)


@pytest.fixture
def dice() -> random.Random:
    """Chance, another one in every run. A failure shows its seed; `SEED=N` brings the same one again."""
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    sys.stdout.write(f"SEED={seed}\n")
    return random.Random(seed)
