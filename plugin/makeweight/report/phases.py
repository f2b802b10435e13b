"""Memory by phase: loading, the first run and those after it, and what of it is the model's file."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight.budget.measurand import Measurand
from makeweight.report.comparison import Cell, cell
from makeweight.report.figures import Figures

HEADS = {
    "memory_load": "loading, peak",
    "memory_first_run": "first run, peak",
    "memory_steady": "later runs, peak",
    "memory_anonymous": "held, anonymous",
    "memory_mapped": "held, mapped from the file",
}
"""Figures of `measure/memory.py`, and what they are called in a table."""


@dataclass(frozen=True)
class Row:
    """One model on one device."""

    variant: str
    device: str
    cells: tuple[Cell, ...]
    """One for each of `HEADS`."""
    allocation: str
    """How its session says that it has memory; empty where it does not."""


def rows(figures: Figures) -> list[Row]:
    """By device, the baseline and then the variants, as far as memory was measured by phase."""
    known = {(each.variant, each.device) for each in figures if each.metric in HEADS and each.value is not None}
    return [
        Row(
            variant,
            device,
            tuple(cell(figures, Measurand(name), variant, device) for name in HEADS),
            _allocation(figures, variant, device),
        )
        for device in figures.devices
        for variant in figures.models
        if (variant, device) in known
    ]


def _allocation(figures: Figures, variant: str, device: str) -> str:
    figure = figures.get(Measurand("memory_load"), variant, device)
    return "" if figure is None else figure.detail or ""
