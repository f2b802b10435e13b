"""Budgets that are used up too fast: the share of bad events against what is allowed, over several windows at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from makeweight_monitors import durations
from makeweight_monitors.metrics import LABELLED, LATENCY, LATENCY_BUCKETS, PAIRED
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import HARM, inner, number, wilson
from makeweight_monitors.rules.rule import Alert, Group, Recording, Rule
from makeweight_monitors.rules.terms import LatencyLimit, Terms
from makeweight_monitors.rules.windows import BURNS, SLOW, SLOW_INTERVAL, Burn


@dataclass(frozen=True)
class Objective:
    """What may go wrong, and how often."""

    what: str
    """As the recorded series are named."""
    alert: str
    allowed: float
    """The share of events that may be bad."""
    title: str
    of: str
    """Events, in words."""
    quantile: float | None = None
    bound: float = 0
    """Of latency: seconds, and what is later is bad."""

    def windows(self) -> list[Burn]:
        """Those whose line lies below all events being bad; what cannot be crossed is no rule."""
        return [burn for burn in BURNS if burn.factor * self.allowed < 1]


def objectives(terms: Terms) -> list[Objective]:
    declared = []
    if terms.accuracy is not None:
        what = "gives more wrong answers"
        declared.append(Objective("wrong", names.ACCURACY_BURN, 1 - terms.accuracy, what, "labelled answers"))
    if terms.flips is not None:
        what = "is wrong where stable is right more often"
        declared.append(Objective("flips", names.FLIPS_BURN, terms.flips, what, "labelled pairs"))
    for limit in terms.latency:
        if (bound := bucket(limit)) is not None:
            what, named = f"answers later than {bound:g} s more often", f"slow_p{limit.quantile * 100:g}"
            slow = Objective(named, names.LATENCY_BURN, 1 - limit.quantile, what, "answers", limit.quantile, bound)
            declared.append(slow)
    return [objective for objective in declared if objective.windows()]


def bucket(limit: LatencyLimit) -> float | None:
    """The first bound of the histogram that is not below the limit: what can be counted. None: there is no such."""
    if limit.most is None:
        return None
    return next((bound for bound in LATENCY_BUCKETS if bound >= limit.most * (1 - 1e-9)), None)


def groups(terms: Terms) -> Iterator[Group]:
    declared = objectives(terms)
    if declared:
        fast: list[Rule] = [*_recordings(terms, declared, slow=False), *_alerts(terms, declared)]
        yield Group("makeweight-budget-slow", tuple(_recordings(terms, declared, slow=True)), SLOW_INTERVAL)
        yield Group("makeweight-budget", tuple(fast))


def _recordings(terms: Terms, declared: list[Objective], *, slow: bool) -> Iterator[Recording]:
    for objective in declared:
        windows = objective.windows()
        long = {burn.long for burn in windows}
        for window in sorted(long | {burn.short for burn in windows}, key=durations.seconds):
            if (window in SLOW) != slow:
                continue
            bad, every = _events(terms, objective, window)
            if window in long:
                counted = names.burn_count(objective.what, window)
                yield Recording(counted, every)
                every = terms.of(counted)
            else:
                every = f"(\n{inner(every)}\n)"
            yield Recording(names.burn_ratio(objective.what, window), f"(\n{inner(bad)}\n) / ({every} > 0)")


def _events(terms: Terms, objective: Objective, window: str) -> tuple[str, str]:
    """Bad events and all of them, over a window."""
    if objective.what == "wrong":
        return terms.by_arm(LABELLED.series, window, 'outcome="wrong"'), terms.by_arm(LABELLED.series, window)
    if objective.what == "flips":
        harm, every = (
            f"sum by (model, revision) ({terms.over(PAIRED.series, window, *matchers)})" for matchers in (HARM, ())
        )
        return harm, every
    every = terms.by_arm(f"{LATENCY.series}_count", window)
    in_time = terms.by_arm(f"{LATENCY.series}_bucket", window, within(objective.bound))
    return f"(\n{inner(every)}\n) - (\n{inner(in_time)}\n)", every


def within(*bounds: float) -> str:
    """A matcher of buckets. Whole bounds are written `1` by some clients and `1.0` by others."""
    written = [form for bound in bounds for form in dict.fromkeys((f"{bound:g}", repr(float(bound))))]
    return f'le=~"{"|".join(written)}"'


def _alerts(terms: Terms, declared: list[Objective]) -> Iterator[Alert]:
    for objective in declared:
        whose = "revision" if objective.what == "flips" else "variant"
        for burn in objective.windows():
            line = number(burn.factor * objective.allowed)
            share = terms.of(names.burn_ratio(objective.what, burn.long))
            count = terms.of(names.burn_count(objective.what, burn.long))
            short = terms.of(names.burn_ratio(objective.what, burn.short))
            # the lower end of the interval: two bad events of three are no burning budget
            expression = f"{wilson(share, count, '-')} > {line}\nand\n{short} > {line}"
            labels = {"window": burn.long}
            if objective.quantile is not None:
                labels["quantile"] = number(objective.quantile)
            yield Alert(
                objective.alert,
                expression,
                burn.level,
                labels=labels,
                hold="2m" if burn.level.severity == "page" else "15m",
                summary=f"{{{{ $labels.model }}}} {{{{ $labels.{whose} }}}} {objective.title} than its budget allows",
                description=f"Over {burn.long} at least {{{{ $value | humanizePercentage }}}} of {objective.of} were "
                f"such (99 % interval); {objective.allowed:.2%} are allowed; this is over {burn.factor:g} times that.",
            )
