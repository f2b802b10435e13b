"""Waivers: a broken or open rule let through, for a reason and until a day; it is told, and is never a pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from makeweight.decide.verdict import RuleVerdict

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule


@dataclass(frozen=True)
class Waiver:
    """One rule let through, on one variant or on all."""

    rule: str
    """The rule's id, such as `latency_p50.max_ratio`."""
    variant: str | None
    """None: every variant."""
    reason: str
    until: date
    """The last day on which it holds."""
    source: str
    """Where it stands, such as `makeweight.yaml on main` or `label by @somebody`."""
    standing: bool = False
    """Whether it lets through whatever comes until its day, and is no word about the change at hand, as a label is."""

    @property
    def sentence(self) -> str:
        """`waived until 2026-12-31 (label by @somebody): driver fix pending`."""
        return f"waived until {self.until.isoformat()} ({self.source}): {self.reason.strip()}"


def in_force(waivers: Iterable[Waiver], today: date) -> tuple[tuple[Waiver, ...], tuple[Waiver, ...]]:
    """Those that still hold today, and those that have lapsed."""
    given = tuple(waivers)
    active = tuple(waiver for waiver in given if today <= waiver.until)
    return active, tuple(waiver for waiver in given if today > waiver.until)


def unmatched(
    waivers: Iterable[Waiver], rules: Iterable[Rule], variants: Iterable[str] | None = None
) -> tuple[Waiver, ...]:
    """Those that let nothing through: no rule has their id, or no variant (of `variants`, where given) their name."""
    ids, names = {rule.id for rule in rules}, None if variants is None else {None, *variants}
    return tuple(
        waiver for waiver in waivers if waiver.rule not in ids or (names is not None and waiver.variant not in names)
    )


def applied(judged: RuleVerdict, waivers: Sequence[Waiver]) -> RuleVerdict:
    """The rule's verdict, marked when it would block and a waiver lets it through; the outcome stays what it is.

    A variant that could not be made, or whose answers are not numbers, is let through by nobody: those rules are not
    declared, and have no limit.
    """
    if not judged.blocks or judged.limit is None:
        return judged
    for waiver in waivers:
        if waiver.rule == judged.rule and waiver.variant in (None, judged.variant):
            return replace(judged, waiver=waiver.sentence)
    return judged
