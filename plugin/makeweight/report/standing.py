"""Where the variants stand: which one a report is about, what holds it up, which ones would pass."""

from __future__ import annotations

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.decide.verdict import Outcome, RuleVerdict, Verdict, distance
from makeweight.layout import BASELINE
from makeweight.report.written import title

WORDS: dict[Outcome, str] = {
    "pass": "pass",
    "fail": "fail",
    "inconclusive": "undecided",
    "not_applicable": "not applicable",
}
"""An outcome as people say it; scripts read the verdict's own words."""
HEADLINES: dict[Outcome, str] = {
    "pass": "passed",
    "fail": "blocked",
    "inconclusive": "undecided",
    "not_applicable": "nothing to decide",
}
SIGNS: dict[Outcome, str] = {"pass": "✓", "fail": "✕", "inconclusive": "?", "not_applicable": "–"}
"""What stands beside the word, so that colour is never alone."""
_UNDECLARED = {"recipe": "could not be made", "finite_outputs": "finite answers", "fresh": "what was judged is stale"}


def leading(verdict: Verdict) -> str | None:
    """The variant that a report is about: the one that ships, the one that should, or the nearest to passing."""
    names = [each.variant for each in verdict.variants if each.variant != BASELINE]
    if (ships := verdict.ship or verdict.review.ships) is not None:
        return ships
    if verdict.policy in names:
        return verdict.policy
    return min(names, key=lambda name: distance(verdict.of(name)), default=None)


def passing(verdict: Verdict) -> list[str]:
    """The variants that pass every rule."""
    return [each.variant for each in verdict.variants if each.verdict == "pass" and each.variant != BASELINE]


def blocking(verdict: Verdict, variant: str) -> list[RuleVerdict]:
    """The rules that a variant breaks or leaves open, broken ones first."""
    return sorted((rule for rule in verdict.of(variant) if rule.blocks), key=lambda rule: rule.verdict != "fail")


def warnings(verdict: Verdict, variant: str) -> list[RuleVerdict]:
    """The rules that a variant breaks or leaves open and that only warn."""
    return [rule for rule in verdict.of(variant) if rule.level == "warn" and rule.verdict in ("fail", "inconclusive")]


def waived(verdict: Verdict, variant: str) -> list[RuleVerdict]:
    """The rules that a variant breaks or leaves open and that somebody let through."""
    return [rule for rule in verdict.of(variant) if rule.waiver is not None]


def offences(verdict: Verdict) -> list[RuleVerdict]:
    """The rules that a reader must know, most important last: the last line of a log is the one that is read.

    Of a verdict that passes, the warnings of what ships and what was waived of it. Of one that does not, also the
    blocking rules of every variant that could have shipped, those of the nearest to passing last.
    """
    subject = leading(verdict)
    if subject is None:
        return []
    milder = warnings(verdict, subject) + waived(verdict, subject)
    if verdict.verdict == "pass":
        return milder
    others = [each.variant for each in verdict.variants if each.variant not in (subject, BASELINE)]
    if verdict.policy == subject:
        others = []
    farthest_first = sorted(others, key=lambda name: distance(verdict.of(name)), reverse=True)
    return milder + [rule for name in (*farthest_first, subject) for rule in reversed(blocking(verdict, name))]


def line(rule: RuleVerdict) -> str:
    """One rule in one line: the outcome, about which variant, why, and what would settle it."""
    words = f"{force(rule)}: {rule.variant}: {rule.sentence}"
    if rule.waiver is not None:
        return f"{words} {rule.waiver[:1].upper()}{rule.waiver[1:]}"
    return f"{words} To settle it: {rule.settle}" if rule.settle else words


def force(rule: RuleVerdict) -> str:
    """What a rule's outcome comes to, in a word: `fail`, `undecided`, `waived`, `warning`."""
    return "waived" if rule.waiver is not None else WORDS[rule.verdict] if rule.level == "error" else "warning"


def mark(rule: RuleVerdict) -> str:
    """The outcome as a word, with what takes its force: `fail (waived)`, `undecided (only warns)`."""
    less = " (waived)" if rule.waiver is not None else " (only warns)" if rule.level == "warn" else ""
    return WORDS[rule.verdict] + (less if rule.verdict != "pass" else "")


def side(rule: RuleVerdict) -> str:
    """Where the figure of a broken rule lies: `over` its limit, or `under` it."""
    if rule.limit is None:
        return "broken"
    return "under" if rule.limits is not None and not rule.limits.upper else "over"


def subject(rule: RuleVerdict) -> str:
    """What a rule is about: `latency p50 on pi5`, `accuracy of night`."""
    if rule.limit is None:
        return _UNDECLARED.get(rule.metric, rule.metric.replace("_", " "))
    metric = METRICS.get(rule.metric)
    if metric is not None and metric.falling and rule.limits is not None and rule.limits.comparison == "drop":
        return metric.falling
    return title(Measurand(rule.metric, slice=rule.slice), rule.device)


def named(rule: RuleVerdict) -> str:
    """A rule in few words: `accuracy drop at most 0.5 pt`."""
    return subject(rule) if rule.limit is None else f"{subject(rule)} {rule.limit_text}"
