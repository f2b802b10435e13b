"""What a model answers on real examples: whether it runs at all, how far it is from another, whether neighbours count.

Signal to noise in decibels is 10 log10 of the power of the reference over the power of the difference: Gray and
Neuhoff, "Quantization", IEEE Transactions on Information Theory 44(6), 1998, https://doi.org/10.1109/18.720541
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import ProbeFailed, in_a_line, inputs, sessions
from makeweight_probe.answering import Answering, answering
from makeweight_probe.arm import Arm, Here
from makeweight_probe.job import AnswersJob, Model, Result
from makeweight_probe.session import Feeds
from makeweight_probe.worker import Worker

MOST_DECIBELS = 200.0
"""Beyond what a 64-bit number can tell: the same numbers. Less than its negative: nothing but noise."""


def ask(job: AnswersJob) -> Result:
    """Ask a model, alone and together; see `AnswersJob` for what is answered.

    Raises:
        ProbeFailed: a model does not open, or does not run on the examples one at a time.
    """
    samples = inputs.read(job.inputs)
    with contextlib.ExitStack() as stack:
        reference = _reference(job, samples, stack)
        return _asked(job, _opened(job.model), reference, samples)


def _asked(job: AnswersJob, model: Answering, reference: Arm | None, samples: Sequence[Feeds]) -> Result:
    size = job.together or 1
    noises: list[Noise] = []
    mixing: list[Noise] = []
    first: list[NDArray[Any]] = []
    scores: list[tuple[NDArray[Any], NDArray[Any]]] = []
    refused: str | None = None
    along, number = inputs.axes(job.inputs), itertools.count()
    for some in inputs.alike(samples, size):
        own = [_run(model, feeds) for feeds in some]
        first = first or own[0]
        noises = noises or [Noise() for _ in own[0]]
        mixing = mixing or [Noise() for _ in own[0]]
        if reference is not None:
            for given in own:
                wanted = _counterparts(job, _answer(reference, next(number)), len(given))
                for noise, before, after in zip(noises, wanted, given, strict=True):
                    if before is not None:
                        noise.add(before, after)
                if job.scores is not None and wanted[job.scores] is not None:
                    scores.append((wanted[job.scores], given[job.scores]))
        if job.together is not None and len(some) > 1 and refused is None:
            try:
                at_once = model(inputs.joined(some, along))
            except Exception as error:  # noqa: BLE001 - one at a time it runs: what it says here is the finding
                refused = in_a_line(error)
                continue
            for index, (noise, after) in enumerate(zip(mixing, at_once, strict=True)):
                noise.add(_stacked([answers[index] for answers in own]), after)
    # last of all, when everything else has been asked
    again = [Noise() for _ in first]
    for noise, before, after in zip(again, first, _run(model, samples[0]), strict=True):
        noise.add(before, after)
    return Result(
        _together(scores),
        {
            "examples": len(samples),
            "decibels": [noise.decibels() for noise in noises],
            "same": [noise.same for noise in noises],
            "broken": [noise.broken for noise in noises],
            "together": [noise.decibels() for noise in mixing],
            "same_together": [noise.same for noise in mixing],
            "again": [noise.decibels() for noise in again],
            "same_again": [noise.same for noise in again],
            "refused": refused,
        },
    )


def _reference(job: AnswersJob, samples: Sequence[Feeds], stack: contextlib.ExitStack) -> Arm | None:
    """The other model, in a process of its own where it would disturb the one that is asked; or what it has answered
    elsewhere."""
    if job.wanted is not None:
        return Here(lambda answers: list(answers.values()), inputs.read(job.wanted))
    model = job.reference
    if model is None:
        return None
    path = job.reference_inputs or job.inputs
    if model.shares_a_process_with(job.model):
        own = samples if path == job.inputs else inputs.read(path)
        return Here(_opened(model), own)
    worker = stack.enter_context(Worker("reference", model, path))
    worker.wait()
    return worker


def _counterparts(job: AnswersJob, wanted: Sequence[Any], count: int) -> list[Any]:
    """What the reference answers in place of each of the model's outputs, in their layout; None: nothing."""
    if job.counterparts is None:
        return list(wanted) if len(wanted) == count else [None] * count
    return [None if each is None else _transposed(wanted[each[0]], each[1]) for each in job.counterparts]


def _transposed(answer: Any, axes: Sequence[int] | None) -> Any:
    # what is not of the rank that was declared is passed over as it is
    return answer if axes is None or np.ndim(answer) != len(axes) else np.transpose(answer, axes)


def _together(pairs: Sequence[tuple[Any, Any]]) -> dict[str, NDArray[Any]]:
    """Scores of reference and model for all examples; none where they are no numbers, or differ in size."""
    arrays = [np.asarray(each) for pair in pairs for each in pair]
    sizes = {array.shape[1:] for array in arrays}
    if len(sizes) != 1 or any(array.ndim == 0 or array.dtype.kind not in "fiub" for array in arrays):
        return {}
    return {"wanted": np.concatenate(arrays[::2]), "given": np.concatenate(arrays[1::2])}


class Noise:
    """How far answers are from those wanted, summed up over batches."""

    def __init__(self) -> None:
        self._signal = self._noise = self._sum = 0.0
        self._compared = self._equal = 0
        self._whole = True
        self.broken = 0
        """Numbers that are NaN or infinite where the reference has a finite one."""

    def add(self, wanted: Any, given: Any) -> None:
        """What is no number, or has another size (which may depend on the answer), is passed over."""
        before, after = np.asarray(wanted), np.asarray(given)
        if before.shape != after.shape or before.dtype.kind not in "fiub" or after.dtype.kind not in "fiub":
            return
        known = np.isfinite(before)
        both = known & np.isfinite(after)
        self.broken += int(np.count_nonzero(known & ~both))
        signal, found = before[both].astype(np.float64), after[both].astype(np.float64)
        self._signal += float(np.square(signal).sum())
        self._sum += float(signal.sum())
        self._noise += float(np.square(signal - found).sum())
        self._compared += int(np.count_nonzero(both))
        self._equal += int(np.count_nonzero(signal == found))
        self._whole &= before.dtype.kind != "f" and after.dtype.kind != "f"

    @property
    def same(self) -> tuple[int, int] | None:
        """How many integers are those wanted, and of how many; None where some are in floating point, or nothing could
        be compared."""
        return (self._equal, self._compared) if self._whole and self._compared else None

    def decibels(self) -> float | None:
        """None where nothing could be compared. What integers count from has no meaning where they are classes or
        words, so it is their spread about the mean that noise is held against."""
        if not self._compared:
            return None
        if self._noise == 0:
            return MOST_DECIBELS
        signal = self._signal - (self._sum**2 / self._compared if self._whole else 0.0)
        if signal <= 0:
            return -MOST_DECIBELS
        value = 10 * float(np.log10(signal) - np.log10(self._noise))
        return min(max(value, -MOST_DECIBELS), MOST_DECIBELS)


def _opened(model: Model) -> Answering:
    opener = sessions.of(model)
    try:
        return answering(opener.open_session(model.path, model.threads))
    except ProbeFailed:
        raise
    except Exception as error:
        raise ProbeFailed(in_a_line(error)) from error


def _answer(arm: Arm, sample: int) -> list[NDArray[Any]]:
    try:
        return arm.answer(sample)
    except ProbeFailed:
        raise
    except Exception as error:
        raise ProbeFailed(in_a_line(error)) from error


def _run(model: Answering, feeds: Feeds) -> list[NDArray[Any]]:
    try:
        return model(feeds)
    except Exception as error:
        raise ProbeFailed(in_a_line(error)) from error


def _stacked(answers: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Answers to single examples as the answer to all; what has no batch to stack along, or as many sizes as there are
    examples (boxes that were found), stays apart."""
    if any(answer.ndim == 0 for answer in answers) or len({answer.shape[1:] for answer in answers}) > 1:
        return np.zeros(0)
    return np.concatenate(answers)
