"""What 8 bits after training do to this model, and which layers suffer: made and tried, as a recipe would do it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from makeweight.advise.facts import ModelFacts, SensitivityFacts
from makeweight.artifact.model import Model
from makeweight.compress.mixed_precision import MixedPrecision
from makeweight.compress.quantize import Quantize
from makeweight.compress.sensitivity import grouped
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.compress.trial import NeverAnswers
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.module import load_module
from makeweight.user.split import Split
from makeweight_base.errors import EnvironmentFailed

# Groups of layers that are left in float, one at a time.
_MOST = 16


def tried(
    supply: Supply, baseline: Model, model: ModelFacts, splits: Mapping[str, Split], seconds: float
) -> SensitivityFacts:
    """Args:
        baseline: in float32.
        splits: by name; of `validation`, else `calibration`, examples are tried.
        seconds: the most that trying layers one by one may take.

    Raises:
        RecipeFailed, UsageError: the runtime does not offer 8 bits of this model, there are no examples, or nothing by
            which answers could be held against each other.
    """
    method = model.suits
    format = Quantize().format(Quantize.Options(method=method))
    split = splits.get("validation", splits.get("calibration"))
    if split is None:
        raise RecipeFailed("there are neither validation nor calibration examples to try it on")
    subject = _subject(supply, baseline, format)
    supply.progress.say(f"advise: 8 bits after training ({method}), tried on {split.name}")
    mixed = MixedPrecision(supply, subject, format, baseline, model.macs, split)
    began = time.monotonic()
    integers = mixed.integers
    try:
        decibels = mixed.decibels(integers)
    except RecipeFailed:  # that it answers nothing usable is a finding
        decibels = -math.inf
    each = time.monotonic() - began
    if decibels is None:
        raise RecipeFailed("what it answers cannot be held against float32: how much there is depends on the answer")
    layers = supply.runtime.inspect(integers).layers
    groups = grouped(layers, min(_MOST, int(seconds / max(each, 1e-3)))) if layers and seconds >= each else []
    alone: dict[str, float] = {}
    untried: str | None = None
    if len(groups) > 1 and math.isfinite(decibels):
        for done, group in enumerate(supply.progress.over(groups, "sensitivity of layers", len(groups))):
            try:
                won = mixed.tried(group)[0] - decibels
            except (NeverAnswers, EnvironmentFailed) as failure:  # what is known by then is no less so
                told = failure.head if isinstance(failure, EnvironmentFailed) else str(failure)
                untried = f"after {done} of {len(groups)} groups of layers: {' '.join(told.split())}"
                break
            alone |= dict.fromkeys(group, won if math.isfinite(won) else 0.0)
    finite = decibels if math.isfinite(decibels) else None
    return SensitivityFacts(method, split.name, finite, alone, untried)


def _subject(supply: Supply, baseline: Model, format: Any) -> Subject:
    """The file where the runtime takes that, else the module.

    Raises:
        RecipeFailed: it takes neither.
    """
    runtime = supply.runtime
    of_file = runtime.objection(format, "graph")
    if of_file is None:
        return Subject(baseline)
    of_module = runtime.objection(format, "module") if supply.declared.model.file is None else of_file
    if of_module is not None:
        raise RecipeFailed(of_module)
    return Subject(load_module(supply.declared))
