"""Whether the canary gets the share of the traffic that was declared. No test relies on that, but users do."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import DECLARED_SHARE, FAILED, PREDICTIONS, ROUNDED
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import CANARY
from makeweight_monitors.rules.rule import Alert, Group, Level, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import COMPARE

MOST_DEVIATIONS = 5
"""Standard deviations of a share that chance alone makes: requests that come in runs make more of it than a few."""


def groups(terms: Terms) -> Iterator[Group]:
    yield Group("makeweight-share", tuple(_rules(terms)))


def _rules(terms: Terms) -> Iterator[Rule]:
    def asked(by: str, *matchers: str) -> str:
        counted = (terms.over(metric.series, COMPARE, *matchers) for metric in (PREDICTIONS, FAILED))
        return " + ".join(f"sum by ({by}) ({one})" for one in counted)

    every, actual, declared = (terms.of(name) for name in (names.ASKED, names.SHARE, names.SHARE_DECLARED))
    yield Recording(names.ASKED, asked("model"))
    yield Recording(names.SHARE, f"({asked('model, revision', CANARY)})\n/ on (model) group_left () ({every} > 0)")
    yield Recording(names.SHARE_DECLARED, f"max by (model, revision) ({terms.of(DECLARED_SHARE.series, CANARY)})")
    yield Recording(
        names.SHARE_DEVIATIONS,
        f"({actual} - {declared}) / sqrt({declared} * (1 - {declared}))\n* on (model) group_left () sqrt({every})",
    )
    yield Alert(
        names.SHARE_OFF,
        # of many requests chance makes less than what weights are rounded to
        f"abs({terms.of(names.SHARE_DEVIATIONS)}) > {MOST_DEVIATIONS}\nand\nabs({actual} - {declared}) > {ROUNDED}",
        Level("alarm", "ticket"),
        # longer than the window: after a step of the rollout it holds requests of both shares
        hold="35m",
        summary="{{ $labels.model }} {{ $labels.revision }}: the canary gets more or fewer requests than was declared",
        description="Its share of half an hour's requests is {{ $value | humanize }} standard deviations from its "
        f"`weight`, where chance alone makes fewer than {MOST_DEVIATIONS}, and more than half a hundredth of all away. "
        f"Compare {names.SHARE} with {names.SHARE_DECLARED}: set the router, or the `weight`, to what is meant. If "
        "both are, look for clients that are kept to one arm, and for processes not scraped. While this fires no "
        "test of labels is acted on: a canary that is wrong too often is not rolled back for it.",
    )
