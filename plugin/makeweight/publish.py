"""From a project and its evidence to what people read: the terms of the decision, the content, and the files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.budget.metric import of_role
from makeweight.budget.rule import Rule
from makeweight.decide import Terms, Waiver, verdict
from makeweight.decide.verdict import Verdict
from makeweight.evidence.evidence import Evidence
from makeweight.layout import BASELINE, Layout
from makeweight.measure import archive, flips, operators
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.table import TASKS
from makeweight.project.project import Project
from makeweight.report import tried
from makeweight.report.content import ClassFigure, Content, Flip, Flips, Machine, OperatorTimes, Timing
from makeweight_base import atomic
from makeweight_base.errors import UsageError

_PNG = b"\x89PNG\r\n\x1a\n"


def terms(project: Project, rules: Iterable[Rule] | None = None, waivers: Iterable[Waiver] = ()) -> Terms:
    """What is to be decided, as the project declares it.

    Args:
        rules: what to judge by instead of the project's own budget.
        waivers: those in force today.
    """
    quality = of_role("quality", project.task.kind)[0]
    return Terms(
        project=project.name,
        rules=project.rules if rules is None else tuple(rules),
        variants=tuple(project.variants),
        devices={name: entry.options.seconds for name, entry in project.devices.items()},
        ship=project.ship,
        prefer=project.prefer,
        quality=quality.name,
        quality_better=project.task.better if quality.better == "declared" else quality.better,
        waivers=tuple(waivers),
    )


def written(
    project: Project,
    evidence: Evidence,
    decided: Verdict,
    *,
    remarks: Iterable[str] = (),
    links: Mapping[str, str] | None = None,
    at: Layout | None = None,
) -> Content:
    """Write verdict.json and every form of the report, and return what they were made of.

    The same arguments and files give the same bytes.

    Args:
        remarks: small print for the foot of the reports.
        links: where to read on, a URL by its label.
        at: where to write instead of the project's own `reports/`.

    Raises:
        UsageError: a file that the report shows is damaged.
    """
    # here, for who only asks what is to be decided draws nothing
    from makeweight.report import card, dvcplots, html, markdown

    layout = at or project.layout
    content = replace(
        _content(project, evidence, decided),
        html=str(layout.html.relative_to(project.root) if layout.html.is_relative_to(project.root) else layout.html),
        remarks=(*remarks, *_asked(project, evidence)),
        links=dict(links or {}),
    )
    atomic.write_text(layout.markdown, markdown.render(content))
    atomic.write_text(layout.html, html.render(content))
    for name, text in dvcplots.files(content).items():
        atomic.write_text(layout.plot(name), text)
    ships = decided.ship if decided.ship in content.manifests else None
    atomic.write_text(layout.card, card.nothing(content) if ships is None else card.render(content, ships))
    # last: where there is a verdict, there are the reports that belong to it
    atomic.write_text(layout.verdict, verdict.dumps(decided))
    return content


def _content(project: Project, evidence: Evidence, decided: Verdict) -> Content:
    paired = _answered(project, evidence)
    shown = paired if project.task.kind == "classification" else []
    timings, profiled = [], []
    for (variant, device), taken in evidence.timings.items():
        if taken.processes:
            before, after = (np.concatenate(taken.runs(f"wall_{arm}")) / 1e9 for arm in "ab")
            timings.append(Timing(device, variant, before, after, len(taken.processes), taken.rounds, taken.where))
        try:
            both = operators.profiles(taken)
        except operators.Damaged as error:
            raise archive.damaged(project.layout.timings(variant, device), error) from error
        if both is not None:
            profiled.append(OperatorTimes(device, variant, *both))
    return Content(
        verdict=decided,
        manifests=evidence.manifests,
        machines=tuple(_machine(project, evidence, decided, name) for name in project.devices),
        timings=tuple(timings),
        operators=tuple(profiled),
        flips={name: _flips(project.layout, name, evidence.outcomes) for name in shown},
        classes={name: _classes(project, evidence.outcomes, name) for name in paired},
        class_figure=TASKS[project.task.kind].class_figure or Content.class_figure,
        better=project.task.better if project.task.kind == "custom" else None,
    )


def _asked(project: Project, evidence: Evidence) -> list[str]:
    """How models are asked whose answers depend on the examples beside them."""
    told = (tried.asked(manifest, project.model.batch) for manifest in evidence.manifests.values())
    return [each for each in told if each is not None]


def _answered(project: Project, evidence: Evidence) -> list[str]:
    """The variants with outcomes that can be paired with the baseline's."""
    base = evidence.outcomes.get(BASELINE)
    return [
        name
        for name in project.variants
        if base is not None and (own := evidence.outcomes.get(name)) is not None and len(own) == len(base) > 0
    ]


def _machine(project: Project, evidence: Evidence, decided: Verdict, name: str) -> Machine:
    record, entry = evidence.devices.get(name), project.devices[name]
    taken = next((t.conditions for (_, device), t in evidence.timings.items() if device == name), {})
    identity: Mapping[str, Any] = {}
    reason: str | None = "it was never asked"
    if record is not None:
        identity, reason = record.identity, record.reason
    elif isinstance(recorded := (decided.provenance.get("devices") or {}).get(name), Mapping):
        # figures that were taken over from another run come with what that run knew of its devices
        told, why = recorded.get("identity"), recorded.get("reason")
        identity, reason = (told if isinstance(told, Mapping) else {}), (None if why is None else str(why))
    return Machine(name, entry.kind, identity, taken.get("before", {}), entry.options.threads, reason)


def _flips(layout: Layout, name: str, outcomes: Mapping[str, Outcomes]) -> Flips:
    own, base = outcomes[name], outcomes[BASELINE]
    total = int(np.count_nonzero(base.right & ~own.right))
    folder = layout.flips(name)
    shown = []
    for entry in flips.read(folder):
        picture = _picture(folder, str(entry["picture"])) if entry["picture"] else None
        names = entry["truth"], entry["truth"], entry["variant"]
        shown.append(Flip(entry["example"], *names, entry["variant_confidence"], picture))
    return Flips(total, tuple(shown))


def _picture(folder: Path, name: str) -> bytes:
    """A picture beside its index. The index may come from another job: it must not bring any other file into a report.

    Raises:
        UsageError: it is no picture, or lies elsewhere.
    """
    path = folder / name
    if path.parent == folder and path.name == name and path.is_file():
        # DVC may have linked it from its cache, so a link is no offence; being anything but a picture is
        data = path.read_bytes()
        if data.startswith(_PNG):
            return data
    raise UsageError(
        f"`{name}` is no picture of a flipped example", where=str(folder / flips.INDEX), do="Run `dvc repro`."
    )


def _classes(project: Project, outcomes: Mapping[str, Outcomes], name: str) -> tuple[ClassFigure, ...]:
    task = TASKS[project.task.kind]
    before, after = (task.by_class(project.task, outcomes[each]) for each in (BASELINE, name))
    if before is None or after is None:
        return ()
    rows = zip(before.names, before.examples, before.values, after.values, strict=True)
    return tuple(ClassFigure(named, int(count), float(was), float(now)) for named, count, was, now in rows)
