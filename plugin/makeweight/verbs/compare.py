"""`makeweight compare A B`: two model files and a paired answer, here or on a device that a project declares."""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from makeweight import registry
from makeweight.artifact import model as artifact
from makeweight.artifact.ports import Feeds, fit
from makeweight.devices import benchmark
from makeweight.devices.benchmark import Aim, Pair
from makeweight.devices.device import Device, DeviceOptions
from makeweight.measure import samples
from makeweight.measure.latency import median_ratio, noise_floor
from makeweight.measure.timings import Timings
from makeweight.project import reading
from makeweight.runtimes.runtime import Session
from makeweight.verbs.device import connect
from makeweight_base.errors import Exit, UsageError
from makeweight_base.progress import Progress
from makeweight_probe.job import Model

Answer = Literal["over", "within", "inconclusive"]
_EXITS: dict[Answer, Exit] = {
    "within": Exit.PASS,
    "over": Exit.FAIL,
    "inconclusive": Exit.INCONCLUSIVE,
}


def run(
    a: Path,
    b: Path,
    *,
    device_name: str | None,
    root: Path,
    seconds: float | None,
    threads: int | None,
    max_ratio: float,
    inputs: Path | None,
    as_json: bool,
    progress: Progress,
) -> Exit:
    """Time B against A on this machine, or on a device of the project in `root`.

    Args:
        seconds, threads: None: the device's; for this machine 10 s and 1 thread.

    Raises:
        UsageError: a file that is no model, models that do not take the same inputs, inputs that fit neither.
        DeviceFailed: the device cannot be reached, or was lost.
    """
    device, options = _device(device_name, root, seconds, threads)
    runtime = registry.ready("runtime", "onnxruntime")()
    models = [runtime.read(path) for path in (a, b)]
    sessions = [runtime.open(model, options.threads) for model in models]
    _refuse_different_inputs(*models)
    with tempfile.TemporaryDirectory(prefix="makeweight-compare-") as folder:
        fed = Path(folder, "inputs.npz")
        feeds = samples.made_up(models[0].inputs, seed=0) if inputs is None else _given(inputs, models[0])
        for path, session in zip((a, b), sessions, strict=True):
            _try_out(path, session, feeds[0], made_up=inputs is None)
        samples.store(fed, feeds)
        # throughput is no part of the answer
        pair = Pair(Model("onnxruntime", str(a)), Model("onnxruntime", str(b)), str(fed), free_batch=False)
        aim = Aim((max_ratio,), memory=False)
        where = "" if device_name is None else f" of {device_name}"
        several = "s" if options.threads > 1 else ""
        progress.say(f"measuring for at most {options.seconds:g} s on {options.threads} thread{several}{where}")
        taken = benchmark.carry_out(device, options, pair, aim, seed=0, progress=progress)
    answer = decide(taken, max_ratio)
    result = describe(taken, answer, max_ratio, options.seconds)
    result |= {arm: _described(model, taken, arm) for arm, model in zip("ab", models, strict=True)}
    result["device"] = device.facts().identity
    result["inputs"] = "made up" if inputs is None else str(inputs)
    print(json.dumps(result) if as_json else _told(result, a, b), file=sys.stdout)
    return _EXITS[answer]


def _device(name: str | None, root: Path, seconds: float | None, threads: int | None) -> tuple[Device, DeviceOptions]:
    """The device to measure on, and how. What is asked for here goes before what it declares."""
    asked = {"seconds": seconds, "threads": threads}
    given = {option: value for option, value in asked.items() if value is not None}
    if name is None:
        options = DeviceOptions(**given)
        return registry.load("device", "local")("local", options), options
    declared = reading.load(root)
    return connect(declared, name), declared.device(name).options.model_copy(update=given)


def decide(taken: Timings, limit: float) -> Answer:
    """Is B over the limit, within it, or can that not be told? A pure function of the samples."""
    if not benchmark.settled(taken, (limit,)):
        return "inconclusive"
    ratio, _ = median_ratio(taken)
    return "over" if ratio > limit else "within"


def describe(taken: Timings, answer: Answer, limit: float, seconds: float) -> dict[str, Any]:
    """The answer as plain data; ratios are time(B)/time(A)."""
    ratio, (low, high) = median_ratio(taken)
    floor = noise_floor(taken)
    return {
        "verdict": answer,
        "max_ratio": limit,
        "ratio": ratio,
        "interval": [low, high if math.isfinite(high) else None],
        "noise_floor": floor,
        "pairs": taken.rounds,
        "processes": len(taken.pairs),
        "seconds": round(taken.seconds, 3),
        "seconds_needed": _needed(ratio, (low, high), limit, floor, seconds) if answer == "inconclusive" else None,
    }


def _needed(ratio: float, interval: tuple[float, float], limit: float, floor: float, seconds: float) -> float | None:
    """How long to measure for an answer; None when the limit lies within the noise floor, or beyond an hour."""
    distance = abs(math.log(ratio / limit))
    if _within_the_floor(ratio, limit, floor):
        return None
    low, high = interval
    if not (low > 0 and math.isfinite(high)):
        return seconds * 4
    half = max(math.log(high / ratio), math.log(ratio / low))
    needed = seconds * max(2.0, 1.5 * (half / distance) ** 2)
    return math.ceil(needed) if needed <= 3600 else None


def _within_the_floor(ratio: float, limit: float, floor: float) -> bool:
    return abs(math.log(ratio / limit)) <= math.log1p(floor)


def _told(result: dict[str, Any], a: Path, b: Path) -> str:
    low, high = result["interval"]
    times = " against ".join(f"{result[name]['latency_p50'] * 1e6:.0f} us" for name in "ba")
    lines = [
        f"{result['verdict']}: {b.name} takes {result['ratio']:.3f}x the time of {a.name} "
        f"[{low:.3f}, {'?' if high is None else format(high, '.3f')}]; at most {result['max_ratio']:g}x was asked for",
        f"  {times} (median), {result['processes']} processes, {result['pairs']} pairs in {result['seconds']:.1f} s, "
        f"identical models differed by {result['noise_floor']:.1%}, inputs {result['inputs']}",
    ]
    if result["verdict"] == "inconclusive":
        if result["seconds_needed"] is not None:
            lines.append(f"  `--seconds {result['seconds_needed']:g}` would likely settle it.")
        elif _within_the_floor(result["ratio"], result["max_ratio"], result["noise_floor"]):
            lines.append("  More time will not settle it: the limit lies within what identical models differ by here.")
        else:
            lines.append("  It would take over an hour to settle it; ask for another `--max-ratio`.")
    return "\n".join(lines)


def _described(model: artifact.Model, taken: Timings, arm: str) -> dict[str, Any]:
    return {
        "path": str(model.path),
        "sha256": model.sha256,
        "size": model.size,
        "latency_p50": float(np.median(np.concatenate(taken.each(f"wall_{arm}")))) / 1e9,
    }


def _refuse_different_inputs(a: artifact.Model, b: artifact.Model) -> None:
    for model in (a, b):
        if not model.inputs:
            raise UsageError("the model has no input, so there is nothing to feed it with", where=str(model.path))
    if _fixed(a) != _fixed(b):
        raise UsageError(
            f"{a.path.name} takes {_signature(a)}, and {b.path.name} takes {_signature(b)}",
            do="Only models with the same inputs can be compared.",
        )


def _fixed(model: artifact.Model) -> set[object]:
    """Its inputs as far as they are fixed: what a free size is called does not matter."""
    return {(p.name, tuple(s if isinstance(s, int) else None for s in p.shape), p.dtype) for p in model.inputs}


def _signature(model: artifact.Model) -> str:
    return ", ".join(str(port) for port in model.inputs)


def _try_out(path: Path, session: Session, feeds: Feeds, *, made_up: bool) -> None:
    """One run here at home, where what the model objects to can be told."""
    from makeweight.runtimes.onnxruntime import refusal

    try:
        session.run(feeds)
    except Exception as error:
        refusal.reraise_environment(error)
        raise UsageError(
            f"the model does not run on {'made-up' if made_up else 'the given'} inputs: {refusal.reason(error)}",
            where=str(path),
            do="Give real samples with `--inputs FILE.npz`." if made_up else "Mend the samples, or the model.",
        ) from error


def _given(path: Path, model: artifact.Model) -> list[Feeds]:
    """The user's samples: arrays by input name, batch first."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files if name != "target"}
    except Exception as error:  # a damaged or missing archive raises what zipfile, zlib or numpy please
        raise UsageError(f"cannot be read as .npz: {error}", where=str(path)) from error
    size = model.batch or 1
    count = min((len(values) for values in arrays.values() if values.ndim), default=0) // size
    if count == 0:
        raise UsageError(f"holds no {'batch' if size > 1 else 'example'}", where=str(path))
    return [
        # what is no array of examples (a sampling rate) goes with each of them
        fit(model.inputs, {name: v[i * size : (i + 1) * size] if v.ndim else v for name, v in arrays.items()})
        for i in range(min(count, samples.COUNT))
    ]
