"""How a series is drawn: one colour for stable and one for the canary, on every panel of every dashboard."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Look:
    color: str | None = None
    """One of Grafana's named colours, which suit the dark and the light theme; None: from the palette."""
    dash: tuple[int, ...] = ()
    """Lengths of strokes and gaps in pixels; none: a solid line."""
    width: int = 2
    band_down_to: str | None = None
    """The legend of the series down to which the area is filled; the line itself is not drawn."""
    bare: bool = False
    """No line and no legend: the lower edge of a band."""

    def dotted(self) -> Look:
        return replace(self, dash=(2, 6))

    def dashed(self) -> Look:
        return replace(self, dash=(10, 6))

    def to(self, legend: str) -> Look:
        """The upper edge of a band whose lower edge is the series of that legend."""
        return replace(self, band_down_to=legend, width=0)

    def edge(self) -> Look:
        return replace(self, bare=True, width=0)


PLAIN = Look()
STABLE = Look("blue")
CANARY = Look("orange")
LIMIT = Look("semi-dark-red", dash=(10, 6))
"""What is not to be crossed."""
FLOOR = Look("#9a9a9a", dash=(2, 6))
"""What chance alone reaches."""
REFERENCE = Look("#9a9a9a")
"""As it was on the test split."""
GOOD, WARN, BAD, QUIET = "green", "orange", "red", "#9a9a9a"
"""Of a state. Orange stands for a warning in stats and tables only, where no canary is drawn."""
