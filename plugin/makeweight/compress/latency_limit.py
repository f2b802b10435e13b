"""A latency that a step aims at, as it is declared."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.json_schema import SkipJsonSchema

from makeweight.budget.quantity import RATIO, SECONDS, parse, pattern
from makeweight.compress.technique import Options


class LatencyLimit(Options):
    """A latency, written as a rule of the budget is."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"oneOf": [{"required": ["max_ratio"]}, {"required": ["max"]}]},
    )

    max_ratio: Annotated[
        float | SkipJsonSchema[None],
        BeforeValidator(lambda text: None if text is None else parse(text, RATIO)),
        WithJsonSchema({"type": ["string", "number"], "pattern": pattern(RATIO), "examples": [RATIO.example]}),
    ] = Field(None, gt=0, description="At most this part of the baseline's time.")
    max: Annotated[
        float | SkipJsonSchema[None],
        BeforeValidator(lambda text: None if text is None else parse(text, SECONDS)),
        WithJsonSchema({"type": "string", "pattern": pattern(SECONDS), "examples": [SECONDS.example]}),
    ] = Field(None, gt=0, description="At most this time.")
    device: str | SkipJsonSchema[None] = Field(
        None, description="The device that it is measured on (default: the only one that is declared)."
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.max_ratio is None) == (self.max is None):
            has = "both" if self.max is not None else "neither"
            raise ValueError(f"give exactly one of `max_ratio` and `max`; it has {has}")
        return self
