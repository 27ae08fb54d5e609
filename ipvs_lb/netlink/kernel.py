"""The Kernel port on generic netlink: IPVS of the network namespace it is opened in."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Self, TypeVar

from ipvs_lb.commands import Command
from ipvs_lb.errors import CodecError, KernelError, RefusedError
from ipvs_lb.model.counters import Counters
from ipvs_lb.model.identity import ServiceKey
from ipvs_lb.model.settings import SyncDaemon, SyncRole, Timeouts
from ipvs_lb.model.table import KernelInfo, ServiceStatistics, Statistics, Table, VirtualService
from ipvs_lb.netlink import daemons, requests, services
from ipvs_lb.netlink.attributes import Attributes
from ipvs_lb.netlink.counter_dumps import CounterDumps
from ipvs_lb.netlink.dumps import InterruptedDumpError, ServerDumps, messages, read_services
from ipvs_lb.netlink.kernel_errors import refusal, unavailable
from ipvs_lb.netlink.modules import Loader, MissingModules, modprobe
from ipvs_lb.netlink.recovery import settle
from ipvs_lb.netlink.transport import RECEIVE_BUFFER, LostAnswersError, Transport

_READS = 5  # until the table is given up as changing all the time
_ROUNDS = 3  # a command, its correction, and a correction of that
_NOT_THERE = {
    errno.ESRCH,
    errno.EAFNOSUPPORT,
}  # the latter for IPv6 where IPVS was built without it

Result = TypeVar("Result")


class NetlinkKernel:
    """IPVS of one network namespace. Safe to use from several threads; one call runs at a time.

    A connection stays with the namespace of the thread that made it, whichever thread uses it later. One that
    was closed or broke is made again by the next call.
    """

    def __init__(self, *, load: Loader = modprobe, receive_buffer: int = RECEIVE_BUFFER) -> None:
        self._transport = Transport(requests.FAMILY_NAME, receive_buffer=receive_buffer)
        self._load = load
        self._missing = MissingModules(load)
        self._dumps = ServerDumps()
        self._counters = CounterDumps()
        self._size = 0
        self._lock = threading.Lock()

    def open(self) -> Self:
        """Connect, in the network namespace of this thread, loading IPVS when it is missing.

        Raises KernelError saying what to do when there is no IPVS, or no permission.
        """
        with self._lock, _translated():
            self._connect()
        return self

    def close(self) -> None:
        """Disconnect; the table stays as it is."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self if self._transport.is_open else self.open()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read(self) -> Table:
        """The whole table with timeouts and daemons, services in the kernel's order. Raises KernelError."""
        return self._complete(self._table)

    def statistics(self, keys: Set[ServiceKey] | None = None) -> Statistics:
        """The counters of every service, or of those of *keys* that there are, and of their servers.

        Raises KernelError.
        """
        return self._complete(partial(self._statistics, keys))

    def info(self) -> KernelInfo:
        """The version and size of the kernel's IPVS. Raises KernelError."""
        return self._complete(
            lambda: daemons.decode_info(self._transport.ask(requests.GET_INFO).content)
        )

    def execute(self, commands: Sequence[Command]) -> None:
        """Carry out *commands* in order, a thousand per system call.

        Deleting what is gone, adding what is there and editing what has gone are brought to the wanted result.
        Raises RefusedError naming each command the kernel refused; the others have been carried out.
        """
        with self._connected():
            refused = self._execute(commands)
        if refused:
            raise RefusedError(
                [refusal(commands[index], code) for index, code in sorted(refused.items())]
            )

    def observe(self, key: ServiceKey | None = None) -> tuple[Table, Statistics]:
        """All services, or the one *key* names if it is there, each with its counters of the same moment.

        The table is without timeouts and daemons. Raises KernelError.
        """
        return self._complete(partial(self._observed, key))

    def settings(self) -> tuple[Timeouts, dict[SyncRole, SyncDaemon]]:
        """The timeouts and the sync daemons. Raises KernelError."""
        return self._complete(lambda: (self._timeouts(), self._daemons()))

    def attempt(self, commands: Sequence[Command]) -> dict[int, int]:
        """Carry out *commands* as they stand: the errno of each that the kernel refused, by its index.

        Unlike `execute` nothing is brought to the wanted result: adding what is there is refused. Raises KernelError.
        """
        encode = requests.Encoder().encode
        with self._connected():
            return self._transport.execute([encode(command) for command in commands])

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """A turn on the socket, which is opened where there is none: a kernel that was away may be back."""
        with self._lock, _translated():
            if not self._transport.is_open:
                self._connect()
            try:
                yield
            except OSError:
                self._transport.close()
                raise

    def _connect(self) -> None:
        try:
            self._transport.open()
        except OSError:
            # The first request after the module was loaded fails on some distributions, so ask again anyway.
            self._load("ip_vs")
            self._transport.open()

    def _complete(self, read: Callable[[], Result]) -> Result:
        """The result of *read*, again from the start while answers are lost or the table changes under it."""
        with self._connected():
            for _ in range(_READS - 1):
                try:
                    return read()
                except (LostAnswersError, InterruptedDumpError):
                    self._transport.drain()
            return read()

    def _table(self) -> Table:
        found = read_services(self._transport.dump(requests.GET_SERVICE))
        self._size = len(found)
        with self._dumps.reading():
            virtual = {
                key: VirtualService(
                    service,
                    self._dumps.read(self._transport.dump(requests.get_servers(key)), key.family),
                )
                for key, service in found.items()
            }
        return Table(virtual, self._timeouts(), self._daemons())

    def _timeouts(self) -> Timeouts:
        return daemons.decode_timeouts(self._transport.ask(requests.GET_CONFIG).content)

    def _daemons(self) -> dict[SyncRole, SyncDaemon]:
        running = (
            daemons.decode(content)
            for content in self._contents(requests.GET_DAEMON, requests.DAEMON)
        )
        return {daemon.role: daemon for daemon in running if daemon is not None}

    def _statistics(self, keys: Set[ServiceKey] | None) -> Statistics:
        """One dump of servers after the other: the kernel refuses (EBUSY) a dump while another is under way."""
        found = {}
        with self._counters.reading():
            for key, traffic in self._traffic(keys):
                answers = self._transport.dump(requests.get_servers(key))
                found[key] = ServiceStatistics(traffic, self._counters.read(answers, key.family))
        return found

    def _observed(self, key: ServiceKey | None) -> tuple[Table, Statistics]:
        """Each dump of servers is read twice, once for what is set and once for what was counted."""
        contents = (
            self._contents(requests.GET_SERVICE, requests.SERVICE)
            if key is None
            else list(self._service(key))
        )
        found: dict[ServiceKey, VirtualService] = {}
        counted: dict[ServiceKey, ServiceStatistics] = {}
        with self._dumps.reading(), self._counters.reading():
            for content in contents:
                decoded, traffic = services.decode(content), services.decode_counters(content)
                if decoded is None or traffic is None:
                    continue
                name, service = decoded
                answers = self._transport.dump(requests.get_servers(name))
                found[name] = VirtualService(service, self._dumps.read(answers, name.family))
                servers = self._counters.read(answers, name.family)
                counted[name] = ServiceStatistics(traffic[1], servers)
        return Table(found), counted

    def _traffic(self, keys: Set[ServiceKey] | None) -> Iterator[tuple[ServiceKey, Counters]]:
        """What went through the services *keys*.

        Asking for one costs about as much as two in a dump: all are dumped for more than half of those last seen.
        """
        if keys is not None and 2 * len(keys) <= self._size:
            contents = [content for key in keys for content in self._service(key)]
        else:
            contents = self._contents(requests.GET_SERVICE, requests.SERVICE)
            self._size = len(contents)
        for content in contents:
            counted = services.decode_counters(content)
            if counted is not None and (keys is None or counted[0] in keys):
                yield counted

    def _service(self, key: ServiceKey) -> Iterator[bytes]:
        """What the kernel tells of a service, if that is there."""
        try:
            answer = self._transport.ask(requests.get_service(key))
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
        else:
            yield Attributes("answer", answer.content).payload(requests.SERVICE)

    def _contents(self, question: bytes, kind: int) -> list[bytes]:
        """What stands in attribute *kind* of every message of a dump."""
        return [
            Attributes("answer", message.content).payload(kind)
            for message in messages(self._transport.dump(question))
        ]

    def _execute(self, commands: Sequence[Command]) -> dict[int, int]:
        """The errno of each refused command by its index."""
        refused: dict[int, int] = {}
        pending = list(enumerate(commands))
        for _ in range(_ROUNDS):
            sent = [command for _, command in pending]
            outcome = settle(sent, self._send_anyway(sent), self._missing.provide)
            refused |= {pending[index][0]: code for index, code in outcome.refused.items()}
            pending = [(pending[index][0], command) for index, command in outcome.again]
            if not pending:
                return refused
        return refused | {origin: errno.EAGAIN for origin, _ in pending}

    def _send_anyway(self, commands: Sequence[Command]) -> dict[int, int]:
        """As `_send`, also when IPVS was unloaded and loaded since the last time: ENOENT can mean that, too."""
        failed = self._send(commands)
        if errno.ENOENT not in failed.values() or self._transport.is_current():
            return failed
        self._connect()
        return self._send(commands)

    def _send(self, commands: Sequence[Command]) -> dict[int, int]:
        encode = requests.Encoder().encode
        payloads = [encode(command) for command in commands]
        try:
            return self._transport.execute(payloads)
        except LostAnswersError:
            return self._send_carefully(payloads)

    def _send_carefully(self, payloads: Sequence[bytes]) -> dict[int, int]:
        """Everything once more, one by one: what worked before has the same result a second time."""
        self._transport.drain()
        return {
            index: code
            for index, payload in enumerate(payloads)
            for code in self._transport.execute([payload]).values()
        }


@contextmanager
def _translated() -> Iterator[None]:
    """Whatever goes wrong below becomes a KernelError."""
    try:
        yield
    except CodecError as error:
        raise KernelError(str(error), hint=error.hint) from error
    except OSError as error:
        raise unavailable(error) from error


def open_kernel() -> NetlinkKernel:
    """IPVS of this thread's network namespace, connected. Raises KernelError."""
    return NetlinkKernel().open()
