"""The form of a scenario's file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ipvs_lb.config.fields import Form, Given
from ipvs_lb.config.kinds import seconds, text, whole
from ipvs_lb.config.values import HOUR


class TimingForm(Form):
    """Times and thresholds that all health checks have in the lab instead of their own."""

    interval: Annotated[float | None, seconds(0.1, HOUR)] = Field(default=None)
    fast_interval: Annotated[float | None, seconds(0.1, HOUR)] = Field(default=None)
    timeout: Annotated[float | None, seconds(0.05, HOUR)] = Field(default=None)
    rise: Annotated[int | None, whole(1, 100)] = Field(default=None)
    fall: Annotated[int | None, whole(1, 100)] = Field(default=None)


class TrafficForm(Form):
    """The clients of each service that an expectation is about."""

    rate: Annotated[int, whole(1, 1000)] = Field(default=20, description="Requests a second.")
    timeout: Annotated[float, seconds(0.05, 60)] = Field(
        default=1.0, description="How long a client waits for its answer."
    )


class ScenarioForm(Form):
    """A scenario."""

    version: Annotated[int, whole(1, 1)] = Field(description="Version of the format: 1.")
    name: Annotated[str | None, text("name", 100)] = Field(
        default=None, description="What reports call it. Default: the file's name."
    )
    checks: Annotated[TimingForm | None, Given()] = Field(default=None)
    traffic: TrafficForm = Field(default=TrafficForm())
    steps: list[Any] = Field(
        min_length=1,
        description="`at TIME: SENTENCE` or `then: SENTENCE`, or a list of sentences each.",
    )
