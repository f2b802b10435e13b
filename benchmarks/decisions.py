"""How often a decision about latency errs on this machine, as it is now: the same questions asked many times.

Stacks of equal layers, so that the true ratio is known, of about 0.5 ms. The promises, within 2 s of measuring:
identical models are blocked at most 1 % of the time, 10 % more work at a limit of 5 % is found at least 95 %, 20 % more
99 %, and 5 % more at a limit of 2.5 % 80 %; with an idle and with a loaded neighbour, in one process and with a process
an arm.

    python decisions.py [TRIALS [one|apart [idle|loaded]]]
"""

from __future__ import annotations

import collections
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aa_compare import conv_net

from makeweight import registry
from makeweight.bench import sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.compare.answer import answer
from makeweight.devices.device import DeviceOptions
from makeweight.measure import samples
from makeweight_base import progress
from makeweight_probe.job import Model

SECONDS = 2.0
# layers beside 20 of them, the limit, and the share of answers `over` that is promised: at most, at least
QUESTIONS = ((20, 1.05, 0.0, 0.01), (22, 1.05, 0.95, 1.0), (24, 1.05, 0.99, 1.0), (21, 1.025, 0.80, 1.0))
# Bursts of memory traffic and arithmetic, beside whatever is measured. It ends by itself when what started it is gone,
# however that ended.
NEIGHBOUR = """
import os, sys, time, numpy as np
rng, big = np.random.default_rng(), np.ones(20_000_000)
while os.getppid() == int(sys.argv[1]):
    until = time.monotonic() + rng.exponential(0.05)
    while time.monotonic() < until:
        big += 1
    time.sleep(rng.exponential(0.02))
"""


@contextlib.contextmanager
def neighbour(loaded: bool) -> Iterator[None]:
    command = [sys.executable, "-c", NEIGHBOUR, str(os.getpid())]
    started = subprocess.Popen(command) if loaded else None
    try:
        yield
    finally:
        if started is not None:
            started.kill()
            started.wait()


def main(trials: int, ways: list[str], neighbours: list[str]) -> None:
    runtime = registry.load("runtime", "onnxruntime")()
    options = DeviceOptions(threads=1, seconds=SECONDS)
    device = registry.load("device", "local")("local", options)
    with tempfile.TemporaryDirectory() as folder:
        fed = Path(folder, "inputs.npz")
        models = {layers: Path(folder, f"{layers}.onnx") for layers in (20, 21, 22, 24)}
        for layers, path in models.items():
            conv_net(path, layers, width=16)
        samples.store(fed, samples.made_up(runtime.read(models[20]).inputs, seed=0))
        for way in ways:
            for beside in neighbours:
                for layers, limit, least, most in QUESTIONS:
                    first, second = (Model("onnxruntime", str(models[n]), 1) for n in (20, layers))
                    pair = Pair(first, second, str(fed), free_batch=False, apart=way == "apart")
                    verdicts: collections.Counter[str] = collections.Counter()
                    seconds, ratios = [], []
                    with neighbour(beside == "loaded"):
                        for trial in range(trials):
                            aim = Aim((limit,), memory=False)
                            taken = sitting.carry_out(device, options, pair, aim, trial, progress.Silent())
                            found = answer(taken, limit, SECONDS)
                            verdicts[found.verdict] += 1
                            seconds.append(taken.seconds)
                            ratios.append(found.ratio)
                    ratios.sort()
                    over = verdicts["over"] / trials
                    said = ", ".join(
                        f"{name} {verdicts[name] / trials:4.0%}" for name in ("over", "within", "inconclusive")
                    )
                    print(
                        f"{'kept  ' if least <= over <= most else 'BROKEN'} {taken.where}, {beside}: {layers} layers "
                        f"beside 20 at {limit}: {said}; ratio {ratios[trials // 2]:.3f} [{ratios[0]:.3f}, "
                        f"{ratios[-1]:.3f}]; {sum(seconds) / trials:.2f} s of measuring, at most {max(seconds):.2f} s",
                        flush=True,
                    )


if __name__ == "__main__":
    asked = dict(enumerate(sys.argv))
    main(
        int(asked.get(1, 30)),
        [asked[2]] if 2 in asked else ["one", "apart"],
        [asked[3]] if 3 in asked else ["idle", "loaded"],
    )
