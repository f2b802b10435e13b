"""What the exporter tells of itself: every series is there from the start, and no label takes a value from outside."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping

from makeweight_monitors import metrics
from makeweight_monitors.observe.counters import Counters

_AXES: Mapping[metrics.Metric, Mapping[str, tuple[str, ...]]] = {
    metrics.EXPORTER_REQUESTS: {"endpoint": metrics.EXPORTER_ENDPOINTS, "outcome": metrics.EXPORTER_ANSWERS},
    metrics.EXPORTER_EVENTS: {"input": metrics.EXPORTER_INPUTS, "outcome": metrics.EXPORTER_OUTCOMES},
    metrics.EXPORTER_REFUSED: {"reason": metrics.EXPORTER_REFUSALS},
    metrics.EXPORTER_BYTES: {"input": metrics.EXPORTER_INPUTS},
}
"""The labels in which a counter's series differ, with all their values."""


class Figures:
    """Its counters, and gauges that are asked for."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._at: dict[tuple[str, ...], int] = {}
        for metric, axes in _AXES.items():
            first = self.counters.block(metric, {}, axes).at
            for offset, values in enumerate(itertools.product(*axes.values())):
                self._at[(metric.name, *values)] = first + offset

    def request(self, endpoint: str, answer: str) -> None:
        """Count a request by what became of it, one of metrics.EXPORTER_ANSWERS."""
        self._add(1, metrics.EXPORTER_REQUESTS, endpoint, answer)

    def events(self, way: str, accepted: int, refused: int, size: int) -> None:
        """Count what came in one piece, by the way it came: events, and bytes."""
        self._add(accepted, metrics.EXPORTER_EVENTS, way, "accepted")
        self._add(refused, metrics.EXPORTER_EVENTS, way, "refused")
        self._add(size, metrics.EXPORTER_BYTES, way)

    def refused(self, reasons: Counter[str]) -> None:
        """Count what belongs to no model."""
        for reason, count in reasons.items():
            self._add(count, metrics.EXPORTER_REFUSED, reason)

    def gauge(self, metric: metrics.Metric, value: Callable[[], float]) -> None:
        self.counters.gauge(metric, {}, value)

    def _add(self, count: int, metric: metrics.Metric, *values: str) -> None:
        with self.counters.lock:
            self.counters.cells[self._at[(metric.name, *values)]] += count
