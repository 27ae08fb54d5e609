"""Back ends that say which server they are: an echo for TCP, UDP and SCTP, and nginx for load."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import cast

from ipvs_lb.errors import LabError
from ipvs_lb.lab.hosts import Host
from ipvs_lb.lab.packages import find_program

_BUFFER = 65536


class _StreamEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        name = cast("_Stream", self.server).name
        with contextlib.suppress(ConnectionError):
            while received := self.request.recv(_BUFFER):
                self.request.sendall(name + b" " + received)


class _DatagramEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        received, answering = self.request
        answering.sendto(
            cast("_Datagrams", self.server).name + b" " + received, self.client_address
        )


class _Stream(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    name = b""


class _Datagrams(socketserver.UDPServer):
    name = b""


class _V6Stream(_Stream):
    address_family = socket.AF_INET6


class _V6Datagrams(_Datagrams):
    address_family = socket.AF_INET6


class _Sctp(_Stream):
    """One-to-one style SCTP (RFC 6458, section 4) is used like TCP."""

    def __init__(self, address: tuple[str, int], handler: type[_StreamEcho]) -> None:
        super().__init__(address, handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(self.address_family, self.socket_type, socket.IPPROTO_SCTP)
        try:
            self.server_bind()
            self.server_activate()
        except OSError:
            self.server_close()
            raise


class Echo:
    """Answers everything with the host's name, a space and what came; until closed."""

    def __init__(self, host: Host, protocol: str, port: int, address: str = "0.0.0.0") -> None:  # noqa: S104 - in a lab
        try:
            self._server = host.call(_make, protocol, address, port)
        except OSError as error:
            raise LabError(f"{host.name}: {protocol} echo on port {port}: {error}") from error
        self._server.name = host.name.encode()
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name=f"{host.name} {protocol} echo",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _make(protocol: str, address: str, port: int) -> _Stream | _Datagrams:
    is_v6 = ":" in address
    match protocol:
        case "tcp":
            return (_V6Stream if is_v6 else _Stream)((address, port), _StreamEcho)
        case "udp":
            return (_V6Datagrams if is_v6 else _Datagrams)((address, port), _DatagramEcho)
        case "sctp":
            return _Sctp((address, port), _StreamEcho)
        case _:
            raise LabError(f"no echo for protocol {protocol!r}: only tcp, udp, sctp")


_NGINX = """
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    server {{
        {listen}
        location / {{ return 200 "{name}\\n"; }}
        location = /health {{ return 200 "{name} healthy\\n"; }}
    }}
}}
"""


def start_nginx(host: Host, *ports: int) -> None:
    """A fast web server on *host* that answers as the mock web application does, until the network ends.

    Raises LabError when nginx is not installed or does not come up.
    """
    program = find_program("nginx")
    if program is None:
        raise LabError("there is no nginx", hint="apt-get install nginx-light")
    folder = Path(tempfile.mkdtemp(prefix=f"nginx-{host.name}-"))
    host.at_end(partial(shutil.rmtree, folder, ignore_errors=True))
    listen = " ".join(f"listen {port}; listen [::]:{port};" for port in ports)
    text = _NGINX.format(folder=folder, listen=listen, name=host.name)
    (folder / "nginx.conf").write_text(text)
    nginx = host.start(
        [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    )
    for port in ports:
        host.wait_for_listener(port, nginx)
