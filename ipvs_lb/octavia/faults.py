"""What the API refuses, in Octavia's words: clients show them as they are, and tests compare them.

The texts and codes are those of octavia/common/exceptions.py.
"""

from __future__ import annotations

from ipvs_lb.errors import LBError
from ipvs_lb.octavia.objects import Kind

MAX_SHOWN = 300
"""Characters of a refused value that are repeated."""


class Fault(LBError):  # noqa: N818  # the API's own word
    """A refused request: an HTTP `status` and a text for the client.

    `kind` is what the network service would call it; `retry_after`: seconds after which trying again makes sense.
    """

    def __init__(self, status: int, text: str, *, kind: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind
        self.retry_after: int | None = None


def not_found(kind: Kind | str, identifier: str) -> Fault:
    """There is no such object."""
    words = kind.words if isinstance(kind, Kind) else kind
    return Fault(404, f"{words} {identifier} not found.")


def unknown_reference(words: str, identifier: str) -> Fault:
    """A body refers to something that does not exist."""
    return Fault(400, f"{words} {identifier} not found.")


def immutable(kind: Kind, identifier: str) -> Fault:
    """A change of it is under way."""
    return Fault(409, f"{kind.words} {identifier} is immutable and cannot be updated.")


def wrong_state(state: str, load_balancer: str) -> Fault:
    """The load balancer itself cannot be changed in this state."""
    return Fault(409, f"Invalid state {state} of loadbalancer resource {load_balancer}")


def invalid(field: str, value: object, why: str) -> Fault:
    """A value of a field is not one that it can have."""
    shown = str(value)[:MAX_SHOWN]
    return Fault(400, f"Invalid input for field/attribute {field}. Value: '{shown}'. {why}")


def validation(why: str) -> Fault:
    """Values that do not go together."""
    return Fault(400, f"Validation failure: {why}")


def option(value: object, name: str) -> Fault:
    """A value that this option cannot have here."""
    return Fault(400, f"{value} is not a valid option for {name}")


def conflict(text: str) -> Fault:
    """Something of the same kind is there already."""
    return Fault(409, text)


def forbidden() -> Fault:
    """Whoever asks may not do that."""
    return Fault(403, "Policy does not allow this request to be performed.")


def from_file(kind: Kind, identifier: str) -> Fault:
    """The configuration's files declare it."""
    what = f"{kind.words} {identifier} is declared in the gateway's configuration, and can be changed only there."
    return Fault(403, what)


def unsupported(what: str) -> Fault:
    """Octavia can, and layer 4 cannot."""
    return Fault(501, f"Provider 'ipvs' does not support a requested option: {what}")


def quota_met(kind: Kind) -> Fault:
    """The project has as many as it may have."""
    return Fault(403, f"Quota has been met for resources: {kind.words}")
