"""The figures of the variant that the report is about, large."""

from __future__ import annotations

from dataclasses import dataclass, replace

from makeweight.budget.measurand import Measurand
from makeweight.decide.verdict import RuleVerdict
from makeweight.layout import BASELINE
from makeweight.report import prose
from makeweight.report.comparison import LATENCY, SIZE, cell
from makeweight.report.figures import Figures
from makeweight.report.standing import SIGNS, WORDS, side
from makeweight.report.written import title


@dataclass(frozen=True)
class Tile:
    label: str
    figure: str
    word: str
    detail: str
    interval: str
    measured: bool
    over: RuleVerdict | None = None
    """The rule that it breaks or leaves open, waived or not."""

    @property
    def sign(self) -> str:
        """What the rule makes of it, as sign and word."""
        if self.over is None:
            return ""
        word = WORDS[self.over.verdict]
        if self.over.verdict == "fail":
            word = "over budget" if side(self.over) == "over" else "below what is required"
        return f"{SIGNS[self.over.verdict]} {word}{', waived' if self.over.waiver is not None else ''}"


def tiles(figures: Figures, variant: str, held_up: list[RuleVerdict]) -> list[Tile]:
    shown: list[tuple[Measurand, str | None]] = [(SIZE, None), (figures.quality, None)]
    shown += [(LATENCY, device) for device in figures.devices[:4]]
    made = []
    for of, device in shown:
        over = next((rule for rule in held_up if rule.metric == of.metric and rule.device == device), None)
        made.append(replace(_tile(figures, of, variant, device), over=over))
    return made


def _tile(figures: Figures, of: Measurand, variant: str, device: str | None) -> Tile:
    label = prose.sentence(title(of, device))
    own, base = cell(figures, of, variant, device), cell(figures, of, BASELINE, device, beside=variant)
    if own.reason:
        return Tile(label, "not measured", "", own.reason, "", measured=False)
    before = f"from {base.value}" if base.value else ""
    change = own.change
    if change is None:
        return Tile(label, own.value, "", before, "", measured=True)
    if device is None and of != SIZE:
        detail = ", ".join(part for part in (change.words, before) if part)
        return Tile(label, own.value, "", detail, "", measured=True)
    detail = ", ".join(part for part in (own.value, before) if part)
    return Tile(label, change.figure, change.word, detail, change.bounds, measured=True)
