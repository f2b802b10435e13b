"""The ranges of activations, from calibration examples: the same whatever order they come in and however they are cut.

Ranges are taken first; the methods that look at histograms (`histograms.py`) fill bins that lie fixed over them, so
that only counts are added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Observer
from makeweight.runtimes.histograms import Histogram, chosen
from makeweight_probe.sessions.onnxruntime import runtime_module


def ranges(prepared: Path, folder: Path, operators: Sequence[str], observer: Observer, fed: Sequence[Feeds]) -> Any:
    """Lowest and highest value by tensor (ONNX Runtime's TensorsData), of all that an operator of these touches.

    Args:
        prepared: the graph, shapes inferred.
        folder: for what the calibrator writes.
        fed: see `runtimes/batches.py`.
    """
    onnxruntime = runtime_module()
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import MinMaxCalibrater, PercentileCalibrater, TensorsData

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Between two runs values are looked at, by a processor that threads would otherwise wait on for the next run.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def calibrator(kind: Any) -> Any:
        augmented = str(folder / f"{kind.__name__}.onnx")
        made = kind(prepared, operators, augmented)
        made.augment_graph()
        made.infer_session = onnxruntime.InferenceSession(augmented, options, providers=made.execution_providers)
        return made

    spanning = calibrator(MinMaxCalibrater)
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
    counting = calibrator(PercentileCalibrater)
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
