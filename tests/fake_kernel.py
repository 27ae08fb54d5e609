"""The kernel in memory, which can be made to fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from ipvs_lb.commands import Command
from ipvs_lb.errors import KernelError
from ipvs_lb.memory.kernel import MemoryKernel
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import KernelInfo, Statistics, Table


class FakeKernel(MemoryKernel):
    """`refuse` maps commands to the errno they fail with; `broken` fails every call."""

    def __init__(self, table: Table | None = None) -> None:
        super().__init__(table)
        self.refuse: Mapping[Command, int] = {}
        self.broken = False

    def refusal(self, command: Command) -> int:
        return self.refuse.get(command) or super().refusal(command)

    def read(self) -> Table:
        self._check()
        return super().read()

    def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        self._check()
        return super().statistics(keys)

    def info(self) -> KernelInfo:
        self._check()
        return super().info()

    def execute(self, commands: Sequence[Command]) -> None:
        self._check()
        super().execute(commands)

    def _check(self) -> None:
        if self.broken:
            raise KernelError("IPVS: not permitted", hint="run as root or grant CAP_NET_ADMIN")
