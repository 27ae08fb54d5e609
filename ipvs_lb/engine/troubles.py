"""What hinders the reconciler, and how long it waits then."""

from __future__ import annotations

from collections.abc import Callable

from ipvs_lb.engine.news import Story
from ipvs_lb.errors import HostError, KernelError, StoreError
from ipvs_lb.events import Fact, Level

_BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds to wait for a kernel that does not answer


class Troubles:
    """Each reason is told once, and that it is over.

    `kernel` is what the kernel said last, `failures` how often in turn; `kernel_failures` and `host_failures` count all.
    """

    def __init__(self, tell: Callable[[Story], None]) -> None:
        self.kernel = ""
        self.kernel_failures = self.host_failures = 0
        self.failures = 0
        self._host = ""
        self._tell = tell

    def lost(self, error: KernelError) -> float:
        """The kernel refused or did not answer; the seconds to wait until it is asked again."""
        pause = _BACKOFF[min(self.failures, len(_BACKOFF) - 1)]
        self.failures += 1
        self.kernel_failures += 1
        if str(error) != self.kernel:
            self.kernel = str(error)
            facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint, "retry_in": pause}
            self._tell(Story("kernel.failed", Level.ERROR, facts))
        return pause

    def host_failed(self, error: HostError | StoreError) -> None:
        """Something beside the table could not be read or done."""
        self.host_failures += 1
        if str(error) != self._host:
            self._host = str(error)
            facts: dict[str, Fact] = {"reason": str(error), "hint": error.hint}
            self._tell(Story("host.failed", Level.ERROR, facts))

    def are_over(self) -> None:
        """Everything could be done."""
        if self._host:
            self._tell(Story("host.recovered", Level.INFO, {"reason": self._host}))
        if self.failures:
            self._tell(Story("kernel.recovered", Level.INFO, {"failures": self.failures}))
        self.failures = 0
        self.kernel = self._host = ""
