"""What the daemon shows to Prometheus, and on which port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ipvs_lb.model.api import ApiListener, Face


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsListener(ApiListener):
    """A port on which there is `/metrics` and nothing else: to be read by everybody, unless it says otherwise."""

    face: Face = Face.METRICS

    def flaws(self) -> Iterator[tuple[str, str]]:
        """What does not go together: a token goes over TLS, except on a loopback address."""
        if self.token is not None and self.token_file is not None:
            yield "token_file", "either token or token_file, not both"
        if self.certificate is not None:
            return
        if self.key is not None:
            yield "key", "a key goes with a certificate, which is missing"
        if self.client_ca is not None:
            yield "client_ca", "client certificates go with TLS: certificate is missing"
        if self.takes_tokens and not self.address.is_loopback:
            yield (
                "certificate",
                "required key is missing: without TLS a token goes to a loopback address only",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """What is shown: series of every server, and of the kernel as node_exporter has them; `listener` None: no own port."""

    servers: bool = True
    kernel: bool = True
    listener: MetricsListener | None = None
