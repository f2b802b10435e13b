"""Counters that are no number any more, as the sums over all processes tell: one NaN makes all of a sum NaN."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from makeweight_monitors import metrics
from makeweight_monitors.metrics import Metric
from makeweight_monitors.rules import names
from makeweight_monitors.rules.rule import ALARM, Alert, Group
from makeweight_monitors.rules.terms import Terms


def groups(terms: Terms, read: Collection[str]) -> Iterator[Group]:
    """Of the words that other rules read, those that a counter could spoil."""
    spoiled = {one: source for metric in metrics.CATALOGUE for one, source in _sums(metric, read)}
    if spoiled:
        yield Group("makeweight-poison", (_alert(terms, spoiled),), terms.every_step)


def _sums(metric: Metric, read: Collection[str]) -> Iterator[tuple[str, str]]:
    """A counter's series, and what is recorded of it, else itself."""
    of = {"counter": ("",), "histogram": ("_count", "_sum")}.get(metric.kind, ())
    for series in (metric.series + part for part in of):
        found = [one for one in (names.step(series), names.total(metric), series) if one in read]
        if found:
            yield series, found[0]


def _alert(terms: Terms, spoiled: dict[str, str]) -> Alert:
    return Alert(
        names.COUNTER_POISONED,
        "\nor\n".join(
            f'label_replace(count by (model) ({one} != {one}), "metric", "{series}", "", "")'
            for series, source in spoiled.items()
            for one in [terms.of(source)]
        ),
        ALARM,
        summary="A counter of {{ $labels.model }} is no number any more",
        description="{{ $value }} sums of {{ $labels.metric }} over all processes are NaN. A comparison with NaN is "
        "never true: every rule that reads them is silent until the process that counts so is replaced.",
    )
