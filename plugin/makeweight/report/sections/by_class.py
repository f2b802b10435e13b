"""What each class lost or won, variant by variant."""

from __future__ import annotations

from typing import Any

from makeweight.budget.quantity import FRACTION, show
from makeweight.report.content import ClassAccuracy, Content
from makeweight.report.plots import classes

_MOST_CLASSES = 24


def by_class(content: Content, order: list[str]) -> list[dict[str, Any]]:
    charts = []
    for variant in order:
        listed = content.classes.get(variant, ())
        if not listed:
            continue
        by_drop = sorted(listed, key=lambda each: -each.drop)  # equal ones as the model has them
        if len(by_drop) > _MOST_CLASSES:
            kept = by_drop[: _MOST_CLASSES * 2 // 3] + by_drop[-(_MOST_CLASSES // 3) :]
        else:
            kept = by_drop
        bars = [classes.Bar(each.name, -each.drop, _class_words(each)) for each in kept]
        charts.append(
            {
                "variant": variant,
                "svg": classes.draw(bars, f"Accuracy of {variant} by class, against the baseline"),
                "shown": len(kept),
                "count": len(listed),
                "worst": _most_lost(by_drop[0]),
                "unchanged": all(each.drop == 0 for each in listed),
            }
        )
    return charts


def _most_lost(each: ClassAccuracy) -> str:
    return f"{each.name} lost most, {-each.drop * 100:.1f} pt" if each.drop > 0 else "no class lost"


def _class_words(each: ClassAccuracy) -> str:
    return (
        f"{each.name}: {show(each.variant, FRACTION)}, baseline {show(each.baseline, FRACTION)}, "
        f"{each.examples:,} example{'' if each.examples == 1 else 's'}"
    )
