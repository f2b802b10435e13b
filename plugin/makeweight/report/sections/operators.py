"""The section of report.html on where the time goes: types of operators side by side, and the longest layers."""

from __future__ import annotations

from typing import Any

from makeweight.budget.quantity import SECONDS, show
from makeweight.measure.operators import Profile
from makeweight.report import operators
from makeweight.report.comparison import LATENCY
from makeweight.report.content import Content, OperatorTimes
from makeweight.report.figures import Figures
from makeweight.report.plots import operators as plot
from makeweight.report.sections.charts import kind

_MOST_KINDS, _MOST_LAYERS = 10, 8
_OTHERS = "others"
_RAN = {
    "integer": "integers",
    "float": "float",
    "conversion": "converts numbers",
    "fallback": "left to the runtime's own kernels",
    None: "not told",
}


def profiled(content: Content, figures: Figures, order: list[str]) -> list[dict[str, Any]]:
    """A chart for each variant on each device, in the order of the variants."""
    places = {name: place for place, name in enumerate(order)}
    known = sorted(content.operators, key=lambda each: places.get(each.variant, len(places)))
    several = len({each.device for each in known}) > 1
    return [_chart(content, figures, each, several) for each in known if each.variant_profile.reason is None]


def unprofiled(content: Content) -> list[tuple[str, list[str]]]:
    """Why there is no profile, and of whom."""
    found: dict[str, list[str]] = {}
    for each in content.operators:
        if each.variant_profile.reason is not None:
            found.setdefault(each.variant_profile.reason, []).append(f"{each.variant} on {each.device}")
    return list(found.items())


def _chart(content: Content, figures: Figures, times: OperatorTimes, several: bool) -> dict[str, Any]:
    own, before = times.variant_profile, times.baseline_profile
    ships = kind(content, times.variant) == "ships"
    name = f"{times.variant} on {times.device}" if several else times.variant
    drawn = plot.draw(_bars(own, before), f"{name}: time of an inference by type of operator", _shown, ships=ships)
    latency = figures.value(LATENCY, times.variant, times.device)
    return {
        "name": name,
        "svg": drawn,
        "sentence": operators.sentence(figures, times) or "",
        "longest": next(iter(own.kinds()), ""),
        "without_baseline": before.reason,
        "summed": _shown(own.seconds),
        "whole": _shown(own.inference),
        "latency": None if latency is None else _shown(latency),
        "runs": own.runs,
        "resolution": _shown(own.resolution),
        "layers": _layers(own),
        "count": len(own.operators),
    }


def _bars(own: Profile, before: Profile) -> list[plot.Bars]:
    after, earlier = own.kinds(), before.kinds()
    known = before.reason is None
    order = sorted({**after, **earlier}, key=lambda kind: -max(after.get(kind, 0.0), earlier.get(kind, 0.0)))
    kept, left = (order, []) if len(order) <= _MOST_KINDS else (order[: _MOST_KINDS - 1], order[_MOST_KINDS - 1 :])
    groups = [(kind, [kind]) for kind in kept] + ([(f"{len(left)} {_OTHERS}", left)] if left else [])
    bars = []
    for name, kinds in groups:
        was, now = (sum(each.get(kind, 0.0) for kind in kinds) for each in (earlier, after))
        words = f"{name}: {_shown(now) if now else 'none'}"
        words += f", baseline {_shown(was) if was else 'none'}" if known else ""
        bars.append(plot.Bars(name, was if known else None, now, words))
    return bars


def _layers(profile: Profile) -> list[dict[str, str]]:
    return [
        {
            "name": each.name,
            "kind": each.kind,
            "time": _shown(each.seconds),
            "share": f"{each.seconds / (profile.seconds or 1.0) * 100:.0f} %",
            "ran": _RAN[each.ran],
        }
        for each in profile.operators[:_MOST_LAYERS]
    ]


def _shown(seconds: float) -> str:
    return show(seconds, SECONDS)
