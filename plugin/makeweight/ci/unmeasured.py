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
    report tells them apart, or one that a rule is held against, or a cell of the device's matrix.

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
    options = project.device(device).options

    def lacks(name: str) -> bool:
        own = known.get(name, set())
        cells = {(of.batch or 0, of.threads or 0) for of in own if of.is_cell}
        in_matrix = options.matrix is not None and options.matrix.missing(options.threads, cells)
        return in_matrix or not asked <= own

    return [name for name in project.variants if name not in failed and lacks(name)]
