"""How often a decision about latency errs: the same questions asked many times. `docs/noise.md` is written by this.

Stacks of equal layers, so that the true ratio is known, as many as take about 0.5 ms here. The promises, within 2 s of
measuring: identical models are blocked at most 1 % of the time, 10 % more work at a limit of 5 % is found at least
95 %, 20 % more 99 %; beside nothing, beside one busy core, and beside bursts on all cores; on this machine, and on the
same by SSH. And 5 % more at a limit of 2.5 % 80 %, which is not promised beside bursts on all cores. Beside them stands
what a stored median with a threshold says of the same times: the variant's median in this decision, by the baseline's
in the one before.

    python benchmarks/noise/decisions.py [--trials N] [--where local ssh] [--load idle one-core bursty] [--apart]
    python benchmarks/noise/decisions.py --trials 300 --keep
    python benchmarks/noise/decisions.py --page

`--keep` writes `decisions.json` beside this file, and the page: with so many trials it takes hours, so it may be had in
parts, a place or a load each. `--page` writes the page anew from what is kept. Nothing else may run meanwhile: what is
called idle has to be.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from makeweight import registry
from makeweight.bench import probe, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.compare.answer import answer
from makeweight.devices.device import Device, DeviceOptions
from makeweight.measure import samples
from makeweight.measure.statistics import wilson
from makeweight_base import progress
from makeweight_probe.job import Model

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT, PAGE = Path(__file__).with_suffix(".json"), REPOSITORY / "docs/noise.md"
SECONDS = 2.0
BESIDE = 20
FINE = 1.025
# layers beside 20 of them, the limit, and the share of answers `over` that is promised: at most, at least
QUESTIONS = ((20, 1.05, 0.0, 0.01), (22, 1.05, 0.95, 1.0), (24, 1.05, 0.99, 1.0), (21, FINE, 0.80, 1.0))
UNPROMISED = {"bursty"}
"""Loads beside which nothing is promised of the finest limit."""
NOTHING = (0.0, 1.0)
WIDTH, SIZE = 16, 12
"""Of the layers: channels, rows and columns; small enough for 20 of them to take well below 0.5 ms."""
WANTED = 0.5e-3
PLACES = ("local", "ssh")
LOADS = {"idle": 0, "one-core": 1, "bursty": os.cpu_count() or 1}
"""How many neighbours there are."""
# Memory traffic and arithmetic beside whatever is measured, in bursts or without end. It ends by itself when what
# started it is gone, however that ended.
NEIGHBOUR = """
import os, sys, time, numpy as np
rng, big, bursts = np.random.default_rng(), np.ones(20_000_000), sys.argv[2] == "bursty"
while os.getppid() == int(sys.argv[1]):
    until = time.monotonic() + rng.exponential(0.05)
    while time.monotonic() < until:
        big += 1
    time.sleep(rng.exponential(0.02) if bursts else 0)
"""
Cell = dict[str, Any]
"""The answers to one question in one place beside one load."""


@contextlib.contextmanager
def neighbours(load: str) -> Iterator[None]:
    command = [sys.executable, "-c", NEIGHBOUR, str(os.getpid()), load]
    started = [subprocess.Popen(command) for _ in range(LOADS[load])]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


@contextlib.contextmanager
def device(where: str) -> Iterator[Device]:
    """This machine, or the same by a server of OpenSSH on its loopback."""
    if where == "local":
        yield registry.load("device", "local")("local", DeviceOptions(seconds=SECONDS))
        return
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]
    import sshd
    from makeweight.devices.ssh import Ssh, SshOptions

    with tempfile.TemporaryDirectory() as folder, sshd.running(Path(folder)) as server:
        yield Ssh("board", SshOptions(host=sshd.HOST, python=sys.executable, config=str(server.config)))


def asked(there: Device, pair: Pair, limit: float, trials: int) -> Cell:
    """One question, so many times."""
    verdicts: collections.Counter[str] = collections.Counter()
    spent, wall, ratios, stored = [], [], [], []
    before: float | None = None
    for trial in range(trials + 1):
        begun = time.monotonic()
        taken = sitting.carry_out(
            there, DeviceOptions(seconds=SECONDS), pair, Aim((limit,), memory=False), trial, progress.Silent()
        )
        found = answer(taken, limit, SECONDS)
        if found.ratio is None:
            raise SystemExit(f"no time counts that was taken: {found.reason}")
        medians = found.seconds_of
        if before is not None:  # the first is only stored
            verdicts[found.verdict] += 1
            spent.append(taken.seconds)
            wall.append(time.monotonic() - begun)
            ratios.append(found.ratio.value)
            stored.append(medians["b"] / before)
        before = medians["a"]
    middle = trials // 2
    return {
        "verdicts": dict(verdicts),
        "seconds": [sorted(spent)[middle], max(spent)],
        "with_start": sorted(wall)[middle],
        "ratio": [min(ratios), sorted(ratios)[middle], max(ratios)],
        "stored": {"at_limit": sum(each > limit for each in stored), "at_10": sum(each > 1.10 for each in stored)},
    }


def measured(trials: int, places: list[str], loads: list[str], apart: bool) -> dict[str, Any]:
    cells: list[Cell] = []
    runtime = registry.load("runtime", "onnxruntime")()
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    from aa_compare import conv_net

    with tempfile.TemporaryDirectory() as folder:
        fed = Path(folder, "inputs.npz")
        models = {layers: Path(folder, f"{layers}.onnx") for layers, *_ in QUESTIONS}
        conv_net(models[BESIDE], BESIDE, WIDTH, SIZE)
        times = max(1, round(WANTED / seconds_of(models[BESIDE])))
        for layers, path in models.items():
            conv_net(path, layers * times, WIDTH, SIZE)
        takes = seconds_of(models[BESIDE])
        print(f"{BESIDE * times} layers take {takes * 1e3:.2f} ms", flush=True)
        samples.store(fed, samples.made_up(runtime.read(models[BESIDE]).inputs, seed=0))
        for where in places:
            with device(where) as there:
                machine = probe.facts(there, print)
                for load in loads:
                    for layers, limit, *_ in QUESTIONS:
                        first, second = (Model("onnxruntime", str(models[n]), 1) for n in (BESIDE, layers))
                        pair = Pair(first, second, str(fed), free_batch=False, apart=apart)
                        with neighbours(load):
                            cell = asked(there, pair, limit, trials)
                        cells.append({"where": where, "load": load, "layers": layers, "limit": limit, **cell})
                        print(line(cells[-1], trials), flush=True)
        told = {name: machine.identity[name] for name in ("cpu", "cores", "machine", "runtimes")}
    return {"trials": trials, "apart": apart, "machine": told, "times": times, "takes": takes, "cells": cells}


def seconds_of(path: Path) -> float:
    """What an inference usually takes here, beside nothing."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    fed = {each.name: np.ones([1, *each.shape[1:]], np.float32) for each in session.get_inputs()}
    taken = []
    for _ in range(500):
        begun = time.perf_counter()
        session.run(None, fed)
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken[100:]))


def joined(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """What was measured now, and beside it what was measured before in the same way on the same machine elsewhere or
    beside other loads, so that a long run may be had in parts."""
    if before is None or any(before[name] != now[name] for name in ("trials", "apart", "machine", "times")):
        return now
    again = {(cell["where"], cell["load"]) for cell in now["cells"]}
    cells = [cell for cell in before["cells"] if (cell["where"], cell["load"]) not in again] + now["cells"]
    loads = list(LOADS)
    cells.sort(key=lambda cell: (PLACES.index(cell["where"]), loads.index(cell["load"])))
    return {**now, "cells": cells}


def kept(cell: Cell, trials: int) -> bool:
    """Whether what is promised of that question holds."""
    (least, most), over = promised(cell), cell["verdicts"].get("over", 0) / trials
    return bool(least <= over <= most and cell["seconds"][1] <= SECONDS * 1.05)


def promised(cell: Cell) -> tuple[float, float]:
    question = (cell["layers"], cell["limit"])
    if cell["limit"] == FINE and cell["load"] in UNPROMISED:
        return NOTHING
    return next((least, most) for layers, limit, least, most in QUESTIONS if (layers, limit) == question)


def line(cell: Cell, trials: int) -> str:
    said = ", ".join(
        f"{name} {cell['verdicts'].get(name, 0) / trials:5.1%}" for name in ("over", "within", "inconclusive")
    )
    low, middle, high = cell["ratio"]
    usual, longest = cell["seconds"]
    return (
        f"{'kept  ' if kept(cell, trials) else 'BROKEN'} {cell['where']}, {cell['load']}: {cell['layers']} layers "
        f"beside {BESIDE} at {cell['limit']}: {said}; stored median over it {cell['stored']['at_limit'] / trials:.1%}; "
        f"ratio {middle:.3f} [{low:.3f}, {high:.3f}]; {usual:.2f} s of measuring, at most {longest:.2f} s"
    )


def page(results: dict[str, Any]) -> str:
    """docs/noise.md."""
    trials, machine = results["trials"], results["machine"]
    rows = []
    for cell in results["cells"]:
        over, within, unsure = (cell["verdicts"].get(name, 0) for name in ("over", "within", "inconclusive"))
        mark = "" if kept(cell, trials) else " **broken**"
        rows.append(
            f"| {cell['where']} | {cell['load']} | {_question(cell)} "
            f"| {over / trials:.1%}{mark} | {_wanted(cell)} | {within / trials:.1%} | {unsure / trials:.1%} "
            f"| {cell['stored']['at_limit'] / trials:.1%} | {cell['stored']['at_10'] / trials:.1%} "
            f"| {cell['seconds'][0]:.2f} s, at most {cell['seconds'][1]:.2f} s | {cell['with_start']:.2f} s |"
        )
    had = {(cell["where"], cell["load"]) for cell in results["cells"]}
    missing = ", ".join(f"{where} {load}" for where in PLACES for load in LOADS if (where, load) not in had)
    missing = f"\nNot measured: {missing}.\n" if missing else ""
    runtimes = ", ".join(f"{name} {version}" for name, version in machine["runtimes"].items())
    arms = "a process an arm" if results["apart"] else "both models in one process"
    table, layers = "\n".join(rows), BESIDE * results["times"]
    names = (
        "where", "load", "question", "found slower", "promised", "within", "undecided", "stored median over the limit",
        "over 10 %", "measuring", "in all",
    )  # fmt: skip
    head = f"| {' | '.join(names)} |\n|{'---|' * len(names)}"
    identical = [cell["verdicts"].get("over", 0) for cell in results["cells"] if cell["layers"] == BESIDE]
    asked_of_identical = len(identical) * trials
    _, at_most = wilson(sum(identical), asked_of_identical)
    return f"""# How often a decision about latency errs

Written by `python benchmarks/noise/decisions.py`: {trials} decisions for each row, each of at most {SECONDS:g} s of
measuring in three fresh processes, {arms}. The models' true ratio is known by
their number of layers; {layers} layers took {results["takes"] * 1e3:.2f} ms beside nothing.
Measured on: {machine["cpu"]}, {machine["cores"]} cores, {machine["machine"]}; {runtimes}.

**Of {asked_of_identical:,} decisions about identical models {sum(identical)} found the second slower**; with 95 %
confidence the share lies below {at_most:.2%} (Wilson 1927).

What is promised, over the loads of a place together, with the 95 % interval:

{_together(results["cells"], trials)}

Each place and load by itself:

- *Found slower* is the share of answers `over`: of identical models each is a false alarm.
- *Stored median* is what comparing with a figure on file says of the same times: the variant's median of one decision
  by the baseline's of the decision before, on the same machine beside the same load, over the limit or over 10 %.
- Loads: nothing else; one core busy with memory traffic; bursts of it on every core. `ssh` is the same machine by a
  server of OpenSSH on its loopback.
- Seconds are of measuring; beside them the usual time of a decision with the start of its processes.

{head}
{table}
{missing}"""


def _together(cells: list[Cell], trials: int) -> str:
    """A table: of each promise in each place, what all decisions about it say, whatever ran beside them."""
    lines = ["| where | question | decisions | found slower | promised |", "|---|---|---|---|---|"]
    for where in PLACES:
        for layers, limit, *_ in QUESTIONS:
            alike = [cell for cell in cells if (cell["where"], cell["layers"], cell["limit"]) == (where, layers, limit)]
            if asked_of := [cell for cell in alike if promised(cell) != NOTHING]:
                decisions, over = len(asked_of) * trials, sum(cell["verdicts"].get("over", 0) for cell in asked_of)
                least, most = promised(asked_of[0])
                mark = "" if least <= over / decisions <= most else " **broken**"
                low, high = wilson(over, decisions)
                lines.append(
                    f"| {where} | {_question(asked_of[0])} | {decisions} "
                    f"| {over / decisions:.1%}{mark} [{low:.1%}, {high:.1%}] | {_wanted(asked_of[0])} |"
                )
    return "\n".join(lines)


def _question(cell: Cell) -> str:
    work = cell["layers"] / BESIDE - 1
    return f"{f'{work:.0%} more work' if work else 'identical'}, limit {cell['limit'] - 1:.1%}"


def _wanted(cell: Cell) -> str:
    least, most = promised(cell)
    return "nothing" if (least, most) == NOTHING else f"at most {most:.0%}" if least == 0 else f"at least {least:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--where", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--load", nargs="+", choices=tuple(LOADS), default=list(LOADS))
    parser.add_argument("--apart", action="store_true", help="give each arm a process of its own")
    parser.add_argument("--keep", action="store_true", help="write what was measured, and the page")
    parser.add_argument("--page", action="store_true", help="only write the page, from what is kept")
    options = parser.parse_args()
    if not options.page:
        results = measured(options.trials, options.where, options.load, options.apart)
        if not options.keep:
            return
        before = json.loads(KEPT.read_text()) if KEPT.exists() else None
        KEPT.write_text(json.dumps(joined(before, results), indent=1) + "\n")
    PAGE.write_text(page(json.loads(KEPT.read_text())))
    print(f"wrote {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
