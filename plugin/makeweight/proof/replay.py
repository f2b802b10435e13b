"""Replay: the decision made again from what a verdict says was measured, and held against what it says was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import makeweight
from makeweight import measurement
from makeweight.decide import Terms, decide
from makeweight.decide.verdict import RuleVerdict, Verdict
from makeweight_base.errors import UsageError

# More would not help the reader.
_MOST_DIFFERENCES = 5


@dataclass(frozen=True)
class Replay:
    """Whether the same measurements give the same verdict."""

    status: Literal["same", "differs", "not replayed"]
    reasons: tuple[str, ...] = ()
    """What differs, or why it cannot be told, each a sentence. With `same`: what is worded otherwise."""


def replay(decided: Verdict, terms: Terms) -> Replay:
    """Decide again on a verdict's own measurements. A pure function of data.

    Args:
        terms: of the very makeweight.yaml that was decided by.

    Raises:
        UsageError: what it holds are no measurements.
    """
    try:
        measured = [measurement.of(record) for record in decided.measurements]
    except (TypeError, ValueError) as error:
        raise UsageError(f"a measurement of the verdict cannot be read ({error})") from error
    failed = decided.provenance.get("failed")
    reasons = {str(name): str(reason) for name, reason in failed.items()} if isinstance(failed, dict) else {}
    # a project without a name of its own is called after its folder, and that may be another one here
    made = decide(replace(terms, project=decided.project), measured, reasons)
    differences = list(_differences(decided, made, _OUTCOMES))
    if not differences:
        # versions differ in their words; others written by hand change no outcome, and are still told
        return Replay("same", _summed_up(list(_differences(decided, made, _WORDS))))
    excuse = _excuse(decided)
    if excuse is not None:
        return Replay("not replayed", (excuse,))
    return Replay("differs", _summed_up(differences))


def _summed_up(reasons: list[str]) -> tuple[str, ...]:
    left = len(reasons) - _MOST_DIFFERENCES
    return (*reasons[:_MOST_DIFFERENCES], *([f"and {left} more"] if left > 0 else []))


def _excuse(decided: Verdict) -> str | None:
    """Why another outcome proves nothing: more than makeweight.yaml and the measurements decided."""
    if any(rule.waiver is not None for rule in decided.rules):
        return "waivers were in force, which are no part of the file"
    if decided.review.open:
        return "a review was open, which is no part of the file"
    if decided.notices:
        return f"more than makeweight.yaml decided: {decided.notices[0]}"
    by = decided.provenance.get("makeweight")
    if by != makeweight.__version__:
        return f"makeweight {by} decided, and this is {makeweight.__version__}"
    return None


# What is compared of the whole, of a variant and of a rule.
_Fields = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
_OUTCOMES: _Fields = (
    ("verdict", "ship", "policy", "prefer"),
    ("verdict", "ships"),
    ("verdict", "limit", "value", "interval", "level"),
)
_WORDS: _Fields = (("sentence",), ("sentence",), ("sentence", "limit_text", "settle"))


def _differences(decided: Verdict, made: Verdict, fields: _Fields) -> Iterator[str]:
    of_whole, of_variant, of_rule = fields
    yield from _pair("the whole", decided, made, of_whole)
    ours = {variant.variant: variant for variant in made.variants}
    theirs = {variant.variant: variant for variant in decided.variants}
    for name in dict.fromkeys([*theirs, *ours]):
        yield from _pair(f"`{name}`", theirs.get(name), ours.get(name), of_variant)
    asked, judged = _by_place(decided), _by_place(made)
    for place in dict.fromkeys([*asked, *judged]):
        rule, variant, device = place
        what = f"`{rule}` of `{variant}`" + (f" on {device}" if device is not None else "")
        yield from _pair(what, asked.get(place), judged.get(place), of_rule)
    if len(asked) != len(decided.rules):
        yield "a rule is judged twice"


def _by_place(verdict: Verdict) -> dict[tuple[str, str, str | None], RuleVerdict]:
    return {(rule.rule, rule.variant, rule.device): rule for rule in verdict.rules}


def _pair(what: str, recorded: Any, made: Any, fields: tuple[str, ...]) -> Iterator[str]:
    """The first field that differs: the others mostly follow from it."""
    if recorded is None:
        yield f"{what} is judged when decided again, and not in the file"
        return
    if made is None:
        yield f"{what} is judged in the file, and not when decided again"
        return
    for name in fields:
        old, new = getattr(recorded, name), getattr(made, name)
        if old != new:
            yield f"{what}: {name.replace('_', ' ')} is {_shown(old)} in the file, and {_shown(new)} when decided again"
            return


def _shown(value: object) -> str:
    return "none" if value is None else f'"{value}"' if isinstance(value, str) and " " in value else str(value)
