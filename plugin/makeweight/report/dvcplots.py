"""Rows for `dvc plots`, and the plots that dvc.yaml draws of them, for DVC itself and the editors that read it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import of_role, times
from makeweight.report.comparison import LATENCY, SIZE
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.text import plain

PARETO, LATENCIES, CLASSES = "pareto.json", "latency.csv", "classes.csv"
_FOLDER = "reports/plots"


def definitions(quality: str = "accuracy") -> list[dict[str, Any]]:
    """The entries of dvc.yaml's top-level `plots:`, for a task whose quality is that metric.

    https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#plots
    """

    def plot(title: str, file: str, template: str, x: str, y: str, x_label: str, y_label: str) -> dict[str, Any]:
        path = f"{_FOLDER}/{file}"
        axes = {"x": {path: x}, "y": {path: y}, "x_label": x_label, "y_label": y_label}
        return {title: {"template": template, "title": title, **axes}}

    shown = quality.replace("_", " ")
    return [
        plot(f"{shown} against size", PARETO, "scatter", "size_kb", quality, "size, kB", shown),
        plot(f"{shown} against latency", PARETO, "scatter", "latency_ms", quality, "latency p50, ms", shown),
        plot("latency", LATENCIES, "bar_horizontal", "ms", "series", "latency, ms", ""),
        plot("drop by class", CLASSES, "bar_horizontal", "drop_pt", "series", f"drop of {shown}, pt", ""),
    ]


def files(content: Content) -> dict[str, str]:
    """Each file of `reports/plots`, by name. All three are always there: DVC misses a file that is not."""
    figures = Figures(content)
    return {
        PARETO: _json(_pareto(figures)),
        LATENCIES: _csv(("series", "variant", "device", "percentile", "ms"), _latency(figures)),
        CLASSES: _csv(("series", "variant", "class", content.class_figure, "drop_pt"), _classes(content)),
    }


def _pareto(figures: Figures) -> list[dict[str, Any]]:
    """One row a model and device; what was not measured is not in its row."""
    rows = []
    devices: list[str | None] = [*figures.devices] or [None]
    for name in figures.models:
        size = figures.value(SIZE, name)
        for device in devices:
            seconds = figures.place(LATENCY, name, device)
            row = {
                "variant": plain(name),
                "device": None if device is None else plain(device),
                "size_kb": None if size is None else round(size / 1000, 3),
                **{metric.name: figures.value(Measurand(metric.name), name) for metric in of_role("quality")},
                "latency_ms": None if seconds is None else round(seconds * 1000, 6),
            }
            rows.append({key: value for key, value in row.items() if value is not None})
    return rows


def _latency(figures: Figures) -> list[tuple[Any, ...]]:
    rows = []
    for device in figures.devices:
        for name in figures.models:
            for metric in times("wall"):
                seconds = figures.place(Measurand(metric.name), name, device)
                if seconds is not None:
                    series = f"{plain(name)} on {plain(device)}, {metric.percentile}"
                    percentile = metric.percentile.removeprefix("p")
                    rows.append((series, plain(name), plain(device), percentile, f"{seconds * 1000:.6g}"))
    return rows


def _classes(content: Content) -> list[tuple[Any, ...]]:
    rows = []
    for variant, listed in content.classes.items():
        for each in listed:
            names = (f"{plain(variant)}, {plain(each.name)}", plain(variant), plain(each.name))
            rows.append((*names, f"{each.variant:.6g}", f"{each.drop * 100:.6g}"))
    return rows


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _csv(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([head, *rows])
    return written.getvalue()
