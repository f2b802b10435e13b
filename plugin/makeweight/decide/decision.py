"""The decision: every rule on every variant and device, then the whole. A pure function of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from makeweight.decide.judge import judge, not_made, soundness
from makeweight.decide.ship import outcome, shipped, summary, variant_sentence, whole
from makeweight.decide.terms import Terms
from makeweight.decide.verdict import RuleVerdict, VariantVerdict, Verdict
from makeweight.decide.waivers import applied
from makeweight.measurement import Measurement

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule


def decide(terms: Terms, measurements: Iterable[Measurement], failed: Mapping[str, str]) -> Verdict:
    """The verdict on each rule, each variant and the whole.

    Args:
        failed: why a variant's recipe could not be carried out, by variant.
    """
    listed = list(measurements)
    measured = {(m.variant, m.device, m.measurand): m for m in listed}
    rules: list[RuleVerdict] = []
    for variant in terms.variants:
        if variant in failed:
            rules.append(not_made(variant, failed[variant]))
            continue
        rules += soundness(variant, measured)
        for rule in terms.rules:
            for device in _devices(rule, terms):
                rules.append(applied(judge(rule, variant, device, measured, terms), terms.waivers))
    outcomes = {variant: outcome(rule for rule in rules if rule.variant == variant) for variant in terms.variants}
    waived = {rule.variant for rule in rules if rule.waiver is not None}
    ship = shipped(terms, outcomes, measured, waived)
    reached = whole(terms, outcomes)
    return Verdict(
        verdict=reached,
        sentence=summary(terms, reached, ship, rules, outcomes),
        ship=ship,
        policy=terms.ship,
        prefer=terms.prefer,
        project=terms.project,
        variants=[
            VariantVerdict(name, outcomes[name], name == ship, variant_sentence(name, outcomes[name], rules))
            for name in terms.variants
        ],
        rules=rules,
        measurements=[asdict(m) for m in listed],
    )


def _devices(rule: Rule, terms: Terms) -> list[str | None]:
    if not rule.metric.per_device:
        return [None]
    return [rule.device] if rule.device is not None else list(terms.devices)
