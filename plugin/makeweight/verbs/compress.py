"""`makeweight compress VARIANT`: carry out a recipe on the baseline, and leave a model file and its manifest."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from makeweight import registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.versions import versions
from makeweight.compress import recipe
from makeweight.compress.reproducible import reproducible
from makeweight.compress.technique import Context
from makeweight.compress.training import train
from makeweight.layout import BASELINE
from makeweight.project.project import Project, Variant
from makeweight.runtimes.runtime import Runtime
from makeweight.user import data, model
from makeweight.user.dataset import Dataset
from makeweight_base import atomic
from makeweight_base.errors import Exit, RecipeFailed, UsageError
from makeweight_base.progress import Progress

_PRUNING = ("torch-pruning",)


def run(project: Project, variant_name: str, progress: Progress) -> Exit:
    """A recipe that this model does not allow is data (a manifest that says so), and the other variants go on.

    Raises:
        UsageError: the baseline, the module or the data cannot be used; an extra is missing.
        EnvironmentFailed, OSError, MemoryError: the machine failed.
    """
    variant, layout = project.variant(variant_name), project.layout
    steps = (*variant.plan.on_module, *variant.plan.on_graph)
    registry.require("runtime", variant.runtime)
    for step in steps:
        registry.require("technique", step.name)
    runtime: Runtime = registry.load("runtime", variant.runtime)()
    source = _baseline(project)
    about: dict[str, Any] = {
        "variant": variant.name,
        "runtime": variant.runtime,
        "recipe": variant.recipe,
        "seed": project.seed,
        "parent": source.sha256,
        "versions": versions(_packages(project, variant)),
    }
    with atomic.replacing_folder(layout.artifact(variant.name)) as folder:
        notes: dict[str, Any] = {}
        try:
            facts = _carry_out(project, variant, runtime, source, folder, progress, notes)
            manifest = Manifest(**about, **facts, status="ready", notes=notes)
            progress.say(f"{variant.name}: {manifest.size:,} bytes, the baseline has {source.size:,}")
        except RecipeFailed as failure:
            for left in folder.iterdir():
                left.unlink()
            manifest = Manifest(**about, status="failed", reason=str(failure), notes=notes)
            progress.say(f"{variant.name}: failed, {failure}")
        artifact.write(folder, manifest)
    return Exit.PASS


def _baseline(project: Project) -> Manifest:
    manifest = artifact.read(project.layout.artifact(BASELINE))
    manifest.made()
    return manifest


def _carry_out(
    project: Project,
    variant: Variant,
    runtime: Runtime,
    source: Manifest,
    folder: Path,
    progress: Progress,
    notes: dict[str, Any],
) -> Mapping[str, Any]:
    """Leave the model file (and a control) in `folder`; the facts about it."""
    plan = variant.plan
    target = folder / f"model{runtime.suffix}"
    control: Model | None = None
    with tempfile.TemporaryDirectory(prefix="makeweight-compress-") as scratch:
        context = Context(
            root=project.root,
            runtime=runtime,
            task=project.task,
            seed=project.seed,
            split=lambda split: _split(project, split),
            calibration=lambda: _ordered(project, data.calibration(project)),
            output=project.model.output,
            baseline=lambda: model.load_module(project),
            workdir=Path(scratch),
            progress=progress,
            notes=notes,
        )
        if plan.on_module or source.runtime != variant.runtime:
            graph = Path(scratch, f"exported{runtime.suffix}")
            with reproducible(project.seed):
                subject = model.load_module(project)
                for step in plan.on_module:
                    progress.say(f"{variant.name}: {step.name}")
                    subject = step.technique.apply(subject, step.options, context)
            runtime.export(subject, model.shapes(project), model.example(project), graph)
            control = _control(project, plan, runtime, context, folder / f"control{runtime.suffix}")
        else:
            # without a step on the module, the export would only make the baseline's file again
            graph = source.made().path
        for step in plan.on_graph:
            progress.say(f"{variant.name}: {step.name}")
            graph = step.technique.apply(graph, step.options, context)
        target.write_bytes(graph.read_bytes())
    try:
        made = runtime.read(target)
        facts = asdict(runtime.inspect(made))
    except UsageError as error:
        raise RecipeFailed(f"the runtime refuses what the recipe made: {error.what}") from error
    if made.sha256 == source.sha256:
        raise RecipeFailed("the recipe changed nothing: the file is the baseline's, byte by byte")
    return {"model": made, "size_compressed": made.compressed_size(), **facts, "control": control}


def _control(project: Project, plan: recipe.Plan, runtime: Runtime, context: Context, path: Path) -> Model | None:
    """The baseline, trained as much as the recipe trains and not compressed: what more training alone brings."""
    asked = ((step.name, step.technique.training(step.options)) for step in plan.on_module if step.technique.trains)
    tunings = [(name, options) for name, options in asked if options is not None]
    if not tunings:
        return None
    with reproducible(project.seed):
        subject = model.load_module(project)
        for name, options in tunings:
            try:
                train(subject, options, context, f"control for {name}")
            except RecipeFailed as failure:
                context.notes["control"] = str(failure)
                context.progress.say(f"no control: {failure}")
                return None
    runtime.export(subject, model.shapes(project), model.example(project), path)
    return runtime.read(path)


def _split(project: Project, split: str) -> Dataset:
    if split == "test":
        raise RecipeFailed("a technique asked for the test split, which is the gate's alone")
    return _ordered(project, data.load(project, split))


def _ordered(project: Project, dataset: Dataset) -> Dataset:
    """The inputs in the order in which the module takes them."""
    names = data.input_names(project)
    return Dataset(dataset.split, {name: dataset.inputs[name] for name in names}, dataset.targets, dataset.slices)


def _packages(project: Project, variant: Variant) -> tuple[str, ...]:
    if not variant.plan.on_module and variant.runtime == project.model.runtime:
        return model.GRAPH_PACKAGES
    prunes = any(step.name == "prune" for step in variant.plan.on_module)
    return (*model.MODULE_PACKAGES, *(_PRUNING if prunes else ()))
