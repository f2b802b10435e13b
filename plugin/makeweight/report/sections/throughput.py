"""The section of report.html on throughput over batch sizes and threads: a chart and a table a variant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from makeweight.budget.quantity import PER_SECOND, show
from makeweight.layout import BASELINE
from makeweight.report import throughput
from makeweight.report.comparison import cell
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.measuring import COPIES
from makeweight.report.plots import throughput as plot
from makeweight.report.sections.charts import kind, tick, with_interval
from makeweight.report.throughput import Matrix, at, best, counted

_JOINED = "\N{NO-BREAK SPACE}"


def charts(content: Content, figures: Figures, order: Iterable[str]) -> list[dict[str, Any]]:
    """One for each variant on each device, in the order of the variants; none of what was measured nowhere."""
    matrices = throughput.matrices(figures)
    return [
        _chart(content, figures, matrix, variant, several=len(matrices) > 1)
        for variant in order
        for matrix in matrices
        if best(figures, matrix, variant, variant) is not None
    ]


def _chart(content: Content, figures: Figures, matrix: Matrix, variant: str, *, several: bool) -> dict[str, Any]:
    by_batch = len(matrix.batches) > 1
    panels = [_panel(content, figures, matrix, name, variant) for name in (BASELINE, variant)]
    drawn = plot.draw(
        panels,
        f"examples per second on {matrix.device}",
        "batch size" if by_batch else f"threads, in batches of {matrix.batches[0]}",
        "threads" if by_batch else "",
        tick,
        lambda value: show(value, PER_SECOND),
    )
    most = best(figures, matrix, variant, variant)
    return {
        "name": f"{variant} on {matrix.device}" if several else variant,
        "said": throughput.sentence(figures, matrix, variant) or "",
        "most": "" if most is None or most.value is None else show(most.value, PER_SECOND),
        "svg": drawn,
        "batches": matrix.batches,
        "rows": [
            (f"{row.variant}, {counted(row.threads).replace(' ', _JOINED)}", row.cells)
            for row in throughput.rows(figures, matrix, [BASELINE, variant], variant)
        ],
        "floor": _floor(figures, matrix, variant),
    }


def _panel(content: Content, figures: Figures, matrix: Matrix, name: str, variant: str) -> plot.Panel:
    """Lines over batch sizes, one a number of threads; with one batch size a single line over threads."""
    by_batch = len(matrix.batches) > 1
    most = best(figures, matrix, name, variant)
    lines: dict[str, list[plot.Point]] = {}
    for threads in matrix.threads:
        for batch in matrix.batches:
            of = at(batch, threads)
            figure = figures.get(of, name, matrix.device, variant)
            if figure is None or figure.value is None:
                continue
            words = f"{name}, batches of {batch} on {counted(threads)}: "
            words += with_interval(cell(figures, of, name, matrix.device, variant))
            top = most is not None and most.measurand == of
            point = plot.Point(batch if by_batch else threads, figure.value, figure.interval, words, top)
            lines.setdefault(str(threads) if by_batch else "", []).append(point)
    return plot.Panel(name, kind(content, name), [plot.Line(label, points) for label, points in lines.items()])


def _floor(figures: Figures, matrix: Matrix, variant: str) -> str:
    """What two copies of one model differed by, in the worst of the cells; empty where that is not known."""
    floors = [
        figure.noise_floor
        for batch, threads in matrix.cells
        if (figure := figures.get(at(batch, threads), variant, matrix.device)) is not None
        and figure.noise_floor is not None
    ]
    return COPIES.format(f"{max(floors) * 100:.1f} %") if floors else ""
