"""One transaction: from a configuration to a changed gateway, or back to where it was.

Rules kept here:
1. Only what the config declares or the store knows as ours is touched; `prune` is the exception.
2. What will be ours is written down before the kernel is touched, so that a run killed half way
   leaves nothing that the next run takes for somebody else's.
3. New services are in the kernel before their VIPs appear; VIPs go before their services do. Whom a service is
   restricted to is in force before it is there, and until it is gone.
4. A refusal or an interruption takes everything back that was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace

from ipvs_lb import firewall, hostplan
from ipvs_lb.commands import Command, DeleteServer, DeleteService, EditServer
from ipvs_lb.errors import HostError, KernelError, LBError, RefusedError
from ipvs_lb.model.config import Config
from ipvs_lb.model.desired import (
    Desired,
    Generation,
    GenerationSummary,
    Owned,
    SysctlNeed,
    owned_by,
)
from ipvs_lb.model.host import HostCommand, HostState, SetFirewall, Surrounding
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.table import Statistics, Table, VirtualService
from ipvs_lb.plan import opened, plan, stages
from ipvs_lb.policy import Member, effective
from ipvs_lb.ports import Host, Kernel, Store

Progress = Callable[[int, int], None]

SLICE = 4000
"""Commands between two reports of progress; an interruption is noticed between two slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a run would do, and everything it was decided from.

    `before` is our part of the live table, `foreign` the rest. `statistics` is filled when servers
    or services lose traffic by the change.
    """

    desired: Desired
    before: Table
    foreign: Table
    owned: Owned
    host_state: HostState
    commands: tuple[Command, ...] = ()
    firewall_first: tuple[SetFirewall, ...] = ()
    host_before: tuple[Surrounding, ...] = ()
    host_after: tuple[Surrounding, ...] = ()
    firewall_last: tuple[SetFirewall, ...] = ()
    missing_sysctls: tuple[SysctlNeed, ...] = ()
    statistics: Statistics | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing would be done to the kernel or the host."""
        host = (*self.firewall_first, *self.host_before, *self.host_after, *self.firewall_last)
        return not (self.commands or host)


def prepare(
    config: Config,
    *,
    kernel: Kernel,
    host: Host,
    store: Store,
    down: Set[Member] = frozenset(),
    prune: bool = False,
) -> Change:
    """What it takes to put *config* in force, without the members in *down*."""
    table, owned = effective(config, down), store.owned()
    has_rules = hostplan.has_rules(config)
    vips = [vip for service in config.services for vip in service.vips]
    has_vips = any(vip.managed for vip in vips)
    state = host.read(
        hostplan.SYSCTLS,
        links=has_vips or has_rules or bool(owned.addresses),
        firewall=has_rules or owned.firewall,
    )
    rules = hostplan.firewall(config, table, state)
    desired = Desired(
        table=table,
        vips=hostplan.place(vips, state),
        firewall=rules,
        sysctls=hostplan.sysctl_needs(config, table, rules.source_nat)
        + hostplan.reuse_needs(table, rules.source_nat, state),
        manage_sysctls=config.manage_sysctls,
        unmanaged=hostplan.unmanaged(vips),
    )
    return _compare(desired, state, owned, kernel=kernel, prune=prune)


def prepare_return(
    generation: Generation, *, kernel: Kernel, host: Host, store: Store, prune: bool = False
) -> Change:
    """What it takes to put an earlier generation in force again."""
    desired, owned = generation.desired, store.owned()
    state = host.read(need.name for need in desired.sysctls)
    return _compare(desired, state, owned, kernel=kernel, prune=prune)


def _compare(
    desired: Desired, state: HostState, owned: Owned, *, kernel: Kernel, prune: bool
) -> Change:
    actual = kernel.read()
    ours = owned if not prune else _everything(actual) | owned
    desired = _with_daemons(desired, ours)
    before, foreign = _divide(actual, ours | owned_by(desired))
    commands = plan(before, desired.table)
    host_before, host_after = hostplan.host_plan(state, desired, owned)
    first, last = firewall.steps(state.firewall, desired.firewall)
    return Change(
        desired=desired,
        before=before,
        foreign=foreign,
        owned=owned,
        host_state=state,
        commands=commands,
        firewall_first=first,
        host_before=host_before,
        host_after=host_after,
        firewall_last=last,
        missing_sysctls=hostplan.missing_sysctls(state, desired),
        statistics=kernel.statistics() if _takes_away(commands) else None,
    )


def _everything(actual: Table) -> Owned:
    return Owned(frozenset(actual.services), frozenset(), frozenset(actual.daemons or ()))


def _with_daemons(desired: Desired, ours: Owned) -> Desired:
    """A daemon of ours that is no longer wanted is to be stopped: say so."""
    if desired.table.daemons is not None or not ours.daemons:
        return desired
    return replace(desired, table=replace(desired.table, daemons={}))


def _divide(actual: Table, ours: Owned) -> tuple[Table, Table]:
    """*actual* as our part and the foreign part; timeouts belong to both."""
    mine: dict[ServiceKey, VirtualService] = {}
    others: dict[ServiceKey, VirtualService] = {}
    for key, value in actual.services.items():
        (mine if key in ours.services else others)[key] = value
    daemons = actual.daemons or {}
    return (
        Table(mine, actual.timeouts, {r: d for r, d in daemons.items() if r in ours.daemons}),
        Table(others, actual.timeouts, {r: d for r, d in daemons.items() if r not in ours.daemons}),
    )


def _takes_away(commands: Sequence[Command]) -> bool:
    return any(
        isinstance(command, DeleteServer | DeleteService)
        or (isinstance(command, EditServer) and command.server.weight == 0)
        for command in commands
    )


def _silent(done: int, total: int) -> None:
    """Progress nobody asked for."""


def _nothing() -> None:
    """Nobody wants to interrupt."""


def carry_out(
    change: Change,
    *,
    kernel: Kernel,
    host: Host,
    store: Store,
    origin: str,
    now: float,
    progress: Progress = _silent,
    check: Callable[[], None] = _nothing,
) -> GenerationSummary | None:
    """Put *change* in force and record it; None when it is in force and recorded already.

    *check* is called before every step, and once more before all of it is recorded: a KeyboardInterrupt that it raises
    is passed on when what was done is taken back. While that lasts, it is not asked: an interruption would do harm.

    Raises RefusedError, KernelError or HostError after taking back what was done; the message says
    so, or what could not be taken back.
    """
    if change.is_empty and _is_recorded(change, store):
        return None
    store.claim(change.owned | owned_by(change.desired))
    try:
        _Steps(kernel, host, progress, check).carry_out(change)
    except (KernelError, HostError) as error:
        raise _taken_back(error, change, kernel, host, store) from error
    except KeyboardInterrupt:
        _take_back(change, kernel, host, store)
        raise
    return store.commit(change.desired, origin=origin, now=now)


def _is_recorded(change: Change, store: Store) -> bool:
    newest = store.generations()[-1:]
    return bool(newest) and store.generation(newest[0].number).desired == change.desired


@dataclass(frozen=True, slots=True)
class _Steps:
    kernel: Kernel
    host: Host
    progress: Progress
    check: Callable[[], None]

    def carry_out(self, change: Change) -> None:
        growing, shrinking = stages(change.commands)
        total = len(change.commands)
        _surround(change.firewall_first, self.host, self.check)
        self._send(growing, start=0, total=total)
        with suppress(HostError):  # such a client finds its service once it is silent for a while
            self.host.forget_clients(opened(growing, change.desired.table.services))
        _surround((*change.host_before, *change.host_after), self.host, self.check)
        self._send(shrinking, start=len(growing), total=total)
        _surround(change.firewall_last, self.host, self.check)
        self.check()

    def _send(self, commands: Sequence[Command], *, start: int, total: int) -> None:
        for offset in range(0, len(commands), SLICE):
            part = commands[offset : offset + SLICE]
            self.check()
            self.kernel.execute(part)
            self.progress(start + offset + len(part), total)


def _taken_back(
    error: KernelError | HostError, change: Change, kernel: Kernel, host: Host, store: Store
) -> LBError:
    """*error* as it is to be told once everything was taken back, or could not be."""
    try:
        _take_back(change, kernel, host, store)
    except (KernelError, HostError) as failure:
        return KernelError(
            f"{error}; taking back what was done failed too: {failure}",
            hint="see what is there with `ipvs-lb status`, then `ipvs-lb apply` again",
        )
    if isinstance(error, RefusedError):
        return RefusedError(error.refusals, outcome="nothing was changed")
    return type(error)(f"{error}; nothing was changed", hint=error.hint)


def _take_back(change: Change, kernel: Kernel, host: Host, store: Store) -> None:
    """Compare with what was, and put that in force: how far the run came does not matter."""
    touched = Owned(
        frozenset(change.before.services), daemons=frozenset(change.before.daemons or ())
    )
    present, _ = _divide(kernel.read(), touched | owned_by(change.desired))
    growing, shrinking = stages(plan(present, change.before))
    first, last = _firewall_back(change, host)
    _surround(first, host)
    kernel.execute(growing)
    done = (*change.host_before, *change.host_after)
    _surround(hostplan.undo(done, change.host_state), host)
    kernel.execute(shrinking)
    _surround(last, host)
    store.claim(change.owned)


def _surround(
    commands: Iterable[HostCommand], host: Host, check: Callable[[], None] = _nothing
) -> None:
    for command in commands:
        check()
        host.execute(command)


def _firewall_back(
    change: Change, host: Host
) -> tuple[tuple[SetFirewall, ...], tuple[SetFirewall, ...]]:
    """The way from the firewall that is in force to the one that was, if *change* was to touch it."""
    if not (change.firewall_first or change.firewall_last):
        return (), ()
    return firewall.steps(host.read(links=False).firewall, change.host_state.firewall)
