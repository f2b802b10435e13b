"""All parts of an exporter put together, begun and ended in the right order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from makeweight_monitors import metrics
from makeweight_monitors.exporter.app import Exporter
from makeweight_monitors.exporter.bearer import Bearer
from makeweight_monitors.exporter.cloudevents import Payloads
from makeweight_monitors.exporter.counting import Counting, Refusals
from makeweight_monitors.exporter.figures import Figures
from makeweight_monitors.exporter.limits import MOST_REVISIONS, Bounds
from makeweight_monitors.exporter.models import Model, Models
from makeweight_monitors.exporter.settings import ModelSettings
from makeweight_monitors.exporter.tail import Tail


class Running:
    """An exporter.

    Raises:
        UsageError: what is said of a model contradicts itself.
    """

    def __init__(
        self,
        settings: Sequence[ModelSettings],
        bounds: Bounds | None = None,
        bearer: Bearer | None = None,
        metrics_bearer: Bearer | None = None,
        endpoints: Mapping[str, str] | None = None,
        most_revisions: int = MOST_REVISIONS,
    ) -> None:
        refusals, self._figures = Refusals(), Figures()
        models = [Model(one, refusals, most_revisions=most_revisions) for one in settings]
        self.models = Models(models, self._figures.counters)
        self._counting = Counting(self.models, refusals, self._figures)
        self.payloads = Payloads(self._counting, self.models, endpoints)
        self.exporter = Exporter(
            self.models, self._counting, self.payloads, self._figures, bounds or Bounds(), bearer, metrics_bearer
        )
        self._tail: Tail | None = None

    def follow(self, log: Path, offset: Path | None = None) -> None:
        """Count what a log says as well.

        Raises:
            UsageError, EnvironmentFailed: it cannot be followed.
        """
        worker = self.exporter.worker
        tail = Tail(log, lambda lines: worker.submit(self._counting.lines, lines, "tail").result(), offset)
        self._figures.gauge(metrics.EXPORTER_TAIL_LAG, tail.lag)
        self._tail = tail

    def start(self) -> None:
        if self._tail is not None:
            self._tail.start()

    def not_ready(self) -> None:
        self.exporter.ready = False

    def every_second(self) -> None:
        if len(self.payloads):
            self.exporter.worker.submit(self.payloads.expire)

    def close(self) -> None:
        """Count what was taken, and write what waits for labels."""
        if self._tail is not None:
            self._tail.close()
        self.exporter.worker.submit(self.payloads.close)
        self.exporter.worker.shutdown(wait=True)
        for model in self.models:
            model.close()
        self.exporter.reader.shutdown(wait=True)
