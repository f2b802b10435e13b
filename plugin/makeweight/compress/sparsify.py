"""sparsify: have single weights be zero, wherever they stand, while layers keep their shapes. What can be set stands
here; `masking.py` does it, which the configuration is read without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, Transformation, layers_that
from makeweight.compress.training_options import NEEDS, TrainingOptions
from makeweight.runtimes.format import SourceKind


class SparsifyOptions(TrainingOptions):
    """Which weights become zero, and how to train after each round."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "oneOf": [
                {"required": ["sparsity"]},
                {"required": ["structure"], "properties": {"structure": {"const": "2:4"}}},
            ]
        },
    )

    structure: Literal["weights", "2:4"] = Field(
        "weights", description="Any weights, or two of every four neighbours along what a layer sums over."
    )
    sparsity: float | None = Field(
        None, gt=0, lt=1, description="With `structure: weights`, the part of the weights that are zero in the end."
    )
    scope: Literal["uniform", "global"] = Field(
        "uniform", description="`uniform` takes that part of every layer, `global` the smallest weights of all."
    )
    importance: Literal["magnitude", "movement"] = Field(
        "magnitude",
        description="What a weight matters: its size, or how training moves it; what it moves towards zero goes first. "
        "`movement` has its first round for looking.",
    )
    rounds: int = Field(
        1, ge=1, le=100, description="Reach the sparsity in so many steps, large ones first, training after each."
    )
    epochs: int = Field(1, ge=0, description="Passes through the train split after each round; 0 trains not at all.")
    exclude: tuple[str, ...] = layers_that("keep their weights")

    @model_validator(mode="after")
    def _one_sparsity(self) -> Self:
        if self.structure == "weights":
            if self.sparsity is None:
                raise ValueError('give `sparsity`, the part of the weights that become zero, or `structure: "2:4"`')
            if self.importance == "movement" and (self.rounds < 2 or not self.epochs):
                raise ValueError("`importance: movement` is of training: give `rounds`, two or more, and `epochs`")
            return self
        for name, given in (
            ("sparsity", self.sparsity is not None),
            ("scope", self.scope != "uniform"),
            ("importance", self.importance != "magnitude"),
            ("rounds", self.rounds > 1),
        ):
            if given:
                raise ValueError(f'`structure: "2:4"` takes half of every layer at once; drop `{name}`')
        return self

    def for_graph(self) -> Self:
        trained = sorted(self.model_fields_set & set(TrainingOptions.model_fields) - {"epochs"})
        if self.importance == "movement" or self.rounds > 1:
            trained.insert(0, "rounds" if self.rounds > 1 else "importance: movement")
        if trained or ("epochs" in self.model_fields_set and self.epochs):
            raise ValueError(
                f"`{(*trained, 'epochs')[0]}` is of training, and a model file has none; drop it, or declare "
                "`model.build` and `model.weights`"
            )
        return self.model_copy(update={"epochs": 0})


class Sparsify(Transformation):
    """Unstructured and 2:4 pruning, by magnitude or movement. What is zero stays zero, whatever trains afterwards."""

    name: ClassVar[str] = "sparsify"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module", "graph"})
    Options = SparsifyOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({"sparsity": {"from": 0.5, "to": 0.95}, "epochs": [0, 2]},)

    def effect(self, options: SparsifyOptions) -> Effect:  # noqa: ARG002
        return "masks"

    def needs(self, options: SparsifyOptions) -> Needs:
        return NEEDS if options.epochs else Needs()

    def apply(self, subject: Subject, options: SparsifyOptions, given: Given) -> Subject:
        from makeweight.compress import masking

        return (masking.mask if subject.kind == "module" else masking.mask_file)(subject, options, given)

    def training(self, options: SparsifyOptions) -> TrainingOptions | None:
        return options.alone(epochs=options.epochs * options.rounds) if options.epochs else None
