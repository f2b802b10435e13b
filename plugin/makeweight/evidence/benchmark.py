"""A benchmark of a model beside the project's baseline on one device: what is measured of the pair, and the figures
that come of it, under their key."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from makeweight import measurement
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.bench import pipelines, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.probe import model_of
from makeweight.bench.sitting import Pair
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence import keys
from makeweight.evidence.provenance import hash_of
from makeweight.layout import BASELINE, Layout
from makeweight.measure import samples, timings
from makeweight.measure.memory import Facts
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base import atomic
from makeweight_base.progress import Progress
from makeweight_probe.alone import locked

Held = Callable[[], AbstractContextManager[None]]
"""What measuring is done in."""


@dataclass(frozen=True)
class Benchmark:
    """What came of it."""

    taken: Timings
    figures: list[Measurement]


def carry_out(
    project: Project,
    entry: DeviceEntry,
    name: str,
    baseline: Manifest,
    variant: Manifest,
    aim: Aim,
    progress: Progress,
    *,
    batches: bool = True,
    around: bool = True,
    held: Held = contextlib.nullcontext,
    memory: Facts = (),
) -> Benchmark:
    """Measure a variant beside the baseline, on the project's own samples.

    Args:
        name: the variant's, which its figures bear.
        batches: whether to measure throughput too, where both take batches of any size.
        around: whether to measure the project's pipeline too, where it has one.
        memory: what a benchmark before this one was told of the baseline's memory on this device.

    Raises:
        UsageError: the device is of a kind that nobody offers, or the user's sources are too large to be sent.
        DeviceFailed: the device was lost.
    """
    inputs, raw, options = project.layout.inputs, project.layout.raw, entry.options
    a, b, device = baseline.made(), variant.made(), entry.connect()
    with tempfile.TemporaryDirectory(prefix="makeweight-benchmark-") as folder:
        pair = Pair(
            model_of(a, options),
            model_of(b, options),
            str(inputs),
            free_batch=batches and project.model.batch is None and baseline.free_batch and variant.free_batch,
            inputs_b=samples.in_types_of(b, a, inputs, Path(folder, "inputs.npz")),
        )
        # hashed before they are sent, like what follows: they may be made anew while it is measured
        fed, whole = sha256_of(inputs), None
        if around and project.pipeline is not None:
            whole = keys.pipeline(project.pipeline, name, project.code.digest(), hash_of(raw))
            sent = pipelines.packed(project.pipeline, project.code, raw, {BASELINE: a, name: b}, Path(folder))
            pair = replace(pair, around=(sent[BASELINE], sent[name]))
        with held():
            taken = sitting.carry_out(device, options, pair, aim, project.seed, progress, memory_of_a=memory)
    key = keys.benchmark(
        baseline=a.sha256,
        variant=b.sha256,
        runtimes=[a.runtime, b.runtime],
        identity=taken.identity,
        threads=options.threads,
        inputs=fed,
        setting=options.setting,
        execution_provider=options.execution_provider,
        pipeline=whole,
    )
    figures = sitting.measurements(taken, name, entry.name, options.threads)
    return Benchmark(taken, measurement.keyed(figures, key))


def keep(layout: Layout, variant: str, device: str, taken: Timings, figures: Sequence[Measurement]) -> None:
    """Write the raw samples, and the figures that come of them. Where another benchmark of the two ends at the same
    time, both files are of one of them: in turn, the later stands for both.

    Raises:
        EnvironmentFailed: the disk is full or not writable.
    """
    place = layout.timings(variant, device)
    with contextlib.ExitStack() as held:
        # where the folder cannot be had or has no lock it is written all the same, which says what is wrong
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(place.parent, lambda: None))
        timings.write(place, taken)
        atomic.write_text(layout.benchmark(variant, device), measurement.dumps(figures))
