"""The exporters that count for a model: what comes to them, and what they cannot count."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors import metrics
from makeweight_monitors.dashboards.panel import THIRD, lines
from makeweight_monitors.dashboards.query import RATE, Query, of_model

ANSWERS = "Requests by answer"


def panels() -> Iterator[Panel]:
    """They are found by the address at which they and the model's counters are scraped."""
    here = f"and on (job, instance) {of_model(metrics.UP.series)}"

    def came(title: str, description: str, unit: str, metric: metrics.Metric, *labels: str) -> Panel:
        rates = f"sum by ({', '.join(labels)}) (rate({metric.series}[{RATE}]) {here})"
        legend = ", ".join(f"{{{{{label}}}}}" for label in labels)
        return lines(title, description, unit, Query(rates, legend), size=THIRD, stacked=True)

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
        Query(f"sum by (instance) ({metrics.EXPORTER_INFLIGHT.series} {here})", "received, {{instance}}"),
        Query(f"sum by (instance) ({metrics.EXPORTER_TAIL_LAG.series} {here})", "of the log, {{instance}}"),
    )
    yield lines(
        "Payloads that wait for their other half",
        "Requests and responses of payload logging that come apart. A line that only rises is of answers not logged.",
        "short",
        Query(f"sum by (instance) ({metrics.EXPORTER_HELD.series} {here})", "{{instance}}"),
    )
