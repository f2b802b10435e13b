"""factorize: put thinner layers in place of one, where a lower rank says nearly the same with fewer numbers. What can
be set stands here; `lowrank.py` does it, which the configuration is read without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from makeweight.compress import technique
from makeweight.compress.latency_limit import LatencyLimit
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, TimedOn, Transformation
from makeweight.runtimes.format import SourceKind

_MEASURES = ("energy", "ratio", "rank", "latency")


class FactorizeOptions(technique.Options):
    """How far the rank goes down: exactly one of `energy`, `ratio`, `rank` and `latency`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"oneOf": [{"required": [name]} for name in _MEASURES]}
    )

    energy: float | None = Field(
        None, gt=0, lt=1, description="The least share of a layer's squared weights that is kept."
    )
    ratio: float | None = Field(None, gt=0, lt=1, description="The rank that is kept, as a part of the full one.")
    rank: int | None = Field(None, ge=1, description="The rank that is kept, of every layer and taken as it is.")
    latency: LatencyLimit | SkipJsonSchema[None] = Field(
        None,
        description="What an inference takes on a device at most, in the numbers that the recipe ends with; the "
        "largest `ratio` that does it is found by measuring.",
    )
    convolutions: Literal["tucker", "spatial", "none"] = Field(
        "tucker",
        description="Convolutions lose channels within (`tucker`), become a column and a row (`spatial`), or stay.",
    )
    round_to: int | None = Field(
        None,
        ge=1,
        description="Without `rank`, a multiple that ranks are rounded to (default: what the runtime is fast at).",
    )
    exclude: tuple[str, ...] = technique.layers_that("stay as they are")

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        given = [name for name in _MEASURES if getattr(self, name) is not None]
        if len(given) != 1:
            says = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(f"give exactly one of `energy`, `ratio`, `rank` and `latency`; {says}")
        if self.rank is not None and self.round_to is not None:
            raise ValueError("`rank` is taken as it is; drop `round_to`")
        return self

    def for_graph(self) -> Self:
        if self.latency is not None:
            raise ValueError(
                "`latency` is found on copies of the module, and this model is a file without one; give `ratio` or "
                "`energy`, or declare `model.build` and `model.weights`"
            )
        return self


class Factorize(Transformation):
    """Truncated singular values of linear layers, embeddings and convolutions, where that makes them smaller and no
    slower. Nothing is trained."""

    name: ClassVar[str] = "factorize"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module", "graph"})
    Options = FactorizeOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({"energy": {"from": 0.8, "to": 0.99}},)

    def effect(self, options: FactorizeOptions) -> Effect:  # noqa: ARG002
        return "changes"

    def needs(self, options: FactorizeOptions) -> Needs:
        timed_on = None if options.latency is None else TimedOn(options.latency.device)
        return Needs(wishes=("calibration",), timed_on=timed_on)  # a file does without calibration examples

    def apply(self, subject: Subject, options: FactorizeOptions, given: Given) -> Subject:
        from makeweight.compress import lowrank

        return (lowrank.lower if subject.kind == "module" else lowrank.lower_file)(subject, options, given)

    def training(self, options: FactorizeOptions) -> None:  # noqa: ARG002
        return None
