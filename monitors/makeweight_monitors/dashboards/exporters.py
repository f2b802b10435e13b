"""The exporters that count for a model: what comes to them, and what they cannot count."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors import metrics
from makeweight_monitors.dashboards.panel import THIRD, lines
from makeweight_monitors.dashboards.query import Query, at_its_address, rates

ANSWERS = "Requests by answer"


def panels() -> Iterator[Panel]:
    """They are found by the address at which they and the model's counters are scraped."""

    def came(title: str, description: str, unit: str, metric: metrics.Metric, *labels: str) -> Panel:
        return lines(title, description, unit, rates(metric, *labels), size=THIRD, stacked=True)

    def here(metric: metrics.Metric, legend: str) -> Query:
        return Query(f"sum by (instance) ({at_its_address(metric.series)})", legend)

    what = "What came, by the way it came, and whether it was counted. An exporter may count for other models too."
    yield came("Events", what, "cps", metrics.EXPORTER_EVENTS, "input", "outcome")
    what = "Requests that brought events: counted, or why not. `busy` and `too_many` are its limits on load."
    yield came(ANSWERS, what, "reqps", metrics.EXPORTER_REQUESTS, "outcome")
    what = "Events that could be counted for none, by reason; they are in no model's share of refused observations."
    yield came("Events of no model", what, "cps", metrics.EXPORTER_REFUSED, "reason")
    yield lines(
        "Bytes not counted yet",
        "Bodies that are being received or counted, and, where a log is followed, how much of it is still to be read.",
        "decbytes",
        here(metrics.EXPORTER_INFLIGHT, "received, {{instance}}"),
        here(metrics.EXPORTER_TAIL_LAG, "of the log, {{instance}}"),
    )
    yield lines(
        "Payloads that wait for their other half",
        "Requests and responses of payload logging that come apart. A line that only rises is of answers not logged.",
        "short",
        here(metrics.EXPORTER_HELD, "{{instance}}"),
    )
