"""The forms of hooks: who is told of events, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from ipvs_lb.config import values
from ipvs_lb.config.fields import Form, Given, Listed, Scalar, Shorthand, text_json
from ipvs_lb.config.kinds import Name, seconds, text, whole, word
from ipvs_lb.config.problems import shown
from ipvs_lb.config.values import HOUR
from ipvs_lb.model.event import Level

MAX_HOOKS = 32
MAX_HEADERS = 20
_MAX_SECRET = 4096
_OURS = frozenset(
    {"connection", "content-length", "content-type", "expect", "idempotency-key"}
    | {"transfer-encoding", "user-agent"}
)


def secret(what: str) -> Callable[[object], str]:
    """Printable ASCII text without blanks at its ends, which no message ever shows."""

    def parse(value: object) -> str:
        if not isinstance(value, str | int):
            raise ValueError(f"expected {what}, found {shown(value)}")  # noqa: TRY004  # pydantic collects ValueErrors
        found = str(value)
        sound = found.isascii() and found.isprintable() and found == found.strip()
        if not found or not sound or len(found) > _MAX_SECRET:
            raise ValueError(
                f"expected {what} of 1 to {_MAX_SECRET} printable ASCII characters without blanks at its ends"
            )
        return found

    return parse


def read_url(value: object) -> str:
    """An absolute http or https URL. What is wrong with one is told without showing it: it may hold a secret."""
    found = secret("a URL")(value)
    try:
        parts = urlsplit(found)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("this is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host or port == 0 or " " in found:
        raise ValueError("expected a URL such as https://hooks.example.org/ipvs-lb")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not hold a user or a password, use token or headers")
    return found


def read_headers(value: object) -> Mapping[str, str]:
    """Names and values of a request's headers; values are never shown."""
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "nothing" if value is None else "text"
        raise ValueError(f"expected a mapping of names to values, found {kind}")  # noqa: TRY004  # pydantic collects ValueErrors
    if len(value) > MAX_HEADERS:
        raise ValueError(f"at most {MAX_HEADERS} headers, found {len(value)}")
    names = [values.token(name).lower() for name in value]
    for name in names:
        if name in _OURS or names.count(name) > 1:
            raise ValueError(f"{name} is set already")
    return {name: secret(f"{name} to be text")(given) for name, given in value.items()}


_HEADERS_JSON = {"type": "object", "additionalProperties": text_json()}
_SECRET = Scalar(secret("a token"), "secret", text_json(minLength=1))
_PATTERN = text("name or pattern", 200)


class WebhookForm(Form):
    """An HTTP receiver. The URL alone is enough."""

    url: Annotated[str, Scalar(read_url, "URL", {"type": "string"})] = Field(
        description="http or https; where the events are posted as JSON."
    )
    token: Annotated[str | None, _SECRET] = Field(
        default=None, description="Sent as `Authorization: Bearer ...`; best as `${NAME}`."
    )
    headers: Annotated[
        Mapping[str, str], Scalar(read_headers, "mapping of text", _HEADERS_JSON)
    ] = Field(default={}, description="More request headers.")
    ca_file: Annotated[
        str | None, Scalar(values.file_path, "absolute path", {"type": "string"})
    ] = Field(
        default=None,
        description="PEM file of the authorities that may vouch for the receiver. Default: the well-known ones.",
    )
    timeout: Annotated[float, seconds(0.1, 60)] = Field(
        default=5.0, description="Time one attempt may take as a whole."
    )
    attempts: Annotated[int, whole(1, 10)] = Field(
        default=5, description="How often it is tried before the call is given up."
    )


class HookExecForm(Form):
    """A program that is told. It is never run through a shell."""

    command: Annotated[
        list[Annotated[str, text()]], Listed(), Field(min_length=1, max_length=100)
    ] = Field(description="Program (absolute path) and its arguments, one list item each.")
    user: Annotated[str, text("user name", 32)] = Field(
        default="nobody", description="User to run it as; not root."
    )
    timeout: Annotated[float, seconds(0.1, 600)] = Field(
        default=10.0, description="Time after which it is killed with all it started."
    )


class HookForm(Form):
    """Somebody to tell of events."""

    name: Name = Field(description="Unique among the hooks.")
    webhook: Annotated[WebhookForm | None, Shorthand("url")] = Field(
        default=None, description="Post to an HTTP receiver. Either this or `exec`."
    )
    exec: Annotated[HookExecForm | None, Given()] = Field(
        default=None, description="Run a program. Either this or `webhook`."
    )
    events: Annotated[list[Annotated[str, _PATTERN]], Listed(), Field(min_length=1)] = Field(
        description="Names of events, or patterns such as `server.*`; `*` is all."
    )
    services: Annotated[list[Annotated[str, _PATTERN]], Listed(), Field(min_length=1)] = Field(
        default=[],
        description="Names of services, or patterns such as `web-*`. Default: any, and events about none too.",
    )
    level: Annotated[Level, word("level", values.words(Level))] = Field(
        default=Level.INFO, description="The least level that is told."
    )
    window: Annotated[float, seconds(0, HOUR)] = Field(
        default=1.0,
        description="How long events about one service are gathered for one call, and the least pause between two.",
    )
