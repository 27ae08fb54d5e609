"""The mock web application of the walkthrough: plain HTTP, `/` names the server, `/health` says how it is.

`/download` names it again and again, for five minutes.

By hand, on a server of your own: `python -m ipvs_lb.lab.webapp -p 80`, and once more with `-p 443`.
"""

from __future__ import annotations

import argparse
import logging
import platform
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from werkzeug.serving import BaseWSGIServer

    from ipvs_lb.lab.hosts import Host

PORTS = (80, 443)
_PAUSE = 0.1  # seconds between two lines of a download
_LINES = 3000  # of a download: five minutes


class WebApp:
    """A web application that knows its server's name, on one port or several; `is_healthy` can be changed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_healthy = True
        self.requests = 0

    def flask(self) -> Flask:
        """The application, for any WSGI server."""
        from flask import Flask, Response

        app = Flask(self.name)

        @app.get("/")
        def name() -> str:
            self.requests += 1
            return f"{self.name}\n"

        @app.get("/download")
        def download() -> Response:
            return Response(
                self._names(), headers={"Content-Length": str(_LINES * len(f"{self.name}\n"))}
            )

        @app.get("/health")
        def health() -> tuple[str, int]:
            if self.is_healthy:
                return f"{self.name} healthy\n", 200
            return f"{self.name} failing\n", 503

        @app.post("/health/<state>")
        def change(state: str) -> tuple[str, int]:
            if state not in {"healthy", "failing"}:
                return f"{state} is neither healthy nor failing\n", 404
            self.is_healthy = state == "healthy"
            return f"{self.name} {state}\n", 200

        return app

    def _names(self) -> Iterator[str]:
        for _ in range(_LINES):
            yield f"{self.name}\n"
            time.sleep(_PAUSE)


class Listener:
    """A web application listening on one port of a lab host, until closed."""

    def __init__(self, app: WebApp, host: Host, port: int, address: str = "::") -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server: BaseWSGIServer = host.call(make_server, app, address, port)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(0.05,),  # seconds it may take to notice a shutdown
            name=f"{app.name}:{port}",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def make_server(app: WebApp, address: str, port: int) -> BaseWSGIServer:
    """A threaded server bound to *port*; `::` means every address, IPv4 too."""
    from werkzeug.serving import make_server

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    is_any = address == "::"
    # Bound here, because the standard library's HTTP server asks the DNS for its own name when it binds.
    with socket.create_server(
        (address, port), family=family, backlog=128, dualstack_ipv6=is_any
    ) as listening:
        return make_server(address, port, app.flask(), threaded=True, fd=listening.fileno())


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="The mock web application of the walkthrough.")
    parser.add_argument("-p", "--port", type=int, default=80)
    parser.add_argument("--name", default=platform.node(), help="default: this machine's name")
    options = parser.parse_args()
    make_server(WebApp(options.name), "::", options.port).serve_forever()


if __name__ == "__main__":
    main()
