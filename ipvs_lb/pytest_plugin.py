"""The pytest fixture `ipvs_lb_lab`: a lab for one test, from your own configuration.

pytest loads this with every run where ipvs-lb is installed: nothing of ipvs_lb is imported before the fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ipvs_lb.testing import Lab

_CONFIG = "ipvs_lb_lab_config"
_SLACK = "ipvs_lb_lab_slack"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The settings of pytest.ini or pyproject.toml."""
    parser.addini(
        _CONFIG, "configuration that ipvs_lb_lab() builds a lab from, beside this file", "paths"
    )
    parser.addini(_SLACK, "seconds that slow machines may take longer (2)", default="2")


@pytest.fixture
def ipvs_lb_lab(pytestconfig: pytest.Config) -> Iterator[Callable[..., Lab]]:
    """Builds labs that end with the test: `ipvs_lb_lab("lb.yaml")`, with the arguments of ipvs_lb.testing.open_lab."""
    with ExitStack() as stack:

        def build(config: Any = None, **settings: Any) -> Lab:
            from ipvs_lb.errors import LBError
            from ipvs_lb.testing import open_lab

            settings.setdefault("slack", float(pytestconfig.getini(_SLACK)))
            try:
                lab = open_lab(config or _configured(pytestconfig), **settings)
                return stack.enter_context(lab)
            except LBError as error:
                pytest.fail(f"{error}\nhint: {error.hint}" if error.hint else str(error))

        yield build


def _configured(pytestconfig: pytest.Config) -> Any:
    paths = pytestconfig.getini(_CONFIG)
    if len(paths) != 1:
        raise pytest.UsageError(
            f"ipvs_lb_lab() needs a configuration: an argument, or one path as {_CONFIG} in pytest.ini"
        )
    return paths[0]
