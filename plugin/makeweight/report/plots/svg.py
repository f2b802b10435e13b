"""SVG as text: elements with escaped attributes and content, numbers kept short."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterable

from makeweight.report.text import plain

WIDTH = 440.0
"""Of every chart's own coordinates: wide enough for a desk, and its text still readable at a phone's width."""
FACE = "-apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
"""For a picture that stands by itself."""


def element(tag: str, *children: str, **attributes: object) -> str:
    """One element. `children` are markup; attribute names may end in `_` and have `_` for `-`; None is left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(_value(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inside = "".join(children)
    return f"<{tag}{written}>{inside}</{tag}>" if inside else f"<{tag}{written}/>"


def text(content: str, x: float, y: float, **attributes: object) -> str:
    return element("text", html.escape(plain(content)), x=x, y=y, **attributes)


def tooltip(content: str) -> str:
    """Shown when the pointer rests on the element that holds it."""
    return element("title", html.escape(plain(content)))


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """The `d` of a path through points."""
    drawn = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return f"M{drawn}{'Z' if closed else ''}" if drawn else ""


def line(kind: str, points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """A path through points, styled as its class says."""
    return element("path", d=path(points, closed=closed), class_=kind)


def chart(height: float, name: str, description: str, *children: str) -> str:
    """The whole picture, `WIDTH` wide, which fills the space that it is given."""
    return element(
        "svg",
        tooltip(name),
        element("desc", html.escape(plain(description))),
        *children,
        viewBox=f"0 0 {number(WIDTH)} {number(height)}",
        role="img",
        aria_label=plain(f"{name}. {description}"),
    )


def alone(width: float, height: float, name: str, *children: str) -> str:
    """A picture in a file of its own, of its own size."""
    return (
        element(
            "svg",
            *children,
            xmlns="http://www.w3.org/2000/svg",
            width=width,
            height=height,
            viewBox=f"0 0 {number(width)} {number(height)}",
            role="img",
            aria_label=plain(name),
        )
        + "\n"
    )


def empty(height: float, name: str, said: str) -> str:
    """A chart of nothing, which says so."""
    shown = text(said, WIDTH / 2, height / 2, text_anchor="middle", class_="quiet")
    return chart(height, name, f"{said.capitalize()}.", shown)


def number(value: float) -> str:
    """A coordinate to a hundredth.

    Raises:
        ValueError: it is no finite number, which no chart may hold.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no coordinate")
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def text_width(content: str, size: float) -> float:
    """About how wide a text is in a common sans-serif face of that size."""
    return size * sum(_em(character) for character in content)


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 1.05
    if character in _NARROW:
        return 0.34
    return 0.76 if character in _WIDE or character.isupper() else 0.56


_NARROW = frozenset("iljtfrI.,:;|!'`()[]{}/-")
_WIDE = frozenset("mwMW@%&<>+=…")
