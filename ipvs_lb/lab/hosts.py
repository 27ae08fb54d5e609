"""A host of a lab network, and a switch: both are namespaces."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from ipvs_lb.errors import LabError
from ipvs_lb.lab import links, namespaces

P = ParamSpec("P")
T = TypeVar("T")

_COMMAND_TIMEOUT = 60.0
_LISTENING = "0A"  # include/net/tcp_states.h, TCP_LISTEN


class Switch:
    """Joins the hosts that are plugged into it."""

    def __init__(self, name: str, namespace: str) -> None:
        self.name = name
        self.namespace = namespace
        self.bridge = "bridge"
        self._ports = 0

    def next_port(self) -> str:
        """The name of a port not given out before."""
        self._ports += 1
        return f"port{self._ports}"


class Host:
    """A machine of the lab: interfaces eth0, eth1, ... in the order they were cabled, and its own programs."""

    def __init__(self, name: str, namespace: str, undo: contextlib.ExitStack) -> None:
        self.name = name
        self.namespace = namespace
        self._undo = undo
        self._interfaces = 0
        self._ports: dict[str, tuple[Switch, str]] = {}

    def __repr__(self) -> str:
        return f"<host {self.name} in {self.namespace}>"

    def next_interface(self) -> str:
        """The name of an interface not given out before."""
        self._interfaces += 1
        return f"eth{self._interfaces - 1}"

    def plug(self, switch: Switch, *addresses: str, name: str | None = None) -> str:
        """The new interface that connects this host to *switch*, with *addresses* like `10.0.0.4/24`.

        It is the next of eth0, eth1, ... unless it is to have another *name*.
        """
        interface, port = name or self.next_interface(), switch.next_port()
        self.call(links.add_veth, interface, switch.namespace, port)
        namespaces.call_inside(switch.namespace, links.join_bridge, port, switch.bridge)
        self._ports[interface] = (switch, port)
        self.configure(interface, *addresses)
        return interface

    def pull(self, interface: str) -> None:
        """Pull the cable of an interface out of its switch: addresses and routes stay."""
        switch, port = self._ports[interface]
        namespaces.call_inside(switch.namespace, links.set_down, port)

    def put_back(self, interface: str) -> None:
        """Plug the cable in again."""
        switch, port = self._ports[interface]
        namespaces.call_inside(switch.namespace, links.set_up, port)

    def impair(self, interface: str, *, loss: float = 0.0, delay: float = 0.0) -> None:
        """Lose a share of what its switch sends to an interface, and keep the rest back so many seconds."""
        switch, port = self._ports[interface]
        namespaces.call_inside(switch.namespace, links.impair, port, loss=loss, delay=delay)

    def configure(self, interface: str, *addresses: str) -> None:
        """Bring *interface* up with *addresses*."""
        self.link_up(interface)
        for address in addresses:
            self.address(interface, address)

    def address(self, interface: str, address: str) -> None:
        """Add an address like `10.0.0.16/32`."""
        self.call(links.add_address, interface, address)

    def route(self, destination: str, via: str) -> None:
        """Add a route to `default` or a network."""
        self.call(links.add_route, destination, via)

    def route_from(self, source: str, via: str, table: int) -> None:
        """Send what comes from the own address *source* through a neighbour, by a routing table for that."""
        self.call(links.add_rule, source, table)
        self.call(links.add_route, "default", via, table=table)

    def link_up(self, interface: str) -> None:
        """Bring an interface up."""
        self.call(links.set_up, interface)

    def link_down(self, interface: str) -> None:
        """Take an interface down."""
        self.call(links.set_down, interface)

    def mac(self, interface: str) -> str:
        """An interface's hardware address."""
        return self.call(links.hardware_address, interface)

    def sysctl(self, name: str, value: object) -> None:
        """Set a sysctl of this host, by its dotted name. Raises LabError when it cannot be."""
        try:
            self.call(_sysctl_path(name).write_text, f"{value}\n")
        except OSError as error:
            raise LabError(f"{self.name}: {name} = {value}: {error.strerror}") from error

    def read_sysctl(self, name: str) -> str:
        """A sysctl's value on this host. Raises LabError when this kernel does not have it."""
        try:
            return self.call(_sysctl_path(name).read_text).strip()
        except OSError as error:
            raise LabError(f"{self.name}: {name}: {error.strerror}") from error

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call *function* on this host: the sockets it opens are this host's, also after it has returned."""
        return namespaces.call_inside(self.namespace, function, *args, **kwargs)

    def run(
        self, command: Sequence[str], *, check: bool = True, timeout: float = _COMMAND_TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on this host to its end, with its output as text.

        Raises LabError when it fails (unless not to *check*) or takes longer than *timeout* seconds.
        """

        def work() -> subprocess.CompletedProcess[str]:
            return subprocess.run(  # noqa: S603 - running programs on hosts is what a lab is for
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )

        text = f"{self.name}: {shlex.join(command)}"
        try:
            result = self.call(work)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{text}: still running after {timeout:g} s") from error
        except OSError as error:
            raise LabError(f"{text}: {error.strerror}") from error
        if check and result.returncode != 0:
            said = (result.stderr or result.stdout).strip()
            raise LabError(f"{text}: exit status {result.returncode}: {said}")
        return result

    def start(self, command: Sequence[str], *, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a program that ends with the network at the latest; what it says goes to *log*, else nowhere."""

        def work() -> subprocess.Popen[bytes]:
            with (log or Path(os.devnull)).open("ab") as output:
                return subprocess.Popen(  # noqa: S603 - as in run
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

        try:
            program = self.call(work)
        except OSError as error:
            raise LabError(f"{self.name}: {shlex.join(command)}: {error.strerror}") from error
        self._undo.callback(stop, program)
        return program

    def at_end(self, undo: Callable[[], object]) -> None:
        """Call *undo* when the network ends, before this host goes."""
        self._undo.callback(undo)

    def wait_for_listener(
        self, port: int, program: subprocess.Popen[bytes] | None = None, *, timeout: float = 20.0
    ) -> None:
        """Return once something on this host listens on TCP *port*.

        Raises LabError after *timeout* seconds, or at once when *program* has ended.
        """
        deadline = time.monotonic() + timeout
        while port not in self.call(listening_ports):
            if program is not None and program.poll() is not None:
                raise LabError(
                    f"{self.name}: {program.args!r} ended with status {program.returncode}"
                )
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: nothing listens on port {port} after {timeout:g} s")
            time.sleep(0.05)


def stop(program: subprocess.Popen[bytes], *, patience: float = 2.0) -> None:
    """End a program with all it has started: politely, after *patience* seconds for certain."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        program.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()


def listening_ports() -> frozenset[int]:
    """The TCP ports with a listener in the calling thread's namespace (proc_net_tcp(5))."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]
    ]
    return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING)


def _sysctl_path(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))
