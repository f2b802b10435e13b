"""The ratio of blocks beside each model's own time when it runs alone in long blocks, as in a server under load.

On the digits models of `make demo`, whose folder is given (default: build/demo of this checkout). Target: within 3 %,
for the int8 and the pruned model, in one process and with a process an arm. Alone: a fresh process a model. All take
turns, because a machine is not as fast in every minute.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from makeweight import registry
from makeweight.bench import sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.devices.device import DeviceOptions
from makeweight.measure.latency import median_ratio, medians, noise_floor
from makeweight.measure.timings import Timings
from makeweight_base.progress import Silent
from makeweight_probe.job import Model, Result

LAUNCHES = 15
VARIANTS = ("int8", "slim")
ALONE = """
import sys, time
import numpy as np
from makeweight_probe import inputs, sessions
from makeweight_probe.arm import Here
path, fed = sys.argv[1:]
samples = inputs.read(fed)
arm = Here(sessions.find("onnxruntime").open_session(path, 1).run, samples)
medians = []
for number in range(30):
    wall, _ = arm.block(number % len(samples), 300, 1)
    medians.append(np.median(wall[150:]))
print(np.median(medians))
"""


def alone(model: Path, fed: Path) -> float:
    command = [sys.executable, "-c", ALONE, str(model), str(fed)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(demo: Path) -> None:
    artifacts = demo / "artifacts"
    if not artifacts.is_dir():
        sys.exit(f"{demo} holds no artifacts: run `make demo` first, or name its folder")
    fed = artifacts / "baseline" / "inputs.npz"
    models = {name: artifacts / name / "model.onnx" for name in ("baseline", *VARIANTS)}
    device = registry.load("device", "local")("local", DeviceOptions())
    options = DeviceOptions(processes=1, seconds=4)
    alone_times: dict[str, list[float]] = {name: [] for name in models}
    processes: dict[tuple[str, bool], list[Result]] = {(name, way): [] for name in VARIANTS for way in (False, True)}
    for launch in range(LAUNCHES):
        for name, path in models.items():
            alone_times[name].append(alone(path, fed))
        for (name, apart), taken in processes.items():
            base, variant = (Model("onnxruntime", str(models[each]), 1) for each in ("baseline", name))
            pair = Pair(base, variant, str(fed), free_batch=False, apart=apart)
            aim = Aim((), 0.99, memory=False)
            taken += sitting.carry_out(device, options, pair, aim, launch, Silent()).processes
    for (name, _), taken in processes.items():
        timings = Timings(tuple(taken), {})
        own = float(np.median(np.array(alone_times[name]) / np.array(alone_times["baseline"])))
        ratio, (low, high) = median_ratio(timings)
        off = ratio / own - 1
        print(
            f"{'kept  ' if abs(off) <= 0.03 else 'BROKEN'} {name}, {timings.where}: {ratio:.4f} "
            f"[{low:.4f}, {high:.4f}] in blocks, {own:.4f} alone ({off:+.1%}); {medians(timings)['b'] * 1e6:.1f} us in "
            f"blocks, {np.median(alone_times[name]) / 1e3:.1f} us alone; noise floor {noise_floor(timings):.1%}, "
            f"dropped {[tuple(result.facts['warming']) for result in taken]}",
            flush=True,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "build/demo")
