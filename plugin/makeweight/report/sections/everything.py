"""Every figure that there is, a row a metric."""

from __future__ import annotations

from makeweight.budget.metric import METRICS
from makeweight.layout import BASELINE
from makeweight.report.comparison import Cell, cell
from makeweight.report.figures import Figures, title


def everything(figures: Figures, everyone: list[str]) -> list[tuple[str, list[Cell]]]:
    """Every metric that any model was measured on, a row each."""
    seen = {(each.metric, each.device) for each in figures if not _relative(each.metric)}
    known = list(METRICS)

    def rank(key: tuple[str, str | None]) -> tuple[str, int, str]:
        bare = key[0].split("[")[0]
        return (key[1] or "", known.index(bare) if bare in known else len(known), key[0])

    return [
        (
            f"{title(metric)} on {device}" if device else title(metric),
            [_whole_cell(figures, metric, name, device) for name in everyone],
        )
        for metric, device in sorted(seen, key=rank)
    ]


def _whole_cell(figures: Figures, metric: str, name: str, device: str | None) -> Cell:
    bare, bracket, rest = metric.partition("[")
    found = cell(figures, bare, name, device, bracket + rest)
    # what only a comparison has, such as flips, has no figure for the baseline and misses none; nor is there a
    # control of what was not trained
    alone = name == BASELINE or metric.endswith("_control")
    if alone and found.reason and figures.get(metric, name, device) is None:
        return Cell(metric, device, "–", "", None, "")
    return found


def _relative(metric: str) -> bool:
    return metric.split("[")[0].endswith(("_ratio", "_drop", "_regression"))
