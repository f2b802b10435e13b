"""Of which variants figures of a device are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from makeweight.budget.measurand import Measurand, headline
from makeweight.ci import regression
from makeweight.measurement import Measurement
from makeweight.project.project import Project


def unmeasured(
    project: Project, device: str, measurements: Iterable[Measurement], failed: Mapping[str, str]
) -> list[str]:
    """The variants that could be measured on a device and of which a figure is missing: the latency by which every
    report tells them apart, or one that a rule is held against.

    What cannot be had there, whatever is done, is not missing.
    """
    asked = {headline("latency")} | {
        Measurand(rule.metric.name)
        for rule in project.rules
        if rule.metric.per_device and rule.device in (None, device) and rule.operator.against != regression.AGAINST
    }
    known: dict[str, set[Measurand]] = {}
    for m in measurements:
        if m.device == device and m.cause is None:
            known.setdefault(m.variant, set()).add(m.measurand)
    return [name for name in project.variants if name not in failed and not asked <= known.get(name, set())]
