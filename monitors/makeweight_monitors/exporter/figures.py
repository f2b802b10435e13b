"""What the exporter tells of itself: every series is there from the start, and no label takes a value from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from makeweight_monitors import metrics
from makeweight_monitors.observe.counters import Counters


class Figures:
    """Its counters, and gauges that are asked for."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._requests = {
            (endpoint, answer): at
            for endpoint in metrics.EXPORTER_ENDPOINTS
            for answer, at in self._cells(metrics.EXPORTER_REQUESTS, {"endpoint": endpoint}, "outcome").items()
        }
        self._events = {
            (way, outcome): at
            for way in metrics.EXPORTER_INPUTS
            for outcome, at in self._cells(metrics.EXPORTER_EVENTS, {"input": way}, "outcome").items()
        }
        self._refused = self._cells(metrics.EXPORTER_REFUSED, {}, "reason")
        self._bytes = self._cells(metrics.EXPORTER_BYTES, {}, "input")

    def request(self, endpoint: str, answer: str) -> None:
        """Count a request by what became of it, one of metrics.EXPORTER_ANSWERS."""
        self._add(self._requests[(endpoint, answer)], 1)

    def events(self, way: str, accepted: int, refused: int, size: int) -> None:
        """Count what came in one piece, by the way it came: events, and bytes."""
        self._add(self._events[(way, "accepted")], accepted)
        self._add(self._events[(way, "refused")], refused)
        self._add(self._bytes[way], size)

    def refused(self, reasons: Counter[str]) -> None:
        """Count what belongs to no model."""
        for reason, count in reasons.items():
            self._add(self._refused[reason], count)

    def gauge(self, metric: metrics.Metric, value: Callable[[], float]) -> None:
        self.counters.gauge(metric, {}, value)

    def _add(self, at: int, count: int) -> None:
        with self.counters.lock:
            self.counters.cells[at] += count

    def _cells(self, metric: metrics.Metric, labels: dict[str, str], axis: str) -> dict[str, int]:
        values = {
            metrics.EXPORTER_REQUESTS: metrics.EXPORTER_ANSWERS,
            metrics.EXPORTER_EVENTS: metrics.EXPORTER_OUTCOMES,
            metrics.EXPORTER_REFUSED: metrics.EXPORTER_REFUSALS,
            metrics.EXPORTER_BYTES: metrics.EXPORTER_INPUTS,
        }[metric]
        at = self.counters.block(metric, labels, {axis: values}).at
        return {value: at + offset for offset, value in enumerate(values)}
