"""finetune: train the module further, to win back what pruning cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from makeweight.compress.technique import Accepts, Context
from makeweight.compress.training import TrainingOptions, train


class Finetune:
    """Training on the train split, alone or with the baseline as teacher; the best epoch on validation is kept."""

    name: ClassVar[str] = "finetune"
    accepts: ClassVar[Accepts] = "module"
    sets_number_format: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    Options = TrainingOptions

    def apply(self, subject: Any, options: TrainingOptions, context: Context) -> Any:
        trained = train(subject, options, context, self.name)
        context.notes[self.name] = asdict(trained)
        return subject

    def training(self, options: TrainingOptions) -> TrainingOptions:
        return options
