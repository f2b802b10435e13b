"""A look at a canary: what Prometheus says of it now. All that is decided on comes from here and from the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from makeweight_base.errors import EnvironmentFailed, MakeweightError
from makeweight_monitors import durations, metrics
from makeweight_monitors.prometheus.queries import Client, Group
from makeweight_monitors.rollback.case import Answered, Canary, attempt
from makeweight_monitors.rollback.seen import Alerting, Placement, Seen
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import CANARY, equals, selector

STALE = 60.0
"""Rules that were last evaluated so many seconds ago say nothing of now."""
_LATELY = f"{STALE:g}s"
"""For so long a process of which no scrape succeeds may still be there."""
_UNSEEN = "5m"
"""No process of an environment was scraped for so long: as `MakeweightNothingObserved` has it for all of them."""
MISSED = 4
"""So many evaluations that did not come are silence."""
_ANSWERED = f'__name__=~"{metrics.PREDICTIONS.series}|{metrics.FAILED.series}"'
_MISSED_NOW = "on (job, instance) up == 0"
_STRANGE = (KeyError, TypeError, ValueError, IndexError)
"""What reading an answer raises that has another form."""
COUNTED = {
    "failures": (metrics.PREDICTIONS.series, (CANARY,), names.FAILURES.evalue),
    "paired": (metrics.PAIRED.series, (), names.PAIRS.evalue),
    "split": (metrics.SPLIT.series, (CANARY,), names.SPLIT.evalue),
}
"""By test: what it counts of a canary, and what comes of it as soon as that is there."""


class Looking:
    """One model in one environment, as one Prometheus has it.

    Args:
        scope: the labels that tell environments apart, with their values here.
    """

    def __init__(self, client: Client, model: str, scope: Mapping[str, str]) -> None:
        self.client, self.model, self.scope = client, model, scope
        self._of = (equals("model", model), *(equals(*label) for label in scope.items()))

    def serving(self) -> list[Canary]:
        """The canaries whose processes are scraped, or were until one scrape was missed, for targets that do not know
        files; where none is, those of lately; where several are, those that answer, if any does. None without a file.

        Raises:
            EnvironmentFailed, UsageError: Prometheus does not answer, or in another form.
        """
        try:
            return self._serving()
        except _STRANGE as error:
            raise EnvironmentFailed(_another_form(error), where=self.client.url) from error

    def _serving(self) -> list[Canary]:
        series = selector(metrics.UP.series, *self._of, CANARY)
        of = "group by (sha256, attempt, revision)"
        found = self._canaries(f"{of} ({_scraped(series)})")
        found = found or self._canaries(f"{of} (last_over_time({series}[{_LATELY}]))")
        if len(found) > 1:
            answered = selector("", _ANSWERED, *self._of, CANARY)
            found = self._canaries(f"{of} (increase({answered}[{2 * STALE:g}s]) > 0)") or found
        return found

    def _canaries(self, expression: str) -> list[Canary]:
        """Those that an expression names by their file, each once."""
        named = (
            Canary(
                self.scope.get("environment", ""),
                self.model,
                row.labels["sha256"],
                attempt(row.labels.get("attempt", "")),
                row.labels.get("revision", ""),
            )
            for row in self.client.query(expression)
            if row.labels.get("sha256")
        )
        return list(dict.fromkeys(named))

    def look(self, canary: Canary, placement: Placement, time: float) -> Seen:
        """What is known of a canary; where nothing is, `blind` says why. Raises nothing."""
        seen = Seen(time, placement)
        try:
            return self._looked(canary, seen)
        except MakeweightError as error:
            return replace(seen, blind=f"Prometheus does not answer: {error.what}", blindness="prometheus")
        except _STRANGE as error:
            return replace(seen, blind=_another_form(error), blindness="prometheus")

    def _looked(self, canary: Canary, seen: Seen) -> Seen:
        own = (*self._of, equals("sha256", canary.sha256), _attempt_is(canary.attempt))
        tolerated = selector(names.TOLERATED_DROP, equals("model", self.model), 'test=~"failures|paired|split"')
        found = self.client.numbers(
            {
                "now": "vector(time())",
                "age": rules_age(self.model),
                "unseen": f"absent_over_time({selector(metrics.UP.series, *self._of)}[{_UNSEEN}])",
                "count": f"sum({_scraped(selector('', _ANSWERED, *own, CANARY))})",
                "scraped": _oldest(selector(metrics.PREDICTIONS.series, *own, CANARY)),
                "drop_high": f"max({selector(names.DROP_HIGH, *own)})",
                "tolerated": f"min({tolerated})",
                "certified": f"min({selector(names.CERTIFIED, *own)})",
                "breakers": f"sum({selector(metrics.SERVING_BREAKER.series, *own)})",
                "share": f"max({selector(names.SHARE, *own)})",
                "scraped every": scraped_every(selector(metrics.UP.series, *self._of)),
            }
            | {f"unjudged by {test}": unjudged(test, own) for test in COUNTED}
        )
        if "age" not in found:
            said = f"{names.WATCHDOG} does not fire: the rules are not evaluated"
            return replace(seen, blind=said, blindness="rules")
        groups = self.client.alerting()
        age, interval = self._watchdog(groups, found)
        if age > old_after(interval):
            said = f"the rules were last evaluated {age:.0f} s ago"
            return replace(seen, blind=said, blindness="rules")
        alerts = ((given, group.interval) for group in groups for given in group.alerts)
        read = (self._alerting(given, every, found["now"]) for given, every in alerts)
        alerting = tuple(one for one in read if one is not None)
        if any(one.name == names.NOTHING_OBSERVED and one.firing for one in alerting):
            said = f"{names.NOTHING_OBSERVED} is firing"
            return replace(seen, blind=said, blindness="observers", alerting=alerting)
        asks = any(one.kind == "rollback" and one.firing and one.of(canary) for one in alerting)
        if "unseen" in found and not asks:
            # the alert is of all environments that this Prometheus knows
            said = f"no process of this environment was scraped for {_UNSEEN}"
            return replace(seen, blind=said, blindness="observers", alerting=alerting)
        late = None if asks else self._late(groups, found["now"]) or _blank(found)
        if late is not None:
            return replace(seen, blind=late, blindness="rules", alerting=alerting)
        lines = self.client.query(selector(names.ROLLBACK_LINE, equals("model", self.model))) if asks else []
        answers = "count" in found and "scraped" in found
        return replace(
            seen,
            alerting=alerting,
            lines={row.labels.get("test", ""): row.value for row in lines},
            drop_high=found.get("drop_high"),
            tolerated=found.get("tolerated"),
            certified=found.get("certified") == 1,
            breakers=int(found.get("breakers", 0)),
            share=found.get("share"),
            scraped_every=found.get("scraped every"),
            # by the clock that everything else here goes by
            answered=Answered(found["scraped"] + seen.time - found["now"], found["count"]) if answers else None,
        )

    def _watchdog(self, groups: Iterable[Group], found: Mapping[str, float]) -> tuple[float, float]:
        """Seconds since it was evaluated, and between two times of that, as its group tells: what it recorded may be
        dated back, in Mimir by a minute (`ruler_evaluation_delay_duration`; Prometheus: `rule_query_offset`).
        """
        own = (names.WATCHDOG, self.model)
        told = [
            (found["now"] - group.evaluated, group.interval)
            for group in groups
            for alert in group.alerts
            if (alert["labels"]["alertname"], alert["labels"].get("model")) == own
        ]
        return min(told, default=(found["age"], 0.0))

    def _late(self, groups: Iterable[Group], now: float) -> str | None:
        """Whether any group of this model is behind, or a test of it fails: each is evaluated by itself, and the
        watchdog's may be on time.
        """
        for group in groups:
            for query, said in group.failing:
                if self._of[0] in query:
                    return f"a test of {group.name} cannot be evaluated: {said[:300]}"
            age = now - group.evaluated
            if age > old_after(group.interval) and any(self._of[0] in one for one in group.queries):
                if group.evaluated <= 0:
                    return f"the rules of {group.name} have not been evaluated yet"
                return f"the rules of {group.name} were last evaluated {age:.0f} s ago"
        return None

    def _alerting(self, given: Mapping[str, Any], every: float, now: float) -> Alerting | None:
        labels = given["labels"]
        kind = labels.get("kind", "")
        if labels.get("model") != self.model:
            return None
        for label, value in self.scope.items():
            # what bears no environment concerns all of them; a test that asks for a rollback always bears its own
            if labels.get(label, "") != value and (kind == "rollback" or label in labels):
                return None
        since = datetime.fromisoformat(given["activeAt"])
        return Alerting(
            labels["alertname"],
            kind,
            given["state"] == "firing",
            float(given["value"]),
            since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            labels.get("test", ""),
            labels.get("variant", ""),
            labels.get("sha256", ""),
            attempt(labels.get("attempt", "")),
            now - since.timestamp(),
            every,
        )

    def graph(self, canary: Canary) -> str:
        """Where the alerts on it are drawn."""
        asked = selector("ALERTS", equals("model", self.model), equals("sha256", canary.sha256))
        return f"{self.client.url}/graph?g0.expr={quote(asked)}&g0.tab=0&g0.range_input=6h"


def _another_form(error: Exception) -> str:
    return f"Prometheus' answer has another form: {type(error).__name__}"


def _blank(found: Mapping[str, float]) -> str | None:
    """Which test has nothing to say of a canary that is counted."""
    for test in COUNTED:
        if f"unjudged by {test}" in found:
            return f"the test `{test}` has no e-value, though what it counts has come for {_UNSEEN}: its rules fail"
    return None


def old_after(interval: float) -> float:
    """Seconds since their last evaluation from which on rules that are evaluated so often say nothing of now."""
    return max(STALE, MISSED * interval)


def rules_age(model: str) -> str:
    """Seconds since its rules were last evaluated; nothing where the watchdog does not fire."""
    watchdog = selector("ALERTS", equals("alertname", names.WATCHDOG), equals("model", model))
    return f"time() - max(timestamp({watchdog}))"


def unjudged(test: str, own: Sequence[str]) -> str:
    """Has a value where one of `COUNTED` ought to judge, and does not: of a rule that only records, and fails, no alert
    tells. `own`: the matchers of whose series are meant, the model's first.
    """
    series, matchers, evalue = COUNTED[test]
    up, counted = selector(metrics.UP.series, *own, CANARY), selector(series, *own, *matchers)
    there = " and on () ".join(f"count({one} and {one} offset {_UNSEEN})" for one in (up, counted))
    declared = selector(names.TOLERATED_DROP, own[0], equals("test", test))
    return f"{there} and on () {declared} unless on () {selector(evalue, *own)}"


def _scraped(series: str) -> str:
    """What processes told at their last scrape; one whose last scrape failed is still there for a while, as it was
    before: that scrape was missed, and it may answer.
    """
    return f"{series} or last_over_time({series}[{_LATELY}]) and {_MISSED_NOW}"


def scraped_every(up: str) -> str:
    """Seconds between two scrapes: of each arm by the process that was scraped most often for its age, and of these the
    larger.
    """
    age = f"clamp_max(time() - {up}, {durations.seconds(_UNSEEN):g})"
    return f"max(min by (variant) ({age} / count_over_time({up}[{_UNSEEN}])))"


def _oldest(series: str) -> str:
    """The time up to which all processes are known: of those that are there at the last scrape of their address, and of
    those that were there before it failed. What was killed while Prometheus was down as well stays in its answers for
    minutes, as of when it was seen last: it is not there, unless nothing tells of its address.
    """
    there = f"timestamp({series}) >= on (job, instance) group_left () max by (job, instance) (timestamp(up))"
    missed = f"max_over_time(timestamp({series})[{_LATELY}:1s]) and {_MISSED_NOW}"
    return f"(min({there} or {missed}) or min(timestamp({series} unless on (job, instance) up)))"


def _attempt_is(told: str) -> str:
    return equals("attempt", told) if told else 'attempt=~"0?"'
