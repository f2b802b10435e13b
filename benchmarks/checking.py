"""What checking costs beside making: of a recipe's seconds, those in which what was made is opened and run in a process
of its own, beside what it was made from. Target: under 10 % of the recipe's time, or under 5 s.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from aa_compare import conv_net

from makeweight.compress import make, trial
from makeweight.compress.baseline import write_baseline
from makeweight.project.reading import understand
from makeweight_base.progress import Silent

SHARE, SECONDS = 0.10, 5.0
# Layers, channels, and pixels along a side.
NETWORKS = {"8 layers of 32 channels on 16x16": (8, 32, 16), "20 layers of 64 channels on 32x32": (20, 64, 32)}
PROJECT = """\
model: {onnx: net.onnx}
data: {npz: {calibration: examples.npz, test: examples.npz}}
variants:
  half: {steps: [float16]}
  minmax: {steps: [{quantize: {method: static}}]}
  entropy: {steps: [{quantize: {method: static, calibrate: entropy}}]}
budget: {size: {max: 1 GB}}
"""


def main() -> None:
    for title, (layers, width, size) in NETWORKS.items():
        with tempfile.TemporaryDirectory(prefix="makeweight-checking-") as folder:
            recipes(title, Path(folder), layers, width, size)


def recipes(title: str, root: Path, layers: int, width: int, size: int) -> None:
    conv_net(root / "net.onnx", layers, width, size)
    images = np.random.default_rng(0).random((256, 1, size, size), dtype=np.float32)
    np.savez(root / "examples.npz", image=images, target=np.arange(256) % width)
    project = understand(PROJECT, "the benchmark", root)
    taken: list[float] = []

    def timed(*arguments: Any) -> Any:
        begun = time.perf_counter()
        try:
            return trial.try_out(*arguments)
        finally:
            taken.append(time.perf_counter() - begun)

    (root / "baseline").mkdir()
    baseline = write_baseline(project.declared, root / "baseline", Silent())
    for name, variant in project.variants.items():
        taken.clear()
        (root / name).mkdir()
        begun = time.perf_counter()
        with mock.patch("makeweight.compress.make.try_out", timed):
            manifest = make.make(variant, project.declared, baseline, root / name, Silent())
        whole, checking = time.perf_counter() - begun, sum(taken)
        assert manifest.status == "ready", manifest.reason
        share = checking / whole
        kept = "kept  " if share < SHARE or checking < SECONDS else "BROKEN"
        print(f"{kept} {title}, {name}: checking took {checking:.2f} s of {whole:.2f} s, {share:.0%}", flush=True)


if __name__ == "__main__":
    main()
