"""What a request may say: bodies and query parameters, checked before anything is looked up."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from ipvs_lb.api.states import State
from ipvs_lb.model.settings import MAX_WEIGHT
from ipvs_lb.overrides import Action

MAX_PATTERNS = 1000
LONGEST = 10 * 365 * 86400
"""The longest an override can be asked for: ten years; for ever is without `for`."""


PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$"
"""No control characters, no ends of lines, nothing that turns the direction of what follows on a terminal."""


def _whole(value: object) -> object:
    """74.0 is a whole number, as JSON Schema has it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=PRINTABLE)]
Reason = Annotated[str, StringConstraints(max_length=200, pattern=PRINTABLE)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT), BeforeValidator(_whole)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Chosen(_Said):
    """Servers by name, address or wildcard, within services by name, text or wildcard."""

    servers: list[Pattern] = Field(min_length=1, max_length=MAX_PATTERNS)
    services: list[Pattern] = Field(default=[], max_length=MAX_PATTERNS)


_WEIGHT_GOES_WITH_ITS_ACTION: dict[str, JsonValue] = {
    "if": {"properties": {"action": {"const": Action.WEIGHT.value}}, "required": ["action"]},
    "then": {"properties": {"weight": {"type": "integer"}}, "required": ["weight"]},
    "else": {"properties": {"weight": {"type": "null"}}},
}


class OverrideBody(Chosen):
    """A standing order. `weight` goes with the action `weight` and no other; `for` are seconds."""

    model_config = ConfigDict(json_schema_extra=_WEIGHT_GOES_WITH_ITS_ACTION)

    action: Action = Field(strict=False)
    weight: Weight | None = None
    duration: float | None = Field(default=None, alias="for", gt=0, le=LONGEST, allow_inf_nan=False)
    reason: Reason = ""

    @model_validator(mode="after")
    def _weight_goes_with_its_action(self) -> Self:
        if (self.weight is not None) != (self.action is Action.WEIGHT):
            raise ValueError("weight is given with the action weight, and with no other")
        return self


class CheckBody(Chosen):
    """The servers to probe now."""


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Filter(_Query):
    """What to show: all that is meant by any `service`, any `server` and any `state` (none: everything)."""

    service: list[Pattern] = Field(default=[], max_length=MAX_PATTERNS)
    server: list[Pattern] = Field(default=[], max_length=MAX_PATTERNS)
    state: list[State] = Field(default=[], max_length=len(State))


class TakeBack(_Query):
    """Whose orders to take back."""

    server: list[Pattern] = Field(min_length=1, max_length=MAX_PATTERNS)
    service: list[Pattern] = Field(default=[], max_length=MAX_PATTERNS)


class Within(_Query):
    """Services to look in (none: all)."""

    service: list[Pattern] = Field(default=[], max_length=MAX_PATTERNS)


class EventsQuery(_Query):
    """Events numbered above `after`; with `follow`, as server-sent events without end."""

    after: int = Field(default=0, ge=0, le=2**63 - 1)
    follow: bool = False


class NamesQuery(_Query):
    """Names that start with `prefix`."""

    prefix: str = Field(default="", max_length=300)
