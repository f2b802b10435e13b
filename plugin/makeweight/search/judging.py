"""What trials are worth, by the budget's own rules as the gate judges them, on the validation split. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from makeweight.budget.measurand import Measurand, headline
from makeweight.budget.metric import METRICS, of_role
from makeweight.budget.quantity import FRACTION
from makeweight.decide import Terms, decide
from makeweight.decide.verdict import RuleVerdict, Verdict
from makeweight.measurement import Measurement
from makeweight.search.trial import Trial

# What stands for a figure that is not known, in the sampler alone: nobody is shown it.
_UNKNOWN = 20.0
# A form before training may weigh a little more than after: it is given up only where it is clearly over.
_CLEARLY = 1.05


def judged(terms: Terms, trials: Iterable[Trial]) -> Verdict:
    """The verdict on those trials that were carried through, or could not be made.

    Args:
        terms: the project's; its variants are of no account.
    """
    listed = [trial for trial in trials if trial.ended in ("whole", "failed")]
    figures = [figure for trial in listed for figure in trial.figures]
    failed = {trial.name: str(trial.reason) for trial in listed if trial.ended == "failed"}
    names = tuple(trial.name for trial in listed)
    if not names:
        nothing = "no recipe was carried through"
        return Verdict("fail", nothing, None, "best", terms.prefer, terms.project, [], [], [])
    return decide(replace(terms, variants=names, ship="best", waivers=()), figures, failed)


def hopeless(terms: Terms, name: str, figures: Sequence[Measurement]) -> RuleVerdict | None:
    """The rule on size or time that an untrained form breaks so clearly that training cannot mend it."""
    verdict = decide(replace(terms, variants=(name,), ship="best", waivers=()), figures, {})
    for rule in verdict.rules:
        if _of_form(rule) and rule.blocks and rule.excess > _CLEARLY:
            return rule
    return None


def _of_form(rule: RuleVerdict) -> bool:
    """Whether an untrained form tells what the rule is about: not how good the answers are."""
    known = METRICS.get(rule.metric)
    return known is not None and known.origin != "evaluate"


def excess(rule: RuleVerdict) -> float:
    """By how much a rule is broken, as a share of its limit (of what is left to a whole, where it asks for at least a
    share); up to 0: it holds. 1 where that is not known."""
    if rule.value is None or rule.limit is None or rule.limits is None:
        return -1.0 if rule.verdict in ("pass", "not_applicable") else 1.0
    if rule.limits.upper:
        over = (rule.value - rule.limit) / abs(rule.limit) if rule.limit else rule.value
    elif METRICS[rule.metric].dimension == FRACTION and rule.limit < 1:
        over = (rule.limit - rule.value) / (1 - rule.limit)
    else:
        over = (rule.limit - rule.value) / abs(rule.limit) if rule.limit else -rule.value
    # what is not settled is not met
    return over if rule.verdict == "pass" else max(over, 0.01)


def shortfalls(terms: Terms, trial: Trial) -> tuple[float, ...]:
    """How far a trial is from holding the rules, for the sampler: of each from 0 (it holds) to 1 (not by any means), so
    that a rule that is broken by far outweighs no two others. What could not be made is behind all else.

    An untrained form that was given up counts by what was measured of it alone, its size and mostly no latency: what is
    like it and a little smaller is trained, and may be as fast and answer as well as any. A training that was stopped
    was behind others of its quality, and counts as if it had lost all."""
    rules = decide(replace(terms, variants=(trial.name,), ship="best", waivers=()), trial.figures, {}).rules
    if trial.ended == "failed":
        return (1.0,) * (len(rules) + 1)
    found = []
    for rule in rules:
        if rule.level == "error" and rule.verdict != "not_applicable":
            over = max(excess(rule), 0.0)
            if trial.ended == "form" and rule.value is None:
                found.append(0.0)
            elif trial.ended == "stopped" and not _of_form(rule):
                found.append(1.0)
            else:
                found.append(over / (1 + over))
    return tuple(found)


def clear(rules: Iterable[RuleVerdict], margin: float) -> bool:
    """Whether every rule holds with room to spare: so much of its limit is left."""
    return all(
        rule.verdict == "pass" and (rule.limit == 0 or excess(rule) <= -margin)
        for rule in rules
        if rule.level == "error" and rule.verdict != "not_applicable"
    )


def objectives(terms: Terms) -> list[tuple[str, Measurand]]:
    """What is to be made small or good, by role: the first metric of each role that the budget names; where it names
    none, size."""
    named = [rule.metric for rule in terms.rules]
    found = []
    for role in ("size", "latency", "quality"):
        first = next((metric for metric in named if metric in of_role(role)), None)
        if first is not None:
            found.append((role, Measurand(first.name)))
    return found or [("size", headline("size"))]


def costs(terms: Terms, trial: Trial) -> tuple[float, ...]:
    """A trial's objectives, all to be made small: logarithms of size and latency (the mean over devices), and quality
    with a minus where more of it is better."""
    measured = {(figure.device, figure.measurand): figure for figure in trial.figures if figure.variant == trial.name}

    def value(device: str | None, of: Measurand) -> float | None:
        figure = measured.get((device, of))
        return None if figure is None or figure.value is None or not math.isfinite(figure.value) else figure.value

    found = []
    for role, of in objectives(terms):
        if role == "quality":
            own, way = value(None, of), METRICS[of.metric].better
            # the budget may name another metric than the one that stands for the task
            better = terms.quality_better if way == "declared" else way
            found.append(_UNKNOWN if own is None else -own if better == "higher" else own)
            continue
        places = list(terms.devices) if role == "latency" else [None]
        amounts = [value(place, of.compared("ratio")) or value(place, of) for place in places]
        known = [math.log(amount) for amount in amounts if amount]
        found.append(sum(known) / len(known) if known else _UNKNOWN)
    return tuple(found)


def winners(terms: Terms, trials: Sequence[Trial], margin: float, keep: int) -> list[Trial]:
    """Those that pass, the best by what the project prefers first: of those that do with room to spare, if any does."""
    verdict = judged(terms, trials)
    passing = [
        trial for trial in trials if any(v.variant == trial.name and v.verdict == "pass" for v in verdict.variants)
    ]
    roomy = [trial for trial in passing if clear(verdict.of(trial.name), margin)]
    left: list[Trial] = [*(roomy or passing)]
    found: list[Trial] = []
    while left and len(found) < keep:
        best = judged(terms, left).ship
        found.append(next(trial for trial in left if trial.name == best))
        left.remove(found[-1])
    return found


def met(terms: Terms, trials: Sequence[Trial], margin: float) -> bool:
    """Whether some trial stays clear of every limit."""
    verdict = judged(terms, trials)
    return any(v.verdict == "pass" and clear(verdict.of(v.variant), margin) for v in verdict.variants)
