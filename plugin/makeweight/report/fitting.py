"""Text in blocks, made to fit where only so much is shown: what does not fit is dropped from the bottom, and named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# For the line that names what is left out, and for what a caller puts beside the text to find it again.
_RESERVE = 1000


@dataclass(frozen=True)
class Limit:
    """How long a text may be where it is to be shown, and how its length is counted there."""

    size: int
    measure: Callable[[str], int]


@dataclass(frozen=True)
class Block:
    """A part that is shown whole, or with fewer lines, or not at all."""

    name: str
    opening: str
    lines: list[str] = field(default_factory=list)
    closing: str = ""

    def text(self, count: int) -> str:
        cut = len(self.lines) - count
        more = [f"\n*{cut:,} more in report.html.*"] if cut else []
        return "\n".join(part for part in (self.opening, *self.lines[:count], *more, self.closing) if part)


def fitted(blocks: Iterable[Block], limit: Limit) -> str:
    """The blocks as Markdown, never longer than the limit; after the first that does not fit, no other is shown."""
    shown: list[str] = []
    left_out: list[str] = []
    room = limit.size - _RESERVE
    for block in blocks:
        count = len(block.lines) if not left_out else -1
        while count >= 0 and limit.measure(block.text(count)) + 2 > room:
            count = -1 if count == 0 else count // 2
        if count < 0:
            left_out.append(block.name)
            continue
        room -= limit.measure(block.text(count)) + 2
        shown.append(block.text(count))
    if left_out:
        shown.append(f"<sub>Left out for length, and in report.html: {', '.join(left_out)}.</sub>")
    return "\n\n".join(shown) + "\n"
