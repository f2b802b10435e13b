"""All parts of an exporter put together, begun and ended in the right order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from makeweight_monitors import metrics
from makeweight_monitors.exporter.cloudevents import Payloads
from makeweight_monitors.exporter.counting import Counting, Refusals
from makeweight_monitors.exporter.events import of_lines
from makeweight_monitors.exporter.figures import Figures
from makeweight_monitors.exporter.limits import MOST_REVISIONS, RESPONSE_TIMEOUT, Bounds, Rate
from makeweight_monitors.exporter.models import Model, Models
from makeweight_monitors.exporter.settings import ModelSettings
from makeweight_monitors.exporter.tail import Tail
from makeweight_monitors.http.bearer import Bearer
from makeweight_monitors.http.inflight import Inflight


class Running:
    """An exporter: all that its interface speaks to.

    Args:
        bearer: for those who send events; metrics_bearer: for those who read metrics.
        endpoints, sources, response_timeout: of payload logging, as `Payloads` has them.

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
        sources: Sequence[tuple[str, str]] = (),
        response_timeout: float = RESPONSE_TIMEOUT,
    ) -> None:
        refusals, self.figures = Refusals(), Figures()
        models = [Model(one, refusals, most_revisions=most_revisions) for one in settings]
        self.models = Models(models, self.figures.counters)
        self.counting = Counting(self.models, refusals, self.figures)
        self.payloads = Payloads(self.counting, self.models, endpoints, sources, timeout=response_timeout)
        self.bounds = bounds or Bounds()
        self.bearer, self.metrics_bearer = bearer, metrics_bearer
        self.inflight, self.rate = Inflight(self.bounds.inflight), Rate(self.bounds.requests)
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="makeweight-counting")
        """The one thread that counts."""
        # apart from the counting, so that a scrape is answered while a body is counted
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="makeweight-metrics")
        self.ready = True
        self._tail: Tail | None = None
        self.figures.gauge(metrics.EXPORTER_INFLIGHT, lambda: self.inflight.held)
        self.figures.gauge(metrics.EXPORTER_HELD, lambda: len(self.payloads))

    def follow(self, log: Path, offset: Path | None = None) -> None:
        """Count what a log says as well.

        Raises:
            UsageError, EnvironmentFailed: it cannot be followed.
        """
        count = self.counting.body
        tail = Tail(log, lambda lines: self.worker.submit(count, lines, "tail", of_lines).result(), offset)
        self.figures.gauge(metrics.EXPORTER_TAIL_LAG, tail.lag)
        self._tail = tail

    def start(self) -> None:
        if self._tail is not None:
            self._tail.start()

    def not_ready(self) -> None:
        self.ready = False

    def every_second(self) -> None:
        if len(self.payloads):
            self.worker.submit(self.payloads.expire)

    def close(self) -> None:
        """Count what was taken, and write what waits for labels."""
        if self._tail is not None:
            self._tail.close()
        self.worker.submit(self.payloads.close)
        self.worker.shutdown(wait=True)
        for model in self.models:
            model.close()
        self.reader.shutdown(wait=True)
