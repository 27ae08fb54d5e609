"""One HTTP request of a hook. Blocks; runs in a thread, and imports what is heavy there.

Rules kept here:
1. Only the status line and the headers of an answer are read, never its body. Redirects are not followed.
2. No proxy, no netrc, no cookie: what is sent is what the configuration says.
3. Whatever goes wrong is told without the URL and the headers, which may hold secrets.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from ipvs_lb import __version__
from ipvs_lb.hooks.calls import LATE, Call, Outcome
from ipvs_lb.hooks.line import Line
from ipvs_lb.hooks.retry import asked_for
from ipvs_lb.model.hooks import Webhook

_TOO_MANY = 429
_MARGIN = 1.0  # seconds after which a connection ends by itself that should have been cut
_REFUSED = (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError)


def post(webhook: Webhook, call: Call, line: Line) -> Outcome:
    """One attempt over a connection of its own, which *line* can cut."""
    try:
        _check_readable(webhook.ca_file)
    except OSError as error:
        return Outcome(reason=f"ca_file {webhook.ca_file}: {error.strerror}", again=True)
    try:
        return _post(webhook, call, line)
    except _REFUSED as error:
        return Outcome(reason=describe(error), again=True)


def _check_readable(ca_file: str | None) -> None:
    if ca_file is not None:
        Path(ca_file).open("rb").close()


def _post(webhook: Webhook, call: Call, line: Line) -> Outcome:
    headers = {
        "User-Agent": f"ipvs-lb/{__version__}",
        "Accept": "*/*",
        **dict(webhook.headers),
        "Content-Type": "application/json",
        "Idempotency-Key": call.delivery,
        "Connection": "close",
    }
    request = requests.Request("POST", webhook.url, headers, data=call.body()).prepare()
    adapter = _Adapter(line)
    try:
        # Not through a Session, which reads the body of a redirect even when it does not follow it.
        answer = adapter.send(
            request,
            stream=True,
            timeout=(webhook.timeout, webhook.timeout + _MARGIN),
            verify=webhook.ca_file or True,
        )
        answer.close()
    finally:
        adapter.close()
    if line.is_cut:  # http.client takes headers that end in the middle for whole
        return Outcome(reason=LATE, again=True)
    return judge(answer.status_code, answer.headers.get("Retry-After"), time.time())


def judge(status: int, retry_after: str | None, now: float) -> Outcome:
    """What a receiver's answer means."""
    if 200 <= status < 300:  # noqa: PLR2004  # RFC 9110, section 15
        return Outcome()
    if 300 <= status < 400:  # noqa: PLR2004  # RFC 9110, section 15
        return Outcome(reason=f"status {status}: redirects are not followed")
    again = status == _TOO_MANY or status >= 500  # noqa: PLR2004  # RFC 9110, section 15
    wait = asked_for(retry_after, now) if again else 0.0
    return Outcome(reason=f"status {status}", again=again, wait=wait)


def describe(error: BaseException) -> str:
    """What is at the bottom of *error*, in words that hold nothing of the request."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    match error:
        case ssl.SSLCertVerificationError():
            return f"certificate not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or 'no reason given'}"
        case TimeoutError():
            return LATE
        case http.client.RemoteDisconnected():
            return "closed without an answer"
        case http.client.HTTPException():
            return f"the answer is not HTTP: {type(error).__name__}"
        case OSError() if error.strerror:
            return error.strerror
        case _:
            return type(error).__name__


class _Adapter(HTTPAdapter):
    """requests' way to urllib3, over connections that *line* can cut."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with our connections in the pools."""
        super().init_poolmanager(*args, **kwargs)
        line = self._line

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return line.hold(super()._new_conn())

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return line.hold(super()._new_conn())

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
