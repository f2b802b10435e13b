"""`makeweight benchmark VARIANT --device D`: time and memory of a variant beside the baseline, on the device."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from makeweight.artifact import artifact
from makeweight.bench import grid
from makeweight.bench.aim import Aim, from_rules
from makeweight.budget.measurand import Measurand, headline
from makeweight.budget.metric import METRICS
from makeweight.devices import record
from makeweight.evidence import attempts, benchmark
from makeweight.layout import BASELINE
from makeweight.measure import end_to_end
from makeweight.measure.memory import Facts
from makeweight.measure.timings import Timings
from makeweight.measurement import Cause, unavailable
from makeweight.project.project import Project
from makeweight_base.errors import Exit, UsageError
from makeweight_base.progress import Progress
from makeweight_probe.job import CPU

# Without a rule on a tail, so long is spent in each process on reaching the furthest one anyway, for the picture.
TAIL_SECONDS = 1.0
FURTHEST = max(metric.quantile or 0.0 for metric in METRICS.values())


def run(
    project: Project,
    name: str,
    device_name: str,
    progress: Progress,
    seconds: float | None = None,
    held: benchmark.Held = contextlib.nullcontext,
    memory: dict[str, Facts] | None = None,
) -> Exit:
    """Args:
    seconds: more, or less, than the device's; all of them are spent where that narrows what a rule is held against.
    held: what the measuring is done in, before anything is written.
    memory: what benchmarks before this one were told of the baseline's, by device; this one adds its own.

    Raises:
        DeviceFailed: the device was lost. What was measured before stays, see `evidence/attempts.py`.
    """
    project.variant(name)
    layout, entry = project.layout, project.device(device_name)
    manifest, base = artifact.read(layout.artifact(name)), artifact.read(layout.artifact(BASELINE))
    told = record.read(layout.device(device_name))
    if manifest.status == "failed":
        return _write_absent(project, name, device_name, str(manifest.reason), progress)
    if (lacking := entry.options.unserved(manifest.runtime)) is not None:
        return _write_absent(project, name, device_name, lacking, progress)
    if told.status != "ok":
        return _write_absent(project, name, device_name, f"unreachable: {told.reason}", progress, "unreachable")
    if seconds is not None:
        entry = replace(entry, options=entry.options.model_copy(update={"seconds": seconds}))
    matrix = grid.of(entry.options, base, manifest, project.model.batch)
    aim = replace(_aim(project, device_name, at_length=seconds is not None), matrix=matrix)
    progress.say(f"{name} beside baseline on {device_name}: at most {entry.options.seconds:g} s of measuring")
    memory = {} if memory is None else memory
    before = memory.get(device_name, ())
    with attempts.noted(layout, name, device_name):
        done = benchmark.carry_out(project, entry, name, base, manifest, aim, progress, held=held, memory=before)
        taken, figures = done.taken, done.figures
        memory[device_name] = taken.memory["a"]
        benchmark.keep(layout, name, device_name, taken, figures)
    ratio = next(figure for figure in figures if figure.measurand == headline("latency").compared("ratio"))
    if ratio.value is not None and ratio.interval is not None:
        low, high = ratio.interval
        rounds = taken.rounds // len(taken.processes)
        progress.say(
            f"  {ratio.value:.2f}x the baseline's time [{low:.2f}, {high:.2f}], "
            f"noise floor {ratio.noise_floor or 0:.1%}, {len(taken.processes)} processes x {rounds} rounds of blocks, "
            f"{taken.where}"
        )
    if (reason := end_to_end.failure(taken)) is not None:
        progress.say(f"  end to end: not measured, {reason}")
    if (mistake := end_to_end.mistake(taken)) is not None:
        # what else was measured is kept
        raise UsageError(mistake, where=f"the pipeline of {name} on {device_name}", do="Mend your code and run again.")
    return Exit.PASS


def _aim(project: Project, device: str, *, at_length: bool) -> Aim:
    """What the budget wants to know of this device."""
    rules = [rule for rule in project.rules if rule.device in (None, device)]
    aim = from_rules(
        rules,
        lambda rule: rule.limit if rule.operator.comparison == "ratio" else None,
        otherwise=(FURTHEST, TAIL_SECONDS),
        memory=True,
        at_length=at_length,
    )
    return replace(aim, answers=True, profile=True)


def _write_absent(
    project: Project, name: str, device: str, reason: str, progress: Progress, cause: Cause | None = None
) -> Exit:
    """What could not be measured is told as data, so that everything else goes on."""
    progress.say(f"{name} on {device}: not measured, {reason}")
    on_gpu = project.device(device).options.execution_provider != CPU
    meters = {"end_to_end": project.pipeline is not None, "gpu": on_gpu}
    metrics = [each for each in METRICS.values() if each.per_device and meters.get(str(each.meter), True)]
    names = [metric.name for metric in metrics]
    asked = [(of, unit) for each in names for of, unit in ((Measurand(each), ""), (Measurand(each, "ratio"), "ratio"))]
    figures = [unavailable(of, name, unit, reason, device=device, cause=cause) for of, unit in asked]
    benchmark.keep(project.layout, name, device, Timings((), {}), figures)
    return Exit.PASS
