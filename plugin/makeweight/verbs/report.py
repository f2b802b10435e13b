"""`makeweight report`: decide on what was measured, and write the verdict and every form of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from makeweight import atomic, evidence, verdict
from makeweight.decide import Terms, decide, quality_metric
from makeweight.errors import Exit
from makeweight.evidence import Evidence
from makeweight.layout import BASELINE, Layout
from makeweight.measure import flips
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.quality import class_name
from makeweight.progress import Progress
from makeweight.project import Project
from makeweight.report import card, dvcplots, html, markdown
from makeweight.report.content import ClassAccuracy, Content, Flip, Flips, Machine, Timing
from makeweight.verdict import Verdict


def run(project: Project, progress: Progress) -> Exit:
    """Write verdict.json and the reports. The verdict does not show in the exit code: that is the gate's."""
    layout = project.layout
    known = evidence.collect(project)
    decided = replace(decide(terms(project), known.measurements, known.failed), provenance=known.provenance)
    content = _content(project, known, decided)
    atomic.write_text(layout.markdown, markdown.render(content))
    atomic.write_text(layout.html, html.render(content))
    for name, text in dvcplots.files(content).items():
        atomic.write_text(layout.plot(name), text)
    if decided.ship is not None:
        atomic.write_text(layout.card(decided.ship), card.render(content, decided.ship))
    # last: whoever finds a verdict finds the reports that belong to it
    atomic.write_text(layout.verdict, verdict.dumps(decided))
    progress.say(f"{decided.sentence} Report: {layout.html.relative_to(layout.root)}")
    return Exit.PASS


def terms(project: Project) -> Terms:
    quality = quality_metric(project.task.kind)
    lower = project.task.kind == "regression" or project.task.better == "lower"
    return Terms(
        project=project.name,
        rules=project.rules,
        variants=tuple(project.variants),
        devices={name: entry.options.seconds for name, entry in project.devices.items()},
        ship=project.ship,
        prefer=project.prefer,
        quality=quality,
        quality_better="lower" if lower else "higher",
    )


def _content(project: Project, known: Evidence, decided: Verdict) -> Content:
    paired = _answered(project, known) if project.task.kind == "classification" else []
    return Content(
        verdict=decided,
        manifests=known.manifests,
        machines=tuple(_machine(project, known, name) for name in project.devices),
        timings=tuple(
            Timing(
                device,
                variant,
                np.concatenate(taken.each("wall_a")) / 1e9,
                np.concatenate(taken.each("wall_b")) / 1e9,
                len(taken.pairs),
            )
            for (variant, device), taken in known.timings.items()
            if taken.pairs
        ),
        flips={name: _flips(project.layout, name, known.outcomes) for name in paired},
        classes={name: _classes(project, known.outcomes, name) for name in paired},
        better=project.task.better if project.task.kind == "custom" else None,
    )


def _answered(project: Project, known: Evidence) -> list[str]:
    """The variants with outcomes that can be paired with the baseline's."""
    base = known.outcomes.get(BASELINE)
    return [
        name
        for name in project.variants
        if base is not None and (own := known.outcomes.get(name)) is not None and len(own) == len(base) > 0
    ]


def _machine(project: Project, known: Evidence, name: str) -> Machine:
    told, entry = known.devices.get(name), project.devices[name]
    taken = next((t.conditions for (_, device), t in known.timings.items() if device == name), {})
    reason = "it was never asked" if told is None else told.reason
    return Machine(
        name,
        entry.kind,
        {} if told is None else told.identity,
        taken.get("before", {}),
        entry.options.threads,
        reason,
    )


def _flips(layout: Layout, name: str, outcomes: Mapping[str, Outcomes]) -> Flips:
    own, base = outcomes[name], outcomes[BASELINE]
    total = int(np.count_nonzero(base.right & ~own.right))
    folder = layout.flips(name)
    shown = [
        Flip(
            entry["example"],
            entry["truth"],
            entry["truth"],
            entry["variant"],
            entry["variant_confidence"],
            (folder / entry["picture"]).read_bytes() if entry["picture"] else None,
        )
        for entry in flips.read(folder)
    ]
    return Flips(total, tuple(shown))


def _classes(project: Project, outcomes: Mapping[str, Outcomes], name: str) -> tuple[ClassAccuracy, ...]:
    own, base = outcomes[name], outcomes[BASELINE]
    found = []
    for index in range(base.classes):
        members = base.target == index
        if members.any():
            found.append(
                ClassAccuracy(
                    class_name(project.task, index),
                    int(members.sum()),
                    float(base.right[members].mean()),
                    float(own.right[members].mean()),
                )
            )
    return tuple(found)
