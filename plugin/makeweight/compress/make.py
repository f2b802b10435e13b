"""Carry a recipe and its control out, and leave in a folder what came of it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from makeweight import registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import NO_SMALLER, Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.trial import Trial
from makeweight.artifact.versions import versions
from makeweight.compress import memory
from makeweight.compress.checkpoints import Checkpoints, of_control, of_steps
from makeweight.compress.curves import Curves
from makeweight.compress.mixed_precision import by_sensitivity
from makeweight.compress.recipe import Plan, Step, Variant
from makeweight.compress.reproducible import reproducible
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply, Timing
from makeweight.compress.training_options import NEEDS
from makeweight.compress.trial import Answering, refuse_noise, try_out
from makeweight.compress.tuning import tune
from makeweight.devices.entry import DeviceEntry
from makeweight.layout import BASELINE
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.user.declared import Declared
from makeweight.user.module import load_module
from makeweight.user.opened import opened
from makeweight.user.ran import ran
from makeweight.user.weights import counted
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

# A number in float32 takes so many bytes.
_SINGLE = 4
# Of a file that has not half of the bytes that its module's weights take, nobody asks if it is smaller than in float32.
_CLEARLY = 2


def make(
    variant: Variant,
    declared: Declared,
    baseline: Manifest,
    folder: Path,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    curves: Curves | None = None,
    devices: Mapping[str, DeviceEntry] | None = None,
    *,
    with_control: bool = True,
    untrained: bool = False,
) -> Manifest:
    """Leave a variant's model, its control and its manifest in an empty folder. A recipe that this model does not allow
    is data: a manifest that says so, and no model.

    Args:
        checkpoints: where trainings keep what they have reached, and take it up again.
        curves: where they show it.
        devices: those that are declared, for steps that time what they make.
        with_control: whether the control is made too, which takes as much training again.
        untrained: whether training is still to come that this recipe leaves out, so that noise in its answers is no
            ground to refuse it.

    Raises:
        UsageError: the baseline, the module or the data cannot be used; an extra is missing.
        EnvironmentFailed, OSError, MemoryError: the machine failed.
    """
    runtime: Runtime = registry.ready("runtime", variant.runtime)()
    whole = baseline.made()
    source = whole if _begins_with_the_file(variant.plan, runtime, declared, whole) else None
    for technique in variant.plan.techniques:
        # what works on files too takes no more for that than the runtime
        if source is None or "graph" not in getattr(technique, "accepts", ()):
            registry.require("technique", technique.name)
    exporters = runtime.exporters if source is None else ()
    others = [package for technique in variant.plan.techniques for package in technique.packages]
    about: dict[str, Any] = {
        "variant": variant.name,
        "runtime": variant.runtime,
        "recipe": variant.recipe,
        "seed": declared.seed,
        "parent": whole.sha256,
        "versions": versions((*exporters, *runtime.packages, *others)),
    }
    notes: dict[str, Any] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="makeweight-compress-") as scratch:
            kept, shown = checkpoints or Checkpoints(), curves or Curves()
            timing = Timing(devices or {}, whole, variant.plan.format)
            supply = Supply(declared, runtime, Path(scratch), notes, progress, kept, shown, whole.outputs, timing)
            facts = _carried_out(variant, source, whole, baseline.macs, supply, folder, untrained=untrained)
            control = folder / f"control{runtime.suffix}"
            facts["control"] = _control(variant, supply, control) if with_control else None
        if facts["model"].sha256 == whole.sha256:
            raise RecipeFailed("the recipe changed nothing: the file is the baseline's, byte by byte")
        manifest = Manifest(**about, **facts, status="ready", notes=notes, **_used(declared))
        progress.say(f"{variant.name}: {manifest.size:,} bytes, the baseline has {whole.size:,}")
    except RecipeFailed as failure:
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        manifest = Manifest(**about, status="failed", reason=str(failure), notes=notes, **_used(declared))
        progress.say(f"{variant.name}: failed, {failure}")
    artifact.write(folder, manifest)
    return manifest


def _used(declared: Declared) -> dict[str, Any]:
    """Of the repository."""
    code = ran(declared.root)
    return {"code": code, "read": opened(declared, code)}


def _begins_with_the_file(plan: Plan, runtime: Runtime, declared: Declared, baseline: Model) -> bool:
    """Whether the recipe begins with the baseline's own file, and not with the module."""
    if baseline.runtime != runtime.name:
        return False
    # without a step, lowering the module in float32 would only make the baseline's file again
    return declared.model.file is not None or not (plan.steps or runtime.objection(plan.format, "graph"))


def _carried_out(
    variant: Variant,
    source: Model | None,
    baseline: Model,
    macs: int | None,
    supply: Supply,
    folder: Path,
    *,
    untrained: bool,
) -> dict[str, Any]:
    """What the manifest says of the model, which is left in `folder`.

    Args:
        source: the file to begin with; None: the module.
        macs: the baseline's.
        untrained: see `make`.
    """
    plan, runtime = variant.plan, supply.runtime
    subject = _stepped(variant, source, supply)
    target = folder / f"model{runtime.suffix}"
    notes: dict[str, Any] = {}
    # nothing but numbers and the runtime differ: the baseline itself is what it has to be near
    alike = not plan.steps and baseline.runtime != runtime.name
    floating: Model | Answering | None = None
    if plan.lowering is None:
        made = supply.lowered(subject, plan.format, target, notes)
    else:
        beside = None if plan.steps else baseline
        made, floating = _lowered(variant, plan.lowering, subject, beside, macs, supply, target, notes)
    reference, against = (baseline, BASELINE) if floating is None or alike else (floating, FLOAT32.weights.type)
    trial = replace(_tried(made, reference, macs, supply), against=against)
    if (floating is not None or alike) and not untrained:
        refuse_noise(trial, supply.declared.task.ranked)
    if notes:
        supply.notes.setdefault(FLOAT32.weights.type if plan.lowering is None else plan.lowering.name, {}).update(notes)
    try:
        facts = runtime.inspect(made, supply.asked()).figures()
    except UsageError as error:
        raise RecipeFailed(f"the runtime refuses what the recipe made: {error.what}") from error
    facts |= {"weights": plan.format.weights.type, "calibrated": plan.format.calibrates, "trial": trial}
    facts |= {"model": made, "size_compressed": made.compressed_size()}
    return {**facts, "trained": bool(plan.trainings)}


def _stepped(variant: Variant, source: Model | None, supply: Supply) -> Subject:
    """What the steps of the recipe leave."""
    runtime = supply.runtime
    with reproducible(supply.declared.seed) if source is None else contextlib.nullcontext():
        subject = Subject(load_module(supply.declared) if source is None else source)
        for number, step in enumerate(variant.plan.steps, 1):
            supply.progress.say(f"{variant.name}: {step.name}")
            if subject.kind not in step.transformation.accepts:
                exported = supply.lowered(subject, FLOAT32, supply.scratch / f"exported{runtime.suffix}")
                subject = replace(subject, source=exported)
            supply.checkpoints = supply.checkpoints.at(of_steps(variant.runtime, variant.recipe[:number]))
            needed = supply.given(step.transformation.needs(step.options))
            try:
                with memory.enough(f"{variant.name}: {step.name}", memory.of_step(step.options)):
                    subject = step.transformation.apply(subject, step.options, needed)
            finally:
                supply.keep(needed.notes)
    return subject


def _lowered(
    variant: Variant,
    lowering: Step,
    subject: Subject,
    beside: Model | None,
    macs: int | None,
    supply: Supply,
    target: Path,
    notes: dict[str, Any],
) -> tuple[Model, Model | Answering]:
    """The model in the recipe's numbers, and what it was in float32 before: the module itself, where that is what is
    lowered, and a file of it would serve nothing else.

    Args:
        beside: the baseline, where it computes what the subject does.
        macs: the baseline's.
        notes: hears what there is to tell of it.
    """
    plan, runtime, at_work = variant.plan, supply.runtime, f"{variant.name}: {lowering.name}"
    supply.progress.say(at_work)
    of_file = runtime.objection(plan.format, "graph") is None
    before: Model | Answering
    where = f"in {FLOAT32.weights.type}"
    if of_file or lowering.goal is not None:
        before = _in_float32(subject, supply)
    elif beside is not None:
        before, where = beside, "of the baseline"
    else:
        before = supply.answering(subject)
    begins_with = replace(subject, source=before) if of_file else subject
    with memory.enough(at_work, memory.of_step(lowering.options, calibrates=plan.format.calibrates)):
        format = plan.format
        if lowering.goal is not None and isinstance(before, Model):
            format = by_sensitivity(lowering.goal, format, begins_with, before, macs, supply, notes)
        made = supply.lowered(begins_with, format, target, notes)
    if not isinstance(before, Model) and made.size * _CLEARLY > counted(subject.source) * _SINGLE:
        before = _in_float32(subject, supply)
    if isinstance(before, Model) and made.size >= before.size:
        # it may run faster for that, so it is no failure
        notes[NO_SMALLER] = f"{made.size:,} bytes, and {before.size:,} {where}"
        supply.progress.say(f"{at_work} made the file no smaller: {notes[NO_SMALLER]}")
    return made, before


def _in_float32(subject: Subject, supply: Supply) -> Model:
    if subject.kind == "module":
        return supply.lowered(subject, FLOAT32, supply.scratch / f"float32{supply.runtime.suffix}")
    model: Model = subject.source
    return model


def _tried(made: Model, reference: Model | Answering, macs: int | None, supply: Supply) -> Trial:
    return try_out(made, reference, supply.trial_examples(), supply.declared, supply.runtime, macs, supply.progress)


def _control(variant: Variant, supply: Supply, target: Path) -> Model | None:
    """The baseline, trained as much as the recipe trains and not compressed: what more training alone brings."""
    trainings = variant.plan.trainings
    if not trainings:
        return None
    supply.curves = supply.curves.of("control")
    with reproducible(supply.declared.seed):
        module = load_module(supply.declared)
        for number, (name, options) in enumerate(trainings, 1):
            before = [earlier for _, earlier in trainings[:number]]
            supply.checkpoints = supply.checkpoints.at(of_control(variant.runtime, before))
            try:
                tune(module, options, supply.given(NEEDS), f"control for {name}")
            except RecipeFailed as failure:
                supply.notes["control"] = str(failure)
                supply.progress.say(f"no control: {failure}")
                return None
    return supply.lowered(Subject(module), FLOAT32, target)
