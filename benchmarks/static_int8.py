"""The static int8 step beside a call of onnxruntime.quantization with the same settings. Target: at most 1.3x.

The same are also the bins of a histogram, which `quantize_static` has no argument for: of its own 128, entropy cannot
cut any away. Both prepare, calibrate and write the same graph from the same examples in memory; the runs take turns.
What ours does besides: it opens the model, fits the examples to it, and checks what came out.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from aa_compare import conv_net
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.shape_inference import quant_pre_process

from makeweight.compress.quantize import Quantize
from makeweight.runtimes.batches import BATCH
from makeweight.runtimes.histograms import ENTROPY_BINS
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.user.arrays import Arrays
from makeweight.user.split import Split
from makeweight_base.quiet import quiet

REPEATS = 9
EXAMPLES = 256
NETWORKS = {"8 layers of 32 channels": (8, 32), "20 layers of 64 channels": (20, 64)}
METHODS = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy}


class Batches:
    """The examples as onnxruntime.quantization asks for them."""

    def __init__(self, examples: Split) -> None:
        self._batches = examples.feeds(BATCH)

    def get_next(self) -> object:
        return next(self._batches, None)


def main() -> None:
    images = np.random.default_rng(0).random((EXAMPLES, 1, 16, 16), dtype=np.float32)
    examples = Split("calibration", Arrays({"image": images}, None))
    for title, (layers, width) in NETWORKS.items():
        for method in METHODS:
            with tempfile.TemporaryDirectory(prefix="makeweight-int8-") as folder:
                source = Path(folder, "net.onnx")
                conv_net(source, layers, width, size=16)
                compare(f"{title}, {method}", ours(source, examples, method), direct(source, examples, method))


def ours(source: Path, examples: Split, method: str) -> Callable[[], Path]:
    runtime, target = OnnxRuntime(), source.with_name("ours.onnx")
    format = Quantize().format(Quantize.Options(calibrate=method))

    def run() -> Path:
        runtime.lower(runtime.read(source), format, examples, target)
        return target

    return run


def direct(source: Path, examples: Split, method: str) -> Callable[[], Path]:
    prepared, made = source.with_name("prepared.onnx"), source.with_name("direct.onnx")
    binned = {"num_bins": ENTROPY_BINS} if method == "entropy" else {}

    def calibrator(*given: Any, extra_options: dict[str, Any], **named: Any) -> Any:
        return create_calibrator(*given, extra_options=extra_options | binned, **named)

    def run() -> Path:
        with quiet(), mock.patch("onnxruntime.quantization.quantize.create_calibrator", calibrator):  # it prints
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(made),
                Batches(examples),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=METHODS[method],
            )
        return made

    return run


def compare(title: str, first: Callable[[], Path], second: Callable[[], Path]) -> None:
    runtime = OnnxRuntime()
    facts = [runtime.inspect(runtime.read(run())).figures() for run in (first, second)]  # warms both up, too
    assert facts[0] == facts[1], f"{title}: the graphs differ"
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(REPEATS):
        for index in (0, 1) if repeat % 2 else (1, 0):
            start = time.perf_counter()
            (first, second)[index]()
            times[index].append(time.perf_counter() - start)
    mine, theirs = (statistics.median(taken) for taken in times)
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    print(f"{title}: {mine:.3f} s beside {theirs:.3f} s, {ratio:.2f}x (target: at most 1.3x; {REPEATS} pairs)")


if __name__ == "__main__":
    main()
