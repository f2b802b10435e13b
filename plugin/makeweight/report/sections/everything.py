"""Every figure that there is, a row a metric."""

from __future__ import annotations

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.layout import BASELINE
from makeweight.report.comparison import Cell, cell
from makeweight.report.figures import Figures
from makeweight.report.written import title


def everything(figures: Figures, everyone: list[str]) -> list[tuple[str, list[Cell]]]:
    """Every metric that any model was measured on, a row each."""
    seen = {(of, each.device) for each in figures if (of := each.measurand).comparison is None or of.control}
    catalogue = list(METRICS)

    def rank(row: tuple[Measurand, str | None]) -> tuple[str, int, str]:
        of, device = row
        return (
            device or "",
            catalogue.index(of.metric) if of.metric in catalogue and not of.control else len(catalogue),
            of.name,
        )

    return [
        (
            f"{title(of)} on {device}" if device else title(of),
            [_whole_cell(figures, of, name, device) for name in everyone],
        )
        for of, device in sorted(seen, key=rank)
    ]


def _whole_cell(figures: Figures, of: Measurand, name: str, device: str | None) -> Cell:
    whole = cell(figures, of, name, device)
    # what only a comparison has, such as flips, has no figure for the baseline and misses none; nor is there a
    # control of what was not trained
    if (name == BASELINE or of.control) and whole.reason and figures.get(of, name, device) is None:
        return Cell(of, device, "–", "", None, "")
    return whole
