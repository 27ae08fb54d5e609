"""A served gateway in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_control import FakeControl
from tests.running_api import Running


@pytest.fixture
def control() -> FakeControl:
    return FakeControl().everything_up()


@pytest.fixture
def running(control: FakeControl, tmp_path: Path) -> Iterator[Running]:
    with Running(control, tmp_path / "api.sock").up() as server:
        yield server
