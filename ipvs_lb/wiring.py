"""Builds the parts of a gateway and hands them over; nothing else knows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipvs_lb.engine.apply import Change, carry_out, prepare, prepare_return
from ipvs_lb.engine.parts import Parts
from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import GenerationSummary
from ipvs_lb.policy import Member
from ipvs_lb.ports import Host, Kernel, Store

STATE_DIR = Path("/var/lib/ipvs-lb")


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway: the IPVS and the host of this network namespace, and what it remembers."""

    kernel: Kernel
    host: Host
    store: Store

    def plan(
        self, config: Config, *, down: Set[Member] = frozenset(), prune: bool = False
    ) -> Change:
        """What `apply` would do, without doing it; *down* members are left out."""
        return prepare(
            config, kernel=self.kernel, host=self.host, store=self.store, down=down, prune=prune
        )

    def plan_return(self, generation: int) -> Change:
        """What it takes to return to a kept generation. Raises UsageError when it is not kept."""
        return prepare_return(
            self.store.generation(generation), kernel=self.kernel, host=self.host, store=self.store
        )

    def apply(self, change: Change, *, origin: str = "python") -> GenerationSummary | None:
        """Put *change* in force; None when there was nothing to do.

        Raises RefusedError, KernelError or HostError after taking back what was done.
        """
        return carry_out(
            change,
            kernel=self.kernel,
            host=self.host,
            store=self.store,
            origin=origin,
            now=time.time(),
        )


@contextmanager
def open_daemon(load: Callable[[], Config], origin: str, state_dir: Path) -> Iterator[Parts]:
    """What the daemon runs on, with the configuration that *load* gives; inside a running event loop.

    Raises StoreError when *state_dir* cannot be used. A kernel that does not answer is waited for.
    """
    from ipvs_lb.addresses import LinuxHost, Repetition
    from ipvs_lb.netlink import NetlinkKernel
    from ipvs_lb.probes.prober import LoopProber, raise_fd_limit
    from ipvs_lb.store import SqliteStore

    raise_fd_limit()
    began, start = time.time(), time.monotonic()
    prober = LoopProber()
    store = SqliteStore(state_dir / "state.db")
    kernel, reader = NetlinkKernel(), NetlinkKernel()
    once = Repetition(count=1)  # the engine repeats announcements, and at the end none is due
    with LinuxHost(repetition=once) as host, ThreadPoolExecutor(6, "ipvs-lb") as threads:
        try:
            yield Parts(
                load=load,
                origin=origin,
                kernel=kernel,
                reader=reader,
                host=host,
                store=store,
                records=store,
                prober=prober,
                clock=lambda: began + time.monotonic() - start,
                threads=threads,
            )
        finally:
            prober.close()
            kernel.close()
            reader.close()


@contextmanager
def open_gateway(state_dir: Path = STATE_DIR) -> Iterator[Gateway]:
    """The gateway this process runs on, in the network namespace it runs in.

    Nothing is locked: hold `ipvs_lb.store.locked` from plan to apply when others may run. Whether there is IPVS is seen
    when it is asked.
    Raises StoreError when *state_dir* cannot be used.
    """
    from ipvs_lb.addresses import LinuxHost
    from ipvs_lb.netlink import NetlinkKernel
    from ipvs_lb.store import SqliteStore

    with (
        closing(NetlinkKernel()) as kernel,
        LinuxHost() as host,
        SqliteStore(state_dir / "state.db") as store,
    ):
        yield Gateway(kernel, host, store)
