"""The verdict as a badge: a picture for a README, and the same words for shields.io."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping

from makeweight.budget.quantity import RATIO, show
from makeweight.decide.verdict import Outcome
from makeweight.report.brief import Brief
from makeweight.report.plots import svg
from makeweight.report.standing import HEADLINES
from makeweight.report.text import elided, plain

_LABEL = "makeweight"
_COLORS: Mapping[Outcome, str] = {
    "pass": "#00695c",
    "fail": "#ad3b0c",
    "inconclusive": "#7a5500",
    "not_applicable": "#5b6065",
}
_LABEL_COLOR = "#3a3f44"
_HEIGHT, _FONT, _PAD = 20.0, 11.0, 7.0
_LONGEST = 40


def words(brief: Brief) -> str:
    """`passed · int8 · 0.26x size · 0.41x latency`; figures that were not measured are left out."""
    parts = [HEADLINES[brief.outcome]]
    if brief.variant is not None:
        parts.append(elided(brief.variant, _LONGEST))
    figures = ((brief.size_ratio, "size"), (brief.latency_ratio, "latency"))
    parts += [f"{show(ratio, RATIO)} {of}" for ratio, of in figures if ratio is not None]
    return " · ".join(parts)


def endpoint(brief: Brief) -> str:
    """What shields.io makes a badge of (shields.io/badges/endpoint-badge, schema version 1)."""
    said = {"schemaVersion": 1, "label": _LABEL, "message": words(brief), "color": _COLORS[brief.outcome]}
    return json.dumps(said, ensure_ascii=False) + "\n"


def draw(brief: Brief) -> str:
    """The badge as SVG, to stand by itself."""
    message = plain(words(brief))
    split = svg.text_width(_LABEL, _FONT) + 2 * _PAD
    width = split + svg.text_width(message, _FONT) + 2 * _PAD
    shown = [
        svg.tooltip(f"{_LABEL}: {message}"),
        svg.element("rect", width=width, height=_HEIGHT, rx=4.0, fill=_LABEL_COLOR),
        # rounded on the right alone: the label's colour shows through nowhere
        svg.element("path", d=_right(split, width), fill=_COLORS[brief.outcome]),
        _text(_LABEL, split / 2, split - 2 * _PAD),
        _text(message, (split + width) / 2, width - split - 2 * _PAD),
    ]
    return svg.alone(width, _HEIGHT, f"{_LABEL}: {message}", *shown)


def _right(left: float, right: float) -> str:
    start, end, corner = svg.number(left), svg.number(right), svg.number(right - 4)
    return f"M{start} 0H{corner}Q{end} 0 {end} 4V16Q{end} 20 {corner} 20H{start}Z"


def _text(content: str, middle: float, width: float) -> str:
    """As wide as the room that was made for it, whatever typeface the reader has."""
    face = {"font_size": _FONT, "font_family": svg.FACE, "fill": "#fff", "text_anchor": "middle"}
    fitted = {"textLength": width, "lengthAdjust": "spacingAndGlyphs"}
    return svg.element("text", html.escape(content), x=middle, y=14.0, **face, **fitted)
