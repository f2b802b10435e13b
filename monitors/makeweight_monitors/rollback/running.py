"""A controller with all that its interface speaks to; one thread looks and acts."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from makeweight_base.errors import MakeweightError
from makeweight_monitors import metrics
from makeweight_monitors.http.bearer import Bearer
from makeweight_monitors.http.inflight import Inflight
from makeweight_monitors.rollback.alerts import Declared, Sent
from makeweight_monitors.rollback.controller import Controller, Health
from makeweight_monitors.rollback.refusals import Refusals

_log = logging.getLogger("makeweight_monitors")
MOST_BODY = 1_000_000
"""Bytes."""


class Running:
    """A controller that serves.

    Args:
        bearer: of those who send alerts and read the status; metrics_bearer: of those who read metrics.
        secret: what orders are signed with; None: none are taken.
        every: seconds between two looks.
    """

    def __init__(
        self,
        controller: Controller,
        bearer: Bearer | None,
        metrics_bearer: Bearer | None,
        secret: bytes | None,
        every: float,
    ) -> None:
        self.controller, self.bearer, self.metrics_bearer, self.secret = controller, bearer, metrics_bearer, secret
        self.every = every
        self.declared = Declared(controller.looking.model, controller.looking.scope)
        self.refusals = Refusals(controller.journal, controller.clock)
        self.inflight = Inflight(8 * MOST_BODY)
        self.worker = ThreadPoolExecutor(1, thread_name_prefix="makeweight-controller")
        """The one thread that uses the controller."""
        self.requests: dict[tuple[str, ...], int] = dict.fromkeys(
            ((one, outcome) for one in metrics.CONTROLLER_ENDPOINTS for outcome in metrics.CONTROLLER_ANSWERS), 0
        )
        self.looks = dict.fromkeys(metrics.CONTROLLER_LOOKS_OUTCOMES, 0)
        self.ending = False
        self._began = 0.0
        """When the last look began, on the monotonic clock."""
        self._next: Future[Health] | None = None

    def every_second(self) -> None:
        """Look again when it is time, unless a look still goes on."""
        idle = self._next is None or self._next.done()
        if idle and time.monotonic() - self._began >= self.every - 0.5:
            self._next = self.worker.submit(self.look)
            self._next.add_done_callback(_told)

    def look(self, asked: float | None = None) -> Health:
        """A look that began after it was asked for (monotonic): one serves all that wait for it."""
        if asked is not None and self._began > asked:
            return self.controller.health
        self._began = time.monotonic()
        health = self.controller.tick()
        outcome = "failed" if health.trouble else "standby" if not health.leads else "blind" if health.blind else "seen"
        self.looks[outcome] += 1
        return health

    def strange(self, sent: Iterable[Sent]) -> bool:
        """After a look: whether all that is asked of the one who leads is of files that never were on trial here."""
        named = {one.labels["sha256"] for one in sent if not self.declared.refused(one)}
        known = {case.canary.sha256 for case in self.controller.journal.cases()}
        return self.controller.health.leads and bool(named) and not named & known

    def not_ready(self) -> str:
        """Why it is not; empty: it is."""
        health = self.controller.health
        if self.ending:
            return "it is ending"
        if health.trouble:
            return health.trouble
        late = self.controller.clock() - health.time
        return f"no look for {late:.0f} s" if late > 3 * self.every + 10 else ""

    def ask_to_end(self) -> None:
        self.ending = True

    def close(self) -> None:
        """What is being done is finished; what is begun is in the journal."""
        self.worker.shutdown(wait=True)
        self.controller.lease.give_back()
        self.controller.journal.close()

    def collect(self) -> Iterator[Any]:
        """Its metrics; also while the journal cannot be read, which is then one of them."""
        health, kept = self.controller.health, self.controller.journal
        own = [self.declared.scope.get("environment", ""), self.declared.model]
        deeds: dict[tuple[str, ...], int] = {
            (action, outcome): self.controller.actions[action, outcome]
            for action in metrics.CONTROLLER_DEEDS
            for outcome in metrics.CONTROLLER_DEED_OUTCOMES
        }
        counters: list[tuple[metrics.Metric, Mapping[tuple[str, ...], int]]] = [
            (metrics.CONTROLLER_REQUESTS, self.requests),
            (metrics.CONTROLLER_LOOKS, {(outcome,): count for outcome, count in self.looks.items()}),
            (metrics.CONTROLLER_ACTIONS, deeds),
        ]
        for metric, counts in counters:
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, count in counts.items():
                counter.add_metric([*own, *labels], count)
            yield counter
        gauges: list[tuple[metrics.Metric, dict[tuple[str, ...], float]]] = [
            (metrics.CONTROLLER_LEADS, {(): float(health.leads)}),
            (
                metrics.CONTROLLER_BLIND,
                {(why,): float(health.blindness == why) for why in metrics.CONTROLLER_BLINDNESS},
            ),
        ]
        cases = []
        # one that stands by does not look, which is not to hide that the other hangs; and a journal of its own knows
        # nothing of what was done since it led
        if health.leads:
            gauges.append((metrics.CONTROLLER_LAST_LOOK, {(): health.time}))
            with contextlib.suppress(MakeweightError):
                gauges.append((metrics.CONTROLLER_HELD, {(): float(kept.hold() is not None)}))
                cases = kept.cases()
        for metric, values in gauges:
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                gauge.add_metric([*own, *labels], value)
            yield gauge
        stage = metrics.CONTROLLER_STAGE
        stages = GaugeMetricFamily(stage.name, stage.help, labels=stage.labels)
        for case in cases:
            one = case.canary
            stages.add_metric([one.environment, one.model, one.revision, one.attempt, one.sha256, case.stage], 1.0)
        yield stages


def _told(look: Future[Health]) -> None:
    """That a look failed in a way that nobody thought of; the next one comes all the same."""
    if (error := look.exception()) is not None:
        _log.error("a look failed", exc_info=error)
