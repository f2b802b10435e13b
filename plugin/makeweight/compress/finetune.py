"""finetune: train the module further, to win back what compressing cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs, Transformation
from makeweight.compress.training_options import NEEDS, TrainingOptions
from makeweight.runtimes.format import SourceKind


class Finetune(Transformation):
    """Training on the train split, alone or with the baseline as teacher; the best epoch on validation is kept."""

    name: ClassVar[str] = "finetune"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module"})
    Options = TrainingOptions
    searched: ClassVar[Sequence[Mapping[str, Any]]] = ({"epochs": [2, 6], "teacher": ["none", "baseline"]},)

    def effect(self, options: TrainingOptions) -> Effect:  # noqa: ARG002
        return "trains"

    def needs(self, options: TrainingOptions) -> Needs:  # noqa: ARG002
        return NEEDS

    def apply(self, subject: Subject, options: TrainingOptions, given: Given) -> Subject:
        from makeweight.compress.tuning import tune

        trained = tune(subject.source, options, given, self.name, subject.left.values())
        given.notes[self.name] = asdict(trained)
        return subject

    def training(self, options: TrainingOptions) -> TrainingOptions:
        return options
