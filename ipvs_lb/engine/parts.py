"""What the engine works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from random import random as uniform

from ipvs_lb.engine.groups import Group
from ipvs_lb.model.config import Config
from ipvs_lb.ports import Host, Kernel, Prober, Records, Store


async def _no_other_groups(_: Config) -> Mapping[str, Group] | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The outside of a gateway, as the daemon sees it.

    `clock`: Unix seconds that never go back. `reader` is another connection to the kernel, so that reading the whole
    table keeps no change waiting; None: there is one for both. `during_reload` is entered for every reload, whoever
    asked for it. `random` (0 to 1) spreads the checks. `groups` gives what is declared beside the files, which it is told whenever they were read;
    None: what was declared so far.
    """

    load: Callable[[], Config]
    origin: str
    kernel: Kernel
    host: Host
    store: Store
    records: Records
    prober: Prober
    clock: Callable[[], float]
    threads: Executor
    during_reload: Callable[[], AbstractAsyncContextManager[object]] = nullcontext
    reader: Kernel | None = None
    random: Callable[[], float] = uniform
    groups: Callable[[Config], Awaitable[Mapping[str, Group] | None]] = _no_other_groups
