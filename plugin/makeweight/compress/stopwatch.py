"""How long a model takes that a recipe is still at work on: lowered as the recipe will lower it, beside the baseline,
in turns of blocks on a device. What it answers is of no account, so its weights need not be trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from makeweight.artifact.model import Model
from makeweight.bench import sitting
from makeweight.bench.aim import Aim
from makeweight.bench.probe import JobFailed, model_of
from makeweight.bench.sitting import Pair, Ratio
from makeweight.compress.subject import Subject
from makeweight.devices.device import Device, DeviceFailed, DeviceOptions, GivenUp
from makeweight.measure import samples
from makeweight.measure.latency import medians
from makeweight.measure.timings import Timings
from makeweight.runtimes.format import Format
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Silent
from makeweight_probe.__main__ import NO_RUNTIME

_SECONDS = 1.0
"""Enough to see that the baseline can be timed at all."""


def untrained(format: Format) -> Format:
    """The format in which a model without its final weights takes as long: the same numbers in the same layers, without
    the search for good ones."""
    return replace(
        format,
        ranges="static" if format.ranges == "learned" else format.ranges,
        observer=None if format.observer is None else "minmax",
        rounding="nearest",
        equalized=False,
        biases_corrected=False,
    )


@dataclass(frozen=True)
class Timed:
    """A model's latency beside the baseline's."""

    ratio: Ratio
    """To the time of the baseline."""
    seconds: float
    """Of an inference."""
    baseline: float
    """The same of the baseline, in the same turns."""
    processes: int

    def plain(self) -> dict[str, Any]:
        """As a manifest has it."""
        low, high = self.ratio.interval
        return {
            "latency ratio": self.ratio.value,
            "interval": [low, high] if math.isfinite(high) else None,
            "noise floor": self.ratio.noise_floor,
            "seconds": self.seconds,
            "baseline seconds": self.baseline,
            "processes": self.processes,
        }

    def __str__(self) -> str:
        low, high = self.ratio.interval
        return f"{self.ratio.value:.2f}x the baseline's time [{low:.2f}, {high:.2f}]"


@dataclass(frozen=True)
class Stopwatch:
    """Times models on one device."""

    device: Device
    options: DeviceOptions
    baseline: Model
    format: Format
    """That of the recipe."""
    inputs: Path
    """Real samples for the probe."""
    lower: Callable[[Subject, Format], Model]
    """Raises what `Runtime.lower` does."""
    seed: int

    def time(self, subject: Subject, limit: float | None = None) -> Timed:
        """Measure until the ratio to the baseline's time is told from the limit, or the device's `seconds` are over.

        Raises:
            DeviceFailed: the device was lost, or is emulated and so tells no times; or not even the baseline can be
                timed there.
            UsageError, RecipeFailed: the model cannot be lowered, or not be timed at all, such as one that never
                answers there.
        """
        made = self.lower(subject, untrained(self.format))
        before, after = (model_of(each, self.options) for each in (self.baseline, made))
        own = samples.in_types_of(made, self.baseline, self.inputs, made.folder / "timed.npz")
        pair = Pair(before, after, str(self.inputs), free_batch=False, inputs_b=own)
        aim = Aim(() if limit is None else (limit,), memory=False)
        taken = self._taken(pair, aim)
        if taken.emulated is not None:
            raise DeviceFailed(taken.emulated, where=f"device `{self.device.name}`")
        if min(float(times.min()) for arm in "ab" for times in taken.runs(f"wall_{arm}")) <= 0:
            raise RecipeFailed(f"device `{self.device.name}` has too coarse a clock: some inferences took no time")
        usual = medians(taken)
        return Timed(sitting.ratio_of(taken), usual["b"], usual["a"], len(taken.processes))

    def _taken(self, pair: Pair, aim: Aim) -> Timings:
        """What is measured of the model beside the baseline. Where that does not come to its end, the baseline is timed
        by itself, and then the pair once more: it may have waited for another measurement."""
        try:
            return self._sat(pair, aim, self.options)
        except (JobFailed, GivenUp) as failure:
            if not _may_be_the_models(failure):
                raise
        brief = self.options.model_copy(update={"seconds": min(_SECONDS, self.options.seconds), "processes": 1})
        self._sat(replace(pair, b=pair.a, inputs_b=None), replace(aim, limits=()), brief)
        try:
            return self._sat(pair, aim, self.options)
        except (JobFailed, GivenUp) as failure:
            if not _may_be_the_models(failure):
                raise
            where = f"on {failure.where}, where the baseline can"
            raise RecipeFailed(f"it was made, and cannot be timed {where}: {failure.what}") from failure

    def _sat(self, pair: Pair, aim: Aim, options: DeviceOptions) -> Timings:
        return sitting.carry_out(self.device, options, pair, aim, self.seed, Silent())


def _may_be_the_models(failure: JobFailed | GivenUp) -> bool:
    """Whether the models may be why, and not only the device or what ran on it meanwhile."""
    if not isinstance(failure, JobFailed):
        return True
    return not (failure.of_device or failure.killed or failure.code == NO_RUNTIME)
