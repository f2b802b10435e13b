"""prune: remove whole channels or blocks, so that the network itself becomes narrower or shallower. What can be set
stands here; `channels.py` and `blocks.py` do it, which the configuration is read without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.json_schema import SkipJsonSchema

from makeweight.compress.latency_limit import LatencyLimit
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, TimedOn, Transformation, layers_that
from makeweight.compress.training_options import NEEDS, TrainingOptions
from makeweight.runtimes.format import SourceKind

Part = Annotated[float, Field(gt=0, lt=1)]
_AIMS = ("ratio", "macs", "latency")
# What says something of channels alone.
_OF_CHANNELS = ("scope", "importance", "round_to")


class PruneOptions(TrainingOptions):
    """What to remove, and how to train after each round of removing."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"oneOf": [{"required": [name]} for name in _AIMS]},
    )

    structure: Literal["channel", "block"] = Field(
        "channel",
        description="What is removed as a whole: channels and heads, or residual blocks, those first without which the "
        "answers to calibration examples change least.",
    )
    ratio: Part | SkipJsonSchema[None] = Field(
        None,
        description="The part to remove: of each layer's channels, or of all with `scope: global`; of the blocks that "
        "can go.",
    )
    macs: Part | SkipJsonSchema[None] = Field(
        None,
        description="In place of `ratio`: the part of the multiply-accumulates that is left at most; the least `ratio` "
        "that does it is found by trying.",
    )
    latency: LatencyLimit | SkipJsonSchema[None] = Field(
        None,
        description="In place of `ratio`: what an inference takes on a device at most, in the numbers that the recipe "
        "ends with; the least `ratio` that does it is found by measuring.",
    )
    rounds: int = Field(1, ge=1, le=100, description="Remove in so many steps, training after each.")
    scope: Literal["uniform", "global"] = Field(
        "uniform", description="`uniform` removes the ratio from every layer, `global` where channels matter least."
    )
    importance: Literal["magnitude", "taylor", "lamp", "fpgm", "bn_scale"] = Field(
        "magnitude",
        description="What a channel matters: the size of its weights, their effect on the loss, their size within the "
        "layer, how far they are from the layer's median, or the scale of its batch normalization.",
    )
    round_to: int | None = Field(
        None,
        ge=1,
        description="Keep a multiple of this many channels, the nearest to what the ratio asks for (default: what the "
        "runtime is fast at).",
    )
    epochs: int = Field(1, ge=0, description="Passes through the train split after each round; 0 trains not at all.")
    exclude: tuple[str, ...] = layers_that("keep their channels, or blocks that stay")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [f"`{name}`" for name in _AIMS if getattr(self, name) is not None]
        if len(given) != 1:
            has = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of `ratio`, `macs` and `latency`; it has {has}")
        return self

    @model_validator(mode="after")
    def _said_of_its_structure(self) -> Self:
        for name in _OF_CHANNELS:
            if self.structure != "channel" and name in self.model_fields_set:
                raise ValueError(f"`{name}` is of `structure: channel`, and says nothing of blocks; drop it")
        return self

    @model_serializer(mode="wrap")
    def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = handler(self)
        return {name: each for name, each in told.items() if self.structure == "channel" or name not in _OF_CHANNELS}

    @model_validator(mode="after")
    def _taylor_has_labels(self) -> Self:
        if self.importance == "taylor" and not self.labels:
            raise ValueError("`importance: taylor` is of the loss on labels, and `labels: false` reads none")
        return self


class Prune(Transformation):
    """Structured pruning in rounds. The layers that make the model's outputs are never pruned."""

    name: ClassVar[str] = "prune"
    packages: ClassVar[tuple[str, ...]] = ("torch-pruning",)
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module"})
    Options = PruneOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"ratio": {"from": 0.2, "to": 0.8}, "scope": ["uniform", "global"], "epochs": [0, 2]},
        {"structure": "block", "ratio": [0.25, 0.5], "epochs": [0, 2]},
    )

    def effect(self, options: PruneOptions) -> Effect:  # noqa: ARG002
        return "changes"

    def needs(self, options: PruneOptions) -> Needs:
        learns = options.epochs or options.importance == "taylor"
        needs = replace(NEEDS, splits=(*NEEDS.splits, "calibration")) if learns else Needs(("calibration",))
        return needs if options.latency is None else replace(needs, timed_on=TimedOn(options.latency.device))

    def apply(self, subject: Subject, options: PruneOptions, given: Given) -> Subject:
        from makeweight.compress import blocks, channels

        remove = blocks.remove if options.structure == "block" else channels.remove
        return remove(subject, options, given)

    def training(self, options: PruneOptions) -> TrainingOptions | None:
        return options.alone(epochs=options.epochs * options.rounds) if options.epochs else None
