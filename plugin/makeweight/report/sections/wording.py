"""How figures read on charts and beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from makeweight.budget.quantity import Dimension
from makeweight.layout import BASELINE
from makeweight.report.comparison import Cell
from makeweight.report.content import Content


def unit_for(values: Iterable[float], of: Dimension) -> tuple[float, str]:
    """The unit in which most of the figures read well: its size in base units, and its name."""
    finite = sorted(value for value in values if math.isfinite(value) and value > 0)
    middle = finite[len(finite) // 2] if finite else 1.0
    name = next((unit for unit in of.shown if middle >= of.units[unit] * 0.9995), of.shown[-1])
    return of.units[name], name


def tick(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.3g}"


def kind(content: Content, name: str) -> Literal["baseline", "variant", "ships"]:
    return "baseline" if name == BASELINE else "ships" if name == content.verdict.ship else "variant"


def with_interval(shown: Cell) -> str:
    if shown.reason:
        return f"not measured ({shown.reason})"
    interval = f" {shown.interval}" if shown.interval else ""
    return f"{shown.value}{interval}{f', {shown.change.words}' if shown.change else ''}"


def percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"
