"""What the engine needs of the outside: the roles, and nothing about who plays them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Set
from typing import Protocol

from ipvs_lb.commands import Command
from ipvs_lb.model.desired import Desired, Generation, GenerationSummary, Owned
from ipvs_lb.model.host import HostCommand, HostState, InterfaceAddress
from ipvs_lb.model.identity import AddressKey, IPAddress, ServiceKey
from ipvs_lb.model.probe import Probe
from ipvs_lb.model.results import Result
from ipvs_lb.model.table import KernelInfo, Statistics, Table


class Kernel(Protocol):
    """The IPVS of one network namespace. Calls block; every call raises KernelError and nothing else."""

    def read(self) -> Table:
        """The whole table with timeouts and daemons, services in the kernel's order."""
        ...

    def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """The counters of every service, or of those of *keys* that there are, and of their servers."""
        ...

    def info(self) -> KernelInfo: ...

    def execute(self, commands: Sequence[Command]) -> None:
        """Carry out *commands* in order, in as few system calls as there can be.

        Deleting what is gone, adding what is there and editing what has gone are brought to the wanted result.
        Raises RefusedError naming each command the kernel refused; the others have been carried out.
        """
        ...


class Host(Protocol):
    """Addresses, firewall and sysctls of one network namespace. Calls block and raise HostError only.

    `changes` alone waits, on the running event loop.
    """

    def read(
        self, sysctls: Iterable[str] = (), *, links: bool = True, firewall: bool = True
    ) -> HostState:
        """The state now; without *links* no interfaces and addresses, which cost most to ask for."""
        ...

    def execute(self, command: HostCommand) -> None: ...

    def forget_clients(self, services: Mapping[AddressKey, Set[IPAddress]]) -> int:
        """Have conntrack forget the clients of UDP *services* that it leads to none of these addresses; how many."""
        ...

    def announce(self, places: Iterable[InterfaceAddress]) -> None:
        """Tell the links once more where these addresses are."""
        ...

    def probe_duplicates(
        self, places: Iterable[InterfaceAddress], *, wait: float = 0.5
    ) -> Mapping[InterfaceAddress, str]:
        """The MAC addresses of other hosts that answer for *places*, within *wait* seconds."""
        ...

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Each time others changed links or addresses: the interfaces whose link came up.

        What `execute` does is no such change. It may be told more often than there is reason to.
        """
        ...


class Store(Protocol):
    """What survives a restart. Calls block and raise StoreError only.

    `warnings` tells, in sentences for the operator, what calls so far found to be lost.
    """

    @property
    def warnings(self) -> Sequence[str]: ...

    def owned(self) -> Owned: ...

    def claim(self, owned: Owned) -> None:
        """Make exactly *owned* ours, durably: called before the kernel is touched."""
        ...

    def commit(self, desired: Desired, *, origin: str, now: float) -> GenerationSummary:
        """Record *desired* as the newest generation; exactly that is ours from now on."""
        ...

    def generations(self) -> tuple[GenerationSummary, ...]:
        """The kept generations, oldest first."""
        ...

    def generation(self, number: int) -> Generation:
        """One kept generation. Raises UsageError naming those there are."""
        ...


class Records(Protocol):
    """Named texts that survive a restart. Calls block and raise StoreError only."""

    def records(self) -> dict[str, str]:
        """All of them; a store that was damaged has none, and says so in its warnings."""
        ...

    def record(self, changes: Mapping[str, str | None]) -> None:
        """Write texts and, where the text is None, forget them: all or nothing, durably."""
        ...


class Prober(Protocol):
    """Executes probes on the running event loop."""

    def start(self, probe: Probe, done: Callable[[Result], None]) -> Callable[[], None]:
        """Begin one execution; *done* is called once, on the loop, when it is over.

        The returned function gives it up: *done* is then not called any more.
        """
        ...
