"""What a change does to the budget: which rules it loosens, tightens, adds or removes, and the budget that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from makeweight.budget.metric import METRICS
from makeweight.budget.rule import Level, Rule, WhenUnmeasured

Kind = Literal["loosened", "tightened", "added", "removed"]

_LEVELS: Mapping[Level, int] = {"warn": 0, "error": 1}
_UNMEASURED: Mapping[WhenUnmeasured, int] = {"ignore": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True)
class Change:
    """One rule that is not what it was."""

    rule: str
    """The rule's id."""
    kind: Kind
    """`loosened` when any part of it became looser, whatever the others did."""
    was: str
    """`at most 0.7x`."""
    now: str


def changes(before: Iterable[Rule], after: Iterable[Rule]) -> list[Change]:
    """What became of each rule, in the order of `before`, then what is new. Equal rules are not listed."""
    old, new = _by_id(before), _by_id(after)
    listed = []
    for name, rule in old.items():
        if name not in new:
            listed.append(Change(name, "removed", rule.limit_text, "removed"))
        elif moves := list(_moves(rule, new[name])):
            kind: Kind = "loosened" if any(looser for looser, _, _ in moves) else "tightened"
            was, now = (", ".join(side) for side in zip(*(words for _, *words in moves), strict=True))
            listed.append(Change(name, kind, was, now))
    return listed + [Change(name, "added", "none", rule.limit_text) for name, rule in new.items() if name not in old]


def effective(before: Iterable[Rule], after: Iterable[Rule], accepted: Callable[[str], bool]) -> tuple[Rule, ...]:
    """The budget that a change is judged by: its own, but no looser than the one it is to be merged into.

    Args:
        before: the base's rules.
        after: the head's.
        accepted: whether loosening or removing the rule of an id was agreed to by somebody who may.

    Returns:
        The head's rules, with the base's in place of each that was loosened or removed, in the catalogue's order.
    """
    old = _by_id(before)
    chosen = _by_id(after)
    for change in changes(old.values(), chosen.values()):
        if change.kind in ("loosened", "removed") and not accepted(change.rule):
            chosen[change.rule] = old[change.rule]
    order = list(METRICS)
    return tuple(sorted(chosen.values(), key=lambda rule: order.index(rule.metric.name)))


def _by_id(rules: Iterable[Rule]) -> dict[str, Rule]:
    return {rule.id: rule for rule in rules}


def _moves(old: Rule, new: Rule) -> Iterator[tuple[bool, str, str]]:
    """Each part of a rule that moved: whether to the looser side, what it was and what it is."""
    if new.limit != old.limit:
        yield (new.limit > old.limit) == old.operator.upper, old.limit_text, new.limit_text
    if new.level != old.level:
        yield _LEVELS[new.level] < _LEVELS[old.level], f"level {old.level}", f"level {new.level}"
    if new.when_unmeasured != old.when_unmeasured:
        looser = _UNMEASURED[new.when_unmeasured] < _UNMEASURED[old.when_unmeasured]
        yield looser, f"`{old.when_unmeasured}` when unmeasured", f"`{new.when_unmeasured}` when unmeasured"
    if new.confidence != old.confidence:
        looser = (new.confidence or 0.0) < (old.confidence or 0.0)
        yield looser, _confidence(old), _confidence(new)


def _confidence(rule: Rule) -> str:
    return "no confidence" if rule.confidence is None else f"{rule.confidence * 100:.6g} % confidence"


def code(name: str) -> str:
    """A rule's id in backticks, without any of its own: a slice may be named anything."""
    return f"`{name.replace('`', chr(39))}`"
