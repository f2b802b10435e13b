"""Pipelines from end to end beside the models alone: how much of what a model gains is left of the whole."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight.budget.measurand import Measurand
from makeweight.layout import BASELINE
from makeweight.measure.parts import PARTS, SAME_ANSWERS
from makeweight.report import prose
from makeweight.report.comparison import LATENCY, Cell, cell
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.standing import leading

WHOLE = Measurand("end_to_end_latency_p50")
HEADS = tuple(PARTS)
_CALLED = {"preprocess": "preprocessing", "model": "the model", "postprocess": "postprocessing"}


@dataclass(frozen=True)
class Row:
    """One model in its pipeline on one device."""

    variant: str
    device: str
    whole: Cell
    model: Cell
    shares: tuple[float, ...]
    """Of the whole, by part in the order in which they run; empty where it was not measured."""
    same: str
    """For how many samples it returned what the baseline did: `61 of 64`; else empty."""

    @property
    def percents(self) -> tuple[str, ...]:
        return tuple(f"{share * 100:.0f} %" for share in self.shares)


def rows(figures: Figures) -> list[Row]:
    """By device, the baseline and then the variants; none where no pipeline was timed."""
    asked = {(each.variant, each.device) for each in figures if each.measurand == WHOLE}
    return [
        _row(figures, variant, device)
        for device in figures.devices
        for variant in figures.models
        if (variant, device) in asked
    ]


def _row(figures: Figures, variant: str, device: str) -> Row:
    shares = [figures.value(Measurand(share), variant, device) for share in PARTS.values()]
    known = tuple(share for share in shares if share is not None)
    answers = figures.get(Measurand(SAME_ANSWERS), variant, device)
    same = ""
    if answers is not None and answers.value is not None and answers.samples:
        same = f"{round(answers.value * answers.samples)} of {answers.samples}"
    return Row(
        variant,
        device,
        cell(figures, WHOLE, variant, device),
        cell(figures, LATENCY, variant, device),
        known if len(known) == len(PARTS) else (),
        same,
    )


def sentences(content: Content, figures: Figures) -> list[str]:
    """Of the variant that is looked at, on every device: what is left of its gain."""
    lead = leading(content.verdict)
    listed = [row for row in rows(figures) if row.variant == lead]
    return [said for row in listed if (said := sentence(row)) is not None]


def sentence(row: Row) -> str | None:
    """`int8` on `local`: the model is 2.07x faster, the whole 1.31x faster: 44 % of it is preprocessing. None: of the
    baseline, or where it was not measured."""
    whole, model = row.whole.change, row.model.change
    if row.variant == BASELINE or whole is None or model is None or not row.shares:
        return None
    where = f"{prose.code(row.variant)} on {prose.code(row.device)}"
    most = max((share, part) for share, part in zip(row.shares, PARTS, strict=True))
    told = f"{most[0] * 100:.0f} % of its time is {_CALLED[most[1]]}"
    return f"{where}: the model is {model.bare}, the whole {whole.bare} from end to end; {told}."
