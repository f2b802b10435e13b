"""Throughput over batch sizes and threads, where a device's `matrix` asks for it: the cells, and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from makeweight.budget.measurand import Measurand
from makeweight.budget.quantity import PER_SECOND, show
from makeweight.layout import BASELINE
from makeweight.measurement import Measurement
from makeweight.report import prose
from makeweight.report.change import Change, factor
from makeweight.report.comparison import Cell, cell
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.standing import leading

_NAME = "throughput"


@dataclass(frozen=True)
class Row:
    """One model on one number of threads."""

    variant: str
    threads: int
    cells: tuple[Cell | None, ...]
    """One for each batch size of its device; None: it was not asked for."""


@dataclass(frozen=True)
class Matrix:
    """What was asked for on one device."""

    device: str
    batches: tuple[int, ...]
    threads: tuple[int, ...]
    models: frozenset[str]
    """Those of which a figure was asked for."""
    cells: frozenset[tuple[int, int]]
    """Each its batch and its threads: after a change of the entry, models may have others for a while."""


def matrices(figures: Figures) -> list[Matrix]:
    """By device; none where nothing was measured over one."""
    asked: dict[str, list[Measurement]] = {}
    for each in figures:
        if each.measurand.is_cell and each.device is not None:
            asked.setdefault(each.device, []).append(each)
    return [
        _matrix(device, asked[device])
        for device in figures.devices
        if any(each.value is not None for each in asked.get(device, ()))
    ]


def _matrix(device: str, figures: list[Measurement]) -> Matrix:
    cells = frozenset((each.batch or 0, each.threads or 0) for each in figures)
    batches, threads = (tuple(sorted(set(numbers))) for numbers in zip(*cells, strict=True))
    return Matrix(device, batches, threads, frozenset(each.variant for each in figures), cells)


def rows(figures: Figures, matrix: Matrix, models: Sequence[str], beside: str | None = None) -> list[Row]:
    """Each model by threads.

    Args:
        beside: the variant, of which the baseline's figures are that were measured together with it.
    """

    def shown(name: str, batch: int, threads: int) -> Cell | None:
        if (batch, threads) not in matrix.cells:
            return None
        return cell(figures, at(batch, threads), name, matrix.device, beside)

    return [
        Row(name, threads, tuple(shown(name, batch, threads) for batch in matrix.batches))
        for name in models
        for threads in matrix.threads
        if name in matrix.models
    ]


def sentences(content: Content, figures: Figures) -> list[str]:
    """Of the variant that is looked at, on every device: where it does most."""
    lead = leading(content.verdict)
    told = [sentence(figures, matrix, lead) for matrix in matrices(figures) if lead is not None]
    return [said for said in told if said is not None]


def sentence(figures: Figures, matrix: Matrix, variant: str) -> str | None:
    """`int8` on `local` does most in batches of 32 on 2 threads: 12,300 /s, 1.80x more than the baseline's best [1.75,
    1.86] (6,800 /s in batches of 8 on 2 threads). None: nothing of it was measured."""
    own, base = (best(figures, matrix, name, variant) for name in (variant, BASELINE))
    if own is None:
        return None
    said = f"{prose.code(variant)} on {prose.code(matrix.device)} does most {_where(own)}: {_written(own)}"
    if base is None:
        return f"{said}."
    change = _against(figures, own, base)
    there = f"{_written(base)} {'there' if _same(own, base) else _where(base)}"
    if change.better is None:
        return f"{said}, not told apart from the baseline's best ({there})."
    return f"{said}, {change.bare} than the baseline's best {change.bounds} ({there})."


def best(figures: Figures, matrix: Matrix, model: str, beside: str) -> Measurement | None:
    """The figure of the cell in which a model does most.

    Args:
        beside: the variant, of which the baseline's figures are that were measured together with it.
    """
    known = [
        figure
        for batch in matrix.batches
        for count in matrix.threads
        if (figure := figures.get(at(batch, count), model, matrix.device, beside)) is not None
        and (figure.value or 0.0) > 0
    ]
    return max(known, key=lambda figure: figure.value or 0.0, default=None)


def _against(figures: Figures, own: Measurement, base: Measurement) -> Change:
    """Of the best of both: paired where that is one cell, else by what the two intervals allow."""
    paired = figures.get(own.measurand.compared("ratio"), own.variant, own.device)
    if _same(own, base) and paired is not None and paired.value is not None:
        return factor(_NAME, paired, "higher")
    (low, high), (least, most) = (each.interval or (each.value or 0.0,) * 2 for each in (own, base))
    ratio = Measurement(
        _NAME,
        own.variant,
        "ratio",
        (own.value or 0.0) / (base.value or 1.0),
        (low / most, high / least) if min(low, least) > 0 else None,
        comparison="ratio",
        noise_floor=max(own.noise_floor or 0.0, base.noise_floor or 0.0),
    )
    return factor(_NAME, ratio, "higher")


def at(batch: int, threads: int) -> Measurand:
    """What is measured in a cell."""
    return Measurand(_NAME, batch=batch, threads=threads)


def _same(one: Measurement, other: Measurement) -> bool:
    return one.measurand == other.measurand


def _where(figure: Measurement) -> str:
    return f"in batches of {figure.batch} on {counted(figure.threads or 0)}"


def counted(threads: int) -> str:
    return f"{threads} thread{'' if threads == 1 else 's'}"


def _written(figure: Measurement) -> str:
    return show(figure.value or 0.0, PER_SECOND)
