"""`makeweight compare A B`: two model files and a paired answer, here or on a device that a project declares."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from makeweight import registry
from makeweight.artifact.matching import fed
from makeweight.bench import sitting
from makeweight.bench.aim import Aim
from makeweight.bench.probe import model_of
from makeweight.bench.sitting import Pair
from makeweight.compare import inputs, likeness, models, sizes, telling
from makeweight.compare.answer import Verdict, answer
from makeweight.devices.device import Device, DeviceOptions
from makeweight.measure import samples
from makeweight.project import reading
from makeweight_base.errors import Exit, UsageError
from makeweight_base.progress import Progress

_EXITS: dict[Verdict, Exit] = {"within": Exit.PASS, "over": Exit.FAIL, "inconclusive": Exit.INCONCLUSIVE}


def run(
    a: Path,
    b: Path,
    *,
    device_name: str | None,
    root: Path,
    seconds: float | None,
    threads: int | None,
    max_ratio: float,
    given: Path | None,
    shapes: Sequence[str] = (),
    as_json: bool,
    progress: Progress,
) -> Exit:
    """Time B against A on this machine, or on a device of the project in `root`.

    Args:
        seconds, threads: None: the device's; for this machine 10 s and 1 thread.
        given: samples to feed them with; None: made up.
        shapes: what is free in made-up ones, as `T=128`.

    Raises:
        UsageError: a file that is no model, models that do not take the same inputs, inputs that fit neither.
        DeviceFailed: the device cannot be reached, or was lost.
    """
    device, options = _device(device_name, root, seconds, threads)
    runtimes = [models.runtime_of(path) for path in (a, b)]
    for runtime, path in zip(runtimes, (a, b), strict=True):
        if (lacking := options.unserved(runtime.name)) is not None:
            raise UsageError(
                f"the runtime {lacking}, by which device `{device.name}` computes",
                where=str(path),
                do="Compare it on another device.",
            )
    read = [runtime.read(path) for runtime, path in zip(runtimes, (a, b), strict=True)]
    shared = models.shared_inputs(*read)
    feeds = inputs.of(given, shared.ports, sizes.asked(shapes))
    # each in the number types, the names and the layout that it takes
    own = [
        [inputs.taken(read[0].inputs, each, given) for each in feeds],
        [inputs.taken(read[1].inputs, fed(each, shared.matches), given) for each in feeds],
    ]
    with tempfile.TemporaryDirectory(prefix="makeweight-compare-") as folder:
        files = [Path(folder, f"inputs-{arm}.npz") for arm in "ab"]
        for file, samples_of in zip(files, own, strict=True):
            samples.store(file, samples_of)
        one, other = (likeness.Asked(*each) for each in zip(read, runtimes, files, strict=True))
        alike = likeness.ask(device, one, other, options, progress.say, made_up=given is None)
        first, second = (model_of(model, options) for model in read)
        where = "" if device_name is None else f" of {device_name}"
        several = "s" if options.threads > 1 else ""
        progress.say(f"measuring for at most {options.seconds:g} s on {options.threads} thread{several}{where}")
        # throughput and memory are no part of the answer
        pair = Pair(first, second, str(files[0]), free_batch=False, inputs_b=str(files[1]))
        aim = Aim((max_ratio,), memory=False)
        taken = sitting.carry_out(device, options, pair, aim, seed=0, progress=progress)
    found = answer(taken, max_ratio, options.seconds)
    described = dict(zip("ab", read, strict=True))
    fed_with = "made up" if given is None else str(given)
    matched = shared.told
    if as_json:
        print(json.dumps(telling.plain(found, described, fed_with, taken.identity, alike, matched)), file=sys.stdout)
    else:
        print(telling.text(found, described, fed_with, alike, matched), file=sys.stdout)
    return _EXITS[found.verdict]


def _device(name: str | None, root: Path, seconds: float | None, threads: int | None) -> tuple[Device, DeviceOptions]:
    """The device to measure on, and how. What is asked for here goes before what it declares."""
    asked = {"seconds": seconds, "threads": threads}
    chosen = {option: value for option, value in asked.items() if value is not None}
    if name is None:
        options = DeviceOptions(**chosen)
        return registry.load("device", "local")("local", options), options
    entry = reading.load(root).device(name)
    return entry.connect(), entry.options.model_copy(update=chosen)
