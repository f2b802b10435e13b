"""The ranges of activations, from calibration examples: the same whatever order they come in and however they are cut.

Ranges are taken first; the methods that look at histograms (`histograms.py`) fill bins that lie fixed over them, so
that only counts are added up. Sums of floating point depend on what is computed together, so the examples are brought
into an order of their own and cut anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.artifact.feeds import fit
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Observer
from makeweight.runtimes.onnxruntime.histograms import Histogram, chosen
from makeweight.runtimes.runtime import Examples
from makeweight_base.errors import UsageError
from makeweight_probe.inputs import NO_AXES, joined

# Examples that a calibration run takes at once, where the model lets it choose.
BATCH = 32


def batches(model: Model, examples: Examples, at_once: int = BATCH) -> list[Feeds]:
    """Calibration examples in batches that the model takes; what a fixed size leaves over is dropped.

    Args:
        at_once: examples of a batch, where the model lets it be chosen.

    Raises:
        UsageError: they do not fit the model, or are too few for its batch.
    """
    # one by one, because a loader may pad what it collates to the longest of a batch
    alike: dict[str, list[tuple[bytes, Feeds]]] = {}
    for given in examples.feeds(1):
        for feeds in _apart(given):
            alike.setdefault(_shapes(feeds), []).append((_digest(feeds), feeds))
    size = model.batch
    step, cut = size or at_once, []
    for _, group in sorted(alike.items()):
        ordered = [feeds for _, feeds in sorted(group, key=lambda pair: pair[0])]
        starts = range(0, len(ordered) - step + 1 if size else len(ordered), step)
        cut += [fit(model.inputs, joined(ordered[at : at + step], NO_AXES)) for at in starts]
    if not cut:
        most = max(len(group) for group in alike.values())
        raise UsageError(
            f"the model takes batches of {size}, and there are only {most} calibration examples",
            where="makeweight.yaml: data.calibration",
            do="Give more examples, or export the model with a free batch size.",
        )
    return cut


def _apart(feeds: Feeds) -> Iterator[Feeds]:
    for index in range(len(next(iter(feeds.values())))):
        yield {name: values[index : index + 1] for name, values in feeds.items()}


def _shapes(feeds: Feeds) -> str:
    return str([(name, feeds[name].shape) for name in sorted(feeds)])


def _digest(feeds: Feeds) -> bytes:
    return hashlib.sha256(b"".join(np.ascontiguousarray(feeds[name]).tobytes() for name in sorted(feeds))).digest()


def ranges(prepared: Path, folder: Path, operators: Sequence[str], observer: Observer, fed: Sequence[Feeds]) -> Any:
    """Lowest and highest value by tensor (ONNX Runtime's TensorsData), of all that an operator of these touches.

    Args:
        prepared: the graph, shapes inferred.
        folder: for what the calibrator writes.
        fed: see `batches`.
    """
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData, create_calibrator

    def calibrator(method: CalibrationMethod) -> Any:
        return create_calibrator(prepared, operators, str(folder / f"{method.name}.onnx"), calibrate_method=method)

    spanning = calibrator(CalibrationMethod.MinMax)
    spanning.collect_data(_Reader(fed))
    spans = spanning.compute_data()
    if observer == "minmax":
        return spans
    # what reaches to infinity has no bins, and is nothing to be quantized either
    histograms = {
        name: Histogram(lowest, highest)
        for name, (lowest, highest) in extremes(spans).items()
        if np.isfinite([lowest, highest]).all()
    }
    counting = calibrator(CalibrationMethod.Percentile)
    counting.tensors_to_calibrate &= set(histograms)
    counting.collector = _Collector(histograms)
    for feeds in fed:
        # taken one by one, or every activation of all examples would be in memory
        counting.collect_data(_Reader([feeds]))
    found = {name: (each.lowest, each.highest) for name, each in spans.items()}
    for name, histogram in histograms.items():
        lowest, highest = chosen(observer, histogram)
        found[name] = np.array(lowest, np.float32), np.array(highest, np.float32)
    return TensorsData(CalibrationMethod.MinMax, found)


def extremes(found: Any) -> dict[str, tuple[float, float]]:
    """What `ranges` found, as plain numbers."""
    return {name: (float(np.min(each.lowest)), float(np.max(each.highest))) for name, each in found.items()}


class _Collector:
    """Takes what a calibrator of ONNX Runtime sees of each tensor."""

    def __init__(self, histograms: Mapping[str, Histogram]) -> None:
        self._histograms = histograms

    def collect(self, seen: Mapping[str, Sequence[Any]]) -> None:
        for name, arrays in seen.items():
            for array in arrays:
                self._histograms[name].add(array)


class _Reader:
    """Batches as ONNX Runtime's calibrators ask for them."""

    def __init__(self, fed: Sequence[Feeds]) -> None:
        self._left = iter(fed)

    def get_next(self) -> Feeds | None:
        return next(self._left, None)
