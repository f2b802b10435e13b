"""From facts to ranked advice. Pure: whether the configuration takes a recipe is asked of a function that is handed in,
and that is pure too.

What is ranked first: what is expected to break no rule that blocks; of that, what takes least effort (nothing is
trained where numbers alone will do); of that, what is surest; then what the project prefers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from makeweight.advise.expected import Expected, expected
from makeweight.advise.facts import Facts, Figure, Goal, TriedFacts
from makeweight.advise.rule import EFFORTS, Condition, Recipe, Rule

Chance = Literal["expected", "possible", "missed", "unknown"]
Standing = Literal["met", "reachable", "nearest", "nothing", "baseline"]
"""The baseline meets what can be told; some advice may meet the budget; none is expected to, and the first is nearest;
no technique pays; the baseline itself is not good enough."""


@dataclass(frozen=True)
class Reading:
    """What the project's configuration makes of a recipe."""

    objection: str | None = None
    """Why it refuses it; None where it takes it."""
    twin: str | None = None
    """The variant that is this recipe already."""


Read = Callable[[Recipe], Reading]

# What moves a figure by less is not worth a file of its own.
_PAYS = 0.95


@dataclass(frozen=True)
class Advice:
    """One recipe, and what is to be expected of it."""

    rule: Rule
    name: str
    """Of the variant that it is already, else one that no other has."""
    recipe: Recipe
    expected: tuple[Expected, ...]
    chances: tuple[tuple[Goal, Chance], ...]
    """What becomes of each rule of the budget that is known."""
    declared: bool = False
    """Whether the project has that variant."""

    @property
    def misses(self) -> list[Goal]:
        """Those that block and are not expected to be met."""
        return [goal for goal, chance in self.chances if chance == "missed" and goal.blocking]


@dataclass(frozen=True)
class Aside:
    """A rule that is not advised, and why."""

    rule: Rule
    reason: str
    module: bool = False
    """Whether it is the module that is lacking, of which the model is a file."""
    besides: str = ""
    """What that would have to come with, and is not there either."""


@dataclass(frozen=True)
class Ranking:
    """Advice in order, and what was set aside."""

    standing: Standing
    advice: tuple[Advice, ...]
    aside: tuple[Aside, ...]


def rank(
    facts: Facts, rules: Sequence[Rule], read: Read, taken: Sequence[str] = (), of_module: Read | None = None
) -> Ranking:
    """Args:
    read: what the project's configuration makes of a recipe.
    taken: names of variants that the project has.
    of_module: what it would make of one, had it the module that its model is a file of; None: it has.
    """
    advice, aside = [], []
    for rule in rules:
        reason = _objection(rule.when, facts)
        if reason is None:
            recipe = rule.recipe(facts)
            reading, promised = read(recipe), expected(rule, facts)
            reason = (
                reading.objection
                or facts.tried.get(rule.name, TriedFacts()).reason
                or _broken(reading.twin, facts)
                or _idle(promised, facts)
            )
        if reason is None:
            chances = tuple((goal, _chance(goal, promised)) for goal in facts.goals)
            name = reading.twin or _free(rule.name, taken)
            advice.append(Advice(rule, name, recipe, promised, chances, reading.twin is not None))
        else:
            aside.append(_with_module(rule, facts, of_module) or Aside(rule, reason))
    advice.sort(key=lambda each: _order(each, facts))
    return Ranking(_standing(facts, advice), tuple(advice), tuple(aside))


def _objection(conditions: Iterable[Condition], facts: Facts) -> str | None:
    return next((told for each in conditions if (told := each.objection(facts)) is not None), None)


def _with_module(rule: Rule, facts: Facts, read: Read | None) -> Aside | None:
    """What is told of a rule that is set aside because the model is a file: also where its module would not do either.
    None: that is not why."""
    if facts.model.source == "module":
        return None
    whole = replace(facts, model=replace(facts.model, source="module", finished=False))
    objecting = next((each for each in rule.when if each.objection(facts) is not None), None)
    if objecting is None or objecting.objection(whole) == objecting.objection(facts):
        return None
    if (reason := _objection((each for each in rule.when if each.about == "model"), whole)) is not None:
        return Aside(rule, reason)
    if read is not None and (reason := read(rule.recipe(whole)).objection) is not None:
        return Aside(rule, reason)
    besides = _objection((each for each in rule.when if each.about == "data"), whole)
    return Aside(rule, str(objecting.objection(facts)), True, besides or "")


def of_figure(promised: Sequence[Expected], figure: str, device: str | None) -> Expected | None:
    return next((each for each in promised if each.figure == figure and each.device == device), None)


def _free(name: str, taken: Sequence[str]) -> str:
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    return next(each for each in names if each not in taken)


def _chance(goal: Goal, promised: Sequence[Expected]) -> Chance:
    if goal.figure is None or goal.needed is None:
        return "unknown"
    told = of_figure(promised, goal.figure, goal.device)
    low, high = (told.low, told.high) if told is not None else ((0, 0) if goal.figure == "drop" else (1, 1))
    if high <= goal.needed:
        return "expected"
    return "possible" if low <= goal.needed else "missed"


def _broken(twin: str | None, facts: Facts) -> str | None:
    """That it was measured already, and breaks the budget."""
    broken = facts.broken.get(twin or "")
    return None if broken is None else f"`{twin}` of this project is that recipe, and breaks {broken}"


def _idle(promised: Sequence[Expected], facts: Facts) -> str | None:
    """That a recipe moves nothing that is wanted; None where it does."""
    wanted: set[tuple[Figure | None, str | None]] = {
        (goal.figure, goal.device) for goal in facts.open if goal.figure != "drop"
    }
    if not wanted:
        unknown = {(goal.figure, goal.device) for goal in facts.goals if goal.needed is None and goal.figure != "drop"}
        usual: set[tuple[Figure | None, str | None]] = {("size", None)}
        usual |= {("latency", device.name) for device in facts.devices}
        wanted = {each for each in unknown if each[0] is not None} or usual
    moved = [each for each in promised if (each.figure, each.device) in wanted]
    # a range that is mostly above what there is, is no promise
    if any(each.low <= _PAYS and each.low + each.high < 2 for each in moved):
        return None
    of = " and ".join(dict.fromkeys(str(figure).replace("_", " ") for figure, _ in sorted(wanted, key=str)))
    if not moved:
        return f"it does not change the {of}"
    best = min(moved, key=lambda each: each.low + each.high)
    return f"it is not expected to lower the {of} of this model ({best.low:.2f}x to {best.high:.2f}x at best)"


def _order(advice: Advice, facts: Facts) -> tuple[float, ...]:
    chances = [(goal, chance) for goal, chance in advice.chances if goal.blocking]
    missed = advice.misses
    warned = sum(chance == "missed" for goal, chance in advice.chances if not goal.blocking)
    possible = sum(chance == "possible" for _, chance in chances)
    short = sum(_short(goal, advice.expected) for goal in missed)
    effort = EFFORTS.index(advice.rule.effort)
    return (len(missed), round(short, 3), effort, possible, warned, _middle(advice, facts.prefer))


def _short(goal: Goal, promised: Sequence[Expected]) -> float:
    """How far from a goal the best end of a range is."""
    told, needed = of_figure(promised, goal.figure or "", goal.device), goal.needed or 0.0
    if goal.figure == "drop":
        return ((0.0 if told is None else told.low) - needed) * 100
    return math.log((1.0 if told is None else told.low) / max(needed, 1e-6))


def _middle(advice: Advice, prefer: str) -> float:
    """The middle of what the project prefers, over all devices."""
    figure = {"accuracy": "drop"}.get(prefer, prefer)
    told = [(each.low + each.high) / 2 for each in advice.expected if each.figure == figure]
    return sum(told) / len(told) if told else (0.0 if figure == "drop" else 1.0)


def _standing(facts: Facts, advice: Sequence[Advice]) -> Standing:
    blocking = [goal for goal in facts.open if goal.blocking]
    if any(goal.figure == "drop" for goal in blocking):
        return "baseline"
    known = [goal for goal in facts.goals if goal.figure not in (None, "drop") and goal.needed is not None]
    pressing = (goal for goal in facts.goals if goal.blocking and goal.pressing and goal.figure != "drop")
    untold = any(goal.met is None for goal in pressing)
    if known and not blocking and not untold:
        return "met"
    if not advice:
        return "nothing"
    return "nearest" if advice[0].misses else "reachable"
