"""Try a model in a process of its own before anybody relies on it: does it run, is it near what it was made from?"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.feeds import fit, padded
from makeweight.artifact.matching import counterparts
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, batch_axes, types
from makeweight.artifact.trial import Trial
from makeweight.bench import probe
from makeweight.bench.probe import JobFailed, model_of
from makeweight.devices.device import GivenUp
from makeweight.devices.local import Local, LocalOptions
from makeweight.measure.elsewhere import beyond_rounding
from makeweight.measure.outcomes import classify
from makeweight.measure.samples import store
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.user.declared import Declared
from makeweight.user.split import Split
from makeweight_base.ended import ended
from makeweight_base.errors import EnvironmentFailed, ProcessLost
from makeweight_base.progress import Progress
from makeweight_probe.__main__ import LOST, NO_RUNTIME, REFUSED, SILENT
from makeweight_probe.job import AnswersJob, Result
from makeweight_probe.last_words import ASKED_TO_END

Answering = Callable[[Feeds], Sequence[NDArray[Any]]]
"""What a module answers, in the order in which a file of it has its outputs."""

# Examples that it is tried on: fewer where one costs so much that they would take seconds, or nobody knows.
_MOST, _FEWEST, _UNKNOWN = 64, 8, 16
_MACS = 10e9
# How many are asked for together.
_TOGETHER = 16
# Noise of half the amplitude that the answers have; see docs/measuring.md for what healthy models and wrong ones have.
FLOOR_DECIBELS = 6.0
# Of integers, an output is another model's where fewer are the same, and the noise says so too: classes and words are
# told by their number, pixels and counts by how far off they are.
LEAST_SAME = 0.5
_HERE = LocalOptions()
_HANGS = "See whether the model ever answers on this machine, or what else keeps it busy for so long."


class NeverAnswers(RecipeFailed):
    """A model does not come to an end, and what it is held against does, on the same machine. To find that out takes
    half an hour, so nobody tries others like it."""


def try_out(
    model: Model,
    reference: Model | Answering | None,
    split: Split,
    declared: Declared,
    runtime: Runtime,
    macs: int | None,
    progress: Progress,
) -> Trial:
    """Run a model on some of the examples, beside the one that it is held against.

    Args:
        reference: takes the same inputs, on whatever runtime; its outputs are found by name, else by order, in whatever
            layout. A module that the model was lowered from is asked here. None: it is the baseline itself.
        macs: what one inference of the two costs at most; None: nobody knows.

    Raises:
        RecipeFailed: it cannot be opened or run, or answers NaN or infinity where the reference has a number, or
            otherwise when it is asked the same again. `NeverAnswers`: it does not come to an end.
        UsageError: the examples do not fit its inputs.
        ProcessLost: the process was killed, or failed by itself: for the model, or for the machine.
        GivenUp: neither it nor the reference comes to an end here; or it, where there is none.
        EnvironmentFailed, OSError, MemoryError: the machine failed.
    """
    # neighbours of one shape are asked together
    examples = sorted(_some(split, model.batch, macs), key=_shapes)
    feeds = [fit(model.inputs, each) for each in examples]
    judged = _judged(model, declared)
    index = judged if declared.task.kind == "classification" else None
    with tempfile.TemporaryDirectory(prefix="makeweight-trial-") as folder:
        inputs = Path(folder, "inputs.npz")
        store(inputs, feeds, batch_axes(model.inputs))
        file = reference if isinstance(reference, Model) else None
        own: Path | None = None
        wanted: Path | None = None
        if file is not None and types(file.inputs) != types(model.inputs):
            own = Path(folder, "reference.npz")
            store(own, [fit(file.inputs, each) for each in examples])
        elif reference is not None and not isinstance(reference, Model):
            wanted = Path(folder, "wanted.npz")
            store(wanted, [{str(place): each for place, each in enumerate(reference(given))} for given in examples])
        job = AnswersJob(
            model_of(model),
            None if file is None else model_of(file),
            str(inputs),
            None if model.batch is not None or len(feeds) < 2 else _TOGETHER,
            index,
            reference_inputs=None if own is None else str(own),
            counterparts=None if file is None else counterparts(model.outputs, file.outputs),
            wanted=None if wanted is None else str(wanted),
        )
        try:
            result = _carried_out(job, runtime, progress)
        except GivenUp as error:
            if reference is None:
                raise
            waited = f"{_HERE.longest:g} s"
            # a module has answered just now, in this process
            if job.reference is not None:
                progress.say(f"it has not answered for {waited}: what it is held against is asked by itself")
                alone = AnswersJob(job.reference, None, job.reference_inputs or job.inputs, None, None)
                _carried_out(alone, runtime, progress)
            raise NeverAnswers(
                f"it was made, and never answers: it was ended after {waited}, and what it is held against answers here"
            ) from error
    facts = result.facts
    names = [port.name for port in model.outputs]
    for name, broken in zip(names, facts["broken"], strict=True):
        if broken:
            raise RecipeFailed(
                f"`{name}` holds NaN or infinity where it was a number before ({broken:,} times in "
                f"{facts['examples']} examples)"
            )
    for place, asked in enumerate(zip(facts["again"], facts["same_again"], strict=True)):
        # where one output alone is judged, the others may be what they like
        if judged in (None, place) and beyond_rounding(*asked):
            raise RecipeFailed(
                f"`{names[place]}` is another each time that the same example is asked: it draws random numbers, as a "
                "model that was exported in training mode does, or keeps a state that nothing resets"
            )
    pairs = list(zip(facts["together"], facts["same_together"], strict=True))
    mixing = min((each for each, same in pairs if each is not None and same is None), default=None)
    mixed = any(beyond_rounding(each, same) for each, same in pairs)
    return Trial(
        examples=facts["examples"] * (model.batch or 1),
        against=None,
        decibels={} if reference is None else dict(zip(names, map(_rounded, facts["decibels"]), strict=True)),
        agreement=_agreement(result),
        mixing=_rounded(mixing),
        dependent=facts["refused"] is not None or mixed,
        same=_shares(names, facts["same"]),
    )


def refuse_noise(trial: Trial, ranked: Collection[str] = ()) -> None:
    """Args:
        ranked: outputs that list what was found by its score, and are passed over: two that change places are no noise.

    Raises:
        RecipeFailed: an output has so much noise that another model might as well have made it.
    """
    for name, value in trial.decibels.items():
        if value is None or value >= FLOOR_DECIBELS or name in ranked:
            continue
        share, was = trial.same.get(name), f"`{name}` is no longer what it was in float32"
        if share is None:
            raise RecipeFailed(
                f"{was}: signal to noise {value:.1f} dB, and less than {FLOOR_DECIBELS:g} dB is another model's answer"
            )
        if share < LEAST_SAME:
            raise RecipeFailed(
                f"{was}: {share:.1%} of its integers are the same, and less than {LEAST_SAME:.0%} is another model's "
                "answer"
            )


def _some(split: Split, batch: int | None, macs: int | None) -> Sequence[Feeds]:
    """Examples from all over the split, one by one or in whole batches where the model's is fixed."""
    wanted = _UNKNOWN if not macs else min(max(round(_MACS / macs), _FEWEST), _MOST)
    size = batch or 1
    count = split.length()
    number = max(min(wanted, count) // size, 1) * size
    chosen = split.take(np.linspace(0, count - 1, number).round().astype(int))
    return [padded(feeds, size) for feeds in chosen.feeds(size)]


def _shapes(feeds: Feeds) -> list[tuple[int, ...]]:
    return [values.shape for values in feeds.values()]


def _judged(model: Model, declared: Declared) -> int | None:
    """Which output is judged; None where all are, as by a metric of the user's, or there is none of that name."""
    if declared.task.kind in ("detection", "custom"):
        return None
    names = [port.name for port in model.outputs]
    if declared.model.output is None:
        return 0
    return names.index(declared.model.output) if declared.model.output in names else None


def _carried_out(job: AnswersJob, runtime: Runtime, progress: Progress) -> Result:
    try:
        return probe.run(Local("local", _HERE, _HANGS), job, progress.say)
    except JobFailed as failure:
        if failure.of_device or failure.code == NO_RUNTIME:
            raise
        if failure.code == REFUSED:
            raise RecipeFailed(
                f"it was made, and cannot be run: {runtime.reason(Exception(failure.last))}"
            ) from failure
        if failure.code in (LOST, SILENT):  # of another runtime: the process was the reference's, not the model's
            told = f"the process of what the model is held against was lost: {failure.last}"
            raise ProcessLost(told, do="Run again; the machine may be short of memory.") from failure
        if failure.code >= 0 or failure.killed:
            kind = EnvironmentFailed if -failure.code in ASKED_TO_END else ProcessLost
            raise kind(
                f"the process that tried the model out was ended ({ended(failure.code)}): {failure.last}",
                do="Run again; the machine may be short of memory.",
            ) from failure
        raise RecipeFailed(
            f"it was made, and crashes {runtime.name} when it is opened or run ({ended(failure.code)})"
        ) from failure


def _agreement(result: Result) -> float | None:
    if "wanted" not in result.samples:
        return None
    before, after = (np.asarray(result.samples[name], dtype=np.float64) for name in ("wanted", "given"))
    wanted, _, _, kind = classify(before)
    return round(float(np.mean(wanted == classify(after, kind)[0])), 4)


def _shares(names: Sequence[str], same: Sequence[tuple[int, int] | None]) -> dict[str, float]:
    return {name: round(each[0] / each[1], 4) for name, each in zip(names, same, strict=True) if each is not None}


def _rounded(decibels: float | None) -> float | None:
    """To hundredths, so that two runs give the same manifest."""
    return None if decibels is None else math.floor(decibels * 100 + 0.5) / 100
