"""Servers that follow a pointer watched: a breaker that opened by itself, and what could not be taken over."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors import metrics
from makeweight_monitors.rules import names
from makeweight_monitors.rules.rule import ALARM, Alert, Comparison, Group, Level
from makeweight_monitors.rules.terms import Terms


def groups(terms: Terms) -> Iterator[Group]:
    yield Group("makeweight-servers", tuple(_alerts(terms)))


def _alerts(terms: Terms) -> Iterator[Alert]:
    yield Alert(
        names.BREAKER_OPEN,
        Comparison(f"sum by (model, revision) ({terms.of(metrics.SERVING_BREAKER.series)})", ">", 0),
        ALARM,
        summary="{{ $labels.model }} {{ $labels.revision }}: a server keeps its requests from the canary",
        description="In {{ $value | humanize }} processes the breaker is open: by what they counted themselves the "
        "canary is clearly bad. Their requests go to stable; those of other processes still reach it.",
    )
    yield Alert(
        names.SERVING_REFUSED,
        Comparison(terms.lately(metrics.SERVING_REFUSED.series, "model, reason"), ">", 0),
        Level("alarm", "ticket"),
        summary="{{ $labels.model }}: a server cannot take over what the pointer names ({{ $labels.reason }})",
        description="{{ $value | humanize }} times in fifteen minutes. It goes on with what it served; a canary that "
        "is damaged or does not load gets no requests there.",
    )
