"""What the commands use of the outside, as values that a test can replace."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from ipvs_lb.checkup import Patient
    from ipvs_lb.cli.checking import CheckKey, CheckOnce, Checks
    from ipvs_lb.doctor import Facts
    from ipvs_lb.model.results import Result
    from ipvs_lb.ports import Host, Kernel, Store


class Gateway(Protocol):
    """The kernel, the host around it and the memory of one gateway."""

    @property
    def kernel(self) -> Kernel:
        """The IPVS table."""

    @property
    def host(self) -> Host:
        """Addresses, source NAT and sysctls."""

    @property
    def store(self) -> Store:
        """What is ours, and the generations."""


def _open_gateway(state_dir: Path) -> AbstractContextManager[Gateway]:
    from ipvs_lb.wiring import open_gateway

    return open_gateway(state_dir)


def _check_once(checks: Checks) -> Mapping[CheckKey, Result]:
    from ipvs_lb.probes import run_once

    return run_once(checks)


def _examine(patient: Patient) -> Facts:
    from ipvs_lb.checkup import examine

    return examine(patient)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """How the commands reach the gateway, the clock and the servers to check."""

    open_gateway: Callable[[Path], AbstractContextManager[Gateway]] = _open_gateway
    check_once: CheckOnce = _check_once
    examine: Callable[[Patient], Facts] = _examine
    now: Callable[[], float] = time.time


def environment() -> Environment:
    """The environment of the running command."""
    return click.get_current_context().ensure_object(Environment)
