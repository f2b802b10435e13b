"""From rules to variants to the whole: what passes, which variant ships, and the sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from makeweight.budget.measurand import Measurand, headline
from makeweight.decide.terms import BEST, Measured, Terms
from makeweight.decide.verdict import Outcome, RuleVerdict, distance


def outcome(rules: Iterable[RuleVerdict]) -> Outcome:
    blocking = {rule.verdict for rule in rules if rule.blocks}
    return "fail" if "fail" in blocking else "inconclusive" if blocking else "pass"


def whole(terms: Terms, outcomes: Mapping[str, Outcome]) -> Outcome:
    if terms.ship != BEST:
        return outcomes[terms.ship]
    reached = outcomes.values()
    return "pass" if "pass" in reached else "inconclusive" if "inconclusive" in reached else "fail"


def shipped(terms: Terms, outcomes: Mapping[str, Outcome], measured: Measured, waived: Collection[str]) -> str | None:
    """The variant that ships; among several, one that needs a waiver (`waived`) only where all that pass do."""
    if terms.ship != BEST:
        return terms.ship if outcomes[terms.ship] == "pass" else None
    passing = [variant for variant in terms.variants if outcomes[variant] == "pass"]
    passing = [variant for variant in passing if variant not in waived] or passing

    def rank(variant: str) -> tuple[float, ...]:
        quality = _value(measured, variant, None, Measurand(terms.quality))
        by = {
            "latency": _slowness(variant, terms, measured),
            "size": _value(measured, variant, None, headline("size")),
            "accuracy": -quality if terms.quality_better == "higher" and quality != math.inf else quality,
        }
        return (by.pop(terms.prefer), *by.values())  # what is preferred first; the others break ties

    return min(passing, key=rank, default=None)


def _value(measured: Measured, variant: str, device: str | None, of: Measurand) -> float:
    measurement = measured.get((variant, device, of))
    if measurement is None or measurement.value is None or measurement.status != "measured":
        return math.inf
    return measurement.value


def _slowness(variant: str, terms: Terms, measured: Measured) -> float:
    """The geometric mean, over the devices, of the latency ratio to the baseline."""
    ratio = headline("latency").compared("ratio")
    ratios = [_value(measured, variant, device, ratio) for device in terms.devices]
    return sum(math.log(ratio) for ratio in ratios) if all(0 < ratio < math.inf for ratio in ratios) else math.inf


def variant_sentence(variant: str, outcome: Outcome, rules: list[RuleVerdict]) -> str:
    own = [rule for rule in rules if rule.variant == variant]
    broken = [rule.rule for rule in own if rule.blocks and rule.verdict == "fail"]
    still_open = [rule.rule for rule in own if rule.blocks and rule.verdict == "inconclusive"]
    waived = [rule.rule for rule in own if rule.waiver is not None]
    judged = [rule for rule in own if rule.level == "error" and rule.verdict != "not_applicable"]
    if outcome == "pass" and not judged:
        return "has no rule that applies here"
    if outcome == "pass":
        tail = f", {len(waived)} waived" if waived else ""
        return f"passes {len(judged) - len(waived)} of {len(judged)} rules{tail}"
    parts = [f"breaks {', '.join(broken)}"] if broken else []
    parts += [f"open: {', '.join(still_open)}"] if still_open else []
    parts += [f"waived: {', '.join(waived)}"] if waived else []
    return "; ".join(parts)


def summary(
    terms: Terms, whole: Outcome, ship: str | None, rules: list[RuleVerdict], outcomes: Mapping[str, Outcome]
) -> str:
    if ship is not None:
        chosen = "" if terms.ship != BEST else f" (best by {terms.prefer} of {_contenders(ship, rules, outcomes)})"
        warned = sum(
            rule.variant == ship and rule.level == "warn" and rule.verdict in ("fail", "inconclusive") for rule in rules
        )
        tail = f"; {warned} warning{'s' if warned > 1 else ''}" if warned else ""
        return f"`{ship}` ships{chosen}: it {variant_sentence(ship, 'pass', rules)}{tail}."
    if terms.ship != BEST:
        return f"`{terms.ship}` does not make weight: {variant_sentence(terms.ship, whole, rules)}."
    nearest = min(terms.variants, key=lambda name: distance(rule for rule in rules if rule.variant == name))
    doing = "no variant passes every rule" if whole == "fail" else "no variant is known to pass every rule"
    return f"{doing}; nearest is `{nearest}`: {variant_sentence(nearest, outcomes[nearest], rules)}."


def _contenders(ship: str, rules: list[RuleVerdict], outcomes: Mapping[str, Outcome]) -> str:
    """`3 that pass`, or `2 that pass without a waiver` where others need one."""
    waived = {rule.variant for rule in rules if rule.waiver is not None}
    passing = [name for name, outcome in outcomes.items() if outcome == "pass"]
    clean = [name for name in passing if name not in waived]
    if ship in waived or len(clean) == len(passing):
        return f"{len(passing)} that pass{'es' if len(passing) == 1 else ''}"
    return f"{len(clean)} that pass{'es' if len(clean) == 1 else ''} without a waiver"
