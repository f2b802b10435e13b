"""Carry a recipe and its control out, and leave in a folder what came of it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from makeweight import registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.versions import versions
from makeweight.compress.recipe import Plan, Variant
from makeweight.compress.reproducible import reproducible
from makeweight.compress.subject import Subject
from makeweight.compress.supply import Supply
from makeweight.compress.tuning import NEEDS, tune
from makeweight.runtimes.format import FLOAT32, Format
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.user.declared import Declared
from makeweight.user.module import load_module, program
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress


def make(variant: Variant, declared: Declared, baseline: Manifest, folder: Path, progress: Progress) -> Manifest:
    """Leave a variant's model, its control and its manifest in an empty folder. A recipe that this model does not allow
    is data: a manifest that says so, and no model.

    Raises:
        UsageError: the baseline, the module or the data cannot be used; an extra is missing.
        EnvironmentFailed, OSError, MemoryError: the machine failed.
    """
    for technique in variant.plan.techniques:
        registry.require("technique", technique.name)
    runtime: Runtime = registry.ready("runtime", variant.runtime)()
    source = _from_file(variant.plan, runtime, declared, baseline)
    exporters = () if source is not None else runtime.exporters
    others = [package for technique in variant.plan.techniques for package in technique.packages]
    about: dict[str, Any] = {
        "variant": variant.name,
        "runtime": variant.runtime,
        "recipe": variant.recipe,
        "seed": declared.seed,
        "parent": baseline.made().sha256,
        "versions": versions((*exporters, *runtime.packages, *others)),
    }
    notes: dict[str, Any] = {}
    try:
        facts = _carried_out(variant, declared, runtime, source, baseline, folder, notes, progress)
        manifest = Manifest(**about, **facts, status="ready", notes=notes)
        progress.say(f"{variant.name}: {manifest.size:,} bytes, the baseline has {baseline.size:,}")
    except RecipeFailed as failure:
        _empty(folder)
        manifest = Manifest(**about, status="failed", reason=str(failure), notes=notes)
        progress.say(f"{variant.name}: failed, {failure}")
    artifact.write(folder, manifest)
    return manifest


def _from_file(plan: Plan, runtime: Runtime, declared: Declared, baseline: Manifest) -> Model | None:
    """The baseline's own file, where the recipe begins with it; None where it begins with the module."""
    if baseline.runtime != runtime.name:
        return None
    if declared.model.build is None:
        return baseline.made()
    # without a step, lowering the module in float32 would only make the baseline's file again
    return None if plan.steps or runtime.objection(plan.format, "graph") else baseline.made()


def _carried_out(
    variant: Variant,
    declared: Declared,
    runtime: Runtime,
    source: Model | None,
    baseline: Manifest,
    folder: Path,
    notes: dict[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    """What the manifest says of the model, which is left in `folder` beside its control."""
    plan = variant.plan
    with tempfile.TemporaryDirectory(prefix="makeweight-compress-") as scratch:
        supply = Supply(declared, runtime.channel_multiple, Path(scratch), notes, progress)
        with reproducible(declared.seed) if source is None else contextlib.nullcontext():
            subject = Subject(load_module(declared) if source is None else source)
            for step in plan.steps:
                progress.say(f"{variant.name}: {step.name}")
                if subject.kind not in step.transformation.accepts:
                    exported = Path(scratch, f"exported{runtime.suffix}")
                    subject = replace(subject, source=_lowered(subject, FLOAT32, declared, runtime, supply, exported))
                needed = supply.given(step.transformation.needs(step.options))
                subject = step.transformation.apply(subject, step.options, needed)
        if plan.lowering is not None:
            progress.say(f"{variant.name}: {plan.lowering.name}")
        made = _lowered(subject, plan.format, declared, runtime, supply, folder / f"model{runtime.suffix}")
        control = _control(plan, declared, runtime, supply, folder / f"control{runtime.suffix}", notes, progress)
    try:
        facts = asdict(runtime.inspect(made))
    except UsageError as error:
        raise RecipeFailed(f"the runtime refuses what the recipe made: {error.what}") from error
    if made.sha256 == baseline.sha256:
        raise RecipeFailed("the recipe changed nothing: the file is the baseline's, byte by byte")
    return {"model": made, "size_compressed": made.compressed_size(), **facts, "control": control}


def _lowered(
    subject: Subject, format: Format, declared: Declared, runtime: Runtime, supply: Supply, target: Path
) -> Model:
    source = subject.source if subject.kind == "graph" else program(declared, subject.source, subject.left)
    calibration = supply.split("calibration") if format.calibrates else None
    return runtime.lower(source, format, calibration, target)


def _control(
    plan: Plan,
    declared: Declared,
    runtime: Runtime,
    supply: Supply,
    target: Path,
    notes: dict[str, Any],
    progress: Progress,
) -> Model | None:
    """The baseline, trained as much as the recipe trains and not compressed: what more training alone brings."""
    asked = ((step.name, step.transformation.training(step.options)) for step in plan.steps)
    tunings = [(name, options) for name, options in asked if options is not None]
    if not tunings:
        return None
    with reproducible(declared.seed):
        module = load_module(declared)
        for name, options in tunings:
            try:
                tune(module, options, supply.given(NEEDS), f"control for {name}")
            except RecipeFailed as failure:
                notes["control"] = str(failure)
                progress.say(f"no control: {failure}")
                return None
    return runtime.lower(program(declared, module), FLOAT32, None, target)


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
