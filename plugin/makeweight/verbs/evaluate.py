"""`makeweight evaluate VARIANT`: what a variant answers, example by example, beside the baseline's answers."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from makeweight import measurement, registry
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.budget.metric import of_role
from makeweight.evidence import keys
from makeweight.layout import BASELINE
from makeweight.measure import flips, outcomes, quality, reference, samples, storage
from makeweight.measure.answers import answer
from makeweight.measure.outcomes import Outcomes
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight.user import data, ran
from makeweight_base import atomic
from makeweight_base.errors import Exit, UsageError
from makeweight_base.progress import Progress
from makeweight_probe import inputs
from makeweight_probe.session import Feeds


def run(project: Project, name: str, progress: Progress) -> Exit:
    project.variant(name)
    layout = project.layout
    manifest, base = artifact.read(layout.artifact(name)), artifact.read(layout.artifact(BASELINE))
    before = outcomes.read(layout.outcomes(BASELINE))
    if manifest.status == "failed":
        _write_failed(project, manifest, base, before)
        progress.say(f"{name}: not evaluated, {manifest.reason}")
        return Exit.PASS
    runtime = registry.ready("runtime", manifest.runtime)()
    split = data.load(project.declared, "test")
    batch = manifest.batch(project.model.batch)
    if batch is not None:
        progress.say(f"{name}: asked for {batch} at a time, since its answers depend on the examples beside them")
    label, made = f"{name} on test", manifest.made()
    fed = _fed(project, made, base)
    own = answer(project.declared, runtime, made, split, label, progress, before, batch, fed)
    if own.digest != before.digest:
        raise UsageError(
            "the loader gave other test examples than it gave the baseline",
            where="data.load('test')",
            do="Make it give the same examples each time (fix its seed), then run `dvc repro` again.",
        )
    figures = [*storage.measure(manifest, base), *quality.measure(project.task, name, own, before)]
    if manifest.control is not None:
        label = f"{name}'s control on test"
        served = base.batch(project.model.batch)
        control = answer(project.declared, runtime, manifest.control, split, label, progress, before, served)
        figures += _against_control(project, name, own, control)
    ran.refuse_undeclared(project.root, project.sources, progress)
    with atomic.replacing_folder(layout.flips(name)) as folder:
        chosen = flips.choose(project.task, own, before) if project.task.kind == "classification" else []
        flips.write(folder, chosen, split)
    keep(project, name, own, before, figures)
    return Exit.PASS


def keep(project: Project, name: str, own: Outcomes, before: Outcomes, figures: Sequence[Measurement]) -> None:
    """Write what was answered, what a monitor compares with later, and the figures; `before` is the baseline's."""
    layout, key = project.layout, keys.answered(before, own, project.task, project.model.output)
    outcomes.write(layout.outcomes(name), own)
    atomic.write_json(layout.reference(name), reference.describe(project.task, project.name, name, own, before))
    atomic.write_text(layout.evaluation(name), measurement.dumps(measurement.keyed(figures, key)))


def _fed(project: Project, made: Model, base: Manifest) -> list[Feeds]:
    """The samples that devices are fed with: by what it answers to them here it shows where a device differs."""
    stored = project.layout.inputs
    with tempfile.TemporaryDirectory(prefix="makeweight-evaluate-") as folder:
        own = samples.in_types_of(made, base.made(), stored, Path(folder, "inputs.npz"))
        return inputs.read(own or str(stored))


def _against_control(project: Project, name: str, own: Outcomes, control: Outcomes) -> list[Measurement]:
    """The variant's quality against the baseline trained as long as it was: what compression alone cost."""
    own, control = (replace(each, slices=None) for each in (own, control))
    paired = quality.measure(project.task, name, own, control)
    alone = quality.measure(project.task, name, control, None)
    shown = {metric.name for metric in of_role("quality")}
    return [
        _of_control(figure)
        for figure in (*(each for each in paired if each.comparison == "drop"), *alone)
        if figure.metric in shown and figure.value is not None
    ]


def _of_control(figure: Measurement) -> Measurement:
    method = f"{figure.method}; the control is the baseline, trained equally and not compressed"
    return replace(figure, control=True, method=method, against="control")


def _write_failed(project: Project, manifest: Manifest, base: Manifest, before: Outcomes) -> None:
    """A variant that could not be made is told as data, so that the others go on."""
    layout, name, reason = project.layout, manifest.variant, str(manifest.reason)
    empty = Outcomes({}, np.zeros(0, bool), None, before.classes, "none", before.digest, {"reason": reason}, {})
    outcomes.write(layout.outcomes(name), empty)
    with atomic.replacing_folder(layout.flips(name)) as folder:
        (folder / flips.INDEX).write_text("[]\n")
    atomic.write_json(layout.reference(name), {"status": "failed", "reason": reason})
    figures = [*storage.measure(manifest, base), *quality.missing(project.task, name, reason)]
    atomic.write_text(layout.evaluation(name), measurement.dumps(figures))
