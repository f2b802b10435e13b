"""How often the paired decision errs on this machine, as it is now: the same question asked many times.

Stacks of equal layers, so that the true ratio is known: 20 layers beside 20, 21 (at the limit), 22 and 24, each against
a limit of 1.05. Bar: identical models called over at most 1 %, +10 % called over at least 90 %, +20 % at least 99 %.
"""

from __future__ import annotations

import collections
import sys
import tempfile
from pathlib import Path

from aa_compare import conv_net

from makeweight import registry
from makeweight.devices import benchmark
from makeweight.devices.benchmark import Aim, Pair
from makeweight.devices.device import DeviceOptions
from makeweight.measure import samples
from makeweight.measure.latency import median_ratio
from makeweight.verbs.compare import decide
from makeweight_base import progress
from makeweight_probe.job import Model

LIMIT = 1.05


def main(trials: int) -> None:
    runtime = registry.load("runtime", "onnxruntime")()
    options = DeviceOptions(threads=1, seconds=10)
    device = registry.load("device", "local")("local", options)
    with tempfile.TemporaryDirectory() as folder:
        fed = Path(folder, "inputs.npz")
        paths = {layers: Path(folder, f"{layers}.onnx") for layers in (20, 21, 22, 24)}
        for layers, path in paths.items():
            conv_net(path, layers, width=16)
        samples.store(fed, samples.made_up(runtime.open(paths[20]), seed=0))
        for layers in paths:
            answers: collections.Counter[str] = collections.Counter()
            seconds, ratios = [], []
            for trial in range(trials):
                pair = Pair(
                    Model("onnxruntime", str(paths[20])), Model("onnxruntime", str(paths[layers])), str(fed), False
                )
                aim = Aim((LIMIT,), memory=False)
                taken = benchmark.carry_out(device, options, pair, aim, seed=trial, progress=progress.Silent())
                answers[decide(taken, LIMIT)] += 1
                seconds.append(taken.seconds)
                ratios.append(median_ratio(taken)[0])
            ratios.sort()
            shares = ", ".join(f"{name} {answers[name] / trials:4.0%}" for name in ("over", "within", "inconclusive"))
            print(
                f"{layers} layers beside 20: {shares}; ratio {ratios[len(ratios) // 2]:.3f} "
                f"[{ratios[0]:.3f}, {ratios[-1]:.3f}]; {sum(seconds) / trials:.2f} s of measuring each"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
