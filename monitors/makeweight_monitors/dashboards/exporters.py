"""The exporters that count for a model: what comes to them, and what they cannot count."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.panel import THIRD, lines
from makeweight_monitors.dashboards.query import RATE, Query, of_model
from makeweight_monitors.metrics import (
    EXPORTER_EVENTS,
    EXPORTER_HELD,
    EXPORTER_INFLIGHT,
    EXPORTER_REFUSED,
    EXPORTER_REQUESTS,
    EXPORTER_TAIL_LAG,
    UP,
)

ANSWERS = "Requests by answer"


def panels() -> Iterator[Panel]:
    """They are found by the address at which they and the model's counters are scraped."""
    here = f"and on (job, instance) {of_model(UP.series)}"
    for title, description, unit, metric, labels in (
        (
            "Events",
            "What came, by the way it came, and whether it was counted. An exporter may count for other models too.",
            "cps",
            EXPORTER_EVENTS,
            ("input", "outcome"),
        ),
        (
            ANSWERS,
            "Requests that brought events: counted, or why not. `busy` and `too_many` are its limits on load.",
            "reqps",
            EXPORTER_REQUESTS,
            ("outcome",),
        ),
        (
            "Events of no model",
            "Events that could be counted for none, by reason; they are in no model's share of refused observations.",
            "cps",
            EXPORTER_REFUSED,
            ("reason",),
        ),
    ):
        rates = f"sum by ({', '.join(labels)}) (rate({metric.series}[{RATE}]) {here})"
        legend = ", ".join(f"{{{{{label}}}}}" for label in labels)
        yield lines(title, description, unit, Query(rates, legend), size=THIRD, stacked=True)
    yield lines(
        "Bytes not counted yet",
        "Bodies that are being received or counted, and, where a log is followed, how much of it is still to be read.",
        "decbytes",
        Query(f"sum by (instance) ({EXPORTER_INFLIGHT.series} {here})", "received, {{instance}}"),
        Query(f"sum by (instance) ({EXPORTER_TAIL_LAG.series} {here})", "of the log, {{instance}}"),
    )
    yield lines(
        "Payloads that wait for their other half",
        "Requests and responses of payload logging that come apart. A line that only rises is of answers not logged.",
        "short",
        Query(f"sum by (instance) ({EXPORTER_HELD.series} {here})", "{{instance}}"),
    )
