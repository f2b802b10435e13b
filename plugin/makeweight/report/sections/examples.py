"""The flipped examples, as pictures within the page."""

from __future__ import annotations

import base64
import math
from typing import Any

from makeweight.report import prose
from makeweight.report.content import Content, Flip

_MOST_FLIPS = 64
# A page that opens at once on a phone; beyond it, pictures are left out and counted.
_PICTURE_BYTES = 4_000_000
# Pixels a side up to which a picture is shown as crisp squares.
_TINY = 64


def flipped(content: Content, order: list[str]) -> list[dict[str, Any]]:
    shown = []
    left = _PICTURE_BYTES
    for variant in order:
        flips = content.flips.get(variant)
        if flips is None:
            continue
        examples = []
        for flip in flips.examples[:_MOST_FLIPS]:
            fits = flip.png is not None and len(flip.png) <= left
            left -= len(flip.png) if flip.png is not None and fits else 0
            examples.append(_example(flip, fits=fits))
        shown.append(
            {
                "variant": variant,
                "total": flips.total,
                "examples": examples,
                "confusion": prose.confusion(flips),
            }
        )
    return shown


def _example(flip: Flip, *, fits: bool) -> dict[str, Any]:
    encoded = base64.b64encode(flip.png).decode() if fits and flip.png is not None else ""
    return {
        "flip": flip,
        "source": f"data:image/png;base64,{encoded}" if encoded else "",
        "confidence": "" if flip.confidence is None or math.isnan(flip.confidence) else f"{flip.confidence:.0%}",
        "too_large": flip.png is not None and not fits,
        "tiny": flip.png is not None and max(_png_size(flip.png)) <= _TINY,
    }


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header (PNG, third edition, 11.2.1)."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
